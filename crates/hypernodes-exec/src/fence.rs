//! The check that no call of a node was left where DataFusion would evaluate it.

use std::any::Any;
use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_physical_expr::ScalarFunctionExpr;
use datafusion_physical_plan::ExecutionPlan;
use hypernodes_graph::{Error, ErrorKind};
use hypernodes_plan::{NodeUdf, to_datafusion};

use crate::node_map::NodeMapExec;

/// Refuses a plan in which an operator other than [`NodeMapExec`] would call a node.
///
/// # Errors
/// [`ErrorKind::Unsupported`], naming the node, the operator and the expression.
pub fn check_fence(plan: &Arc<dyn ExecutionPlan>) -> Result<()> {
    plan.apply(|operator| {
        if (operator.as_ref() as &dyn Any).is::<NodeMapExec>() {
            return Ok(TreeNodeRecursion::Continue);
        }
        operator.apply_expressions(&mut |expr| {
            expr.apply(|part| {
                let function = (part.as_ref() as &dyn Any).downcast_ref::<ScalarFunctionExpr>();
                let Some(udf) = function.and_then(|function| NodeUdf::find(function.fun())) else {
                    return Ok(TreeNodeRecursion::Continue);
                };
                let message = format!(
                    "node {:?} is called in {} by {expr}, where it could run any number of times; call it in a subquery's SELECT, and leave \"datafusion.optimizer.max_passes\" above 0",
                    udf.bound().node.name(),
                    operator.name(),
                );
                Err(to_datafusion(Error::new(ErrorKind::Unsupported, message)))
            })
        })
    })?;
    Ok(())
}
