//! Columns that physical operators would take for each other.

use std::collections::HashSet;

use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{DFSchema, Result};
use datafusion_expr::LogicalPlan;

/// Whether an operator reads one of several columns of one name, told apart by their tables alone.
///
/// A physical column has no table, and what a join, a sort or an aggregate finds out while it runs
/// is handed down to the scans by the names of columns: of such a plan, to the wrong one. A
/// projection right above a join is no such operator, since it finds the columns of each side.
///
/// # Errors
/// If a subquery cannot be visited.
pub fn has_ambiguous_names(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        let is_projection = matches!(plan, LogicalPlan::Projection(_));
        let is_told = |input: &LogicalPlan| {
            (is_projection && matches!(input, LogicalPlan::Join(_)))
                || has_unique_names(input.schema())
        };
        found |= !plan.inputs().into_iter().all(is_told);
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

pub(crate) fn has_unique_names(schema: &DFSchema) -> bool {
    let mut names = HashSet::new();
    schema
        .fields()
        .iter()
        .all(|field| names.insert(field.name()))
}
