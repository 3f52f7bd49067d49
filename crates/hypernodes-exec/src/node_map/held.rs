//! A batch that a stream holds, and how far each of its calls has come.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use arrow::compute::concat;
use arrow::datatypes::SchemaRef;
use datafusion_common::Result;
use hypernodes_graph::{AsyncRows, Call};
use hypernodes_plan::{BoundNode, to_datafusion};

use super::physical_call::PhysicalCall;
use crate::call::{failed, skipped};

/// A batch whose rows are not all emitted.
pub(super) struct Held {
    pub(super) batch: RecordBatch,
    /// The ordinal of its first row in the partition's input.
    pub(super) first: u64,
    /// One for each call of the stream.
    pub(super) cells: Vec<Cells>,
    pub(super) emitted: usize,
    /// What it was counted as in the memory pool.
    pub(super) bytes: usize,
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
    pub(super) fn settle(&mut self, start: usize, rows: usize, array: Option<ArrayRef>) {
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
    fn take(
        &mut self,
        range: std::ops::Range<usize>,
        bound: &BoundNode,
        first: u64,
    ) -> Result<ArrayRef> {
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
            && let Some(chunk) = chunks.remove(&start)
        {
            let (length, wanted) = (chunk.len(), range.end - start);
            if wanted < length {
                chunks.insert(range.end, chunk.slice(wanted, length - wanted));
                parts.push(chunk.slice(0, wanted));
            } else {
                parts.push(chunk);
            }
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
    pub(super) fn len(&self) -> usize {
        self.batch.num_rows()
    }

    /// Rows before this are done by every call.
    pub(super) fn prefix(&self) -> usize {
        let prefixes = self.cells.iter().map(|cells| cells.prefix);
        prefixes.min().unwrap_or_else(|| self.len())
    }

    /// Rows that some call was not issued for.
    pub(super) fn waiting(&self) -> usize {
        let issued = self.cells.iter().map(|cells| cells.issued);
        self.len() - issued.min().unwrap_or_else(|| self.len())
    }

    /// The completed prefix that was not emitted, with its new columns.
    pub(super) fn take<'a>(
        &mut self,
        calls: impl Iterator<Item = &'a PhysicalCall>,
        schema: &SchemaRef,
    ) -> Result<RecordBatch> {
        let range = self.emitted..self.prefix();
        let passed = self.batch.slice(range.start, range.len());
        let mut columns = passed.columns().to_vec();
        for (call, cells) in std::iter::zip(calls, &mut self.cells) {
            columns.extend(call.columns(cells.take(range.clone(), &call.bound, self.first)?));
        }
        self.emitted = range.end;
        Ok(RecordBatch::try_new(Arc::clone(schema), columns)?)
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
