//! Sync calls that follow each other without whoever reads the stream.
//!
//! A thread that is woken waits its turn behind those that compute. So a few calls are issued
//! beyond those that have permits, and a worker that ends a call hands its permit to the next.

use std::io;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use arrow::array::ArrayRef;
use hypernodes_graph::Failure;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};

use super::stream::{Cell, Done};
use super::work::Work;
use crate::pool::TURN;
use crate::runtime::Runtime;

/// A sync call that was issued, and where its rows go.
#[derive(Clone)]
pub(super) struct Issued {
    pub(super) work: Work,
    pub(super) place: Place,
    pub(super) sender: mpsc::UnboundedSender<Done>,
    /// Whether the stream has stopped, or will as a call failed.
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) tokio: Option<Handle>,
}

/// A call of a batch.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) batch: u64,
}

impl Place {
    /// `rows` of the batch are done.
    pub(super) fn done(self, rows: &Range<usize>, result: Result<ArrayRef, Failure>) -> Done {
        Done {
            lane: self.lane,
            batch: self.batch,
            start: rows.start,
            rows: rows.len(),
            result: result.map(Cell::Array).map_err(|failure| Failure {
                row: failure.row.map(|row| row + rows.start),
                error: failure.error,
            }),
        }
    }
}

impl Issued {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// The rows from `start` on, if there are any.
    pub(super) fn after(mut self, start: usize) -> Option<Self> {
        self.work.rows.start = start;
        (!self.work.rows.is_empty()).then_some(self)
    }

    /// Whether `next` has the rows right after its own.
    pub(super) fn is_followed_by(&self, next: &Self) -> bool {
        self.place == next.place
            && self.work.rows.end == next.work.rows.start
            && self.sender.same_channel(&next.sender)
    }

    /// Runs it on a thread that may block, and then what waits for its permit.
    pub(super) fn submit(self, permit: OwnedSemaphorePermit) -> io::Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let (gate, rows) = (&self.work.gate, self.work.rows.len());
        let (is_short, computes) = (gate.is_short(rows), gate.is_short_and_computes(rows));
        let job = Box::new(move || self.run(permit));
        match (is_short, computes) {
            (_, true) => runtime.executor().submit_computing(job),
            (true, false) => runtime.executor().submit_short(job),
            (false, false) => runtime.executor().submit(job),
        }
    }

    /// The calls that follow run on this thread for a while, and then wait for one like all others
    /// that were given to the executor.
    fn run(mut self, mut permit: OwnedSemaphorePermit) {
        let began = Instant::now();
        loop {
            let gate = Arc::clone(&self.work.gate);
            let Some(kept) = self.call(permit) else {
                return;
            };
            let Some(next) = gate.next() else { return };
            (self, permit) = (next, kept);
            if began.elapsed() > TURN {
                break;
            }
        }
        let (sender, place, rows) = (self.sender.clone(), self.place, self.work.rows.clone());
        if let Err(error) = self.submit(permit) {
            let error = error.into();
            let _ = sender.send(place.done(&rows, Err(Failure { row: None, error })));
        }
    }

    /// The permit is for another call, unless there are too many.
    fn call(self, permit: OwnedSemaphorePermit) -> Option<OwnedSemaphorePermit> {
        if self.is_cancelled() {
            return Some(permit);
        }
        // A resource that the call needs may be awaited here, and use timers and I/O.
        let _entered = self.tokio.as_ref().map(Handle::enter);
        let (result, permit) = self.work.on_pool(permit);
        let rows = self.work.done(&result);
        // Nobody needs the others' rows.
        if result.is_err() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        let (sender, gate) = (self.sender.clone(), Arc::clone(&self.work.gate));
        let done = self.place.done(&rows, result);
        // Before whoever reads the stream is woken, who may have a permit for them.
        if let Some(rest) = self.after(rows.end) {
            gate.wait_first(rest);
        }
        // The stream may be gone; then nobody waits for the rows.
        let _ = sender.send(done);
        permit
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use datafusion_physical_plan::metrics::ExecutionPlanMetricsSet;
    use hypernodes_graph::{Call, Node, Pipeline, Result, Settings};
    use hypernodes_plan::BoundNode;

    use super::super::gate::Gate;
    use super::super::meters::Meters;
    use super::*;

    #[test]
    fn of_the_rows_that_wait_as_many_are_taken_as_was_measured_meanwhile() -> Result<()> {
        let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| x)])?;
        let bound = Arc::new(BoundNode::of(&pipeline, &pipeline.nodes()[0])?);
        let Call::Rows(kernel) = bound.node.call() else {
            panic!("a node of rows");
        };
        let gate = Arc::new(Gate::new(&bound.node, Settings::default()));
        let (runtime, metrics) = (
            Runtime::new(Settings::default())?,
            ExecutionPlanMetricsSet::new(),
        );
        let (sender, _receiver) = mpsc::unbounded_channel();
        let issued = |batch, rows| {
            let work = Work {
                kernel: Arc::clone(kernel),
                is_batch: false,
                arrays: Vec::new(),
                skipped: None,
                rows,
                bound: Arc::clone(&bound),
                gate: Arc::clone(&gate),
                meters: Meters::new(&metrics, "y", 0),
            };
            Issued {
                work,
                place: Place { lane: 0, batch },
                sender: sender.clone(),
                cancelled: Arc::default(),
                runtime: Arc::clone(&runtime),
                tokio: None,
            }
        };
        let wait = |batch, rows| gate.wait(issued(batch, rows), Arc::default());
        (0..6).for_each(|row| wait(0, row..row + 1));
        (6..8).for_each(|row| wait(1, row..row + 1));
        let next = || gate.next().map(|next| (next.place.batch, next.work.rows));
        let row = Duration::from_micros(1);
        assert_eq!(next(), Some((0, 0..1)), "none was measured");
        gate.measured(1, row);
        assert_eq!(next(), Some((0, 1..3)));
        gate.measured(2, 2 * row);
        assert_eq!(next(), Some((0, 3..6)), "the last ones of their batch");
        assert_eq!(next(), Some((1, 6..8)));
        assert_eq!(next(), None);
        wait(2, 0..3);
        gate.measured(2, Duration::from_secs(1));
        assert_eq!(next(), Some((2, 0..1)), "slower than was believed");
        assert_eq!(next(), Some((2, 1..2)));
        assert_eq!(next(), Some((2, 2..3)));
        assert_eq!(next(), None);
        wait(3, 1..2);
        gate.wait_first(issued(3, 0..1));
        let stopped = issued(4, 0..1);
        stopped.cancelled.store(true, Ordering::Relaxed);
        gate.wait_first(stopped);
        assert_eq!(
            next(),
            Some((3, 0..1)),
            "nobody would let go of the one that stopped"
        );
        assert_eq!(next(), Some((3, 1..2)));
        assert_eq!(next(), None);
        Ok(())
    }
}
