//! Planning of queries with nodes.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion::common::Result;
use datafusion::common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion::execution::context::QueryPlanner;
use datafusion::execution::session_state::SessionState;
use datafusion::logical_expr::{Expr, LogicalPlan};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::physical_planner::{DefaultPhysicalPlanner, PhysicalPlanner};
use hypernodes_exec::{NodeMapPlanner, Runtime, check_fence};
use hypernodes_graph::{Error, ErrorKind};
use hypernodes_plan::{NodeMap, calls_nodes, has_ambiguous_names, share_calls, to_datafusion};

/// DataFusion's own planner, which also plans nodes and refuses a plan that would call one
/// anywhere else.
#[derive(Debug)]
pub struct NodeQueryPlanner {
    runtime: Arc<Runtime>,
    ordered: bool,
}

impl NodeQueryPlanner {
    /// A planner whose nodes run on `runtime`.
    pub fn new(runtime: Arc<Runtime>) -> Self {
        let ordered = false;
        Self { runtime, ordered }
    }

    /// The same, where plans that only scan, project, filter, limit and call nodes keep their
    /// input's order: they are planned at one partition.
    #[must_use]
    pub fn ordered(self) -> Self {
        Self {
            ordered: true,
            ..self
        }
    }
}

#[async_trait]
impl QueryPlanner for NodeQueryPlanner {
    async fn create_physical_plan(
        &self,
        plan: &LogicalPlan,
        session: &dyn datafusion::catalog::Session,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let extension = Arc::new(NodeMapPlanner::new(Arc::clone(&self.runtime)));
        let planner = DefaultPhysicalPlanner::with_extension_planners(vec![extension]);
        let is_mapped = calls_nodes(plan)?;
        if is_mapped {
            check_outer_references(plan)?;
        }
        let shared = is_mapped.then(|| share_calls(plan)).transpose()?;
        let plan = shared.as_ref().unwrap_or(plan);
        let state = session.as_any().downcast_ref::<SessionState>();
        let is_one = self.ordered && keeps_order(plan)?;
        let is_ambiguous = is_mapped && has_ambiguous_names(plan)?;
        let physical = match state {
            Some(state) if is_one || is_ambiguous => {
                let mut state = state.clone();
                let options = state.config_mut().options_mut();
                if is_one {
                    options.execution.target_partitions = 1;
                }
                if is_ambiguous {
                    options.optimizer.enable_join_dynamic_filter_pushdown = false;
                    options.optimizer.enable_topk_dynamic_filter_pushdown = false;
                    options.optimizer.enable_aggregate_dynamic_filter_pushdown = false;
                }
                planner.create_physical_plan(plan, &state).await?
            }
            _ => planner.create_physical_plan(plan, session).await?,
        };
        check_fence(&physical)?;
        Ok(physical)
    }
}

/// Refuses a correlated subquery that DataFusion could not make a join of, as some that are LATERAL:
/// its own error tells neither the subquery nor what to do.
fn check_outer_references(plan: &LogicalPlan) -> Result<()> {
    plan.apply(|plan| {
        plan.apply_expressions(|expr| {
            expr.apply(|part| {
                let Expr::OuterReferenceColumn(_, column) = part else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                let message = format!(
                    "a subquery that calls nodes reads {:?} of the query around it, in {expr}, and DataFusion cannot make a join of it; join both, and call the nodes above the join",
                    column.flat_name()
                );
                Err(to_datafusion(Error::new(ErrorKind::Unsupported, message)))
            })
        })
    })?;
    Ok(())
}

fn keeps_order(plan: &LogicalPlan) -> Result<bool> {
    let mut keeps = true;
    plan.apply(|plan| {
        keeps &= match plan {
            LogicalPlan::TableScan(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Copy(_)
            | LogicalPlan::Explain(_)
            | LogicalPlan::Analyze(_) => true,
            LogicalPlan::Extension(extension) => extension.node.as_any().is::<NodeMap>(),
            _ => false,
        };
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(keeps)
}
