//! Rows in flight across batches, emitted in order.
//!
//! ```text
//!   input --> | batch 3: not started | batch 2: rows in flight | batch 1: prefix done | --> output
//!                                       permits of the gate
//! ```
//!
//! The input is read ahead by about one window, so that stages overlap. When nothing more can
//! be done, the completed prefix of the first batch is emitted, so that the next stage starts.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion_common::{DataFusionError, Result};
use datafusion_common_runtime::JoinSet;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryPool, MemoryReservation};
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use datafusion_physical_plan::metrics::BaselineMetrics;
use futures::{FutureExt, Stream, StreamExt};
use hypernodes_graph::{AsyncRows, Call, Error, ErrorKind, Failure};
use hypernodes_plan::to_datafusion;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::PollSemaphore;

use super::exec::PhysicalCall;
use crate::call::{call, failed, panicked, skipped};
use crate::runtime::Runtime;

/// Rows held for order's sake, in windows.
const REORDER_WINDOWS: usize = 4;

/// What ended: rows of a batch.
struct Done {
    batch: u64,
    start: usize,
    rows: usize,
    /// The rows of a sync call; those of an async one are kept by its batch.
    result: Result<Option<ArrayRef>, Failure>,
}

/// A batch whose rows are not all emitted.
struct Held {
    batch: RecordBatch,
    /// The ordinal of its first row in the partition's input.
    first: u64,
    arrays: Vec<ArrayRef>,
    skipped: Option<NullBuffer>,
    /// Of an async node.
    rows: Option<Arc<dyn AsyncRows>>,
    /// Of a sync node: finished chunks by their first row, in order.
    chunks: std::collections::BTreeMap<usize, ArrayRef>,
    /// Of an async node: the rows that are done.
    done: Vec<bool>,
    issued: usize,
    /// Rows before this are done.
    prefix: usize,
    emitted: usize,
    bytes: usize,
}

impl Held {
    fn len(&self) -> usize {
        self.batch.num_rows()
    }

    fn advance(&mut self) {
        if self.rows.is_some() {
            while self.done.get(self.prefix) == Some(&true) {
                self.prefix += 1;
            }
        } else {
            while let Some(chunk) = self.chunks.get(&self.prefix) {
                self.prefix += chunk.len();
            }
        }
    }

    /// The completed prefix that was not emitted, with its new columns.
    fn take(&mut self, call: &PhysicalCall, schema: &SchemaRef) -> Result<RecordBatch> {
        let range = self.emitted..self.prefix;
        let made = match &self.rows {
            Some(rows) => rows
                .take(range.clone())
                .map_err(|failure| to_datafusion(failed(&call.bound, self.first, failure)))?,
            None => {
                let later = self.chunks.split_off(&self.prefix);
                let chunks = std::mem::replace(&mut self.chunks, later);
                let chunks: Vec<&dyn Array> = chunks.values().map(AsRef::as_ref).collect();
                match chunks[..] {
                    [only] => only.slice(0, only.len()),
                    _ => concat(&chunks)?,
                }
            }
        };
        let passed = self.batch.slice(range.start, range.len());
        let columns = passed.columns().iter().cloned();
        let columns = columns.chain(call.columns(made));
        self.emitted = self.prefix;
        Ok(RecordBatch::try_new(Arc::clone(schema), columns.collect())?)
    }
}

/// The stream of one partition.
pub(super) struct NodeStream {
    input: Option<SendableRecordBatchStream>,
    schema: SchemaRef,
    call: PhysicalCall,
    runtime: Arc<Runtime>,
    permits: PollSemaphore,
    queue: VecDeque<Held>,
    /// The number of the queue's first batch.
    front: u64,
    rows_read: u64,
    tasks: JoinSet<Done>,
    /// Whether tasks were added since they were last asked.
    spawned: bool,
    sender: mpsc::UnboundedSender<Done>,
    receiver: mpsc::UnboundedReceiver<Done>,
    cancelled: Arc<AtomicBool>,
    memory: MemoryReservation,
    metrics: BaselineMetrics,
}

impl NodeStream {
    pub(super) fn new(
        input: SendableRecordBatchStream,
        call: PhysicalCall,
        runtime: Arc<Runtime>,
        pool: &Arc<dyn MemoryPool>,
        metrics: BaselineMetrics,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let schema = call.extended(&input.schema());
        let consumer = MemoryConsumer::new(format!("NodeMapExec[{}]", call.bound.node.name()));
        Self {
            input: Some(input),
            schema,
            permits: PollSemaphore::new(Arc::clone(&call.gate.permits)),
            call,
            runtime,
            queue: VecDeque::new(),
            front: 0,
            rows_read: 0,
            tasks: JoinSet::new(),
            spawned: false,
            sender,
            receiver,
            cancelled: Arc::new(AtomicBool::new(false)),
            memory: consumer.register(pool),
            metrics,
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        loop {
            self.settle_done(cx)?;
            self.issue(cx)?;
            if let Some(whole) = self.take_front(true)? {
                return Poll::Ready(Some(Ok(whole)));
            }
            if self.has_room() {
                match self.poll_input(cx)? {
                    Poll::Ready(true) => continue,
                    Poll::Ready(false) if self.queue.is_empty() => return Poll::Ready(None),
                    _ => {}
                }
            }
            if let Some(prefix) = self.take_front(false)? {
                return Poll::Ready(Some(Ok(prefix)));
            }
            // An empty set of tasks wakes nobody, so one that was filled is asked again.
            if !std::mem::take(&mut self.spawned) {
                return Poll::Pending;
            }
        }
    }

    fn settle_done(&mut self, cx: &mut Context<'_>) -> Result<()> {
        self.spawned = false;
        while let Poll::Ready(Some(joined)) = self.tasks.poll_join_next(cx) {
            let done = joined.map_err(|error| {
                let message = "a task of a node was lost";
                to_datafusion(Error::new(ErrorKind::Cancelled, message).with_source(error))
            })?;
            self.settle(done)?;
        }
        while let Poll::Ready(Some(done)) = self.receiver.poll_recv(cx) {
            self.settle(done)?;
        }
        Ok(())
    }

    fn settle(&mut self, done: Done) -> Result<()> {
        let index = (done.batch - self.front) as usize;
        let Some(held) = self.queue.get_mut(index) else {
            return Ok(());
        };
        match done.result {
            Ok(Some(array)) => {
                held.chunks.insert(done.start, array);
            }
            Ok(None) => held.done[done.start..done.start + done.rows].fill(true),
            Err(failure) => {
                let error = failed(&self.call.bound, held.first, failure);
                return Err(to_datafusion(error));
            }
        }
        held.advance();
        Ok(())
    }

    /// The rows that are read but not called for, and those that are held.
    fn has_room(&self) -> bool {
        let window = self.call.gate.limit();
        let waiting: usize = self.queue.iter().map(|held| held.len() - held.issued).sum();
        let held: usize = self
            .queue
            .iter()
            .map(|held| held.len() - held.emitted)
            .sum();
        self.queue.is_empty() || (waiting < window && held < REORDER_WINDOWS * window)
    }

    /// `false` when the input has ended.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Result<Poll<bool>> {
        let Some(input) = &mut self.input else {
            return Ok(Poll::Ready(false));
        };
        let Poll::Ready(next) = input.poll_next_unpin(cx) else {
            return Ok(Poll::Pending);
        };
        match next.transpose()? {
            Some(batch) if batch.num_rows() > 0 => self.hold(batch)?,
            Some(_) => {}
            None => {
                self.input = None;
                return Ok(Poll::Ready(false));
            }
        }
        Ok(Poll::Ready(true))
    }

    fn hold(&mut self, batch: RecordBatch) -> Result<()> {
        let rows = batch.num_rows();
        let bound = &self.call.bound;
        let (arrays, wanted) = self.call.arguments(&batch)?;
        let skipped = NullBuffer::union(skipped(&bound.node, &arrays).as_ref(), wanted.as_ref());
        let bytes = batch.get_array_memory_size();
        self.memory.try_grow(bytes)?;
        let calls = match bound.node.call() {
            Call::Async(kernel) => Some(kernel.batch(arrays.clone(), &bound.shared, rows)),
            _ => None,
        };
        let done = if calls.is_some() {
            vec![false; rows]
        } else {
            Vec::new()
        };
        self.queue.push_back(Held {
            batch,
            first: self.rows_read,
            arrays,
            skipped,
            rows: calls,
            chunks: std::collections::BTreeMap::new(),
            done,
            issued: 0,
            prefix: 0,
            emitted: 0,
            bytes,
        });
        self.rows_read += rows as u64;
        Ok(())
    }

    /// Calls for rows until permits or rows run out.
    fn issue(&mut self, cx: &mut Context<'_>) -> Result<()> {
        for index in 0..self.queue.len() {
            while self.queue[index].issued < self.queue[index].len() {
                let issued = match self.queue[index].rows {
                    Some(_) => self.issue_row(index, cx)?,
                    None => self.issue_chunk(index, cx)?,
                };
                if !issued {
                    return Ok(());
                }
            }
        }
        Ok(())
    }

    fn permit(&mut self, cx: &mut Context<'_>) -> Option<OwnedSemaphorePermit> {
        match self.permits.poll_acquire(cx) {
            Poll::Ready(permit) => permit,
            Poll::Pending => None,
        }
    }

    fn issue_row(&mut self, index: usize, cx: &mut Context<'_>) -> Result<bool> {
        let batch = self.front + index as u64;
        let row = self.queue[index].issued;
        let finished = |result| Done {
            batch,
            start: row,
            rows: 1,
            result,
        };
        let is_skipped = |nulls: &NullBuffer| nulls.is_null(row);
        if self.queue[index].skipped.as_ref().is_some_and(is_skipped) {
            self.queue[index].issued += 1;
            self.settle(finished(Ok(None)))?;
            return Ok(true);
        }
        let Some(rows) = self.queue[index].rows.as_ref().map(Arc::clone) else {
            return Ok(false);
        };
        let Some(permit) = self.permit(cx) else {
            return Ok(false);
        };
        self.queue[index].issued += 1;
        let start = std::panic::AssertUnwindSafe(async move { rows.call(row).await });
        let mut call =
            Box::pin(start.catch_unwind().map(move |result| {
                result.unwrap_or_else(|panic| Err(panicked(Some(row), &*panic)))
            }));
        if let Poll::Ready(result) = call.as_mut().poll_unpin(cx) {
            drop(permit);
            self.settle(finished(result.map(|()| None)))?;
            return Ok(true);
        }
        self.spawned = true;
        self.tasks.spawn(async move {
            let result = call.await.map(|()| None);
            drop(permit);
            Done {
                batch,
                start: row,
                rows: 1,
                result,
            }
        });
        Ok(true)
    }

    fn issue_chunk(&mut self, index: usize, cx: &mut Context<'_>) -> Result<bool> {
        let node_call = self.call.bound.node.call().clone();
        let (Call::Rows(kernel) | Call::Batch(kernel)) = node_call.clone() else {
            return Ok(false);
        };
        let gate = Arc::clone(&self.call.gate);
        let (batch, start) = (self.front + index as u64, self.queue[index].issued);
        let left = self.queue[index].len() - start;
        let trivial = gate.is_trivial(&node_call, left);
        let permit = if trivial {
            None
        } else {
            match self.permit(cx) {
                None => return Ok(false),
                permit => permit,
            }
        };
        let held = &mut self.queue[index];
        let rows = if trivial {
            left
        } else {
            gate.chunk(&node_call, left)
        };
        held.issued += rows;
        let arrays = held.arrays.iter().map(|array| array.slice(start, rows));
        let arrays: Vec<ArrayRef> = arrays.collect();
        let skipped = held.skipped.as_ref().map(|nulls| nulls.slice(start, rows));
        let bound = Arc::clone(&self.call.bound);
        let work = move || {
            let began = Instant::now();
            let result = call(&*kernel, &arrays, &bound.shared, rows, skipped);
            gate.measured(rows, began.elapsed());
            Done {
                batch,
                start,
                rows,
                result: result.map(Some).map_err(|failure| Failure {
                    row: failure.row.map(|row| row + start),
                    error: failure.error,
                }),
            }
        };
        if trivial {
            self.settle(work())?;
            return Ok(true);
        }
        let (sender, cancelled) = (self.sender.clone(), Arc::clone(&self.cancelled));
        // A shared value may be made by a future, which needs the drivers of I/O and time.
        let context = (!self.call.bound.shared.is_empty()).then(Handle::try_current);
        let job = move || {
            let context = context.and_then(Result::ok);
            let _entered = context.as_ref().map(Handle::enter);
            if !cancelled.load(Ordering::Relaxed) {
                let done = work();
                drop(permit);
                // The stream may be gone; then nobody waits for the rows.
                let _ = sender.send(done);
            }
        };
        self.runtime
            .executor()
            .submit(Box::new(job))
            .map_err(DataFusionError::IoError)?;
        Ok(true)
    }

    /// What can be emitted of the first batch; if `whole`, only its last part.
    fn take_front(&mut self, whole: bool) -> Result<Option<RecordBatch>> {
        let Some(held) = self.queue.front_mut() else {
            return Ok(None);
        };
        let complete = held.prefix == held.len();
        if held.prefix == held.emitted || (whole && !complete) {
            return Ok(None);
        }
        let batch = held.take(&self.call, &self.schema)?;
        if complete && let Some(held) = self.queue.pop_front() {
            self.memory.shrink(held.bytes);
            self.front += 1;
        }
        Ok(Some(batch))
    }

    /// Stops all calls: nothing more will be emitted.
    fn stop(&mut self) {
        self.input = None;
        self.queue.clear();
        self.tasks.abort_all();
        self.cancelled.store(true, Ordering::Relaxed);
        self.memory.free();
    }
}

impl Stream for NodeStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.cancelled.load(Ordering::Relaxed) {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_step(cx));
        if matches!(next, Some(Err(_)) | None) {
            self.stop();
        }
        self.metrics.record_poll(Poll::Ready(next))
    }
}

impl Drop for NodeStream {
    fn drop(&mut self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }
}

impl RecordBatchStream for NodeStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
