//! What EXPLAIN shows of the operator: its calls, where they stand, and why there.

use std::fmt;
use std::sync::Arc;

use datafusion_physical_plan::coalesce_partitions::CoalescePartitionsExec;
use datafusion_physical_plan::filter::FilterExec;
use datafusion_physical_plan::projection::ProjectionExec;
use datafusion_physical_plan::repartition::RepartitionExec;
use datafusion_physical_plan::sorts::sort_preserving_merge::SortPreservingMergeExec;
use datafusion_physical_plan::{DisplayAs, DisplayFormatType, ExecutionPlan};

use super::exec::NodeMapExec;

impl DisplayAs for NodeMapExec {
    /// `NodeMapExec: f(x@0) AS a WHERE (y@1 > 2), after=[x@0 > 5], row_goal=10`: the calls, each
    /// with its guard, the rows that it is made for, and what it is made once for; the predicate
    /// or limit below that left the rows which come; and how many of them the reader is thought to
    /// need.
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeMapExec: ")?;
        for (position, call) in self.calls().iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let args: Vec<_> = call.args.iter().map(ToString::to_string).collect();
            let outputs = call.outputs.iter().map(|(_, field)| field.name().as_str());
            let outputs = outputs.collect::<Vec<_>>().join(", ");
            let (name, args) = (call.bound.node.name(), args.join(", "));
            write!(f, "{comma}{name}({args}) AS {outputs}")?;
            if let Some(guard) = &call.guard {
                write!(f, " WHERE ({guard})")?;
            }
            if let Some(row) = call.once_per() {
                write!(f, " ONCE PER {row}")?;
            }
        }
        if let Some(reason) = reason(self.children()[0]) {
            write!(f, ", after=[{reason}]")?;
        }
        if let Some(goal) = self.row_goal() {
            write!(f, ", row_goal={goal}")?;
        }
        Ok(())
    }
}

/// What last left fewer rows, below operators that keep them all.
fn reason(plan: &Arc<dyn ExecutionPlan>) -> Option<String> {
    if let Some(filter) = plan.downcast_ref::<FilterExec>() {
        return Some(filter.predicate().to_string());
    }
    if let Some(fetch) = plan.fetch() {
        return Some(format!("{} of {fetch} rows", plan.name()));
    }
    let keeps_rows = plan.is::<ProjectionExec>()
        || plan.is::<NodeMapExec>()
        || plan.is::<RepartitionExec>()
        || plan.is::<CoalescePartitionsExec>()
        || plan.is::<SortPreservingMergeExec>();
    match plan.children()[..] {
        [input] if keeps_rows => reason(input),
        _ => None,
    }
}
