//! Where the calls of sync functions run.

use std::fmt;
use std::io;

use crate::pool::Pool;

/// One piece of work: calls that follow each other, for a tenth of a second or until the last of them
/// ends. It does not panic.
pub type Job = Box<dyn FnOnce() + Send>;

/// Threads that run jobs: a [`Pool`], or a user's own.
///
/// Jobs may block and may compute, so an executor runs them on threads that drive neither I/O
/// nor timers. It is *not* allowed to run a job within `submit`, nor to take one and never run
/// it: a run would wait for it. There is no call for shutting down, as engines share an executor:
/// it ends when the last of them and the user have dropped it.
///
/// ```
/// use hypernodes_exec::{Executor, Job, ParallelEngine};
/// use std::sync::Arc;
///
/// /// A thread for each job.
/// #[derive(Debug)]
/// struct Threads;
///
/// impl Executor for Threads {
///     fn submit(&self, job: Job) -> std::io::Result<()> {
///         std::thread::Builder::new().spawn(job).map(|_| ())
///     }
/// }
///
/// let engine = ParallelEngine::builder().on_executor(Arc::new(Threads)).build()?;
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
pub trait Executor: fmt::Debug + Send + Sync {
    /// Runs `job` as soon as a thread is free; jobs need no order.
    ///
    /// # Errors
    /// If the job cannot be taken; it is dropped, and the run that needs it fails with this error: on
    /// a `ParallelEngine` as the source of an `ErrorKind::Cancelled`, on a session as the text of an
    /// `ErrorKind::Query`.
    fn submit(&self, job: Job) -> io::Result<()>;

    /// The same for a job that was measured to be short, or is the first of its node: it should not
    /// wait for jobs that are long. An executor whose threads are not all taken by
    /// such need not do anything else.
    ///
    /// # Errors
    /// As for [`Executor::submit`].
    fn submit_short(&self, job: Job) -> io::Result<()> {
        self.submit(job)
    }

    /// The same for a job of short calls that were measured to compute. Each node has one for each
    /// core, so those of a pipeline's nodes are more together than can run at once.
    ///
    /// # Errors
    /// As for [`Executor::submit`].
    fn submit_computing(&self, job: Job) -> io::Result<()> {
        self.submit_short(job)
    }
}

impl Executor for Pool {
    fn submit(&self, job: Job) -> io::Result<()> {
        self.run(job)
    }

    fn submit_short(&self, job: Job) -> io::Result<()> {
        self.run_short(job)
    }

    fn submit_computing(&self, job: Job) -> io::Result<()> {
        self.run_computing(job)
    }
}
