//! Threads for functions that block or compute.

use std::collections::VecDeque;
use std::fmt;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use parking_lot::{Condvar, Mutex};

/// How long a thread without work waits for more before it ends.
const IDLE: Duration = Duration::from_secs(5);

type Job = Box<dyn FnOnce() + Send>;

/// A bounded pool of named threads, started when work comes and ended when none does.
///
/// Jobs start in the order they were given. A thread without work ends after 5 seconds. Dropping
/// the pool lets its threads finish what was given and end. A job must not panic.
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
}

#[derive(Default)]
struct State {
    jobs: VecDeque<Job>,
    threads: usize,
    idle: usize,
    started: usize,
    closed: bool,
}

impl Pool {
    /// A pool of at most `limit` threads, at least 1: a pool of none would never run a job.
    pub fn new(limit: usize) -> Self {
        Self(Arc::new(Shared {
            state: Mutex::default(),
            wake: Condvar::new(),
            limit,
        }))
    }

    /// Runs `job` on a thread of the pool, as soon as one is free.
    ///
    /// # Errors
    /// If there is no thread at all and none can be started.
    pub fn run(&self, job: impl FnOnce() + Send + 'static) -> std::io::Result<()> {
        let mut state = self.0.state.lock();
        state.jobs.push_back(Box::new(job));
        if state.idle >= state.jobs.len() || state.threads == self.0.limit {
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
                state.jobs.pop_back();
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
            if let Some(job) = state.jobs.pop_front() {
                drop(state);
                job();
                state = self.state.lock();
                continue;
            }
            if state.closed {
                break;
            }
            state.idle += 1;
            let waited = self.wake.wait_for(&mut state, IDLE);
            state.idle -= 1;
            if waited.timed_out() && state.jobs.is_empty() {
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
    use std::sync::mpsc::channel;

    use super::*;

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
}
