//! Calls move above joins that leave fewer rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Column, Dependency, JoinType, NullEquality, Result};
use datafusion_expr::{Expr, Join, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift::{Split, split};
use super::schedule::price;
use super::sides::Offer;
use crate::join::joined_like;
use crate::total::is_total;

/// Moves the calls of the side that a semi or anti join keeps above it; of an inner one, the calls
/// of a side whose rows it cannot multiply, since it is joined by a key that is declared unique,
/// where it cannot be reduced to the rows that the join gives.
pub(super) fn lift_join(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    use JoinType::{Inner, LeftAnti, LeftSemi, RightAnti, RightSemi};
    match join.join_type {
        LeftSemi | LeftAnti => lift_side(join, true, config),
        RightSemi | RightAnti => lift_side(join, false, config),
        Inner => {
            for is_left in [true, false] {
                let is_open = joins_once(join, is_left)
                    && !Offer::of(join, is_left)?.is_some_and(|offer| offer.is_exact);
                let lifted = match is_open {
                    true => lift_side(join, is_left, config)?,
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

/// Whether the other side's keys tell its rows apart, so that no row is joined to two of them.
fn joins_once(join: &Join, is_left: bool) -> bool {
    let other = if is_left { &join.right } else { &join.left };
    let keys = join
        .on
        .iter()
        .map(|(left, right)| if is_left { right } else { left });
    let keys = keys.filter_map(|key| match key {
        Expr::Column(column) => other.schema().maybe_index_of_column(column),
        _ => None,
    });
    let keys: HashSet<usize> = keys.collect();
    let dependencies = other.schema().functional_dependencies().iter();
    let mut unique = dependencies.filter(|known| known.mode == Dependency::Single);
    // Nulls may come twice where only values are unique.
    let is_safe =
        |nullable: bool| !nullable || join.null_equality == NullEquality::NullEqualsNothing;
    unique.any(|known| {
        is_safe(known.nullable)
            && known
                .source_indices
                .iter()
                .all(|index| keys.contains(index))
    })
}

fn lift_side(
    join: &Join,
    is_left: bool,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let (kept, other) = match is_left {
        true => (&join.left, &join.right),
        false => (&join.right, &join.left),
    };
    let mut chain = Chain::of(kept)?;
    if !chain.has_calls() {
        return Ok(None);
    }
    let taken = |column: &Column| other.schema().maybe_index_of_column(column).is_some();
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
    }) = split(chain, needs, false)?
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
    let lower = stack(lower, above)?;
    let others = match join.join_type {
        JoinType::Inner => other.schema().columns(),
        _ => Vec::new(),
    };
    let others = others.into_iter().map(Expr::Column);
    let columns: Vec<Expr> = match is_left {
        true => columns.into_iter().chain(others).collect(),
        false => others.chain(columns).collect(),
    };
    named(lower, columns, names(&join.schema)).map(Some)
}
