//! Calls that only branches read are made where those are reached.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, of_side, owned};
use super::lift_join::{Through, with_kept_lifted};
use crate::extract::{
    Demand, any_of, completed_by, demands_of, demands_of_predicate, made_name, replace,
};
use crate::total::is_total;

/// Gives a guard to each call below a projection or an aggregate that has none, if all who read
/// its columns are guarded: a branch of CASE, AND, OR or COALESCE above the projection that made
/// the call, as in a query of a view; also where a join or lists' rows stand in between.
pub(super) fn narrow(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match &plan {
        LogicalPlan::Projection(_) => {
            let narrowed = narrowed_or_lifted(&plan, config, |chain| Ok(chain.columns.clone()))?;
            Ok(match narrowed {
                Some(narrowed) => Transformed::yes(narrowed),
                None => Transformed::no(plan),
            })
        }
        LogicalPlan::Aggregate(aggregate) => {
            let schema = aggregate.input.schema();
            let narrowed = narrowed_or_lifted(&aggregate.input, config, |chain| {
                let exprs = aggregate.group_expr.iter().chain(&aggregate.aggr_expr);
                exprs.map(|expr| chain.over_base(expr, schema)).collect()
            })?;
            Ok(match narrowed {
                Some(input) => {
                    let mut narrowed = aggregate.clone();
                    narrowed.input = Arc::new(input);
                    Transformed::yes(LogicalPlan::Aggregate(narrowed))
                }
                None => Transformed::no(plan),
            })
        }
        _ => Ok(Transformed::no(plan)),
    })
}

/// The plan with guards to its calls, or to those of the sides of a join, or of lists' rows, right
/// below it, which then stand above.
fn narrowed_or_lifted(
    plan: &LogicalPlan,
    config: &dyn OptimizerConfig,
    readers: impl Fn(&Chain) -> Result<Vec<Expr>>,
) -> Result<Option<LogicalPlan>> {
    let in_place = |plan: &LogicalPlan| {
        let mut chain = Chain::of(plan)?;
        let readers = readers(&chain)?;
        if !narrowed(&mut chain, &readers, config)? {
            return Ok(None);
        }
        let base = std::mem::take(&mut chain.base);
        chain.on(base, plan.schema()).map(Some)
    };
    if let Some(narrowed) = in_place(plan)? {
        return Ok(Some(narrowed));
    }
    let lifted = with_kept_lifted(plan, Through::Any, config)?;
    lifted.map_or(Ok(None), |lifted| in_place(&lifted))
}

/// Gives guards to calls of the chain; whether there was one to give.
fn narrowed(chain: &mut Chain, readers: &[Expr], config: &dyn OptimizerConfig) -> Result<bool> {
    if joined(chain)? {
        return Ok(true);
    }
    let mut changed = false;
    for index in (0..chain.steps.len()).rev() {
        if !matches!(&chain.steps[index], Step::Call(call) if call.guard.is_none()) {
            continue;
        }
        let made: Vec<Column> = chain.steps[index].makes().collect();
        let all = demands(&made, &chain.steps[index + 1..], readers)?;
        if let Some(guard) = guard(&chain.steps, index, all)? {
            give(&mut chain.steps, index, guard);
            changed = true;
        } else if let Some(guard) = completed(chain, index, config)? {
            // What reads the other calls has changed.
            give(&mut chain.steps, index, guard);
            return Ok(true);
        }
    }
    Ok(changed)
}

/// Makes a call that all rows need which a filter leaves, and only some rows below it, once more
/// above it, for those that had it not; the guard that it can have below.
fn completed(
    chain: &mut Chain,
    index: usize,
    config: &dyn OptimizerConfig,
) -> Result<Option<Expr>> {
    let Step::Call(call) = &chain.steps[index] else {
        return Ok(None);
    };
    if !call.is_repeatable() {
        return Ok(None);
    }
    let made: Vec<Column> = chain.steps[index].makes().collect();
    let filters = (index + 1..chain.steps.len()).rev();
    for filter in filters.filter(|place| chain.steps[*place].is_filter()) {
        let below = demands(&made, &chain.steps[index + 1..=filter], &[])?;
        if below.is_empty() {
            return Ok(None);
        }
        let Some(had) = guard(&chain.steps, index, below)? else {
            continue;
        };
        // Rows that a join makes of one row share a call, if it is the same one.
        let read = call.exprs().chain([&had]).flat_map(owned).collect();
        if !is_of_one_row(chain, read)? {
            continue;
        }
        let names = call.outputs.iter().map(|_| made_name(config));
        let names: Vec<String> = names.collect();
        let mut rest = call.clone();
        rest.guard = Some(had.clone().is_not_true());
        for (output, name) in std::iter::zip(&mut rest.outputs, &names) {
            output.name.clone_from(name);
        }
        let either = std::iter::zip(made, names).map(|(one, other)| {
            let other = Expr::Column(Column::new_unqualified(other));
            let one = Expr::Column(one);
            Ok((one.clone(), completed_by(&had, one, other)?))
        });
        let either = either.collect::<Result<Vec<_>>>()?;
        let above = chain.steps.split_off(filter + 1);
        chain.steps.push(Step::Call(rest));
        for step in above {
            chain
                .steps
                .push(step.rewritten(|expr| replace(expr.clone(), &either))?);
        }
        for column in &mut chain.columns {
            *column = replace(column.clone(), &either)?;
        }
        return Ok(Some(had));
    }
    Ok(None)
}

/// Takes back what was completed above a join that makes several rows of one, some of which are in
/// the branch and some not: those would share two calls.
fn joined(chain: &mut Chain) -> Result<bool> {
    for upper in 0..chain.steps.len() {
        for lower in 0..upper {
            let (Step::Call(first), Step::Call(rest)) = (&chain.steps[lower], &chain.steps[upper])
            else {
                continue;
            };
            let (Some(had), Some(missing)) = (&first.guard, &rest.guard) else {
                continue;
            };
            let is_rest = split_conjunction(missing).contains(&&had.clone().is_not_true());
            let read = first.exprs().flat_map(owned).collect();
            if first.function != rest.function || !is_rest || is_of_one_row(chain, read)? {
                continue;
            }
            let made = std::iter::zip(chain.steps[upper].makes(), chain.steps[lower].makes());
            let made = made.map(|(rest, first)| {
                let (rest, first) = (Expr::Column(rest), Expr::Column(first));
                let either = completed_by(had, first.clone(), rest.clone())?;
                Ok([(either, first.clone()), (rest, first)])
            });
            let made = made.collect::<Result<Vec<_>>>()?.concat();
            chain.steps.remove(upper);
            if let Step::Call(first) = &mut chain.steps[lower] {
                first.guard = None;
            }
            for step in &mut chain.steps {
                *step = step.rewritten(|expr| replace(expr.clone(), &made))?;
            }
            for column in &mut chain.columns {
                *column = replace(column.clone(), &made)?;
            }
            return Ok(true);
        }
    }
    Ok(false)
}

/// Whether the columns of a chain are those of one row, of which no join makes several.
fn is_of_one_row(chain: &Chain, read: HashSet<Column>) -> Result<bool> {
    let read = chain.with_needed(read);
    let join = match &chain.base {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Unnest(_) => return Ok(false),
        _ => return Ok(true),
    };
    let (left, right) = (of_side(&join.left, &read), of_side(&join.right, &read));
    let (side, columns) = match (left.is_empty(), right.is_empty()) {
        (_, true) => (&join.left, left),
        (true, false) => (&join.right, right),
        (false, false) => return Ok(false),
    };
    let lower = Chain::of(side)?;
    let read = lower.read_by(columns, side.schema())?;
    is_of_one_row(&lower, read)
}

/// For which rows steps and other readers need these columns.
pub(super) fn demands(made: &[Column], steps: &[Step], readers: &[Expr]) -> Result<Vec<Demand>> {
    let is_made = |expr: &Expr| matches!(expr, Expr::Column(column) if made.contains(column));
    let mut found = demands_of(readers, None, &is_made)?;
    for step in steps {
        match step {
            Step::Filter(predicate) => found.extend(demands_of_predicate(predicate, &is_made)?),
            Step::Call(other) => {
                found.extend(demands_of(&other.guard, None, &is_made)?);
                let args = &other.function.args;
                found.extend(demands_of(args, other.guard.as_ref(), &is_made)?);
            }
        }
    }
    Ok(found)
}

/// The guard that an unguarded call can have.
fn guard(steps: &[Step], index: usize, found: Vec<Demand>) -> Result<Option<Expr>> {
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

fn give(steps: &mut Vec<Step>, index: usize, guard: Expr) {
    let read = owned(&guard);
    if let Step::Call(call) = &mut steps[index] {
        call.guard = Some(guard);
    }
    raise(steps, index, &read);
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
