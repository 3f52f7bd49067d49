//! What is printed: a table, or a JSON object a row.

use serde_json::json;

use crate::Workload;
use crate::print::line;
use crate::probe::{Probe, Work};

/// Megabytes that 5,000,000 rows may take.
const MEMORY: f64 = 300.0;

/// The rows so far.
pub struct Table {
    as_json: bool,
    missed: usize,
}

impl Table {
    /// A table of JSON objects, or one for people.
    pub fn new(as_json: bool) -> Self {
        if !as_json {
            line(
                "| workload | strategy | baseline | ours s | baseline s | ratio | noise | at most | |",
            );
            line("|---|---|---|---|---|---|---|---|---|");
        }
        Self { as_json, missed: 0 }
    }

    /// Whether each row met its target, or missed it by no more than the noise.
    pub fn all_met(&self) -> bool {
        self.missed == 0
    }

    fn verdict(&mut self, met: bool) -> &'static str {
        self.missed += usize::from(!met);
        if met { "met" } else { "missed" }
    }

    /// Measures a workload.
    pub fn measure(&mut self, mut workload: Workload) {
        let figure = workload.measure();
        let Workload {
            name,
            strategy,
            n,
            baseline,
            target,
            ..
        } = workload;
        let (ours, base, ratio) = (figure.seconds, figure.base_seconds, figure.ratio);
        let verdict = self.verdict(ratio - figure.noise <= target);
        if self.as_json {
            let row = json!({
                "workload": name, "strategy": strategy, "n": n, "median_s": ours,
                "baseline": baseline, "baseline_s": base, "ratio": ratio, "target": target,
            });
            line(row);
        } else {
            line(format_args!(
                "| {name} | {strategy} | {baseline} | {ours:.4} | {base:.4} | {ratio:.3} | {:.3} | {target} | {verdict} |",
                figure.noise
            ));
        }
    }

    /// Measures the peak memory of 5,000,000 rows in a process of their own: the ratio is that of
    /// the memory to what it may be, beside the times of async and of sync functions.
    pub fn measure_memory(&mut self) {
        let (name, n) = ("5M rows, async ready at once", 5_000_000);
        let peak = Probe::of(Work::Ready, n).in_a_process();
        let base = Probe::of(Work::Functions, n).in_a_process();
        let ratio = peak.megabytes / MEMORY;
        let verdict = self.verdict(ratio <= 1.0);
        if self.as_json {
            let row = json!({
                "workload": name, "strategy": "memory", "n": n, "median_s": peak.seconds,
                "baseline": "300 MB; the seconds are those of a sync function",
                "baseline_s": base.seconds, "ratio": ratio, "target": 1.0,
            });
            line(row);
        } else {
            line(format_args!(
                "| {name} | memory | 300 MB | {:.0} MB | | {ratio:.3} | | 1 | {verdict} |",
                peak.megabytes
            ));
        }
    }
}
