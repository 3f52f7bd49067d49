//! The engine and its settings.

use std::sync::Arc;

use arrow::array::RecordBatch;
use hypernodes_graph::{BoxFuture, Engine, Error, ErrorKind, Pipeline, Result, WorkloadType};

use super::partitions::automatic;
use super::run::run;
use crate::executor::Executor;
use crate::pool::Pool;
use crate::runtime::cores;

/// Where partitions run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum Scheduler {
    /// On threads.
    #[default]
    Threads,
    /// On the caller's thread, one row after the other: for debugging.
    Synchronous,
}

/// Cuts rows into partitions, each of which goes through the whole pipeline on one worker, row
/// after row as on the [`SequentialEngine`](crate::SequentialEngine), and without DataFusion.
///
/// The outputs keep the order of the rows, and the error is that of the first row that fails.
/// Async nodes run on the worker, within the Tokio runtime of the caller: a worker has one row in
/// flight. Dual nodes run by their singular functions. Dropping the future stops the run: async
/// calls are cancelled, no further row is begun, and a running sync call is all that may finish.
///
/// Workers are threads of the engine, used by one run after the other and by several at once;
/// they end with the engine. Clones are one engine. A run that begins on a worker, because a
/// nested pipeline has an engine of its own, uses that worker too. Settings of nodes change nothing.
///
/// ```
/// use hypernodes_exec::ParallelEngine;
/// use hypernodes_graph::WorkloadType;
///
/// let engine = ParallelEngine::builder()
///     .num_workers(4)
///     .workload_type(WorkloadType::Io)
///     .build()?;
/// assert_eq!(engine.partitions(1_000), 16);
/// assert!(ParallelEngine::builder().num_workers(0).build().is_err());
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
#[derive(Debug, Clone)]
pub struct ParallelEngine {
    executor: Option<Arc<dyn Executor>>,
    num_workers: usize,
    workload: WorkloadType,
    npartitions: Option<usize>,
}

impl ParallelEngine {
    /// An engine to be set up: `ParallelEngine::builder().num_workers(8).build()?`.
    pub fn builder() -> ParallelEngineBuilder {
        ParallelEngineBuilder::default()
    }

    /// The number of partitions into which so many rows are cut, each of rows that follow each
    /// other; of no rows, none.
    pub fn partitions(&self, rows: usize) -> usize {
        let parts = match (&self.executor, self.npartitions) {
            (None, _) => 1,
            (Some(_), Some(parts)) => parts,
            (Some(_), None) => automatic(rows, self.num_workers, self.workload),
        };
        parts.min(rows)
    }
}

impl Default for ParallelEngine {
    /// A worker for each core.
    fn default() -> Self {
        let workers = cores();
        Self {
            executor: Some(Arc::new(Pool::new(workers))),
            num_workers: workers,
            workload: WorkloadType::default(),
            npartitions: None,
        }
    }
}

impl Engine for ParallelEngine {
    /// Fails with the first failing row's error, at its first failing node; a row after it may
    /// have been begun.
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        let pipeline = pipeline.clone().singular();
        let parts = self.partitions(columns.num_rows());
        let (executor, workers) = (self.executor.as_ref(), self.num_workers);
        Box::pin(run(pipeline, columns, executor, parts, workers))
    }
}

/// The settings of a [`ParallelEngine`].
#[derive(Debug, Default)]
#[must_use = "call `build`"]
pub struct ParallelEngineBuilder {
    scheduler: Scheduler,
    executor: Option<Arc<dyn Executor>>,
    num_workers: Option<usize>,
    workload: Option<WorkloadType>,
    npartitions: Option<usize>,
}

impl ParallelEngineBuilder {
    /// Where partitions run; on threads if not said.
    pub fn scheduler(mut self, scheduler: Scheduler) -> Self {
        self.scheduler = scheduler;
        self
    }

    /// The partitions that run at once, and so the rows in flight; as many as there are cores if
    /// not said. On threads of the engine's own, that holds for all its runs together.
    pub fn num_workers(mut self, workers: usize) -> Self {
        self.num_workers = Some(workers);
        self
    }

    /// How many partitions there are for each worker; [`WorkloadType::Mixed`] if not said.
    pub fn workload_type(mut self, workload: WorkloadType) -> Self {
        self.workload = Some(workload);
        self
    }

    /// The number of partitions, though never more than rows.
    ///
    /// If not said, it follows from workers, workload and rows, and no partition has fewer than
    /// ten rows: under twenty rows run one after the other.
    pub fn npartitions(mut self, partitions: usize) -> Self {
        self.npartitions = Some(partitions);
        self
    }

    /// Partitions run on `executor`, which others may share, in place of threads of the engine;
    /// of each run, `num_workers` at once.
    pub fn on_executor(mut self, executor: Arc<dyn Executor>) -> Self {
        self.executor = Some(executor);
        self
    }

    /// The engine.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`], with every fault at once: zero workers or partitions, or a
    /// setting that another leaves without effect.
    pub fn build(self) -> Result<ParallelEngine> {
        let faults = self.faults();
        if !faults.is_empty() {
            return Err(Error::new(ErrorKind::InvalidSetting, faults.join("; ")));
        }
        let num_workers = self.num_workers.unwrap_or_else(cores);
        let executor = match self.scheduler {
            Scheduler::Synchronous => None,
            Scheduler::Threads => {
                let own = || Arc::new(Pool::new(num_workers)) as Arc<dyn Executor>;
                Some(self.executor.unwrap_or_else(own))
            }
        };
        Ok(ParallelEngine {
            executor,
            num_workers,
            workload: self.workload.unwrap_or_default(),
            npartitions: self.npartitions,
        })
    }

    fn faults(&self) -> Vec<String> {
        let counts = [
            ("num_workers", self.num_workers),
            ("npartitions", self.npartitions),
        ];
        let zeros = counts.iter().filter(|(_, count)| *count == Some(0));
        let mut faults: Vec<String> = zeros
            .map(|(name, _)| format!("`{name}` must be at least 1"))
            .collect();
        let given = [
            ("num_workers", self.num_workers.is_some()),
            ("npartitions", self.npartitions.is_some()),
            ("workload_type", self.workload.is_some()),
            ("on_executor", self.executor.is_some()),
        ];
        if self.scheduler == Scheduler::Synchronous {
            let given = given.iter().filter(|(_, given)| *given);
            faults.extend(
                given.map(|(name, _)| {
                    format!("`{name}` does nothing with the synchronous scheduler")
                }),
            );
        } else if self.npartitions.is_some() && self.workload.is_some() {
            faults.push("`workload_type` does nothing where `npartitions` is given".into());
        }
        faults
    }
}
