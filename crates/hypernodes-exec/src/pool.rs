//! Threads for functions that block or compute.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex, MutexGuard};

use crate::runtime::cores;

/// How long a thread runs jobs that follow each other as one.
pub(crate) const TURN: Duration = Duration::from_millis(100);
/// How long a job that computes is believed to. One that takes longer waits, perhaps for jobs that
/// wait for its core.
const BELIEVED: Duration = TURN.saturating_mul(2);
/// How long a thread without work waits for more before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of named threads, started when work comes and ended when none does.
///
/// Jobs start in the order they were given, short ones before others, and of those that compute as
/// many at once as there are cores. A thread without work ends
/// after 5 seconds. Dropping the pool lets its threads finish what was given and end. A job must
/// not panic.
///
/// ```
/// use hypernodes_exec::Pool;
/// use std::sync::mpsc::channel;
///
/// let pool = Pool::new(2);
/// let (sender, receiver) = channel();
/// pool.run(move || drop(sender.send(6 * 7)))?;
/// assert_eq!(receiver.recv(), Ok(42));
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct Pool(Arc<Shared>);

struct Shared {
    state: Mutex<State>,
    wake: Condvar,
    limit: usize,
    /// How many threads may run jobs that are not short.
    most_long: usize,
    /// How many threads may compute.
    cores: usize,
    idle: Duration,
    believed: Duration,
}

#[derive(Default)]
struct State {
    short: VecDeque<Job>,
    computing: VecDeque<Job>,
    /// When those that compute and run began.
    began: Vec<Instant>,
    /// Whether a thread without work waits until one of those is no longer believed to compute.
    is_watched: bool,
    long: VecDeque<Job>,
    /// Jobs that are not short and run.
    long_running: usize,
    threads: usize,
    /// Threads that wait for work, or begin.
    idle: usize,
    started: usize,
    closed: bool,
}

impl Pool {
    /// A pool of at most `limit` threads, at least 1: a pool of none would never run a job.
    pub fn new(limit: usize) -> Self {
        Self::build(limit, limit, (IDLE, BELIEVED))
    }

    /// The same, of which `reserved` threads are for short jobs, so that long ones hold up none.
    pub(crate) fn with_reserve(limit: usize, reserved: usize) -> Self {
        Self::build(limit, limit - reserved, (IDLE, BELIEVED))
    }

    fn build(limit: usize, most_long: usize, (idle, believed): (Duration, Duration)) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            limit,
            most_long,
            cores: cores(),
            idle,
            believed,
        }))
    }

    /// Runs `job` on a thread of the pool, as soon as one is free.
    ///
    /// # Errors
    /// If there is no thread at all and none can be started.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.queue(Box::new(job), |state| &mut state.long)
    }

    /// Runs `job`, which is short, before those that are not.
    ///
    /// # Errors
    /// As for [`Pool::run`].
    pub fn run_short(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.queue(Box::new(job), |state| &mut state.short)
    }

    /// Runs `job`, which is short and computes, as soon as a core is free of such.
    ///
    /// # Errors
    /// As for [`Pool::run`].
    pub fn run_computing(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        self.queue(Box::new(job), |state| &mut state.computing)
    }

    fn queue(&self, job: Job, queue: fn(&mut State) -> &mut VecDeque<Job>) -> std::io::Result<()> {
        let mut state = self.0.state.lock();
        queue(&mut state).push_back(job);
        self.0.call(&mut state).inspect_err(|_| {
            queue(&mut state).pop_back();
        })
    }

    /// The threads there are now, with or without work.
    pub fn threads(&self) -> usize {
        self.0.state.lock().threads
    }
}

impl Shared {
    /// Sees that one more thread looks at the queues, if that is any use.
    fn call(self: &Arc<Self>, state: &mut State) -> std::io::Result<()> {
        let room = self.most_long - state.long_running;
        let mut startable = state.short.len() + state.long.len().min(room);
        startable += match self.free_cores(state) {
            // One thread, to see when there is.
            0 => usize::from(!state.computing.is_empty() && !state.is_watched),
            free => state.computing.len().min(free),
        };
        if startable == 0 {
            return Ok(());
        }
        if state.idle >= startable || state.threads == self.limit {
            self.wake.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(self);
        let name = format!("hypernodes-worker-{}", state.started);
        let thread = thread::Builder::new().name(name);
        match thread.spawn(move || shared.work()) {
            Ok(_) => {
                state.threads += 1;
                state.started += 1;
                state.idle += 1;
                Ok(())
            }
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// The cores on which no job is believed to compute.
    fn free_cores(&self, state: &State) -> usize {
        let computing = state.began.iter();
        let computing = computing
            .filter(|began| began.elapsed() < self.believed)
            .count();
        self.cores.saturating_sub(computing)
    }

    /// Runs `job`, while another thread sees to those that wait for a core.
    fn run(self: &Arc<Self>, state: &mut MutexGuard<'_, State>, job: Job) {
        if !state.computing.is_empty() && !state.is_watched {
            // It cannot fail: there is a thread, this one.
            let _ = self.call(state);
        }
        MutexGuard::unlocked(state, job);
    }

    fn work(self: &Arc<Self>) {
        let mut state = self.state.lock();
        state.idle -= 1;
        loop {
            if let Some(job) = state.short.pop_front() {
                self.run(&mut state, job);
                continue;
            }
            if self.free_cores(&state) > 0
                && let Some(job) = state.computing.pop_front()
            {
                let began = Instant::now();
                state.began.push(began);
                self.run(&mut state, job);
                if let Some(place) = state.began.iter().position(|other| *other == began) {
                    state.began.swap_remove(place);
                }
                continue;
            }
            if state.long_running < self.most_long
                && let Some(job) = state.long.pop_front()
            {
                state.long_running += 1;
                self.run(&mut state, job);
                state.long_running -= 1;
                continue;
            }
            if state.closed && (state.is_watched || state.computing.is_empty()) {
                break;
            }
            let is_watching = !state.computing.is_empty() && !state.is_watched;
            let patience = if is_watching {
                self.believed
            } else {
                self.idle
            };
            state.is_watched |= is_watching;
            state.idle += 1;
            let waited = self.wake.wait_for(&mut state, patience);
            state.idle -= 1;
            state.is_watched &= !is_watching;
            let has_nothing = state.short.is_empty() && state.long.is_empty();
            if waited.timed_out() && has_nothing && state.computing.is_empty() {
                break;
            }
        }
        state.threads -= 1;
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        self.0.state.lock().closed = true;
        self.0.wake.notify_all();
    }
}

impl fmt::Debug for Pool {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Pool({} of {} threads)", self.threads(), self.0.limit)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
    use std::time::Instant;

    use parking_lot::RwLock;

    use super::*;

    /// For what never happens.
    const PATIENCE: Duration = Duration::from_secs(20);

    #[test]
    fn as_many_jobs_as_threads_run_at_once_and_no_more() {
        let pool = Pool::new(3);
        let (barrier, (sender, receiver)) = (Arc::new(Barrier::new(3)), channel());
        for _ in 0..6 {
            let (barrier, sender) = (Arc::clone(&barrier), sender.clone());
            pool.run(move || {
                barrier.wait();
                let name = thread::current().name().map(str::to_owned);
                sender.send(name).expect("the test waits");
            })
            .expect("a thread");
        }
        drop(sender);
        let names: Vec<_> = receiver.iter().flatten().collect();
        assert_eq!(names.len(), 6);
        assert!(
            names
                .iter()
                .all(|name| name.starts_with("hypernodes-worker-"))
        );
        assert!(pool.threads() <= 3);
    }

    #[test]
    fn threads_without_work_end_while_the_pool_lives() {
        let pool = Pool::build(4, 4, (Duration::from_millis(1), BELIEVED));
        let (barrier, begun) = (Arc::new(Barrier::new(4)), Instant::now());
        for _ in 0..4 {
            let barrier = Arc::clone(&barrier);
            pool.run(move || {
                barrier.wait();
            })
            .expect("a thread");
        }
        while pool.threads() > 0 {
            assert!(begun.elapsed() < PATIENCE, "{pool:?}");
            thread::yield_now();
        }
        let (sender, receiver) = channel::<()>();
        pool.run(move || drop(sender)).expect("another thread");
        let ran = receiver.recv_timeout(PATIENCE);
        assert_eq!(ran, Err(RecvTimeoutError::Disconnected));
    }

    /// Gives the pool jobs that say when they begin, and end once the gate is open.
    fn begin(
        jobs: usize,
        gate: &Arc<RwLock<()>>,
        begins: &Sender<()>,
        submit: impl Fn(Job) -> std::io::Result<()>,
    ) {
        for _ in 0..jobs {
            let (gate, begins) = (Arc::clone(gate), begins.clone());
            let job = move || {
                begins.send(()).expect("the test waits");
                drop(gate.read());
            };
            submit(Box::new(job)).expect("a thread");
        }
    }

    #[test]
    fn long_jobs_hold_up_no_short_one() {
        let (pool, gate) = (Pool::with_reserve(3, 1), Arc::new(RwLock::new(())));
        let (begins, begun) = channel();
        let closed = gate.write();
        begin(4, &gate, &begins, |job| pool.run(job));
        for _ in 0..2 {
            begun.recv_timeout(PATIENCE).expect("another");
        }
        let (sender, receiver) = channel::<()>();
        pool.run_short(move || drop(sender)).expect("a thread");
        let ran = receiver.recv_timeout(PATIENCE);
        assert_eq!(ran, Err(RecvTimeoutError::Disconnected));
        assert!(begun.try_recv().is_err(), "one thread is left to it");
        drop((closed, begins));
        assert_eq!(begun.iter().count(), 2, "those that had to wait");
        assert!(pool.threads() <= 3);
    }

    #[test]
    fn as_many_jobs_compute_at_once_as_there_are_cores() {
        let pool = Pool::build(64, 64, (IDLE, PATIENCE));
        let (gate, (begins, begun)) = (Arc::new(RwLock::new(())), channel());
        let closed = gate.write();
        begin(2 * cores() + 1, &gate, &begins, |job| {
            pool.run_computing(job)
        });
        for _ in 0..cores() {
            begun.recv_timeout(PATIENCE).expect("another");
        }
        // Others run beside them, in threads of their own.
        let (sender, receiver) = channel::<()>();
        pool.run(move || drop(sender)).expect("a thread");
        let ran = receiver.recv_timeout(PATIENCE);
        assert_eq!(ran, Err(RecvTimeoutError::Disconnected));
        assert!(begun.try_recv().is_err(), "no core is left");
        drop((closed, begins));
        assert_eq!(begun.iter().count(), cores() + 1, "those that had to wait");
        assert!(pool.threads() <= cores() + 2, "{pool:?}");
    }

    #[test]
    fn jobs_that_were_believed_to_compute_and_wait_hold_up_no_other() {
        let pool = Pool::build(64, 64, (IDLE, Duration::from_millis(1)));
        let (gate, (begins, begun)) = (Arc::new(RwLock::new(())), channel());
        let closed = gate.write();
        begin(5 * cores(), &gate, &begins, |job| pool.run_computing(job));
        for _ in 0..5 * cores() {
            begun.recv_timeout(PATIENCE).expect("another");
        }
        drop(closed);
    }

    #[test]
    fn a_thread_that_is_given_a_job_leaves_another_to_watch() {
        let pool = Pool::build(64, 64, (IDLE, Duration::from_millis(200)));
        let (gate, (begins, begun)) = (Arc::new(RwLock::new(())), channel());
        let closed = gate.write();
        begin(2 * cores(), &gate, &begins, |job| pool.run_computing(job));
        for _ in 0..cores() {
            begun.recv_timeout(PATIENCE).expect("another");
        }
        // As many as there are threads without work, so that one of them is given to the watcher.
        begin(2, &gate, &begins, |job| pool.run_short(job));
        for _ in 0..cores() + 2 {
            begun.recv_timeout(PATIENCE).expect("another");
        }
        drop(closed);
    }
}
