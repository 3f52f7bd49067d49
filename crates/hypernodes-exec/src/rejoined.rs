//! Outer rows that wait for what was made of inner ones.
//!
//! Rows are held at one end of a stream, something else (their items, their distinct arguments)
//! passes through operators, and at the other end the rows take what came of it.

use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use datafusion_common::Result;
use datafusion_execution::{RecordBatchStream, SendableRecordBatchStream};
use futures::{Stream, StreamExt};
use hypernodes_graph::Error;
use hypernodes_plan::{from_datafusion, to_datafusion};

/// The rows that are held, and what has come for them.
pub(crate) trait Rejoin: Send + Unpin {
    /// More of the inner rows, in their order.
    ///
    /// # Errors
    /// If what is kept of them finds no memory.
    fn arrive(&mut self, batch: RecordBatch) -> Result<()>;

    /// The first rows for which all has come: of a group that is held together, its last, unless
    /// any are to be given.
    fn take_front(&mut self, any: bool) -> Result<Option<RecordBatch>>;

    /// The error of an inner row, told by the row that is held.
    fn located(&self, error: Error) -> Error;

    /// Lets go of all rows: nothing more will be taken.
    fn clear(&mut self);
}

/// The rows of one partition, in their order.
pub(crate) struct Rejoined<R> {
    schema: SchemaRef,
    /// What is made of the inner rows.
    made: Option<SendableRecordBatchStream>,
    rows: R,
}

impl<R: Rejoin> Rejoined<R> {
    pub(crate) fn new(schema: SchemaRef, made: SendableRecordBatchStream, rows: R) -> Self {
        let made = Some(made);
        Self { schema, made, rows }
    }
}

impl<R: Rejoin> Stream for Rejoined<R> {
    type Item = Result<RecordBatch>;

    /// Whole groups first; when nothing more can be done, what is complete of the first, so that
    /// the next stage starts.
    fn poll_next(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        loop {
            if let Some(batch) = self.rows.take_front(false)? {
                return Poll::Ready(Some(Ok(batch)));
            }
            let Some(made) = &mut self.made else {
                return Poll::Ready(self.rows.take_front(true).transpose());
            };
            match made.poll_next_unpin(cx) {
                Poll::Ready(Some(Ok(batch))) => self.rows.arrive(batch)?,
                Poll::Ready(Some(Err(error))) => {
                    let error = self.rows.located(from_datafusion(error));
                    self.made = None;
                    self.rows.clear();
                    return Poll::Ready(Some(Err(to_datafusion(error))));
                }
                Poll::Ready(None) => self.made = None,
                Poll::Pending => {
                    return match self.rows.take_front(true)? {
                        Some(batch) => Poll::Ready(Some(Ok(batch))),
                        None => Poll::Pending,
                    };
                }
            }
        }
    }
}

impl<R: Rejoin> RecordBatchStream for Rejoined<R> {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}
