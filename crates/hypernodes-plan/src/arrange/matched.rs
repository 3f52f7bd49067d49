//! Calls that only the condition of a join reads are made for rows with a match.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, Result};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, Join, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::sides::{marked, reads_mark};
use crate::join::{joined_like, keeps_unmatched, with_side};

/// Gives a guard to each call of a side that keeps its rows without a match, if the join's
/// condition reads it, and nothing else does: whether the keys and what is free of such calls find
/// a row of the other side, which a mark join tells.
pub(super) fn match_first(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match &plan {
        // The rows of the last iteration can be read only once.
        LogicalPlan::RecursiveQuery(_) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Projection(_) => Ok(match matched(&plan, config)? {
            Some(matched) => Transformed::yes(matched),
            None => Transformed::no(plan),
        }),
        _ => Ok(Transformed::no(plan)),
    })
}

fn matched(plan: &LogicalPlan, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    let reads_mark = reads_mark(&chain, join)?;
    let mut read: HashSet<Column> = chain.columns.iter().flat_map(owned).collect();
    read.extend(chain.steps.iter().flat_map(Step::reads));
    for is_left in [true, false] {
        if keeps_unmatched(join.join_type, is_left)
            && let Some(matched) = matched_side(join, is_left, &read, reads_mark.as_ref(), config)?
        {
            return chain.on(matched, plan.schema()).map(Some);
        }
    }
    Ok(None)
}

/// `read`: the columns of the join that are read above it; `reads_mark`: for which rows its mark is.
fn matched_side(
    join: &Join,
    is_left: bool,
    read: &HashSet<Column>,
    reads_mark: Option<&Expr>,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let side = if is_left { &join.left } else { &join.right };
    let mut chain = Chain::of(side)?;
    if !chain.has_calls() {
        return Ok(None);
    }
    let other = if is_left { &join.right } else { &join.left };
    chain = chain.apart_from(other.schema())?;
    let schema = side.schema();
    let keys = join.on.iter();
    let keys = keys.map(|(left, right)| if is_left { left } else { right });
    let has = |column: &&Column| schema.maybe_index_of_column(column).is_some();
    let others = read.iter().filter(has).cloned().map(Expr::Column);
    let others = keys.cloned().chain(others);
    let others = others.map(|expr| chain.over_base(&expr, schema));
    let others = others.collect::<Result<Vec<_>>>()?;
    let filters = chain.steps.iter().filter(|step| step.is_filter());
    let others = others
        .iter()
        .flat_map(owned)
        .chain(filters.flat_map(Step::reads));
    let needed = chain.needed(others);
    let (mut first, mut later) = (Vec::new(), Vec::new());
    for (index, step) in std::mem::take(&mut chain.steps).into_iter().enumerate() {
        match step {
            Step::Call(_) if !needed.contains(&index) => later.push(step),
            other => first.push(other),
        }
    }
    let made: HashSet<Column> = later.iter().flat_map(Step::makes).collect();
    let mut own = stack(chain.base.clone(), first)?;
    let is_open = |step: &Step| matches!(step, Step::Call(call) if call.guard.is_none());
    let mut tests = Vec::new();
    if later.iter().any(is_open)
        && let Some((marked, mark)) =
            marked_side(join, is_left, own.clone(), &chain, &made, config)?
    {
        own = marked;
        tests.push(Expr::Column(mark));
    }
    let wanted = reads_mark.map(|test| chain.over_base(test, schema));
    let wanted = wanted.transpose()?;
    let mut changed = false;
    for step in &mut later {
        let Step::Call(call) = step else { continue };
        let tests = if call.guard.is_none() {
            tests.as_slice()
        } else {
            &[]
        };
        let mut guard: Vec<Expr> = call
            .guard
            .iter()
            .flat_map(split_conjunction)
            .cloned()
            .collect();
        let known = guard.len();
        let wanted = wanted.iter().flat_map(split_conjunction);
        for test in tests.iter().chain(wanted) {
            if !guard.contains(test) {
                guard.push(test.clone());
            }
        }
        changed |= guard.len() > known;
        call.guard = conjunction(guard);
    }
    if !changed {
        return Ok(None);
    }
    let own = named(stack(own, later)?, chain.columns, names(schema))?;
    Ok(Some(LogicalPlan::Join(with_side(join, is_left, own))))
}

/// A side, over the base's columns, with the mark that the rest of the condition gives it; `made`:
/// the columns of the chain that it does not have.
fn marked_side(
    join: &Join,
    is_left: bool,
    side: LogicalPlan,
    chain: &Chain,
    made: &HashSet<Column>,
    config: &dyn OptimizerConfig,
) -> Result<Option<(LogicalPlan, Column)>> {
    let (schema, other) = match is_left {
        true => (join.left.schema(), &join.right),
        false => (join.right.schema(), &join.left),
    };
    let on = join.on.iter().map(|(left, right)| {
        Ok(match is_left {
            true => (chain.over_base(left, schema)?, right.clone()),
            false => (left.clone(), chain.over_base(right, schema)?),
        })
    });
    let on = on.collect::<Result<Vec<_>>>()?;
    let conjuncts = join.filter.iter().flat_map(split_conjunction);
    let conjuncts = conjuncts.map(|conjunct| chain.over_side(conjunct, schema));
    let mut conjuncts = conjuncts.collect::<Result<Vec<_>>>()?;
    conjuncts.retain(|conjunct| owned(conjunct).is_disjoint(made));
    let filter = conjunction(conjuncts);
    let lower = match is_left {
        true => joined_like(join, side, Arc::clone(other), on, filter)?,
        false => joined_like(join, Arc::clone(other), side, on, filter)?,
    };
    match lower {
        LogicalPlan::Join(lower) => marked(&lower, is_left, config),
        _ => Ok(None),
    }
}
