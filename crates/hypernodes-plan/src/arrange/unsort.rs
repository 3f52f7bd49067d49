//! Sorts sort no more than is needed: those whose order nobody sees are dropped, and with them the
//! calls that only they read; the others stand above predicates.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::{Distinct, Expr, LogicalPlan, Sort};

use super::chain::{Chain, Step, stack};
use crate::node_map::{MappedCall, NodeMap};

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
            if let Some(sorted) = above_filters(&plan)? {
                return Ok(Transformed::yes(below(sorted, is_seen)?.data));
            }
            let seen = seen_below(&plan, is_seen);
            let mut inputs = seen.into_iter();
            plan.map_children(|input| below(input, inputs.next().unwrap_or(true)))
        }
    }
}

/// The sort below predicates, above them: DataFusion takes an order that it is asked for above as
/// settled by the sort, and spreads the rows that a filter above it reads.
fn above_filters(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if !matches!(plan, LogicalPlan::Projection(_) | LogicalPlan::Filter(_)) {
        return Ok(None);
    }
    let mut chain = Chain::of(plan)?;
    let is_pure = |step: &Step| match step {
        Step::Call(call) => call.is_repeatable() && !call.keeps_order,
        Step::Filter(_) => true,
    };
    if !chain.steps.iter().any(Step::is_filter) || !chain.steps.iter().all(is_pure) {
        return Ok(None);
    }
    match &mut chain.base {
        LogicalPlan::Sort(sort) if sort.fetch.is_none() => {
            let steps = std::mem::take(&mut chain.steps);
            let input = stack(LogicalPlan::clone(&sort.input), steps)?;
            let base = LogicalPlan::Sort(Sort {
                input: Arc::new(input),
                ..sort.clone()
            });
            chain.on(base, plan.schema()).map(Some)
        }
        _ => Ok(None),
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
        | LogicalPlan::Distinct(Distinct::All(_))
        | LogicalPlan::Repartition(_) => vec![false],
        LogicalPlan::Union(union) => vec![false; union.inputs.len()],
        LogicalPlan::Join(_) => vec![false, false],
        LogicalPlan::Window(window) => vec![!window.window_expr.iter().all(is_sorted)],
        other => match NodeMap::of(other) {
            // What a node makes that is not pure may depend on the rows before; others may be made
            // in the order in which their rows are wanted.
            Some(map) => {
                let sees = |call: &MappedCall| call.keeps_order || !call.is_repeatable();
                vec![is_seen || map.calls().iter().any(sees)]
            }
            None => Vec::new(),
        },
    }
}

/// Whether a window sorts the rows itself.
fn is_sorted(window: &Expr) -> bool {
    match window {
        Expr::Alias(alias) => is_sorted(&alias.expr),
        Expr::WindowFunction(function) => {
            !function.params.partition_by.is_empty() || !function.params.order_by.is_empty()
        }
        _ => false,
    }
}
