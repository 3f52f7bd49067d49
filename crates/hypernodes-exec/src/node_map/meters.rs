//! What a node is seen to do, for EXPLAIN ANALYZE.

use std::time::Duration;

use datafusion_physical_plan::metrics::{
    Count, ExecutionPlanMetricsSet, Gauge, MetricBuilder, Time,
};

use crate::clock::Lap;

/// The figures of one call of a node in one partition, each under the node's name.
#[derive(Debug, Clone)]
pub(super) struct Meters {
    rows: Count,
    calls: Count,
    waiting: Time,
    computing: Time,
    peak: Gauge,
}

impl Meters {
    pub(super) fn new(set: &ExecutionPlanMetricsSet, node: &str, partition: usize) -> Self {
        let name = |figure| format!("{node}.{figure}");
        let metric = || MetricBuilder::new(set);
        Self {
            rows: metric().counter(name("rows_in"), partition),
            calls: metric().counter(name("calls"), partition),
            waiting: metric().subset_time(name("waiting"), partition),
            computing: metric().subset_time(name("computing"), partition),
            peak: metric().gauge(name("peak_in_flight"), partition),
        }
    }

    pub(super) fn read(&self, rows: usize) {
        self.rows.add(rows);
    }

    /// A call begins while `in_flight` run, it among them.
    pub(super) fn began(&self, in_flight: usize) {
        self.peak.set_max(in_flight);
    }

    /// Calls of the user's function.
    pub(super) fn called(&self, calls: usize) {
        self.calls.add(calls);
    }

    pub(super) fn took(&self, lap: Lap) {
        let add = |time: &Time, took: Duration| {
            if took > Duration::ZERO {
                time.add_duration(took);
            }
        };
        add(&self.waiting, lap.waiting);
        add(&self.computing, lap.computing);
    }
}
