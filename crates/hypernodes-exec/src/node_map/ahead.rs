//! Sync calls that follow each other without whoever reads the stream.
//!
//! A thread that is woken waits its turn behind those that compute. So a few calls are issued
//! beyond those that have permits, and a worker that ends a call hands its permit to the next.

use std::io;
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
pub(super) struct Issued {
    pub(super) work: Work,
    pub(super) place: Place,
    pub(super) sender: mpsc::UnboundedSender<Done>,
    /// Whether the stream has stopped, or will as a call failed.
    pub(super) cancelled: Arc<AtomicBool>,
    pub(super) runtime: Arc<Runtime>,
    pub(super) tokio: Option<Handle>,
}

/// The rows of a call of a batch.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) lane: usize,
    pub(super) batch: u64,
    pub(super) start: usize,
    pub(super) rows: usize,
}

impl Place {
    pub(super) fn done(self, result: Result<ArrayRef, Failure>) -> Done {
        let Self {
            lane,
            batch,
            start,
            rows,
        } = self;
        Done {
            lane,
            batch,
            start,
            rows,
            result: result.map(Cell::Array).map_err(|failure| Failure {
                row: failure.row.map(|row| row + start),
                error: failure.error,
            }),
        }
    }
}

impl Issued {
    pub(super) fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Runs it on a thread that may block, and then what waits for its permit.
    pub(super) fn submit(self, permit: OwnedSemaphorePermit) -> io::Result<()> {
        let runtime = Arc::clone(&self.runtime);
        let (gate, rows) = (&self.work.gate, self.place.rows);
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
        let (sender, place) = (self.sender.clone(), self.place);
        if let Err(error) = self.submit(permit) {
            let error = error.into();
            let _ = sender.send(place.done(Err(Failure { row: None, error })));
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
        // Nobody needs the others' rows.
        if result.is_err() {
            self.cancelled.store(true, Ordering::Relaxed);
        }
        // The stream may be gone; then nobody waits for the rows.
        let _ = self.sender.send(self.place.done(result));
        permit
    }
}
