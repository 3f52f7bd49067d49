//! Calls move above joins that leave fewer rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Column, DFSchema, DataFusionError, JoinType, Result};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Filter, Join, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift::{Split, split};
use super::lift_unnest::lift_unnest;
use super::schedule::price;
use super::sides::Offer;
use crate::join::{joined_like, joins_once, keeps_unmatched};
use crate::total::is_total;
use crate::udf::NodeUdf;

/// Moves the calls of the side that a semi, anti or mark join keeps above it; of an inner one, the
/// calls of a side that cannot be reduced to the rows that the join gives, and of an outer one, of such
/// a padded side. Rows that it multiplies will share their calls.
pub(super) fn lift_join(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightSemi};
    let is_exact = |is_left| {
        let offer = Offer::of(join, is_left)?;
        Ok::<_, DataFusionError>(offer.filter(|offer| offer.is_exact))
    };
    let lift = |is_left, through| {
        let how = How {
            is_selective: false,
            through,
        };
        lift_side(join, is_left, how, config)
    };
    match join.join_type {
        LeftSemi if is_exact(true)?.is_some() => lift(true, Through::Outer),
        RightSemi if is_exact(false)?.is_some() => lift(false, Through::Outer),
        Left if is_exact(false)?.is_none() => lift(false, Through::Any),
        Right if is_exact(true)?.is_none() => lift(true, Through::Any),
        LeftSemi | LeftAnti | LeftMark => lift(true, Through::Any),
        RightSemi | RightAnti => lift(false, Through::Any),
        Inner => {
            // The left one's stand below the right one's then, as they were written.
            for is_left in [false, true] {
                let is_open = match is_exact(is_left)? {
                    Some(offer) => is_of_padded(join, is_left, &offer)?,
                    None => true,
                };
                let lifted = match is_open {
                    true => lift(is_left, Through::Any)?,
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
    let reads: Vec<Expr> = offer.reads_of(side).into_iter().map(Expr::Column).collect();
    for own in &reads {
        let columns = owned(&chain.over_base(own, side.schema())?);
        let is_kept = |column: &Column| kept.maybe_index_of_column(column).is_some();
        if !columns.iter().all(is_kept) {
            return Ok(true);
        }
    }
    Ok(false)
}

/// Moves what a join's condition reads of calls above it, and these too, where a side cannot be reduced
/// to the rows that have a match: a semi join that finds one row at most is an inner one.
pub(super) fn lift_condition(
    join: &Join,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let is_inner = match join.join_type {
        JoinType::Inner => true,
        JoinType::LeftSemi => joins_once(join, true),
        JoinType::RightSemi => joins_once(join, false),
        _ => false,
    };
    if !is_inner {
        return Ok(None);
    }
    let mut made = HashSet::new();
    for (is_left, side) in [(true, &join.left), (false, &join.right)] {
        let calls = made_by_calls(side)?;
        if !calls.is_empty() && Offer::of(join, is_left)?.is_none_or(|offer| !offer.is_exact) {
            made.extend(calls);
        }
    }
    let conjuncts = join.filter.iter().flat_map(split_conjunction).cloned();
    let (above, within): (Vec<_>, Vec<_>) =
        conjuncts.partition(|conjunct| !owned(conjunct).is_disjoint(&made));
    let Some(predicate) = conjunction(above) else {
        return Ok(None);
    };
    let inner = Join::try_new(
        Arc::clone(&join.left),
        Arc::clone(&join.right),
        join.on.clone(),
        conjunction(within),
        JoinType::Inner,
        join.join_constraint,
        join.null_equality,
        false,
    )?;
    let filter = Filter::try_new(predicate, Arc::new(LogicalPlan::Join(inner)))?;
    let kept = join.schema.columns().into_iter().map(Expr::Column);
    let lifted = lift_to_filter(&filter, config)?;
    let lifted = lifted.map(|lifted| named(lifted, kept, names(&join.schema)));
    lifted.transpose()
}

/// The columns of a side that its calls make.
fn made_by_calls(side: &LogicalPlan) -> Result<HashSet<Column>> {
    let chain = Chain::of(side)?;
    let made: HashSet<Column> = chain.steps.iter().flat_map(Step::makes).collect();
    let columns = std::iter::zip(side.schema().columns(), &chain.columns);
    let columns = columns.filter(|(_, expr)| !owned(expr).is_disjoint(&made));
    Ok(columns.map(|(column, _)| column).collect())
}

/// Moves calls of a join's side above it, where a predicate that does not read that side
/// alone stands there; not those that predicates of the side need. So it does above lists' items.
pub(super) fn lift_to_filter(
    filter: &Filter,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&LogicalPlan::Filter(filter.clone()))?;
    let join = match &chain.base {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Unnest(unnest) if !chain.steps.is_empty() => {
            let is_filtered = chain.steps.iter().any(Step::is_filter);
            let lifted = lift_unnest(unnest, !is_filtered, config)?;
            let lifted = lifted.map(|lifted| chain.on(lifted, filter.input.schema()));
            return lifted.transpose();
        }
        _ => return Ok(None),
    };
    let kept = match join.join_type {
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full => {
            [false, true].as_slice()
        }
        _ => &[],
    };
    for is_left in kept {
        let (side, other) = match is_left {
            true => (&join.left, &join.right),
            false => (&join.right, &join.left),
        };
        let mut own: HashSet<Column> = side.schema().columns().into_iter().collect();
        let mut called = made_by_calls(other)?;
        called.extend(chain.steps.iter().flat_map(Step::makes));
        let (mut drops, mut is_free) = (false, false);
        for step in &chain.steps {
            let reads = step.reads();
            let is_own = reads.is_subset(&own);
            drops |= step.is_filter() && !is_own;
            is_free |= step.is_filter() && !is_own && reads.is_disjoint(&called);
            if is_own {
                own.extend(step.makes());
            }
        }
        // Predicates on what an outer join keeps may stand on either side of it: they go along, if
        // one above needs no call.
        let is_kept = keeps_unmatched(join.join_type, *is_left) && join.join_type != JoinType::Full;
        let how = How {
            is_selective: !(is_kept && is_free),
            through: Through::Any,
        };
        let lifted = match drops {
            true => lift_side(join, *is_left, how, config)?,
            false => None,
        };
        if let Some(lifted) = lifted {
            return chain.on(lifted, filter.input.schema()).map(Some);
        }
    }
    Ok(None)
}

/// Which joins below calls are lifted above, too.
#[derive(Clone, Copy, PartialEq)]
pub(super) enum Through {
    /// Those that keep the rows of a side: the others reduce their sides.
    Outer,
    Any,
}

/// How calls of a side are lifted.
#[derive(Clone, Copy)]
struct How {
    /// Whether predicates of the side stay, and what they need.
    is_selective: bool,
    through: Through,
}

/// The plan with the calls of the sides of a join above it; those of a padded side only if they are
/// null on padded rows. The next operator must take them on, or they would return to the sides.
pub(super) fn with_kept_lifted(
    plan: &LogicalPlan,
    through: Through,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    let join = match &chain.base {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Unnest(unnest) => {
            let lifted = lift_unnest(unnest, true, config)?;
            let lifted = lifted.map(|lifted| chain.on(lifted, plan.schema()));
            return lifted.transpose();
        }
        _ => return Ok(None),
    };
    let kept = match join.join_type {
        JoinType::Left | JoinType::Right | JoinType::Full => [false, true].as_slice(),
        JoinType::Inner if through == Through::Any => &[false, true],
        _ => &[],
    };
    let how = How {
        is_selective: true,
        through,
    };
    for is_left in kept {
        if let Some(lifted) = lift_side(join, *is_left, how, config)? {
            let lifted = chain.on(lifted, plan.schema())?;
            let both = with_kept_lifted(&lifted, through, config)?;
            return Ok(Some(both.unwrap_or(lifted)));
        }
    }
    Ok(None)
}

fn lift_side(
    join: &Join,
    is_left: bool,
    How {
        is_selective,
        through,
    }: How,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let (kept, other) = match is_left {
        true => (&join.left, &join.right),
        false => (&join.right, &join.left),
    };
    let mut chain = Chain::of(kept)?;
    if !chain.has_calls()
        && let Some(lifted) = with_kept_lifted(kept, through, config)?
    {
        chain = Chain::of(&lifted)?;
    }
    let gives_both = matches!(
        join.join_type,
        JoinType::Inner | JoinType::Left | JoinType::Right | JoinType::Full
    );
    let multiplies = gives_both && !joins_once(join, is_left);
    if !chain.has_calls() || (multiplies && !chain.steps.iter().all(Step::is_repeatable)) {
        return Ok(None);
    }
    let chain = chain.apart_from(other.schema())?;
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
    if is_padded(join.join_type, is_left) && !is_null_of(&above, &columns, &base) {
        return Ok(None);
    }
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
        _ if gives_both => other.schema().columns(),
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

fn is_padded(kind: JoinType, is_left: bool) -> bool {
    match kind {
        JoinType::Left => !is_left,
        JoinType::Right => is_left,
        JoinType::Full => true,
        _ => false,
    }
}

/// Whether the calls and columns above a base are null where the base is padded.
fn is_null_of(above: &[Step], columns: &[Expr], base: &DFSchema) -> bool {
    let mut nulls: HashSet<Column> = base.columns().into_iter().collect();
    for step in above {
        match step {
            Step::Call(call)
                if NodeUdf::is_null_of(&call.function, |column| nulls.contains(column)) =>
            {
                nulls.extend(step.makes());
            }
            _ => return false,
        }
    }
    columns
        .iter()
        .all(|column| matches!(column, Expr::Column(_)))
}
