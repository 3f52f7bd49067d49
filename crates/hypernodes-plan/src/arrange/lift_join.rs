//! Calls move above joins that leave fewer rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift::{Split, split};
use super::schedule::price;
use super::sides::Offer;
use crate::join::{joined_like, joins_once};
use crate::total::is_total;

/// Moves the calls of the side that a semi, anti or mark join keeps above it; of an inner one, the
/// calls of a side that cannot be reduced to the rows that the join gives. Rows that it multiplies
/// will share their calls.
pub(super) fn lift_join(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    use JoinType::{Inner, LeftAnti, LeftMark, LeftSemi, RightAnti, RightSemi};
    match join.join_type {
        LeftSemi | LeftAnti | LeftMark => lift_side(join, true, false, config),
        RightSemi | RightAnti => lift_side(join, false, false, config),
        Inner => {
            // The left one's stand below the right one's then, as they were written.
            for is_left in [false, true] {
                let is_open = match Offer::of(join, is_left)? {
                    Some(offer) => !offer.is_exact || is_of_padded(join, is_left, &offer)?,
                    None => true,
                };
                let lifted = match is_open {
                    true => lift_side(join, is_left, false, config)?,
                    false => None,
                };
                if lifted.is_some() {
                    return Ok(lifted);
                }
            }
            Ok(None)
        }
        _ => Ok(None),
    }
}

/// Whether a side is an outer join, and matched by more than what that keeps: the calls of what it
/// keeps are out of reach below it.
fn is_of_padded(join: &Join, is_left: bool, offer: &Offer) -> Result<bool> {
    let side = if is_left { &join.left } else { &join.right };
    let chain = Chain::of(side)?;
    let LogicalPlan::Join(lower) = &chain.base else {
        return Ok(false);
    };
    let kept = match lower.join_type {
        JoinType::Left => lower.left.schema(),
        JoinType::Right => lower.right.schema(),
        _ => return Ok(false),
    };
    for own in offer.reads_of(side) {
        let columns = owned(&chain.over_base(&Expr::Column(own), side.schema())?);
        let is_kept = |column: &Column| kept.maybe_index_of_column(column).is_some();
        if !columns.iter().all(is_kept) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves calls of a side that a join keeps above it, where a predicate that does not read that side
/// alone stands there; not those that predicates of the side need.
pub(super) fn lift_to_filter(
    filter: &Filter,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&LogicalPlan::Filter(filter.clone()))?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    let kept = match join.join_type {
        JoinType::Inner => [false, true].as_slice(),
        JoinType::Left => &[true],
        JoinType::Right => &[false],
        _ => &[],
    };
    for is_left in kept {
        let side = if *is_left { &join.left } else { &join.right };
        let mut own: HashSet<Column> = side.schema().columns().into_iter().collect();
        let mut drops = false;
        for step in &chain.steps {
            let is_own = step.reads().is_subset(&own);
            drops |= step.is_filter() && !is_own;
            if is_own {
                own.extend(step.makes());
            }
        }
        let lifted = match drops {
            true => lift_side(join, *is_left, true, config)?,
            false => None,
        };
        if let Some(lifted) = lifted {
            return chain.on(lifted, filter.input.schema()).map(Some);
        }
    }
    Ok(None)
}

/// The plan with the calls of what an outer join keeps above that join. The next operator must take
/// them on, or they would return to the join's side.
pub(super) fn with_kept_lifted(
    plan: &LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    let is_left = match join.join_type {
        JoinType::Left => true,
        JoinType::Right => false,
        _ => return Ok(None),
    };
    let Some(lifted) = lift_side(join, is_left, true, config)? else {
        return Ok(None);
    };
    chain.on(lifted, plan.schema()).map(Some)
}

/// If selective, predicates of the side stay, and what they need.
fn lift_side(
    join: &Join,
    is_left: bool,
    is_selective: bool,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let (kept, other) = match is_left {
        true => (&join.left, &join.right),
        false => (&join.right, &join.left),
    };
    let mut chain = Chain::of(kept)?;
    if !chain.has_calls()
        && let Some(lifted) = with_kept_lifted(kept, config)?
    {
        chain = Chain::of(&lifted)?;
    }
    let is_repeatable = |step: &Step| match step {
        Step::Call(call) => call.is_repeatable(),
        Step::Filter(_) => true,
    };
    let multiplies = matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::Right
    ) && !joins_once(join, is_left);
    if !chain.has_calls() || (multiplies && !chain.steps.iter().all(is_repeatable)) {
        return Ok(None);
    }
    let taken = |column: &Column| {
        let mut fields = other.schema().iter();
        fields.any(|(qualifier, field)| {
            let clashes = qualifier.is_none()
                || column.relation.is_none()
                || qualifier == column.relation.as_ref();
            *field.name() == column.name && clashes
        })
    };
    if chain.base.schema().columns().iter().any(taken) {
        chain = chain.with_unique_names(|| config.alias_generator().next("__hn_base"))?;
    }
    let schema = kept.schema();
    let on = join.on.iter().map(|(left, right)| {
        Ok(match is_left {
            true => (chain.over_base(left, schema)?, right.clone()),
            false => (left.clone(), chain.over_base(right, schema)?),
        })
    });
    let on = on.collect::<Result<Vec<_>>>()?;
    let filter = join.filter.as_ref();
    let filter = filter
        .map(|filter| chain.over_side(filter, schema))
        .transpose()?;
    let keys = on
        .iter()
        .map(|(left, right)| if is_left { left } else { right });
    let mut needs: HashSet<Column> = keys.chain(&filter).flat_map(owned).collect();
    // The join is one of several predicates: those that cost no more stay before it.
    let joining = chain.needed(needs.clone());
    if !joining.is_empty() {
        let cost = price(&chain, &joining);
        for step in &chain.steps {
            if step.is_filter() {
                let missing = chain.needed(step.reads());
                if price(&chain, missing.difference(&joining)) <= cost {
                    needs.extend(step.reads());
                }
            }
        }
    }
    let base = Arc::clone(chain.base.schema());
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, needs, is_selective)?
    else {
        return Ok(None);
    };
    // A predicate that moves may keep from the keys the rows on which they would fail.
    let both = base.join(other.schema())?;
    let may_fail = |expr: &Expr| !is_total(expr, &both);
    let key_may_fail = on
        .iter()
        .any(|(left, right)| may_fail(left) || may_fail(right));
    if above.iter().any(Step::is_filter) && (key_may_fail || filter.as_ref().is_some_and(may_fail))
    {
        return Ok(None);
    }
    let other_side = Arc::clone(other);
    let lower = match is_left {
        true => joined_like(join, below, other_side, on, filter)?,
        false => joined_like(join, other_side, below, on, filter)?,
    };
    let mark = lower.schema().columns().pop();
    let lower = stack(lower, above)?;
    let others = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right => other.schema().columns(),
        JoinType::LeftMark => mark.into_iter().collect(),
        _ => Vec::new(),
    };
    let others = others.into_iter().map(Expr::Column);
    let columns: Vec<Expr> = match is_left {
        true => columns.into_iter().chain(others).collect(),
        false => others.chain(columns).collect(),
    };
    named(lower, columns, names(&join.schema)).map(Some)
}
