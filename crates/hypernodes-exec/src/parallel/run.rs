//! One run: its partitions, and the workers that take them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use hypernodes_graph::{Error, ErrorKind, Pipeline, Result};
use tokio::runtime::Handle;
use tokio::sync::mpsc::{self, UnboundedSender};
use tokio_util::sync::CancellationToken;

use super::block_on::{block_on, is_worker};
use super::partitions::range;
use crate::executor::Executor;
use crate::sequential::rows;

/// The rows of a run, and which of them are still to be taken.
struct Run {
    pipeline: Pipeline,
    columns: RecordBatch,
    /// One for each partition.
    stops: Vec<CancellationToken>,
    /// The next partition.
    next: AtomicUsize,
    /// The jobs that may still be submitted.
    unsubmitted: AtomicUsize,
}

impl Run {
    /// The next partition, which is the caller's to run.
    fn take(&self) -> Option<usize> {
        let part = self.next.fetch_add(1, Ordering::Relaxed);
        let stop = self.stops.get(part)?;
        (!stop.is_cancelled()).then_some(part)
    }

    /// The outputs of a partition; `None` if it was stopped.
    async fn part(&self, part: usize) -> Option<Result<RecordBatch>> {
        let own = range(self.columns.num_rows(), part, self.stops.len());
        let columns = self.columns.slice(own.start, own.len());
        let made = rows(&self.pipeline, &columns, own.start as u64);
        let made = self.stops[part].run_until_cancelled(made).await;
        if let Some(Err(_)) = made {
            self.stop(part + 1);
        }
        made
    }

    /// Stops the partitions from `first` on: nobody will read them.
    fn stop(&self, first: usize) {
        self.unsubmitted.store(0, Ordering::Relaxed);
        self.stops[first..]
            .iter()
            .for_each(CancellationToken::cancel);
    }

    fn may_submit(&self) -> bool {
        let less = |jobs: usize| jobs.checked_sub(1);
        let left = &self.unsubmitted;
        left.fetch_update(Ordering::Relaxed, Ordering::Relaxed, less)
            .is_ok()
    }
}

/// Stops a run whose future is dropped.
struct StopOnDrop(Arc<Run>);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.stop(0);
    }
}

type Part = (usize, Result<RecordBatch>);

/// A job that runs one partition and submits the next job.
///
/// Between two partitions a thread is free for other runs on the same executor.
struct Worker {
    run: Arc<Run>,
    executor: Arc<dyn Executor>,
    runtime: Option<Handle>,
    parts: UnboundedSender<Part>,
}

impl Worker {
    fn submit(self) -> std::io::Result<()> {
        let executor = Arc::clone(&self.executor);
        executor.submit(Box::new(move || self.work()))
    }

    fn work(self) {
        let Some(part) = self.run.take() else {
            return;
        };
        let made = {
            let _entered = self.runtime.as_ref().map(Handle::enter);
            block_on(self.run.part(part))
        };
        let parts = self.parts.clone();
        // The run's future may be gone; then nobody reads this.
        if let Some(made) = made {
            let _ = parts.send((part, made));
        }
        if self.run.may_submit()
            && let Err(error) = self.submit()
        {
            let _ = parts.send((part + 1, Err(refused(error))));
        }
    }
}

/// The outputs of all rows, in `count` partitions of which `at_once` run at the same time: on
/// `executor`, or on the caller's thread if there is none.
///
/// A caller that is a worker itself, of whatever engine, lends a hand: it could not wait for
/// threads that may all be waiting as it is.
pub(super) async fn run(
    pipeline: Pipeline,
    columns: RecordBatch,
    executor: Option<&Arc<dyn Executor>>,
    count: usize,
    at_once: usize,
) -> Result<RecordBatch> {
    let helps = executor.is_none() || is_worker();
    let jobs = at_once.min(count) - usize::from(helps && count > 0);
    let run = Arc::new(Run {
        pipeline,
        columns,
        stops: (0..count).map(|_| CancellationToken::new()).collect(),
        next: AtomicUsize::new(0),
        unsubmitted: AtomicUsize::new(count - jobs),
    });
    let _stop = StopOnDrop(Arc::clone(&run));
    let (sender, mut receiver) = mpsc::unbounded_channel();
    if let Some(executor) = executor {
        for _ in 0..jobs {
            let worker = Worker {
                run: Arc::clone(&run),
                executor: Arc::clone(executor),
                runtime: Handle::try_current().ok(),
                parts: sender.clone(),
            };
            worker.submit().map_err(refused)?;
        }
    }
    let mut made = vec![None; count];
    // Those before the first that failed.
    let (mut wanted, mut failure) = (count, None);
    let mut missing = count;
    drop(sender);
    while missing > 0 {
        let own = if helps { run.take() } else { None };
        let (part, result) = match own {
            Some(part) => match run.part(part).await {
                Some(result) => (part, result),
                None => continue,
            },
            None => receiver.recv().await.ok_or_else(lost)?,
        };
        match result {
            Ok(batch) if part < wanted => {
                made[part] = Some(batch);
                missing -= 1;
            }
            Err(error) if part < wanted => {
                (wanted, failure) = (part, Some(error));
                missing = made[..wanted].iter().filter(|made| made.is_none()).count();
            }
            _ => {}
        }
    }
    if let Some(error) = failure {
        return Err(error);
    }
    let batches: Vec<RecordBatch> = made.into_iter().flatten().collect();
    concat_batches(&run.pipeline.output_schema(), &batches).map_err(|error| {
        Error::new(ErrorKind::Internal, "the outputs cannot be put together").with_source(error)
    })
}

fn refused(error: std::io::Error) -> Error {
    Error::new(ErrorKind::Cancelled, "the executor took no more work").with_source(error)
}

fn lost() -> Error {
    Error::new(
        ErrorKind::Cancelled,
        "the executor dropped work it had taken",
    )
}
