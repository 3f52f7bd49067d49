//! Rows in flight across batches, emitted in order.
//!
//! ```text
//!   input --> | batch 3: not started | batch 2: rows in flight | batch 1: prefix done | --> output
//!                                       permits of the gate
//! ```
//!
//! The calls of a stream read nothing that another of them makes: those of one row run at the
//! same time, each with its own gate, and a row is done when all of them are.
//!
//! The input is read ahead by about one window, so that stages overlap. When nothing more can
//! be done, the completed prefix of the first batch is emitted, so that the next stage starts; or,
//! where rows need not keep their order, what is done of any batch.

use std::collections::VecDeque;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, ready};
use std::time::Instant;

use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::SchemaRef;
use datafusion_common::{DataFusionError, Result};
use datafusion_common_runtime::JoinSet;
use datafusion_execution::memory_pool::{MemoryConsumer, MemoryReservation};
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{FutureExt, Stream, StreamExt};
use hypernodes_graph::{Call, Error, ErrorKind, Failure};
use hypernodes_plan::to_datafusion;
use tokio::runtime::Handle;
use tokio::sync::{OwnedSemaphorePermit, mpsc};
use tokio_util::sync::PollSemaphore;

use super::ahead::{Issued, Place};
use super::exec::Setting;
use super::gate::{ALONE, FOLLOWED};
use super::held::{Cells, Held, Made, array_bytes, bytes};
use super::meters::Meters;
use super::physical_call::PhysicalCall;
use super::window::Window;
use super::work::Work;
use crate::call::{failed, panicked};
use crate::clock::Lap;
use crate::runtime::Runtime;

/// Rows held for order's sake, in windows or, if they are longer, batches.
const REORDER_WINDOWS: usize = 4;

/// What ended: rows of a call of a batch.
pub(super) struct Done {
    pub(super) lane: usize,
    pub(super) batch: u64,
    pub(super) start: usize,
    pub(super) rows: usize,
    pub(super) result: Result<Cell, Failure>,
}

/// What a call that ended made of its rows.
pub(super) enum Cell {
    /// What a sync call made.
    Array(ArrayRef),
    /// What an async call made is kept by its batch, and takes so many bytes.
    Kept(usize),
}

/// One of the calls.
struct Lane {
    call: PhysicalCall,
    permits: PollSemaphore,
    meters: Meters,
    /// Whether it waits for a permit.
    is_queued: bool,
    /// Held by each call that waits at the gate for a permit.
    ahead: Arc<()>,
    /// Rows that were called for, or skipped.
    issued: u64,
    is_cancelled: Arc<AtomicBool>,
}

impl Lane {
    fn permit(&mut self, cx: &mut Context<'_>) -> Option<OwnedSemaphorePermit> {
        let permit = self.permits.poll_acquire(cx);
        self.is_queued = permit.is_pending();
        match permit {
            Poll::Ready(permit) => permit,
            Poll::Pending => {
                self.call.gate.exhausted(&self.is_cancelled);
                None
            }
        }
    }

    /// Gives up its place in the queue for permits. One that came meanwhile would be held for as
    /// long as nobody polls, and whoever reads this partition may wait for another that needs it.
    fn leave_queue(&mut self) {
        if std::mem::take(&mut self.is_queued) {
            self.permits = PollSemaphore::new(self.permits.clone_inner());
        }
    }
}

/// The stream of one partition.
pub(super) struct NodeStream {
    input: Option<SendableRecordBatchStream>,
    /// A batch for which there was no memory while others were held.
    unheld: Option<RecordBatch>,
    schema: SchemaRef,
    lanes: Vec<Lane>,
    window: Window,
    /// Whether rows are emitted in their order.
    ordered: bool,
    runtime: Arc<Runtime>,
    queue: VecDeque<Held>,
    /// The number of the queue's first batch.
    front: u64,
    rows_read: u64,
    emitted: u64,
    tasks: JoinSet<Done>,
    /// Whether tasks were added since they were last asked.
    spawned: bool,
    sender: mpsc::UnboundedSender<Done>,
    receiver: mpsc::UnboundedReceiver<Done>,
    /// Whether no more calls are to begin.
    cancelled: Arc<AtomicBool>,
    has_ended: bool,
    memory: MemoryReservation,
}

impl NodeStream {
    pub(super) fn new(
        input: SendableRecordBatchStream,
        calls: &[PhysicalCall],
        setting: &Setting<'_>,
    ) -> Self {
        let (sender, receiver) = mpsc::unbounded_channel();
        let cancelled = Arc::new(AtomicBool::new(false));
        let schema = calls
            .iter()
            .fold(input.schema(), |schema, call| call.extended(&schema));
        let names = calls.iter().map(|call| call.bound.node.name());
        let names = names.collect::<Vec<_>>().join(", ");
        let consumer = MemoryConsumer::new(format!("NodeMapExec[{names}]"));
        let lanes = calls.iter().map(|call| Lane {
            permits: PollSemaphore::new(Arc::clone(&call.gate.permits)),
            meters: Meters::new(setting.metrics, call.bound.node.name(), setting.partition),
            call: call.clone(),
            is_queued: false,
            ahead: Arc::default(),
            issued: 0,
            is_cancelled: Arc::clone(&cancelled),
        });
        Self {
            input: Some(input),
            unheld: None,
            schema,
            lanes: lanes.collect(),
            cancelled,
            has_ended: false,
            window: Window::new(setting.row_goal),
            ordered: setting.ordered || calls.iter().all(PhysicalCall::is_ordered),
            runtime: Arc::clone(setting.runtime),
            queue: VecDeque::new(),
            front: 0,
            rows_read: 0,
            emitted: 0,
            tasks: JoinSet::new(),
            spawned: false,
            sender,
            receiver,
            memory: consumer.register(setting.pool),
        }
    }

    fn poll_step(&mut self, cx: &mut Context<'_>) -> Poll<Option<Result<RecordBatch>>> {
        self.window.asked(self.emitted);
        loop {
            self.settle_done(cx)?;
            for lane in 0..self.lanes.len() {
                self.issue(lane, cx)?;
            }
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
        let made = done.result.map_err(|failure| {
            let bound = &self.lanes[done.lane].call.bound;
            // A row is counted in the batch that is held, a failing call by where it began in it.
            let first = failure.row.map_or(done.start, |_| 0);
            to_datafusion(failed(bound, held.first + first as u64, failure))
        })?;
        let (bytes, array) = match made {
            Cell::Array(array) => (array_bytes(&array)?, Some(array)),
            Cell::Kept(bytes) => (bytes, None),
        };
        // The rows are there: the pool is told, and the next batch has to wait if it is full.
        self.memory.grow(bytes);
        held.bytes += bytes;
        held.settle(done.lane, done.start, done.rows, array);
        Ok(())
    }

    /// Whether to read on: by the rows that are read but not called for, and those that are held.
    fn has_room(&self) -> bool {
        if self.queue.is_empty() {
            return self.window.room(self.rows_read) > 0;
        }
        let lanes = self.lanes.iter().map(|lane| &lane.call);
        let windows = lanes.map(|call| call.gate.window(call.bound.node.call()));
        let window = windows.max().unwrap_or(1);
        let window = window.min(self.window.room(self.rows_read));
        let waiting: usize = self.queue.iter().map(Held::waiting).sum();
        let held = self.queue.iter().map(|held| held.len() - held.emitted);
        // A slow row does not keep the batches after it from being called for.
        let batch = self.queue.iter().map(Held::len).max().unwrap_or(0);
        waiting < window && held.sum::<usize>() < REORDER_WINDOWS * window.max(batch)
    }

    /// `false` when the input has ended.
    fn poll_input(&mut self, cx: &mut Context<'_>) -> Result<Poll<bool>> {
        if let Some(batch) = self.unheld.take() {
            self.hold(batch)?;
            let is_held = self.unheld.is_none();
            return Ok(if is_held {
                Poll::Ready(true)
            } else {
                Poll::Pending
            });
        }
        let Some(input) = &mut self.input else {
            return Ok(Poll::Ready(false));
        };
        let Poll::Ready(next) = input.poll_next_unpin(cx) else {
            return Ok(Poll::Pending);
        };
        match next.transpose()? {
            Some(batch) if batch.num_rows() > 0 => {
                self.hold(batch)?;
                if self.unheld.is_some() {
                    return Ok(Poll::Pending);
                }
            }
            Some(_) => {}
            None => {
                self.input = None;
                return Ok(Poll::Ready(false));
            }
        }
        Ok(Poll::Ready(true))
    }

    /// Holds a batch, or sets it aside until those that are held have made room for it.
    fn hold(&mut self, batch: RecordBatch) -> Result<()> {
        let (rows, bytes) = (batch.num_rows(), bytes(&batch)?);
        match self.memory.try_grow(bytes) {
            Ok(()) => {}
            Err(_) if !self.queue.is_empty() => {
                self.unheld = Some(batch);
                return Ok(());
            }
            Err(error) => return Err(error),
        }
        let cells = self.lanes.iter().map(|lane| {
            lane.meters.read(rows);
            Cells::new(&lane.call, &batch)
        });
        let cells = cells.collect::<Result<Vec<_>>>()?;
        let held = Held::new(batch, self.rows_read, cells, bytes, self.ordered);
        self.queue.push_back(held);
        self.rows_read += rows as u64;
        Ok(())
    }

    /// Calls for rows until permits, rows or the window run out.
    fn issue(&mut self, lane: usize, cx: &mut Context<'_>) -> Result<()> {
        // A permit may have come back just before the call that waits for one was put there.
        while self.lanes[lane].call.gate.has_next()
            && let Some(permit) = self.lanes[lane].permit(cx)
            && let Some(next) = self.lanes[lane].call.gate.next()
        {
            next.submit(permit).map_err(DataFusionError::IoError)?;
        }
        for index in 0..self.queue.len() {
            while self.queue[index].cells[lane].issued < self.queue[index].len() {
                let room = self.window.room(self.lanes[lane].issued);
                let issued = match self.queue[index].cells[lane].made {
                    _ if room == 0 => 0,
                    Made::Async { .. } => self.issue_row(lane, index, cx)?,
                    Made::Sync(_) => self.issue_chunk(lane, index, room, cx)?,
                };
                if issued == 0 {
                    return Ok(());
                }
                self.lanes[lane].issued += issued as u64;
            }
        }
        Ok(())
    }

    fn issue_row(&mut self, lane: usize, index: usize, cx: &mut Context<'_>) -> Result<usize> {
        let batch = self.front + index as u64;
        let cells = &mut self.queue[index].cells[lane];
        let row = cells.issued;
        let finished = move |result: Result<usize, Failure>| Done {
            lane,
            batch,
            start: row,
            rows: 1,
            result: result.map(Cell::Kept),
        };
        if cells.is_skipped(row) {
            cells.issued += 1;
            self.queue[index].settle(lane, row, 1, None);
            return Ok(1);
        }
        let Made::Async { rows, .. } = &cells.made else {
            return Ok(0);
        };
        let rows = Arc::clone(rows);
        let Some(permit) = self.lanes[lane].permit(cx) else {
            return Ok(0);
        };
        cells.issued += 1;
        let (gate, meters) = (&self.lanes[lane].call.gate, &self.lanes[lane].meters);
        meters.began(gate.in_flight());
        meters.called(1);
        let call = std::panic::AssertUnwindSafe(rows.call(row)).catch_unwind();
        let mut call = call
            .map(move |result| result.unwrap_or_else(|panic| Err(panicked(Some(row), &*panic))));
        // A call that is ready at once costs no task.
        if let Poll::Ready(result) = call.poll_unpin(cx) {
            match &result {
                Ok(_) => drop(permit),
                Err(_) => gate.failed(permit),
            }
            self.settle(finished(result))?;
            return Ok(1);
        }
        let (gate, meters) = (Arc::clone(gate), meters.clone());
        self.spawned = true;
        let began = Instant::now();
        self.tasks.spawn(async move {
            let result = call.await;
            let lap = Lap {
                waiting: began.elapsed(),
                ..Lap::default()
            };
            meters.took(lap);
            match &result {
                Ok(_) => drop(gate.ended(permit, lap)),
                Err(_) => gate.failed(permit),
            }
            finished(result)
        });
        Ok(1)
    }

    fn issue_chunk(
        &mut self,
        lane: usize,
        index: usize,
        room: usize,
        cx: &mut Context<'_>,
    ) -> Result<usize> {
        let node = Arc::clone(&self.lanes[lane].call.bound);
        let (Call::Rows(kernel) | Call::Batch(kernel)) = node.node.call() else {
            return Ok(0);
        };
        let start = self.queue[index].cells[lane].issued;
        let left = (self.queue[index].len() - start).min(room);
        let gate = Arc::clone(&self.lanes[lane].call.gate);
        let is_trivial = gate.is_trivial(node.node.call(), left);
        let permit = match is_trivial {
            true => None,
            false => self.lanes[lane].permit(cx),
        };
        let ahead = Arc::clone(&self.lanes[lane].ahead);
        if !is_trivial && permit.is_none() && !gate.has_room(&ahead) {
            return Ok(0);
        }
        let rows = match is_trivial {
            true => left,
            false => {
                let is_followed = self.input.is_some() || self.queue.len() > gate.limit();
                let units = match (start, is_followed) {
                    (0, true) => FOLLOWED,
                    (0, false) => ALONE,
                    _ => 0,
                };
                gate.chunk(node.node.call(), left, units)
            }
        };
        let cells = &mut self.queue[index].cells[lane];
        let work = Work {
            kernel: Arc::clone(kernel),
            is_batch: matches!(node.node.call(), Call::Batch(_)),
            arrays: cells.arrays.clone(),
            skipped: cells.skipped.clone(),
            rows: start..start + rows,
            bound: node,
            gate: Arc::clone(&gate),
            meters: self.lanes[lane].meters.clone(),
        };
        let place = Place {
            lane,
            batch: self.front + index as u64,
        };
        if is_trivial {
            let result = work.in_place();
            let done = work.done(&result);
            cells.issued += done.len();
            self.settle(place.done(&done, result))?;
            return Ok(done.len());
        }
        cells.issued += rows;
        let issued = Issued {
            work,
            place,
            sender: self.sender.clone(),
            cancelled: Arc::clone(&self.cancelled),
            runtime: Arc::clone(&self.runtime),
            tokio: Handle::try_current().ok(),
        };
        match permit {
            Some(permit) => issued.submit(permit).map_err(DataFusionError::IoError)?,
            None => gate.wait(issued, ahead),
        }
        Ok(rows)
    }

    /// What can be emitted, of the first batch if rows are to keep their order; if `whole`, only
    /// the last part of a batch.
    fn take_front(&mut self, whole: bool) -> Result<Option<RecordBatch>> {
        let open = if self.ordered { 1 } else { self.queue.len() };
        let found = self.queue.iter().take(open).position(|held| {
            let ready = held.ready();
            ready > 0 && (!whole || held.emitted + ready == held.len())
        });
        let Some(held) = found.and_then(|index| self.queue.get_mut(index)) else {
            return Ok(None);
        };
        let calls = self.lanes.iter().map(|lane| &lane.call);
        let batch = held.take(calls, &self.schema)?;
        self.emitted += batch.num_rows() as u64;
        if held.emitted == held.len() {
            self.memory.shrink(held.release());
        }
        while let Some(held) = self.queue.front()
            && held.emitted == held.len()
        {
            self.queue.pop_front();
            self.front += 1;
        }
        Ok(Some(batch))
    }

    /// Stops all calls: nothing more will be emitted.
    fn stop(&mut self) {
        self.has_ended = true;
        self.input = None;
        self.unheld = None;
        self.queue.clear();
        self.tasks.abort_all();
        self.cancel();
        self.memory.free();
    }

    /// Lets go of calls that were issued and have not begun.
    fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
        self.lanes
            .iter()
            .for_each(|lane| lane.call.gate.drop_cancelled());
    }
}

impl Stream for NodeStream {
    type Item = Result<RecordBatch>;

    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        if self.has_ended {
            return Poll::Ready(None);
        }
        let next = ready!(self.poll_step(cx));
        self.lanes.iter_mut().for_each(Lane::leave_queue);
        if matches!(next, Some(Err(_)) | None) {
            self.stop();
        }
        Poll::Ready(next)
    }
}

impl Drop for NodeStream {
    fn drop(&mut self) {
        self.cancel();
    }
}

impl RecordBatchStream for NodeStream {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
