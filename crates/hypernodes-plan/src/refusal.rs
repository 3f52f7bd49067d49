//! Refusals that are told by themselves.

use std::cmp::Ordering;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchemaRef, Result, internal_err};
use datafusion_expr::{
    Expr, Extension, LogicalPlan, UserDefinedLogicalNode, UserDefinedLogicalNodeCore,
};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use hypernodes_graph::{Error, ErrorKind};

use crate::error::find;

/// A rule whose refusals wait for the planner of the session.
///
/// DataFusion takes what a rule returns as a fault of the rule, and says so before anything else.
/// So a plan that `R` refuses with an error of ours becomes a [`Refused`], and whoever plans that
/// returns the error as it is.
#[derive(Debug)]
pub struct DeferRefusal<R>(pub R);

impl<R: OptimizerRule> OptimizerRule for DeferRefusal<R> {
    fn name(&self) -> &str {
        self.0.name()
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        self.0.apply_order()
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let whole = plan.clone();
        self.0.rewrite(plan, config).or_else(|fault| {
            let error = match find(&fault) {
                Some(error) => error,
                None => find_unjoined(&whole)?.ok_or(fault)?,
            };
            let schema = Arc::clone(whole.schema());
            let node = Arc::new(Refused { error, schema });
            Ok(Transformed::yes(LogicalPlan::Extension(Extension { node })))
        })
    }
}

/// Why a plan fails in whose expressions a subquery is left that DataFusion can only join.
fn find_unjoined(plan: &LogicalPlan) -> Result<Option<Error>> {
    let mut found = None;
    plan.apply_with_subqueries(|plan| {
        plan.apply_expressions(|expr| {
            let is_left = |part: &Expr| {
                matches!(
                    part,
                    Expr::InSubquery(_) | Expr::Exists(_) | Expr::SetComparison(_)
                )
            };
            if !expr.exists(|part| Ok(is_left(part)))? {
                return Ok(TreeNodeRecursion::Continue);
            }
            let message = format!(
                "the subquery in {expr} is none that DataFusion makes a join of, beside calls of nodes; join its table, and test a column of that"
            );
            found = Some(Error::new(ErrorKind::Unsupported, message));
            Ok(TreeNodeRecursion::Stop)
        })
    })?;
    Ok(found)
}

/// In the place of a plan that cannot be run: why.
#[derive(Debug, Clone)]
pub struct Refused {
    error: Error,
    schema: DFSchemaRef,
}

impl Refused {
    /// Why a plan cannot be run, if `node` says so.
    pub fn of(node: &dyn UserDefinedLogicalNode) -> Option<&Error> {
        let refused = node.as_any().downcast_ref::<Self>()?;
        Some(&refused.error)
    }

    fn text(&self) -> String {
        self.error.to_string()
    }
}

impl PartialEq for Refused {
    fn eq(&self, other: &Self) -> bool {
        self.text() == other.text() && self.schema == other.schema
    }
}

impl Eq for Refused {}

impl PartialOrd for Refused {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl Hash for Refused {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.text().hash(state);
    }
}

impl UserDefinedLogicalNodeCore for Refused {
    fn name(&self) -> &str {
        "Refused"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        Vec::new()
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        Vec::new()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Refused: {}", self.error)
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        if !exprs.is_empty() || !inputs.is_empty() {
            return internal_err!("a refused plan has no input and no expressions");
        }
        Ok(self.clone())
    }
}
