//! Calls that group keys need, and other keys decide, move above the groups.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Aggregate, Expr, LogicalPlan};

use super::chain::{Chain, Step, named, names, of_side, owned, stack};
use crate::extract::replace;
use crate::join::joins_once;

/// Of `GROUP BY z, f(z)`, makes the call for each group of z: it is the same for all of its rows.
pub(super) fn lift_groups(aggregate: &Aggregate) -> Result<Option<LogicalPlan>> {
    if matches!(aggregate.group_expr[..], [Expr::GroupingSet(_)]) {
        return Ok(None);
    }
    let schema = aggregate.input.schema();
    let mut chain = Chain::of(&aggregate.input)?;
    let over_base = |expr: &Expr| chain.over_base(expr, schema);
    let keys = aggregate.group_expr.iter().map(over_base);
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let others = aggregate.aggr_expr.iter().map(over_base);
    let others = others.collect::<Result<Vec<_>>>()?;
    let Some(moved) = decided_by_keys(&chain.steps, &keys, &others)? else {
        return Ok(None);
    };
    let made: HashSet<Column> = moved
        .iter()
        .flat_map(|index| chain.steps[*index].makes())
        .collect();
    let is_moved = |expr: &Expr| !owned(expr).is_disjoint(&made);
    let staying: Vec<&Expr> = keys.iter().filter(|key| !is_moved(key)).collect();
    let calls = moved.iter().flat_map(|index| chain.steps[*index].reads());
    let of_calls = calls.filter(|column| !made.contains(column)).collect();
    let of_groups = staying.iter().copied().flat_map(owned).collect();
    // Without a key, no rows at all would be one group.
    if staying.is_empty() || !are_fewer(&chain, of_groups, of_calls)? {
        return Ok(None);
    }
    let (above, below): (Vec<_>, Vec<_>) = std::mem::take(&mut chain.steps)
        .into_iter()
        .enumerate()
        .partition(|(index, _)| moved.contains(index));
    let [above, below] = [above, below].map(|steps| steps.into_iter().map(|(_, step)| step));

    let columns = std::iter::zip(chain.columns, names(schema));
    let (columns, kept): (Vec<Expr>, Vec<_>) = columns.filter(|(expr, _)| !is_moved(expr)).unzip();
    let input = named(stack(chain.base, below)?, columns, kept)?;
    let groups = std::iter::zip(&aggregate.group_expr, &keys);
    let groups = groups.filter(|(_, key)| !is_moved(key));
    let groups: Vec<Expr> = groups.map(|(group, _)| group.clone()).collect();
    let count = groups.len();
    let lower = Aggregate::try_new(Arc::new(input), groups, aggregate.aggr_expr.clone())?;

    // What the columns of the input are called above the groups.
    let made = lower.schema.columns();
    let (of_groups, of_aggregates) = made.split_at(count);
    let renamed = std::iter::zip(staying, of_groups);
    let renamed = renamed.map(|(key, column)| (key.clone(), Expr::Column(column.clone())));
    let renamed = renamed.collect();
    let above_groups = |expr: &Expr| replace(expr.clone(), &renamed);
    let steps = above.map(|step| step.rewritten(above_groups));
    let steps = steps.collect::<Result<Vec<_>>>()?;
    let mut staying = of_groups.iter();
    let columns = keys.iter().map(|key| match is_moved(key) {
        true => above_groups(key).map(Some),
        false => Ok(staying.next().cloned().map(Expr::Column)),
    });
    let columns = columns.collect::<Result<Option<Vec<_>>>>()?;
    let Some(columns) = columns else {
        return Ok(None);
    };
    let columns = columns
        .into_iter()
        .chain(of_aggregates.iter().cloned().map(Expr::Column));
    let lifted = stack(LogicalPlan::Aggregate(lower), steps)?;
    named(
        lifted,
        columns.collect::<Vec<_>>(),
        names(&aggregate.schema),
    )
    .map(Some)
}

/// The calls that read nothing but keys, and what such calls make, and that nothing but keys read;
/// `None` if there are none.
fn decided_by_keys(
    steps: &[Step],
    keys: &[Expr],
    others: &[Expr],
) -> Result<Option<HashSet<usize>>> {
    let made_by = |moved: &HashSet<usize>| -> HashSet<Column> {
        let makers = moved.iter().map(|index| &steps[*index]);
        makers.flat_map(Step::makes).collect()
    };
    let mut moved: HashSet<usize> = (0..steps.len()).collect();
    loop {
        let count = moved.len();
        let made = made_by(&moved);
        let is_plain = |key: &&Expr| !key.is_volatile() && owned(key).is_disjoint(&made);
        let plain: HashSet<&Expr> = keys.iter().filter(is_plain).collect();
        let mut decided = HashSet::new();
        for (index, step) in steps.iter().enumerate() {
            let is_decided = match step {
                Step::Call(call) => {
                    call.is_repeatable() && are_decided(call.exprs(), &plain, &decided)?
                }
                Step::Filter(_) => false,
            };
            if moved.contains(&index) && is_decided {
                decided.extend(step.makes());
            } else {
                moved.remove(&index);
            }
        }
        let staying = steps.iter().enumerate();
        let staying = staying.filter(|(index, _)| !moved.contains(index));
        let mut read: HashSet<Column> = staying.flat_map(|(_, step)| step.reads()).collect();
        read.extend(others.iter().flat_map(owned));
        // A key that reads anything else stays, and what it reads.
        for key in keys {
            if !are_decided([key], &plain, &decided)? {
                read.extend(owned(key));
            }
        }
        moved.retain(|index| !steps[*index].makes().any(|made| read.contains(&made)));
        if moved.len() == count {
            break;
        }
    }
    let made = made_by(&moved);
    let is_read = keys.iter().any(|key| !owned(key).is_disjoint(&made));
    Ok(is_read.then_some(moved))
}

/// Whether there are no more groups of such keys than rows that calls read these columns of: a join
/// that repeats the rows of a side has no key of its other side.
pub(super) fn are_fewer(
    chain: &Chain,
    keys: HashSet<Column>,
    calls: HashSet<Column>,
) -> Result<bool> {
    let (keys, calls) = (chain.with_needed(keys), chain.with_needed(calls));
    let join = match &chain.base {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Unnest(_) => return Ok(false),
        _ => return Ok(true),
    };
    let (left, right) = (of_side(&join.left, &calls), of_side(&join.right, &calls));
    let (is_left, calls) = match (left.is_empty(), right.is_empty()) {
        (false, true) => (true, left),
        (true, false) => (false, right),
        (true, true) => return Ok(true),
        (false, false) => return Ok(false),
    };
    let (side, other) = match is_left {
        true => (&join.left, &join.right),
        false => (&join.right, &join.left),
    };
    // What a key of the join equals on the other side is as good as the key itself.
    let (mut own_keys, other_keys) = (of_side(side, &keys), of_side(other, &keys));
    let missing = other_keys.into_iter().filter(|key| {
        let key = Expr::Column(key.clone());
        let equal = join.on.iter().find_map(|(left, right)| match is_left {
            true => (*right == key).then_some(left),
            false => (*left == key).then_some(right),
        });
        let equal = equal.filter(|_| join.join_type == JoinType::Inner);
        own_keys.extend(equal.iter().copied().flat_map(owned));
        equal.is_none()
    });
    if missing.count() > 0 && !joins_once(join, is_left) {
        return Ok(false);
    }
    let lower = Chain::of(side)?;
    let [keys, calls] = [own_keys, calls].map(|columns| lower.read_by(columns, side.schema()));
    are_fewer(&lower, keys?, calls?)
}

/// Whether the expressions read nothing but keys and decided columns.
fn are_decided<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    keys: &HashSet<&Expr>,
    decided: &HashSet<Column>,
) -> Result<bool> {
    let mut are_decided = true;
    for expr in exprs {
        expr.apply(|part| {
            if keys.contains(part) {
                return Ok(TreeNodeRecursion::Jump);
            }
            are_decided &= !matches!(part, Expr::Column(column) if !decided.contains(column));
            Ok(TreeNodeRecursion::Continue)
        })?;
    }
    Ok(are_decided)
}
