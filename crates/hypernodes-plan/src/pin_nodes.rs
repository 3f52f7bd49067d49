//! Holds predicates on nodes where they were written.

use datafusion_common::Column;
use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Filter, LogicalPlan, LogicalPlanBuilder};
use datafusion_optimizer::{OptimizerConfig, OptimizerRule};
use hypernodes_graph::Call;

use crate::udf::NodeUdf;

/// The first optimizer rule: a predicate that calls a node becomes a column below its filter.
///
/// DataFusion moves even volatile predicates below an aggregate and copies them to both sides
/// of a join, but never moves a volatile projection. So each conjunct that calls a node becomes
/// `Filter(__pin) <- Projection[*, conjunct AS __pin]`: first the filter of the conjuncts that
/// call none, then one such pair for each of the others, sync before async, else as written.
/// Conjuncts with subqueries or outer references stay as they are, for decorrelation.
#[derive(Debug, Default)]
pub struct PinNodes;

impl OptimizerRule for PinNodes {
    fn name(&self) -> &str {
        "pin_nodes"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        plan.transform_up_with_subqueries(|plan| match plan {
            LogicalPlan::Filter(filter) => pin(filter, config),
            other => Ok(Transformed::no(other)),
        })
    }
}

fn pin(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let conjuncts = split_conjunction_owned(filter.predicate.clone());
    let (mut pinned, free): (Vec<Expr>, Vec<Expr>) = conjuncts.into_iter().partition(|conjunct| {
        NodeUdf::is_in(conjunct) && !conjunct.contains_outer() && !has_subquery(conjunct)
    });
    if pinned.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    pinned.sort_by_key(calls_async);
    let columns: Vec<Expr> = filter
        .input
        .schema()
        .iter()
        .map(|field| Expr::Column(Column::from(field)))
        .collect();
    let mut builder = LogicalPlanBuilder::from(filter.input);
    if let Some(free) = conjunction(free) {
        builder = builder.filter(free)?;
    }
    for conjunct in pinned {
        let name = config.alias_generator().next("__pin");
        let kept = columns.iter().cloned();
        builder = builder
            .project(kept.chain([conjunct.alias(&name)]))?
            .filter(Expr::Column(Column::new_unqualified(name)))?
            .project(columns.clone())?;
    }
    Ok(Transformed::yes(builder.build()?))
}

fn calls_async(expr: &Expr) -> bool {
    let is_async = |part: &Expr| {
        NodeUdf::called_by(part)
            .is_some_and(|udf| matches!(udf.bound().node.call(), Call::Async(_)))
    };
    expr.exists(|part| Ok(is_async(part))).unwrap_or(true)
}

fn has_subquery(expr: &Expr) -> bool {
    let is_subquery = |part: &Expr| {
        matches!(
            part,
            Expr::Exists(_)
                | Expr::InSubquery(_)
                | Expr::ScalarSubquery(_)
                | Expr::SetComparison(_)
        )
    };
    expr.exists(|part| Ok(is_subquery(part))).unwrap_or(true)
}
