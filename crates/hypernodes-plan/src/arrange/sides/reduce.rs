//! Sides with calls are reduced to the rows that the join can use.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_expr::{Expr, Filter, Join, JoinType, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::super::chain::Chain;
use super::super::narrow::demands;
use super::bare::has_all;
use super::reduction::{Reduction, is_reduction};
use crate::extract::any_of;
use crate::total::is_total;

/// Puts semi joins below the calls of each join's sides, from the top down: what reduces a
/// side may reduce what its own sides are reduced by.
pub(in super::super) fn reduce(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match &plan {
        // The rows of the last iteration can be read only once.
        LogicalPlan::RecursiveQuery(_) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) => {
            Ok(match reduced_by_readers(&plan, config)? {
                Some(reduced) => Transformed::yes(reduced),
                None => Transformed::no(plan),
            })
        }
        LogicalPlan::Join(join) => Ok(match reduced(join, config)? {
            Some(join) => Transformed::yes(LogicalPlan::Join(join)),
            None => Transformed::no(plan),
        }),
        _ => Ok(Transformed::no(plan)),
    })
}

/// Which sides may lose the rows that match none of the other side: all that are not padded, and
/// of an anti or mark join what is looked for, unless a null there matters.
pub(in super::super) fn droppable(join: &Join) -> [bool; 2] {
    match join.join_type {
        JoinType::Inner => [true, true],
        JoinType::LeftSemi | JoinType::RightSemi => [!is_reduction(join); 2],
        JoinType::Left => [false, true],
        JoinType::Right => [true, false],
        JoinType::LeftAnti | JoinType::LeftMark => [false, !join.null_aware],
        JoinType::RightAnti | JoinType::RightMark => [!join.null_aware, false],
        _ => [false, false],
    }
}

fn reduced(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<Join>> {
    let mut made = None;
    for (is_left, may_drop) in std::iter::zip([true, false], droppable(join)) {
        if !may_drop {
            continue;
        }
        if let Some(side) = Reduction::reduced(join, is_left, config)? {
            let made = made.get_or_insert_with(|| join.clone());
            *if is_left {
                &mut made.left
            } else {
                &mut made.right
            } = Arc::new(side);
        }
    }
    Ok(made)
}

/// What a mark join looks for, reduced to what the rows match that need the mark: those for which
/// another term of OR or a branch of CASE does without it have no need to.
fn reduced_by_readers(
    plan: &LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    if join.join_type != JoinType::LeftMark || !droppable(join)[1] {
        return Ok(None);
    }
    let mark = join.schema.columns().pop();
    let found = demands(mark.as_slice(), &chain.steps, &chain.columns)?;
    let is_known =
        |test: &Expr| has_all(join.left.schema(), test) && is_total(test, join.left.schema());
    let guards = found.into_iter().flat_map(|demand| demand.guards);
    let guards = guards.map(|guard| guard.into_iter().filter(is_known).collect());
    let Some(guard) = any_of(guards.collect()) else {
        return Ok(None);
    };
    let readers = Filter::try_new(guard, Arc::clone(&join.left))?;
    let mut reading = join.clone();
    reading.left = Arc::new(LogicalPlan::Filter(readers));
    let Some(reduced) = Reduction::reduced(&reading, false, config)? else {
        return Ok(None);
    };
    let mut join = join.clone();
    join.right = Arc::new(reduced);
    chain.on(LogicalPlan::Join(join), plan.schema()).map(Some)
}
