//! Rows that share a call come in one partition, whatever became of the sort that saw to it.

use std::sync::Arc;

use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::config::ConfigOptions;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::physical_plan::{ChildSatisfactionOptions, ExecutionPlan};
use hypernodes_exec::NodeMapExec;

/// Runs DataFusion's `EnsureRequirements` once more where it left rows that share a call in several
/// partitions.
///
/// It takes a sort away that another sort makes useless, after it has counted on it: a sort
/// leaves one partition. Only where a parent wants a single partition, not where it wants equal keys
/// together, does it put something in the sort's place.
#[derive(Debug, Default)]
pub(crate) struct GatherShared;

impl PhysicalOptimizerRule for GatherShared {
    fn name(&self) -> &str {
        "gather_shared"
    }

    fn schema_check(&self) -> bool {
        true
    }

    fn optimize(
        &self,
        plan: Arc<dyn ExecutionPlan>,
        config: &ConfigOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let mut are_gathered = true;
        plan.apply(|plan| {
            are_gathered &= !plan.is::<NodeMapExec>() || is_gathered(&**plan)?;
            Ok(if are_gathered {
                TreeNodeRecursion::Continue
            } else {
                TreeNodeRecursion::Stop
            })
        })?;
        if are_gathered {
            return Ok(plan);
        }
        EnsureRequirements::new().optimize(plan, config)
    }
}

fn is_gathered(nodes: &dyn ExecutionPlan) -> Result<bool> {
    let wanted = nodes.input_distribution_requirements();
    let mut gathered = true;
    for (index, child) in nodes.children().into_iter().enumerate() {
        let options = ChildSatisfactionOptions::new();
        let found = wanted.child_satisfaction(index, &**child, options)?;
        gathered &= found.is_satisfied();
    }
    Ok(gathered)
}
