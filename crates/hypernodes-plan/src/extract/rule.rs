//! The optimizer rule.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_expr::{Expr, LogicalPlan, ScalarUDF};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use super::extracted::Query;
use super::operators::extract_exactly;
use super::unique::with_unique_names;
use crate::arrange::{arrange, with_own_sources};
use crate::node_map::NodeMap;
use crate::udf::NodeUdf;

/// The last optimizer rule: each call becomes a column that a [`NodeMap`] makes, where as few
/// rows as possible are left.
///
/// By now DataFusion has dropped the nodes that nobody asks for and has moved filters and
/// limits down. The rule does two things:
///
/// 1. it extracts every call, with the rows that need it as its guard; every other place that
///    calls the same definition with the same arguments reads the same column;
/// 2. it arranges the calls, until nothing changes: DataFusion's own rules move filters and
///    limits in between, and calls move above what leaves fewer rows.
///
/// A plan that holds no call and no [`NodeMap`] is left as it is.
#[derive(Debug, Default)]
pub struct ExtractNodes;

impl OptimizerRule for ExtractNodes {
    fn name(&self) -> &str {
        "extract_nodes"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let (functions, is_mapped) = search(&plan)?;
        let plan = match is_mapped {
            true => with_unique_names(plan, config)?,
            false => plan,
        };
        if !functions.is_empty() {
            let plan = if is_mapped {
                plan
            } else {
                with_own_sources(plan)?
            };
            let plan = extract_exactly(plan, &mut Query::new(functions, config))?;
            return Ok(Transformed::yes(arrange(plan, config)?.data));
        }
        if is_mapped {
            return arrange(plan, config);
        }
        Ok(Transformed::no(plan))
    }
}

/// The functions of nodes that the plan calls, and whether it holds a [`NodeMap`].
fn search(plan: &LogicalPlan) -> Result<(Vec<Arc<ScalarUDF>>, bool)> {
    let (mut functions, mut is_mapped) = (Vec::new(), false);
    plan.apply_with_subqueries(|plan| {
        if NodeMap::of(plan).is_some() {
            is_mapped = true;
            return Ok(TreeNodeRecursion::Continue);
        }
        plan.apply_expressions(|expr| {
            expr.apply(|part| {
                if let Expr::ScalarFunction(function) = part
                    && NodeUdf::find(&function.func).is_some()
                {
                    functions.push(Arc::clone(&function.func));
                }
                Ok(TreeNodeRecursion::Continue)
            })
        })
    })?;
    Ok((functions, is_mapped))
}
