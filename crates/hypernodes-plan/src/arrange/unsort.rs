//! Sorts whose order nobody sees are dropped, and with them the calls that only they read.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::{Distinct, JoinType, LogicalPlan};

use crate::node_map::NodeMap;

/// Drops each `Sort` without a limit below an operator that forgets the order of its input, as
/// DataFusion does when it plans physically.
pub(super) fn unsort(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    below(plan, true)
}

fn below(plan: LogicalPlan, is_seen: bool) -> Result<Transformed<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() && !is_seen => {
            let input = below(Arc::unwrap_or_clone(sort.input), false)?;
            Ok(Transformed::yes(input.data))
        }
        plan => {
            let seen = seen_below(&plan, is_seen);
            let mut inputs = seen.into_iter();
            plan.map_children(|input| below(input, inputs.next().unwrap_or(true)))
        }
    }
}

/// Of each input, whether anybody sees its order.
fn seen_below(plan: &LogicalPlan, is_seen: bool) -> Vec<bool> {
    match plan {
        LogicalPlan::Projection(_)
        | LogicalPlan::Filter(_)
        | LogicalPlan::SubqueryAlias(_)
        | LogicalPlan::Unnest(_) => vec![is_seen],
        LogicalPlan::Sort(_)
        | LogicalPlan::Aggregate(_)
        | LogicalPlan::Distinct(Distinct::All(_)) => vec![false],
        LogicalPlan::Union(union) => vec![is_seen; union.inputs.len()],
        LogicalPlan::Join(join) => match join.join_type {
            JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => vec![is_seen, false],
            JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => {
                vec![false, is_seen]
            }
            _ => vec![is_seen, is_seen],
        },
        other => match NodeMap::of(other) {
            // What a node makes that is not pure may depend on the rows before.
            Some(map) => vec![is_seen || !map.calls().iter().all(|call| call.is_repeatable())],
            None => Vec::new(),
        },
    }
}
