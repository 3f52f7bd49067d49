//! How much of a node runs at once, over all partitions.

use std::collections::VecDeque;
use std::fmt;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Duration;

use hypernodes_graph::{Call, Node, Settings, WorkloadType};
use parking_lot::Mutex;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use super::ahead::Issued;
use super::limiter::{Gradient, Limiter, Threads};
use crate::clock::{Lap, Watch};
use crate::runtime::{MAX_WAITING, cores};

/// Rows of an async node in flight, if nobody says otherwise: at first, at least and at most.
const IN_FLIGHT: (usize, usize, usize) = (256, 16, 1024);
/// Rows of a batch, as far as one can tell before it comes.
const BATCH: usize = 8192;
/// Rows that are read ahead for calls of many rows.
const MAX_WINDOW: usize = 4 * BATCH;
/// Calls that wait for each that runs, and for how many: enough to last until whoever reads the
/// stream gets a core from those that compute.
const AHEAD: usize = 16;
/// Work that is worth a switch of threads.
const UNIT: Duration = Duration::from_millis(1);
/// How many units a batch may take that is not cut, as its pieces would have to be put together
/// again: of one alone, whose pieces could run at once, and of one that others follow.
pub(super) const ALONE: u32 = 2;
pub(super) const FOLLOWED: u32 = 8;
/// How many units a piece takes whose rows compute: whoever reads it takes a core from the next.
const COMPUTING: u32 = 4;
/// How many pieces a piece may be cut into where few rows are left.
const SHORTEST: usize = 8;
/// How many of the first sync calls are looked at before one has ended.
const WATCHED: usize = 8;
/// The longest time between two looks at calls of which none has ended.
const MAX_PAUSE: Duration = Duration::from_millis(16);
/// Work that is done before a thread would have been woken for it.
const IN_PLACE: Duration = Duration::from_micros(100);

/// The permits and measurements of one call of a node, shared by its partitions.
pub(super) struct Gate {
    pub(super) permits: Arc<Semaphore>,
    settings: Settings,
    /// The permits there are, given out or not.
    granted: AtomicUsize,
    limiter: Mutex<Limiter>,
    /// Whether nothing is known of the calls yet, and whether they are looked at meanwhile.
    is_starting: AtomicBool,
    is_looked_at: AtomicBool,
    /// Whether sync calls were measured to leave no core idle.
    computes: AtomicBool,
    /// The first sync calls.
    watched: Mutex<Vec<Watch>>,
    /// Of a sync row, 0 while none was measured.
    nanoseconds: AtomicU64,
    /// The most sync rows that one call was seen to do in time.
    proven: AtomicUsize,
    /// Sync calls that follow those that run, each with what its stream counts it by.
    ahead: Mutex<VecDeque<(Issued, Arc<()>)>>,
}

impl Gate {
    pub(super) fn new(node: &Node, defaults: Settings) -> Self {
        let settings = node.settings().or(defaults);
        let cores = cores();
        let asked = match node.call() {
            Call::Async(_) => settings.max_in_flight,
            _ => calls_at_once(&settings, cores),
        };
        let (first, limiter) = match (node.call(), asked) {
            (_, Some(asked)) => (asked, Limiter::Fixed),
            (Call::Async(_), None) => {
                let (first, least, most) = IN_FLIGHT;
                let most = most.min(files());
                let (first, least) = (first.min(most), least.min(most));
                let gradient = Gradient::new(first, least, most);
                (first, Limiter::Latency(gradient))
            }
            (_, None) => {
                let most = most_calls(&settings, cores);
                let least = cores.min(most);
                (least, Limiter::Threads(Threads::new(least, most)))
            }
        };
        Self {
            permits: Arc::new(Semaphore::new(first)),
            settings,
            granted: AtomicUsize::new(first),
            is_starting: AtomicBool::new(limiter.is_starting()),
            is_looked_at: AtomicBool::new(false),
            computes: AtomicBool::new(false),
            watched: Mutex::default(),
            limiter: Mutex::new(limiter),
            nanoseconds: AtomicU64::new(0),
            proven: AtomicUsize::new(0),
            ahead: Mutex::default(),
        }
    }

    /// Whether rows are to come in their order.
    pub(super) fn is_ordered(&self) -> bool {
        self.settings.ordered != Some(false)
    }

    /// Calls at once, for now.
    pub(super) fn limit(&self) -> usize {
        self.granted.load(Ordering::Relaxed)
    }

    /// Rows that the calls at once take, which are read ahead.
    pub(super) fn window(&self, call: &Call) -> usize {
        let limit = self.limit();
        let rows = match call {
            Call::Rows(_) | Call::Batch(_) => self.chunk(call, BATCH, FOLLOWED),
            Call::Async(_) | Call::Nested(_) => 1,
        };
        limit.max(limit.saturating_mul(rows).min(MAX_WINDOW))
    }

    /// Calls that run.
    pub(super) fn in_flight(&self) -> usize {
        self.limit()
            .saturating_sub(self.permits.available_permits())
    }

    /// A call that held `permit` has ended; what it took decides how many may follow at once,
    /// and whether one may with this permit.
    pub(super) fn ended(
        &self,
        permit: OwnedSemaphorePermit,
        lap: Lap,
    ) -> Option<OwnedSemaphorePermit> {
        let mut limiter = self.limiter.lock();
        let limit = limiter.learn(lap, self.in_flight());
        self.computes.store(limiter.computes(), Ordering::Relaxed);
        self.adjust(&limiter, limit, permit)
    }

    /// A call that held `permit` has failed, so that fewer may follow at once.
    pub(super) fn failed(&self, permit: OwnedSemaphorePermit) {
        let mut limiter = self.limiter.lock();
        let limit = limiter.failed();
        self.adjust(&limiter, limit, permit);
    }

    /// Grants what is missing to the limit, or takes back the permit.
    fn adjust(
        &self,
        limiter: &Limiter,
        limit: Option<usize>,
        permit: OwnedSemaphorePermit,
    ) -> Option<OwnedSemaphorePermit> {
        let granted = self.limit();
        let Some(limit) = limit else {
            return Some(permit);
        };
        self.settle_start(limiter);
        if limit > granted {
            self.grant(limit);
        } else if limit < granted {
            permit.forget();
            self.granted.store(granted - 1, Ordering::Relaxed);
            return None;
        }
        Some(permit)
    }

    fn grant(&self, limit: usize) {
        let granted = self.granted.swap(limit, Ordering::Relaxed);
        self.permits.add_permits(limit.saturating_sub(granted));
    }

    fn settle_start(&self, limiter: &Limiter) {
        if self.is_starting.load(Ordering::Relaxed) && !limiter.is_starting() {
            self.is_starting.store(false, Ordering::Relaxed);
            self.watched.lock().clear();
        }
    }

    /// A sync call begins on this thread.
    pub(super) fn began(&self) {
        // Each holds two files open.
        if self.is_starting.load(Ordering::Relaxed)
            && self.watched.lock().len() < WATCHED
            && let Some(watch) = Watch::start()
        {
            self.watched.lock().push(watch);
        }
    }

    /// There is no permit for a stream. Until the first calls end, or it is cancelled, they are
    /// looked at now and then: if they wait, there will be more permits.
    pub(super) fn exhausted(self: &Arc<Self>, is_cancelled: &Arc<AtomicBool>) {
        if !self.is_starting.load(Ordering::Relaxed)
            || self.is_looked_at.swap(true, Ordering::AcqRel)
        {
            return;
        }
        let Ok(tokio) = Handle::try_current() else {
            self.is_looked_at.store(false, Ordering::Relaxed);
            return;
        };
        let (gate, is_cancelled) = (Arc::downgrade(self), Arc::clone(is_cancelled));
        tokio.spawn_blocking(move || look(&gate, &is_cancelled));
    }

    /// Whether there is no permit before the first call has ended.
    fn is_exhausted(&self) -> bool {
        self.is_starting.load(Ordering::Relaxed) && self.permits.available_permits() == 0
    }

    /// Whether to look again.
    fn ramp(&self) -> bool {
        let mut limiter = self.limiter.lock();
        if !limiter.is_starting() || self.permits.available_permits() > 0 {
            return false;
        }
        let mut watched = self.watched.lock();
        let asleep: Vec<Lap> = watched.iter_mut().filter_map(Watch::asleep).collect();
        if asleep.len() < watched.len() {
            return true;
        }
        drop(watched);
        if let Some(limit) = limiter.ramp(&asleep)
            && limit > self.limit()
        {
            self.grant(limit);
        }
        self.settle_start(&limiter);
        limiter.is_starting()
    }

    /// Whether a stream that holds `ahead` may have one more call wait for a permit.
    pub(super) fn has_room(&self, ahead: &Arc<()>) -> bool {
        // The stream and its caller hold it too.
        Arc::strong_count(ahead) - 2 < AHEAD * self.limit().min(AHEAD)
    }

    /// Keeps a call until one that runs hands on its permit.
    pub(super) fn wait(&self, issued: Issued, ahead: Arc<()>) {
        self.ahead.lock().push_back((issued, ahead));
    }

    /// The same, before all others.
    pub(super) fn wait_first(&self, issued: Issued) {
        let mut ahead = self.ahead.lock();
        // A stream that has stopped has let go of its calls already.
        if !issued.is_cancelled() {
            ahead.push_front((issued, Arc::default()));
        }
    }

    /// Whether a call waits for a permit.
    pub(super) fn has_next(&self) -> bool {
        !self.ahead.lock().is_empty()
    }

    /// The call that has waited longest for a permit, of as many of its rows and those that follow as
    /// one call takes by now: before one was measured, a call takes a row.
    pub(super) fn next(&self) -> Option<Issued> {
        let mut ahead = self.ahead.lock();
        let (mut issued, token) = ahead.pop_front()?;
        let rows = issued.work.rows.clone();
        let most = self.chunk(issued.work.bound.node.call(), rows.len(), FOLLOWED);
        if most < rows.len() {
            let end = rows.start + most;
            if let Some(rest) = issued.clone().after(end) {
                ahead.push_front((rest, token));
            }
            issued.work.rows.end = end;
            return Some(issued);
        }
        let mut last = &issued;
        for (next, _) in ahead.iter() {
            if !last.is_followed_by(next) {
                break;
            }
            last = next;
        }
        let rows = last.work.rows.end - issued.work.rows.start;
        let rows = self.chunk(issued.work.bound.node.call(), rows, 0);
        while let Some((next, _)) = ahead.front()
            && issued.is_followed_by(next)
            && issued.work.rows.len() + next.work.rows.len() <= rows
        {
            issued.work.rows.end = next.work.rows.end;
            ahead.pop_front();
        }
        Some(issued)
    }

    /// Lets go of the waiting calls of streams that have stopped, which hold this gate.
    pub(super) fn drop_cancelled(&self) {
        self.ahead
            .lock()
            .retain(|(issued, _)| !issued.is_cancelled());
    }

    /// Learns what `rows` rows of a sync call took.
    ///
    /// A slower row is believed at once and a faster one by and by, so that a row now and then
    /// that blocks keeps the node away from the threads that drive I/O.
    pub(super) fn measured(&self, rows: usize, took: Duration) {
        let row = (took.as_nanos() as u64 / rows.max(1) as u64).max(1);
        let known = self.nanoseconds.load(Ordering::Relaxed);
        let mean = if row > known {
            row
        } else {
            known.midpoint(row)
        };
        self.nanoseconds.store(mean, Ordering::Relaxed);
        if took < FOLLOWED * UNIT {
            self.proven.fetch_max(rows, Ordering::Relaxed);
        } else {
            let fitting = (UNIT.as_nanos() as u64 / row).max(1) as usize;
            self.proven.store(fitting, Ordering::Relaxed);
        }
    }

    /// How many of `rows` rows, which are a batch or what is left of one, the next call takes: all, if
    /// they take less than so many units.
    pub(super) fn chunk(&self, call: &Call, rows: usize, units: u32) -> usize {
        let wished = match (call, self.settings.use_batch_udf, self.settings.batch_size) {
            (Call::Rows(_), Some(false), _) => 1,
            (_, _, Some(size)) => size,
            (Call::Batch(_), _, None) => rows,
            _ => match self.nanoseconds.load(Ordering::Relaxed) {
                0 => 1,
                row if is_within(row, rows, units.min(self.longest())) => rows.min(self.believed()),
                row => {
                    let piece = match self.computes.load(Ordering::Relaxed) {
                        true => COMPUTING * UNIT,
                        false => UNIT,
                    };
                    let piece = (piece.as_nanos() as u64 / row).max(1) as usize;
                    // The last ones are shorter, so that all threads end at about the same time.
                    let share = rows / (2 * self.limit());
                    let fair = piece.min(share.max(piece / SHORTEST)).max(1);
                    fair.min(self.believed())
                }
            },
        };
        wished.min(rows)
    }

    /// How many units a batch may take that is not cut: rows that wait are better cut.
    fn longest(&self) -> u32 {
        match self.computes.load(Ordering::Relaxed) {
            true => FOLLOWED,
            false => ALONE,
        }
    }

    /// Whether a call of `rows` rows may do the first ones only, if they take longer than believed.
    pub(super) fn may_stop(&self, call: &Call, rows: usize) -> bool {
        rows > 1 && matches!(call, Call::Rows(_)) && self.settings.batch_size.is_none()
    }

    /// Whether the next call, of `rows` rows, may end soon: it was measured to, or is the first.
    pub(super) fn is_short(&self, rows: usize) -> bool {
        match self.nanoseconds.load(Ordering::Relaxed) {
            0 => self.in_flight() <= 1,
            row => is_within(row, rows, ALONE),
        }
    }

    /// Whether the next call, of `rows` rows, was measured to compute and to take no longer than a
    /// batch that is not cut.
    pub(super) fn is_short_and_computes(&self, rows: usize) -> bool {
        let row = self.nanoseconds.load(Ordering::Relaxed);
        self.computes.load(Ordering::Relaxed) && row > 0 && is_within(row, rows, FOLLOWED)
    }

    /// Whether `rows` rows were measured to be done before a thread could be woken for them.
    pub(super) fn is_trivial(&self, call: &Call, rows: usize) -> bool {
        let Settings {
            max_workers,
            workload_type,
            use_batch_udf,
            batch_size,
            ..
        } = self.settings;
        let free = max_workers.is_none()
            && workload_type != Some(WorkloadType::Io)
            && batch_size.is_none()
            && use_batch_udf != Some(false);
        let row = self.nanoseconds.load(Ordering::Relaxed);
        free && row > 0
            && !matches!(call, Call::Async(_))
            && rows <= self.believed()
            && row.saturating_mul(rows as u64) < IN_PLACE.as_nanos() as u64
    }

    /// How many rows may be taken to be like those that were measured: one row that is done at
    /// once says nothing about the thousand after it.
    fn believed(&self) -> usize {
        self.proven.load(Ordering::Relaxed).saturating_mul(2).max(1)
    }
}

/// Whether so many rows, of so many nanoseconds each, take less than so many units.
fn is_within(row: u64, rows: usize, units: u32) -> bool {
    u128::from(row) * (rows as u128) < (UNIT * units).as_nanos()
}

/// Looks at the first calls of a gate until enough is known of them.
fn look(gate: &Weak<Gate>, is_cancelled: &AtomicBool) {
    let mut pause = UNIT / 2;
    for round in 0.. {
        thread::sleep(pause);
        let Some(gate) = gate.upgrade() else { return };
        if is_cancelled.load(Ordering::Relaxed) {
            gate.is_looked_at.store(false, Ordering::Relaxed);
            return;
        }
        if !gate.ramp() {
            gate.is_looked_at.swap(false, Ordering::AcqRel);
            // A stream that took the last permit meanwhile saw that somebody looks.
            if !gate.is_exhausted() || gate.is_looked_at.swap(true, Ordering::AcqRel) {
                return;
            }
        }
        if round > 0 {
            pause = MAX_PAUSE.min(2 * pause);
        }
    }
}

impl fmt::Debug for Gate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Gate({} at once)", self.limit())
    }
}

/// Calls of a sync node at once, where that is not measured.
fn calls_at_once(settings: &Settings, cores: usize) -> Option<usize> {
    match settings.workload_type {
        Some(WorkloadType::Io) => Some(most_calls(settings, cores)),
        Some(WorkloadType::Cpu) => Some(cores.min(most_calls(settings, cores))),
        Some(WorkloadType::Mixed) => None,
        None => settings.max_workers,
    }
}

fn most_calls(settings: &Settings, cores: usize) -> usize {
    settings.max_workers.unwrap_or(cores.max(MAX_WAITING))
}

/// How many files or sockets async calls may have open, leaving half to the rest of the process.
fn files() -> usize {
    let limit = rlimit::Resource::NOFILE.get_soft();
    let half = limit.map(|limit| usize::try_from(limit / 2).unwrap_or(usize::MAX));
    half.unwrap_or(usize::MAX).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_are_believed_to_be_like_others_only_by_twice_as_many_at_a_time() {
        let node = Node::map("y", ["x"], |x: i64| x);
        let gate = Gate::new(&node, Settings::default());
        assert_eq!(gate.chunk(node.call(), 8192, ALONE), 1);
        let fast = Duration::from_nanos(10);
        gate.measured(1, fast);
        assert!(!gate.is_trivial(node.call(), 8192));
        assert_eq!(gate.chunk(node.call(), 8192, ALONE), 2);
        gate.measured(4096, 4096 * fast);
        assert!(gate.is_trivial(node.call(), 8192));
        gate.measured(4096, Duration::from_secs(4));
        assert_eq!(gate.chunk(node.call(), 8192, ALONE), 1);
        assert!(!gate.is_trivial(node.call(), 8192));
    }

    #[test]
    fn the_last_rows_of_a_batch_are_shared_by_all_threads() {
        let node = Node::map("y", ["x"], |x: i64| x);
        let cores = Settings {
            max_workers: Some(2),
            ..Settings::default()
        };
        let gate = Gate::new(&node, cores);
        for _ in 0..20 {
            gate.measured(16, 16 * UNIT / 16);
        }
        assert_eq!(gate.chunk(node.call(), 8192, ALONE), 16);
        assert_eq!(gate.chunk(node.call(), 40, 0), 10);
        assert_eq!(gate.chunk(node.call(), 33, 0), 8);
        assert_eq!(gate.chunk(node.call(), 4, 0), 2);
        assert_eq!(
            gate.chunk(node.call(), 4, ALONE),
            4,
            "not worth a second thread"
        );
        gate.measured(16, 16 * UNIT);
        assert_eq!(gate.chunk(node.call(), 40, 0), 1);
    }

    #[test]
    fn async_calls_are_256_at_first_and_doubled_while_all_wait() {
        let node = Node::map_async("y", ["x"], |x: i64| async move { x });
        let gate = Gate::new(&node, Settings::default());
        assert_eq!(gate.limit(), 256.min(files()));
        let all = gate.permits.available_permits() as u32;
        let held = gate.permits.try_acquire_many(all).expect("none is taken");
        assert_eq!(gate.ramp(), 512 < 1024.min(files()));
        assert_eq!(gate.limit(), 512.min(files()));
        assert!(!gate.ramp(), "there are permits");
        assert_eq!(gate.limit(), 512.min(files()));
        drop(held);
    }
}
