//! How much of a node runs at once, over all partitions.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use hypernodes_graph::{Call, Node, Settings};
use tokio::sync::Semaphore;

/// Rows of an async node in flight, if nobody says otherwise.
const MAX_IN_FLIGHT: usize = 1024;
/// Calls of a waiting sync node at once, if nobody says otherwise.
const MAX_WAITING: usize = 64;
/// Work that is worth a switch of threads, and that may hold up a thread that drives I/O.
pub(super) const UNIT: Duration = Duration::from_millis(1);

/// The permits and measurements of one operator, shared by its partitions.
#[derive(Debug)]
pub(super) struct Gate {
    pub(super) permits: Arc<Semaphore>,
    settings: Settings,
    /// The permits that may still be added.
    spare: usize,
    limit: usize,
    /// Of a sync row, 0 while none was measured.
    nanoseconds: AtomicU64,
    grown: AtomicBool,
}

impl Gate {
    pub(super) fn new(node: &Node, defaults: Settings) -> Self {
        let settings = node.settings().or(defaults);
        let cores = std::thread::available_parallelism().map_or(1, usize::from);
        let (first, limit) = match (node.call(), settings.max_workers) {
            (Call::Async(_), _) => {
                let limit = settings.max_in_flight.unwrap_or(MAX_IN_FLIGHT);
                (limit, limit)
            }
            (_, Some(workers)) => (workers, workers),
            (_, None) => (cores, cores.max(MAX_WAITING)),
        };
        Self {
            permits: Arc::new(Semaphore::new(first)),
            settings,
            spare: limit - first,
            limit,
            nanoseconds: AtomicU64::new(0),
            grown: AtomicBool::new(false),
        }
    }

    /// Rows in flight at most, one for each call.
    pub(super) fn limit(&self) -> usize {
        self.limit
    }

    /// Learns what `rows` rows took.
    pub(super) fn measured(&self, rows: usize, took: Duration) {
        let row = (took.as_nanos() as u64 / rows.max(1) as u64).max(1);
        let known = self.nanoseconds.load(Ordering::Relaxed);
        let mean = if known == 0 {
            row
        } else {
            (3 * known + row) / 4
        };
        self.nanoseconds.store(mean, Ordering::Relaxed);
        if took >= UNIT && rows == 1 && !self.grown.swap(true, Ordering::Relaxed) {
            self.permits.add_permits(self.spare);
        }
    }

    /// How many of `rows` rows the next call takes.
    pub(super) fn chunk(&self, call: &Call, rows: usize) -> usize {
        let wished = match (call, self.settings.use_batch_udf, self.settings.batch_size) {
            (Call::Rows(_), Some(false), _) => 1,
            (_, _, Some(size)) => size,
            (Call::Batch(_), _, None) => rows,
            _ => match self.nanoseconds.load(Ordering::Relaxed) {
                0 => 1,
                row => (UNIT.as_nanos() as u64 / row).max(1) as usize,
            },
        };
        wished.min(rows)
    }

    /// Whether `rows` rows were measured to be done before a thread could be woken for them.
    pub(super) fn is_trivial(&self, call: &Call, rows: usize) -> bool {
        let Settings {
            max_workers,
            use_batch_udf,
            batch_size,
            ..
        } = self.settings;
        let free = max_workers.is_none() && batch_size.is_none() && use_batch_udf != Some(false);
        let row = self.nanoseconds.load(Ordering::Relaxed);
        free && row > 0
            && !matches!(call, Call::Async(_))
            && row.saturating_mul(rows as u64) < UNIT.as_nanos() as u64
    }
}
