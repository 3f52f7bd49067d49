//! Calls that only branches read are made where those are reached.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::{Expr, LogicalPlan};

use super::chain::{Chain, Step, owned};
use crate::extract::{any_of, demands_of, demands_of_predicate};
use crate::total::is_total;

/// Gives a guard to each call below a projection or an aggregate that has none, if all who read
/// its columns are guarded: a branch of CASE, AND, OR or COALESCE above the projection that made
/// the call, as in a query of a view.
pub(super) fn narrow(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match &plan {
        LogicalPlan::Projection(_) => {
            let mut chain = Chain::of(&plan)?;
            let readers = chain.columns.clone();
            let Some(steps) = guarded(&chain, &readers)? else {
                return Ok(Transformed::no(plan));
            };
            chain.steps = steps;
            let base = std::mem::take(&mut chain.base);
            chain.on(base, plan.schema()).map(Transformed::yes)
        }
        LogicalPlan::Aggregate(aggregate) => {
            let mut chain = Chain::of(&aggregate.input)?;
            let schema = aggregate.input.schema();
            let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
            let readers = exprs.map(|expr| chain.over_base(expr, schema));
            let readers = readers.collect::<Result<Vec<_>>>()?;
            let Some(steps) = guarded(&chain, &readers)? else {
                return Ok(Transformed::no(plan));
            };
            chain.steps = steps;
            let base = std::mem::take(&mut chain.base);
            let input = chain.on(base, schema)?;
            let mut narrowed = aggregate.clone();
            narrowed.input = Arc::new(input);
            Ok(Transformed::yes(LogicalPlan::Aggregate(narrowed)))
        }
        _ => Ok(Transformed::no(plan)),
    })
}

/// The steps with more guards; `None` if there is none to add.
fn guarded(chain: &Chain, readers: &[Expr]) -> Result<Option<Vec<Step>>> {
    let mut steps = chain.steps.clone();
    let mut changed = false;
    for index in (0..steps.len()).rev() {
        let guard = guard(&steps, index, readers)?;
        if let (Some(guard), Step::Call(call)) = (guard, &mut steps[index]) {
            call.guard = Some(guard.clone());
            changed = true;
            raise(&mut steps, index, &owned(&guard));
        }
    }
    Ok(changed.then_some(steps))
}

/// The guard that an unguarded call can have.
fn guard(steps: &[Step], index: usize, readers: &[Expr]) -> Result<Option<Expr>> {
    let Step::Call(call) = &steps[index] else {
        return Ok(None);
    };
    if call.guard.is_some() {
        return Ok(None);
    }
    let made: HashSet<Column> = steps[index].makes().collect();
    let is_made = |expr: &Expr| matches!(expr, Expr::Column(column) if made.contains(column));
    let mut found = demands_of(readers, None, &is_made)?;
    for step in &steps[index + 1..] {
        match step {
            Step::Filter(predicate) => found.extend(demands_of_predicate(predicate, &is_made)?),
            Step::Call(other) => {
                found.extend(demands_of(&other.guard, None, &is_made)?);
                let args = &other.function.args;
                found.extend(demands_of(args, other.guard.as_ref(), &is_made)?);
            }
        }
    }
    // A test that needs the call, through whatever others, tells nothing of it.
    let is_filtered = steps[index + 1..].iter().any(Step::is_filter);
    // Nor does one that may fail on rows that a predicate above the call drops.
    let is_safe = |test: &Expr| !is_filtered || is_total(test, &DFSchema::empty());
    let is_known = |test: &Expr| is_safe(test) && can_read(steps, index, &owned(test));
    let guards = found.into_iter().flat_map(|demand| demand.guards);
    let guards = guards.map(|guard| guard.into_iter().filter(is_known).collect());
    let guard = any_of(guards.collect());
    Ok(guard.filter(is_known))
}

/// Whether the call can be made after those that make the columns: none of them needs it, and
/// no filter stands in between.
fn can_read(steps: &[Step], index: usize, columns: &HashSet<Column>) -> bool {
    let mut tainted: HashSet<Column> = steps[index].makes().collect();
    let Some(last) = last_maker(steps, index, columns) else {
        return columns.is_disjoint(&tainted);
    };
    for step in &steps[index + 1..=last] {
        if let Step::Filter(_) = step {
            return false;
        }
        if step.reads().iter().any(|column| tainted.contains(column)) {
            tainted.extend(step.makes());
        }
    }
    columns.is_disjoint(&tainted)
}

/// The last step above the call that makes one of the columns.
fn last_maker(steps: &[Step], index: usize, columns: &HashSet<Column>) -> Option<usize> {
    let makes = |place: &usize| steps[*place].makes().any(|made| columns.contains(&made));
    (index + 1..steps.len()).rev().find(makes)
}

/// Moves the call, and those above that need it, above all that make the columns.
fn raise(steps: &mut Vec<Step>, index: usize, columns: &HashSet<Column>) {
    let Some(last) = last_maker(steps, index, columns) else {
        return;
    };
    let mut tainted: HashSet<Column> = steps[index].makes().collect();
    let (mut first, mut later) = (Vec::new(), vec![steps[index].clone()]);
    for step in &steps[index + 1..=last] {
        if step.reads().iter().any(|column| tainted.contains(column)) {
            tainted.extend(step.makes());
            later.push(step.clone());
        } else {
            first.push(step.clone());
        }
    }
    steps.splice(index..=last, first.into_iter().chain(later));
}
