//! Which references to tables a plan reads.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_catalog::default_table_source::{provider_as_source, source_as_provider};
use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_expr::{LogicalPlan, TableScan};

use super::reduction::{is_keys, is_reduction};

/// Gives each reference to a table a source of its own, as the references to one table share one:
/// copies of a plan share the sources of what they are copies of, and no rule changes them.
pub(crate) fn with_own_sources(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut known = HashSet::new();
    let apart = plan.transform_down_with_subqueries(|plan| match plan {
        // Copies of what they reduce by.
        plan if is_keys(&plan) => Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump)),
        LogicalPlan::TableScan(mut scan) => {
            if !known.insert(id(&scan))
                && let Ok(table) = source_as_provider(&scan.source)
            {
                scan.source = provider_as_source(table);
                known.insert(id(&scan));
            }
            Ok(Transformed::yes(LogicalPlan::TableScan(scan)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(apart.data)
}

/// The references to tables that a plan reads, but for those that only reduce it.
pub(super) fn scans(plan: &LogicalPlan) -> Vec<usize> {
    let (mut scans, mut open) = (Vec::new(), vec![plan]);
    while let Some(plan) = open.pop() {
        match plan {
            LogicalPlan::TableScan(scan) => scans.push(id(scan)),
            LogicalPlan::Join(join) if is_reduction(join) => open.push(&join.left),
            other => open.extend(other.inputs()),
        }
    }
    scans
}

/// How many references to tables a plan has, with those that only reduce it.
pub(super) fn count_scans(plan: &LogicalPlan) -> usize {
    match plan {
        LogicalPlan::TableScan(_) => 1,
        other => other.inputs().into_iter().map(count_scans).sum(),
    }
}

/// Whether a plan reads one of these, if only to reduce what it reads.
pub(super) fn overlap(plan: &LogicalPlan, with: &[usize]) -> bool {
    match plan {
        LogicalPlan::TableScan(scan) => with.contains(&id(scan)),
        other => other.inputs().into_iter().any(|input| overlap(input, with)),
    }
}

/// Whether these are among the others: what nothing is read of may have been dropped.
pub(super) fn is_within(scans: &[usize], others: &[usize]) -> bool {
    scans.iter().all(|scan| others.contains(scan))
}

/// What tells a reference to a table from others.
fn id(scan: &TableScan) -> usize {
    Arc::as_ptr(&scan.source).addr()
}
