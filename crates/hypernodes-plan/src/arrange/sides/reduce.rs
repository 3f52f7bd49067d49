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
use crate::join::with_side;
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
        if may_drop && let Some(side) = Reduction::reduced(join, is_left, config)? {
            made = Some(with_side(made.as_ref().unwrap_or(join), is_left, side));
        }
    }
    Ok(made)
}

/// The rows of its left side for which the mark of the join below a chain is read; `None` if that is
/// each.
pub(in super::super) fn reads_mark(chain: &Chain, join: &Join) -> Result<Option<Expr>> {
    if join.join_type != JoinType::LeftMark {
        return Ok(None);
    }
    let (mark, left) = (join.schema.columns().pop(), join.left.schema());
    let found = demands(mark.as_slice(), &chain.steps, &chain.columns)?;
    let is_known = |test: &Expr| has_all(left, test) && is_total(test, left);
    let guards = found.into_iter().flat_map(|demand| demand.guards);
    let guards = guards.map(|guard| guard.into_iter().filter(is_known).collect());
    Ok(any_of(guards.collect()))
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
    if !droppable(join)[1] {
        return Ok(None);
    }
    let Some(guard) = reads_mark(&chain, join)? else {
        return Ok(None);
    };
    let readers = LogicalPlan::Filter(Filter::try_new(guard, Arc::clone(&join.left))?);
    let reading = with_side(join, true, readers);
    let Some(reduced) = Reduction::reduced(&reading, false, config)? else {
        return Ok(None);
    };
    let join = LogicalPlan::Join(with_side(join, false, reduced));
    chain.on(join, plan.schema()).map(Some)
}
