//! A batch that a stream holds, and how far each of its calls has come.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::{concat, concat_batches};
use arrow::datatypes::SchemaRef;
use datafusion_common::Result;
use hypernodes_graph::{AsyncRows, Call};
use hypernodes_plan::{BoundNode, to_datafusion};

use super::physical_call::PhysicalCall;
use crate::call::{failed, skipped};

/// A batch whose rows are not all emitted.
pub(super) struct Held {
    batch: RecordBatch,
    rows: usize,
    /// The ordinal of its first row in the partition's input.
    pub(super) first: u64,
    /// One for each call of the stream.
    pub(super) cells: Vec<Cells>,
    pub(super) emitted: usize,
    /// Where rows are emitted as they are done.
    unordered: Option<Unordered>,
    /// What it was counted as in the memory pool.
    pub(super) bytes: usize,
}

/// What is done of a batch, in whatever order.
struct Unordered {
    /// For each row, the calls that have not done it.
    open: Vec<usize>,
    /// Rows that are done and not emitted.
    ready: Vec<Range<usize>>,
}

/// What one call makes of a held batch.
pub(super) struct Cells {
    pub(super) arrays: Vec<ArrayRef>,
    /// The rows that are not called for are null in it.
    pub(super) skipped: Option<NullBuffer>,
    pub(super) made: Made,
    pub(super) issued: usize,
    /// Rows before this are done.
    pub(super) prefix: usize,
}

/// Where results are kept.
pub(super) enum Made {
    /// With the calls; `done` are the rows that are.
    Async {
        rows: Arc<dyn AsyncRows>,
        done: Vec<bool>,
    },
    /// Here: finished chunks by their first row.
    Sync(BTreeMap<usize, ArrayRef>),
}

impl Cells {
    /// The rows of `batch`, of which nothing is called for yet.
    pub(super) fn new(call: &PhysicalCall, batch: &RecordBatch) -> Result<Self> {
        let (rows, bound) = (batch.num_rows(), &call.bound);
        let (arrays, wanted) = call.arguments(batch)?;
        // A batch function sees the nulls of its arguments: only the guard keeps rows from it.
        let skipped = match bound.node.call() {
            Call::Batch(_) => wanted,
            _ => NullBuffer::union(skipped(&bound.node, &arrays).as_ref(), wanted.as_ref()),
        };
        let made = match bound.node.call() {
            Call::Async(kernel) => Made::Async {
                rows: kernel.batch(arrays.clone(), &bound.shared, rows),
                done: vec![false; rows],
            },
            _ => Made::Sync(BTreeMap::new()),
        };
        Ok(Self {
            arrays,
            skipped,
            made,
            issued: 0,
            prefix: 0,
        })
    }

    pub(super) fn is_skipped(&self, row: usize) -> bool {
        self.skipped
            .as_ref()
            .is_some_and(|nulls| nulls.is_null(row))
    }

    /// Rows that are done, `array` being what a sync call made of them.
    fn settle(&mut self, start: usize, rows: usize, array: Option<ArrayRef>) {
        match (&mut self.made, array) {
            (Made::Async { done, .. }, _) => {
                done[start..start + rows].fill(true);
                while done.get(self.prefix) == Some(&true) {
                    self.prefix += 1;
                }
            }
            (Made::Sync(chunks), Some(array)) => {
                chunks.insert(start, array);
                while let Some(chunk) = chunks.get(&self.prefix) {
                    self.prefix += chunk.len();
                }
            }
            (Made::Sync(_), None) => {}
        }
    }

    /// The results of rows that are done; those before were taken. The batch's first row is
    /// `first`.
    fn take(&mut self, range: Range<usize>, bound: &BoundNode, first: u64) -> Result<ArrayRef> {
        let chunks = match &mut self.made {
            Made::Async { rows, .. } => {
                let made = rows.take(range);
                return made.map_err(|failure| to_datafusion(failed(bound, first, failure)));
            }
            Made::Sync(chunks) => chunks,
        };
        let mut parts = Vec::new();
        let mut start = range.start;
        while start < range.end
            && let Some((&first, _)) = chunks.range(..=start).next_back()
            && let Some(chunk) = chunks.remove(&first)
        {
            let skipped = start - first;
            let length = (chunk.len() - skipped).min(range.end - start);
            if skipped > 0 {
                chunks.insert(first, chunk.slice(0, skipped));
            }
            if skipped + length < chunk.len() {
                let left = chunk.len() - skipped - length;
                chunks.insert(range.end, chunk.slice(skipped + length, left));
            }
            parts.push(chunk.slice(skipped, length));
            start += length;
        }
        if let [only] = &parts[..] {
            return Ok(Arc::clone(only));
        }
        let parts: Vec<&dyn Array> = parts.iter().map(AsRef::as_ref).collect();
        Ok(concat(&parts)?)
    }
}

impl Held {
    pub(super) fn new(
        batch: RecordBatch,
        first: u64,
        cells: Vec<Cells>,
        bytes: usize,
        ordered: bool,
    ) -> Self {
        let rows = batch.num_rows();
        let unordered = || Unordered {
            open: vec![cells.len(); rows],
            ready: Vec::new(),
        };
        let unordered = (!ordered).then(unordered);
        Self {
            batch,
            rows,
            first,
            cells,
            emitted: 0,
            unordered,
            bytes,
        }
    }

    pub(super) fn len(&self) -> usize {
        self.rows
    }

    /// Rows before this are done by every call.
    fn prefix(&self) -> usize {
        let prefixes = self.cells.iter().map(|cells| cells.prefix);
        prefixes.min().unwrap_or(self.rows)
    }

    /// Rows that can be emitted.
    pub(super) fn ready(&self) -> usize {
        match &self.unordered {
            Some(unordered) => unordered.ready.iter().map(Range::len).sum(),
            None => self.prefix() - self.emitted,
        }
    }

    /// Rows that some call was not issued for.
    pub(super) fn waiting(&self) -> usize {
        let issued = self.cells.iter().map(|cells| cells.issued);
        self.rows - issued.min().unwrap_or(self.rows)
    }

    /// Rows that a call has done, `array` being what a sync one made of them.
    pub(super) fn settle(
        &mut self,
        lane: usize,
        start: usize,
        rows: usize,
        array: Option<ArrayRef>,
    ) {
        self.cells[lane].settle(start, rows, array);
        let Some(Unordered { open, ready }) = &mut self.unordered else {
            return;
        };
        for (row, open) in open.iter_mut().enumerate().skip(start).take(rows) {
            *open -= 1;
            if *open > 0 {
                continue;
            }
            match ready.last_mut() {
                Some(last) if last.end == row => last.end += 1,
                _ => ready.push(row..row + 1),
            }
        }
    }

    /// What can be emitted, with its new columns: the completed prefix, or all that is done.
    pub(super) fn take<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a PhysicalCall> + Clone,
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        let prefix = self.emitted..self.prefix();
        let ranges = match &mut self.unordered {
            Some(unordered) => std::mem::take(&mut unordered.ready),
            None => Vec::from([prefix]),
        };
        let mut batches = Vec::with_capacity(ranges.len());
        for range in ranges {
            let passed = self.batch.slice(range.start, range.len());
            let mut columns = passed.columns().to_vec();
            for (call, cells) in std::iter::zip(calls.clone(), &mut self.cells) {
                columns.extend(call.columns(cells.take(range.clone(), &call.bound, self.first)?));
            }
            self.emitted += range.len();
            batches.push(RecordBatch::try_new(Arc::clone(schema), columns)?);
        }
        match &batches[..] {
            [only] => Ok(only.clone()),
            several => Ok(concat_batches(schema, several)?),
        }
    }

    /// Lets go of what it holds, all of which was emitted.
    pub(super) fn release(&mut self) -> usize {
        self.batch = RecordBatch::new_empty(self.batch.schema());
        for cells in &mut self.cells {
            cells.arrays.clear();
            cells.made = Made::Sync(BTreeMap::new());
        }
        std::mem::take(&mut self.bytes)
    }
}

/// What the rows of a batch take, without what their buffers hold beside them.
pub(super) fn bytes(batch: &RecordBatch) -> Result<usize> {
    let sizes = batch.columns().iter().map(array_bytes);
    sizes.sum()
}

/// The same of one array.
pub(super) fn array_bytes(array: &ArrayRef) -> Result<usize> {
    Ok(array.to_data().get_slice_memory_size()?)
}
