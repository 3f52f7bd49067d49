//! How many rows whoever reads an operator of nodes is thought to need.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::config::ConfigOptions;
use datafusion_physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion_physical_plan::coop::CooperativeExec;
use datafusion_physical_plan::execution_plan::{ChildrenPropertiesMode, ReplaceChildrenOptions};
use datafusion_physical_plan::filter::FilterExec;
use datafusion_physical_plan::limit::{GlobalLimitExec, LocalLimitExec};
use datafusion_physical_plan::projection::ProjectionExec;
use datafusion_physical_plan::repartition::RepartitionExec;
use datafusion_physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_physical_plan::unnest::UnnestExec;
use datafusion_physical_plan::{ExecutionPlan, Partitioning};
use datafusion_session::physical_optimizer::PhysicalOptimizerRule;

use crate::node_map::NodeMapExec;

/// The last physical optimizer rule: sets a row goal on each [`NodeMapExec`] that is read, through
/// filters and projections, by a limit. It calls for about as many rows at first.
///
/// Filters in between hand on their rows as soon as they have as many, instead of filling a
/// batch; and they read a partition of calls as it is: to spread its rows over others first would
/// call for more.
#[derive(Debug, Default)]
pub struct SetRowGoals;

impl PhysicalOptimizerRule for SetRowGoals {
    fn name(&self) -> &str {
        "set_row_goals"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        _: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        aim(plan, None)
    }
}

fn aim(plan: Arc<dyn ExecutionPlan>, goal: Option<usize>) -> Result<Arc<dyn ExecutionPlan>> {
    let skipped = plan.downcast_ref::<GlobalLimitExec>();
    let skipped = skipped.map_or(0, GlobalLimitExec::skip);
    let own = plan.fetch().map(|fetch| fetch + skipped);
    let goal = match (own, goal) {
        (Some(own), Some(goal)) => Some(own.min(goal)),
        (own, goal) => own.or(goal),
    };
    let below = goal.filter(|_| passes_on(&*plan));
    if let Some(spread) = plan.downcast_ref::<RepartitionExec>()
        && goal.is_some()
        && matches!(spread.partitioning(), Partitioning::RoundRobinBatch(_))
        && is_of_nodes(spread.input())
    {
        return aim(Arc::clone(spread.input()), goal);
    }
    let children = plan.children().into_iter();
    let aimed = children.map(|child| aim(Arc::clone(child), below));
    let aimed = aimed.collect::<Result<Vec<_>>>()?;
    let same = std::iter::zip(plan.children(), &aimed).all(|(old, new)| Arc::ptr_eq(old, new));
    let plan = if same {
        plan
    } else {
        let options = ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute);
        plan.replace_children(aimed, options)?
    };
    let Some(goal) = goal else {
        return Ok(plan);
    };
    if let Some(nodes) = plan.downcast_ref::<NodeMapExec>() {
        return Ok(nodes.with_row_goal(Some(goal)));
    }
    match plan.downcast_ref::<FilterExec>() {
        Some(filter) => Ok(Arc::new(filter.with_batch_size(goal.max(1))?)),
        None => Ok(plan),
    }
}

/// Whether the rows are those of calls, or some of them.
fn is_of_nodes(plan: &Arc<dyn ExecutionPlan>) -> bool {
    let is_link = plan.is::<ProjectionExec>() || plan.is::<FilterExec>();
    plan.is::<NodeMapExec>() || (is_link && plan.children().into_iter().all(is_of_nodes))
}

/// Whether the operator reads no more than it needs for the rows that are read of it.
fn passes_on(plan: &dyn ExecutionPlan) -> bool {
    plan.is::<NodeMapExec>()
        || plan.is::<FilterExec>()
        || plan.is::<ProjectionExec>()
        || plan.is::<GlobalLimitExec>()
        || plan.is::<LocalLimitExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>()
        || plan.is::<CooperativeExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<UnnestExec>()
}
