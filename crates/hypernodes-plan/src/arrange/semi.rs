//! Joins that give only repeats, where nobody sees repeats, are semi joins or none.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Join, LogicalPlan};

use super::chain::{Chain, Step, named, names, of_side, owned, stack};
use super::sides::is_keys;
use crate::join::joined_like;

/// Below groups without aggregates, and on the side of a join that only filters the other, makes
/// an inner join a semi join, and an outer join its kept side, if the rest of it is not read.
///
/// DataFusion's `EliminateJoin` does that where no call stands in between.
pub(super) fn make_semi(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match plan {
        // The rows of the last iteration can be read only once.
        LogicalPlan::RecursiveQuery(_) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Aggregate(aggregate) if aggregate.aggr_expr.is_empty() => {
            let keys = aggregate.group_expr.iter().flat_map(owned).collect();
            let made = as_set(&aggregate.input, keys)?.map(|input| {
                let mut made = aggregate.clone();
                made.input = Arc::new(input);
                LogicalPlan::Aggregate(made)
            });
            Ok(either(made, LogicalPlan::Aggregate(aggregate)))
        }
        LogicalPlan::Join(join) => {
            use JoinType::{LeftAnti, LeftMark, LeftSemi, RightAnti, RightMark, RightSemi};
            let is_left = match join.join_type {
                LeftSemi | LeftAnti | LeftMark => false,
                RightSemi | RightAnti | RightMark => true,
                _ => return Ok(Transformed::no(LogicalPlan::Join(join))),
            };
            let side = if is_left { &join.left } else { &join.right };
            let mut read = read_of(&join, side);
            if matches!(join.join_type, LeftMark | RightMark) {
                // The mark has its qualifier.
                read.extend(side.schema().columns().into_iter().next());
            }
            let made = as_set(side, read)?.map(|side| match is_left {
                true => with_sides(&join, Some(side), None),
                false => with_sides(&join, None, Some(side)),
            });
            Ok(either(made.transpose()?, LogicalPlan::Join(join)))
        }
        _ => Ok(Transformed::no(plan)),
    })
}

fn either(made: Option<LogicalPlan>, plan: LogicalPlan) -> Transformed<LogicalPlan> {
    made.map_or_else(|| Transformed::no(plan), Transformed::yes)
}

/// The columns of `read`, as often as may be, of a chain on a join.
fn as_set(plan: &LogicalPlan, read: HashSet<Column>) -> Result<Option<LogicalPlan>> {
    // Their name tells what they are.
    if is_keys(plan) {
        return Ok(None);
    }
    let mut chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    if !chain.steps.iter().all(Step::is_repeatable) {
        return Ok(None);
    }
    let schema = plan.schema();
    let kept: Vec<bool> = schema
        .iter()
        .map(|field| read.contains(&Column::from(field)))
        .collect();
    let mut needed = chain.read_by(read, schema)?;
    let filters = chain.steps.iter().filter(|step| step.is_filter());
    needed.extend(filters.flat_map(Step::reads));
    let needed = chain.with_needed(needed);
    let Some(base) = join_as_set(join, &needed)? else {
        return Ok(None);
    };
    chain
        .steps
        .retain(|step| step.is_filter() || step.makes().any(|made| needed.contains(&made)));
    let columns = std::iter::zip(chain.columns, &kept);
    let columns = columns.filter_map(|(column, kept)| kept.then_some(column));
    let names = std::iter::zip(names(schema), &kept);
    let names = names.filter_map(|(name, kept)| kept.then_some(name));
    named(stack(base, chain.steps)?, columns, names).map(Some)
}

/// The columns of `needed`, as often as may be, of a join.
fn join_as_set(join: &Join, needed: &HashSet<Column>) -> Result<Option<LogicalPlan>> {
    use JoinType::{Inner, Left, LeftSemi, Right, RightSemi};
    let is_read = |side| !of_side(side, needed).is_empty();
    let whole = |side: &LogicalPlan| {
        let smaller = as_set(side, of_side(side, needed))?;
        Ok(Some(smaller.unwrap_or_else(|| side.clone())))
    };
    let join_type = match (join.join_type, is_read(&join.left), is_read(&join.right)) {
        (Left, _, false) => return whole(&join.left),
        (Right, false, _) => return whole(&join.right),
        (Inner, _, false) if !join.on.is_empty() => LeftSemi,
        (Inner, false, true) if !join.on.is_empty() => RightSemi,
        (kept, ..) => kept,
    };
    let smaller = |side| {
        let read = read_of(join, side).into_iter();
        as_set(side, read.chain(of_side(side, needed)).collect())
    };
    let (left, right) = (smaller(&join.left)?, smaller(&join.right)?);
    if join_type == join.join_type && left.is_none() && right.is_none() {
        return Ok(None);
    }
    let join = Join {
        join_type,
        ..join.clone()
    };
    with_sides(&join, left, right).map(Some)
}

/// The join with other sides.
fn with_sides(
    join: &Join,
    left: Option<LogicalPlan>,
    right: Option<LogicalPlan>,
) -> Result<LogicalPlan> {
    let left = left.map_or_else(|| Arc::clone(&join.left), Arc::new);
    let right = right.map_or_else(|| Arc::clone(&join.right), Arc::new);
    joined_like(join, left, right, join.on.clone(), join.filter.clone())
}

/// What a join's keys and condition read of a side.
fn read_of(join: &Join, side: &LogicalPlan) -> HashSet<Column> {
    let keys = join.on.iter().flat_map(|(left, right)| [left, right]);
    of_side(side, &keys.chain(&join.filter).flat_map(owned).collect())
}
