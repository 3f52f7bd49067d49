//! Plants [`NodeMapExec`](super::NodeMapExec) for `NodeMap`.

use std::sync::Arc;

use async_trait::async_trait;
use datafusion_common::{Result, internal_err};
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::{LogicalPlan, UserDefinedLogicalNode};
use datafusion_physical_plan::ExecutionPlan;
use datafusion_session::{ExtensionPlanner, PhysicalPlanner, Session};
use hypernodes_plan::{NodeMap, Refused, to_datafusion};

use super::layers::plant;
use super::physical_call::{PhysicalCall, Shared};
use crate::runtime::Runtime;

/// The extension planner of [`NodeMap`], and of [`Refused`], whose error it gives.
#[derive(Debug)]
pub struct NodeMapPlanner(Arc<Runtime>);

impl NodeMapPlanner {
    /// Its operators run on `runtime`.
    pub fn new(runtime: Arc<Runtime>) -> Self {
        Self(runtime)
    }
}

#[async_trait]
impl ExtensionPlanner for NodeMapPlanner {
    async fn plan_extension(
        &self,
        planner: &dyn PhysicalPlanner,
        node: &dyn UserDefinedLogicalNode,
        logical_inputs: &[&LogicalPlan],
        physical_inputs: &[Arc<dyn ExecutionPlan>],
        session: &dyn Session,
        context: &PhysicalPlanningContext,
    ) -> Result<Option<Arc<dyn ExecutionPlan>>> {
        if let Some(error) = Refused::of(node) {
            return Err(to_datafusion(error.clone()));
        }
        let Some(map) = node.as_any().downcast_ref::<NodeMap>() else {
            return Ok(None);
        };
        let ([logical], [input]) = (logical_inputs, physical_inputs) else {
            return internal_err!("a NodeMap has one input");
        };
        let mut calls = Vec::with_capacity(map.calls().len());
        for (call, is_constant) in std::iter::zip(map.calls(), map.constants()?) {
            let Some(udf) = call.udf() else {
                return internal_err!("{} is not a node", call.function.name());
            };
            let physical =
                |expr| planner.create_physical_expr(expr, logical.schema(), session, context);
            let args = call.function.args.iter().map(physical);
            let args = args.collect::<Result<_>>()?;
            let guard = call.guard.as_ref().map(physical).transpose()?;
            let bound = Arc::clone(udf.bound());
            let outputs = call.outputs.iter().map(|output| {
                let field = node.schema().field_with_unqualified_name(&output.name)?;
                Ok((output.field, Arc::clone(field)))
            });
            let outputs = outputs.collect::<Result<_>>()?;
            let made = PhysicalCall::new(bound, args, guard, outputs, &self.0)?;
            let made = if is_constant { made.once() } else { made };
            let once_per = call.once_per.as_ref().map(physical).transpose()?;
            calls.push(PhysicalCall {
                keeps_order: call.keeps_order,
                shared: once_per.map_or_else(|| made.shared.clone(), Shared::Rows),
                ..made
            });
        }
        plant(input, calls, &self.0).map(Some)
    }
}
