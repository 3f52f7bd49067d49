//! Calls that group keys need, and other keys decide, move above the groups.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::{Aggregate, Expr, LogicalPlan};

use super::chain::{Chain, Step, named, names, owned, stack};

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
    let Some(moved) = decided_by_keys(&chain.steps, &keys, &others) else {
        return Ok(None);
    };
    let (above, below): (Vec<_>, Vec<_>) = std::mem::take(&mut chain.steps)
        .into_iter()
        .enumerate()
        .partition(|(index, _)| moved.contains(index));
    let [above, below] = [above, below].map(|steps| steps.into_iter().map(|(_, step)| step));
    let above: Vec<Step> = above.collect();
    let made: HashSet<Column> = above.iter().flat_map(Step::makes).collect();
    let is_moved = |expr: &Expr| !owned(expr).is_disjoint(&made);

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
    let staying = keys.iter().filter(|key| !is_moved(key));
    let renamed: HashMap<&Expr, &Column> = std::iter::zip(staying, of_groups).collect();
    let above_groups = |expr: &Expr| {
        let moved = expr.clone().transform_up(|part| match renamed.get(&part) {
            Some(column) if matches!(part, Expr::Column(_)) => {
                Ok(Transformed::yes(Expr::Column((*column).clone())))
            }
            _ => Ok(Transformed::no(part)),
        });
        moved.map(|moved| moved.data)
    };
    let steps = above.iter().map(|step| step.rewritten(above_groups));
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

/// The calls that read nothing but keys that are columns, and what such calls make, and that nothing
/// but keys read; `None` if there are none.
fn decided_by_keys(steps: &[Step], keys: &[Expr], others: &[Expr]) -> Option<HashSet<usize>> {
    let made: HashSet<Column> = steps.iter().flat_map(Step::makes).collect();
    let plain = keys.iter().filter_map(|key| match key {
        Expr::Column(column) if !made.contains(column) => Some(column.clone()),
        _ => None,
    });
    let plain: HashSet<Column> = plain.collect();
    let mut moved: HashSet<usize> = (0..steps.len()).collect();
    loop {
        let count = moved.len();
        let mut decided = plain.clone();
        for (index, step) in steps.iter().enumerate() {
            let is_repeatable = matches!(step, Step::Call(call) if call.is_repeatable());
            if moved.contains(&index) && is_repeatable && step.reads().is_subset(&decided) {
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
        let is_decided = |key: &&Expr| owned(key).is_subset(&decided);
        read.extend(keys.iter().filter(|key| !is_decided(key)).flat_map(owned));
        moved.retain(|index| !steps[*index].makes().any(|made| read.contains(&made)));
        if moved.len() == count {
            break;
        }
    }
    let made: HashSet<Column> = moved
        .iter()
        .flat_map(|index| steps[*index].makes())
        .collect();
    let is_read = keys.iter().any(|key| !owned(key).is_disjoint(&made));
    is_read.then_some(moved)
}
