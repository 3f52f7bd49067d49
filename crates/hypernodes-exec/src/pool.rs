//! Threads for functions that block or compute.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex, MutexGuard};

/// How long a thread without work waits for more before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of named threads, started when work comes and ended when none does.
///
/// Jobs start in the order they were given, short ones before others. A thread without work ends
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
    idle: Duration,
}

#[derive(Default)]
struct State {
    short: VecDeque<Job>,
    long: VecDeque<Job>,
    /// Jobs that are not short and run.
    long_running: usize,
    threads: usize,
    idle: usize,
    started: usize,
    closed: bool,
}

impl Pool {
    /// A pool of at most `limit` threads, at least 1: a pool of none would never run a job.
    pub fn new(limit: usize) -> Self {
        Self::build(limit, limit, IDLE)
    }

    /// The same, of which `reserved` threads are for short jobs, so that long ones hold up none.
    pub(crate) fn with_reserve(limit: usize, reserved: usize) -> Self {
        Self::build(limit, limit - reserved, IDLE)
    }

    fn build(limit: usize, most_long: usize, idle: Duration) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            limit,
            most_long,
            idle,
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

    fn queue(&self, job: Job, queue: fn(&mut State) -> &mut VecDeque<Job>) -> std::io::Result<()> {
        let mut state = self.0.state.lock();
        queue(&mut state).push_back(job);
        let room = self.0.most_long - state.long_running;
        let startable = state.short.len() + state.long.len().min(room);
        if state.idle >= startable || state.threads == self.0.limit {
            self.0.wake.notify_one();
            return Ok(());
        }
        let shared = Arc::clone(&self.0);
        let name = format!("hypernodes-worker-{}", state.started);
        match thread::Builder::new()
            .name(name)
            .spawn(move || shared.work())
        {
            Ok(_) => {
                state.threads += 1;
                state.started += 1;
                Ok(())
            }
            Err(_) if state.threads > 0 => Ok(()),
            Err(error) => {
                queue(&mut state).pop_back();
                Err(error)
            }
        }
    }

    /// The threads there are now, with or without work.
    pub fn threads(&self) -> usize {
        self.0.state.lock().threads
    }
}

impl Shared {
    fn work(&self) {
        let mut state = self.state.lock();
        loop {
            if let Some(job) = state.short.pop_front() {
                MutexGuard::unlocked(&mut state, job);
                continue;
            }
            if state.long_running < self.most_long
                && let Some(job) = state.long.pop_front()
            {
                state.long_running += 1;
                MutexGuard::unlocked(&mut state, job);
                state.long_running -= 1;
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.wake.wait_for(&mut state, self.idle);
            state.idle -= 1;
            if waited.timed_out() && state.short.is_empty() && state.long.is_empty() {
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
    use std::sync::mpsc::{RecvTimeoutError, channel};
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
        let pool = Pool::build(4, 4, Duration::from_millis(1));
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

    #[test]
    fn long_jobs_hold_up_no_short_one() {
        let (pool, gate) = (Pool::with_reserve(3, 1), Arc::new(RwLock::new(())));
        let (begins, begun) = channel();
        let closed = gate.write();
        for _ in 0..4 {
            let (gate, begins) = (Arc::clone(&gate), begins.clone());
            pool.run(move || {
                begins.send(()).expect("the test waits");
                drop(gate.read());
            })
            .expect("a thread");
        }
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
}
