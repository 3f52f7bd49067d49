//! Times as ratios.

use std::time::Instant;

/// Something to run as often as one likes.
pub type Run = Box<dyn FnMut()>;

/// Something to run, and what it is compared with.
pub struct Workload {
    /// What is done.
    pub name: &'static str,
    /// How we do it.
    pub strategy: &'static str,
    /// Items or rows.
    pub n: usize,
    /// What else does it.
    pub baseline: &'static str,
    /// The most that our time over the baseline's should be.
    pub target: f64,
    /// Pairs of runs.
    pub repeats: usize,
    /// Ours.
    pub run: Run,
    /// The baseline's.
    pub base: Run,
}

/// What was measured.
#[derive(Debug, Clone)]
pub struct Figure {
    /// The median of our times.
    pub seconds: f64,
    /// The median of the baseline's times.
    pub base_seconds: f64,
    /// The median of the ratios of runs that followed each other.
    pub ratio: f64,
    /// How far half of the ratios are from their median.
    pub noise: f64,
}

/// The middle of some values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}

/// What one run takes.
pub(crate) fn seconds(run: &mut dyn FnMut()) -> f64 {
    let began = Instant::now();
    run();
    began.elapsed().as_secs_f64()
}

impl Workload {
    /// Runs both by turns, so that what else the machine does meets both.
    pub fn measure(&mut self) -> Figure {
        (self.base)();
        (self.run)();
        let pairs: Vec<_> = (0..self.repeats)
            .map(|_| (seconds(&mut *self.base), seconds(&mut *self.run)))
            .collect();
        let ratios: Vec<f64> = pairs.iter().map(|(base, ours)| ours / base).collect();
        let ratio = median(ratios.clone());
        let distances = ratios.iter().map(|other| (other - ratio).abs());
        Figure {
            seconds: median(pairs.iter().map(|(_, ours)| *ours).collect()),
            base_seconds: median(pairs.iter().map(|(base, _)| *base).collect()),
            ratio,
            noise: median(distances.collect()),
        }
    }
}
