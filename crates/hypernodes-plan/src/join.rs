//! Joins put together again.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_expr::{Expr, Join, LogicalPlan};

/// A join of the same kind of other sides, by other keys and another condition.
pub(crate) fn joined_like(
    join: &Join,
    left: impl Into<Arc<LogicalPlan>>,
    right: impl Into<Arc<LogicalPlan>>,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let joined = Join::try_new(
        left.into(),
        right.into(),
        on,
        filter,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(LogicalPlan::Join(joined))
}
