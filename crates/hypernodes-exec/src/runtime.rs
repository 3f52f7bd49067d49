//! What all nodes of an engine share.

use std::sync::{Arc, LazyLock};
use std::thread;

use hypernodes_graph::{Error, ErrorKind, Result, Settings};

use crate::executor::Executor;
use crate::pool::Pool;

/// Threads at most, if nobody says otherwise, and those of them for calls that are known to be
/// short or are the first of their node: nodes that wait share the others.
const MAX_THREADS: usize = 256;
const RESERVED: usize = 6;
/// Calls that may wait at once.
pub(crate) const MAX_WAITING: usize = MAX_THREADS - RESERVED;

/// The settings of an engine and the threads on which its sync nodes run.
#[derive(Debug)]
pub struct Runtime {
    settings: Settings,
    executor: Arc<dyn Executor>,
}

impl Runtime {
    /// A runtime whose nodes run by `settings` where they have none of their own, on a pool of
    /// `max_workers` threads at most, of 256 if that is open.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn new(settings: Settings) -> Result<Arc<Self>> {
        let pool = match settings.max_workers {
            Some(limit) => Pool::new(limit),
            None => Pool::with_reserve(MAX_THREADS, RESERVED),
        };
        Self::on_executor(settings, Arc::new(pool))
    }

    /// The same, whose sync nodes run on `executor`, which others may share. How much of a node
    /// runs at once is bounded by the settings as ever, and by what the executor has room for.
    ///
    /// # Errors
    /// As for [`Runtime::new`].
    pub fn on_executor(settings: Settings, executor: Arc<dyn Executor>) -> Result<Arc<Self>> {
        let zeros: Vec<_> = settings.zeros().collect();
        if !zeros.is_empty() {
            let message = format!("`{}` must be at least 1", zeros.join("`, `"));
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        Ok(Arc::new(Self { settings, executor }))
    }

    /// The defaults of every node.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// What runs sync nodes.
    pub fn executor(&self) -> &dyn Executor {
        &*self.executor
    }
}

/// The cores of this machine that the process may use, asked for once, as the system reads files
/// to tell.
pub(crate) fn cores() -> usize {
    static CORES: LazyLock<usize> =
        LazyLock::new(|| thread::available_parallelism().map_or(1, usize::from));
    *CORES
}

#[cfg(test)]
mod tests {
    use std::sync::Barrier;
    use std::sync::atomic::{AtomicUsize, Ordering};
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn two_hundred_and_fifty_six_threads_run_at_once_and_no_more() -> Result<()> {
        let runtime = Runtime::new(Settings::default())?;
        let meeting = Arc::new((Barrier::new(256), AtomicUsize::new(0)));
        let (sender, receiver) = channel();
        for _ in 0..2 * 256 {
            let (meeting, sender) = (Arc::clone(&meeting), sender.clone());
            let job = move || {
                let (barrier, running) = &*meeting;
                let now = running.fetch_add(1, Ordering::SeqCst) + 1;
                barrier.wait();
                running.fetch_sub(1, Ordering::SeqCst);
                sender.send(now).expect("the test waits");
            };
            let submitted = runtime.executor().submit_short(Box::new(job));
            submitted.expect("a thread");
        }
        drop(sender);
        assert_eq!(receiver.iter().max(), Some(256));
        Ok(())
    }
}
