//! Sides with calls are reduced to the rows that the join can use.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_expr::{Join, JoinType, LogicalPlan};
use datafusion_optimizer::OptimizerConfig;

use super::reduction::{Reduction, is_reduction};

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
