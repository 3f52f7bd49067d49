//! One call of a user's function, with its panics and errors named.

use std::any::Any;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::AtomicBool;

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::buffer::NullBuffer;
use futures::FutureExt;
use hypernodes_graph::{
    Columns, Engine, Error, ErrorKind, Failure, Kernel, Node, Pipeline, SharedValue, conform,
    panic_text,
};
use hypernodes_plan::BoundNode;

/// The rows that a strict node is not called for: null in a parameter that is not optional.
pub(crate) fn skipped(node: &Node, arrays: &[ArrayRef]) -> Option<NullBuffer> {
    let strict = std::iter::zip(node.parameters(), arrays)
        .filter(|(parameter, _)| !parameter.optional)
        .map(|(_, array)| array.logical_nulls());
    strict.fold(None, |all, nulls| {
        NullBuffer::union(all.as_ref(), nulls.as_ref())
    })
}

/// The arrays as the node's parameters read them.
pub(crate) fn conformed(bound: &BoundNode, arrays: &[ArrayRef]) -> Result<Vec<ArrayRef>, Error> {
    let parameters = bound.node.parameters();
    std::iter::zip(parameters, arrays)
        .map(|(parameter, array)| {
            conform(array, &parameter.data_type).map_err(|error| {
                let message = format!("argument {:?} cannot be read", parameter.name);
                Error::new(ErrorKind::InvalidInput, message)
                    .with_context("pipeline", &bound.pipeline)
                    .with_context("node", bound.node.name())
                    .with_source(error)
            })
        })
        .collect()
}

/// Calls a sync function, with the shared values it takes; a panic is a failure. Where there is a
/// `stop`, the result may be of the first rows only.
pub(crate) fn call(
    kernel: &dyn Kernel,
    arrays: &[ArrayRef],
    shared: &[SharedValue],
    rows: usize,
    skipped: Option<NullBuffer>,
    stop: Option<&AtomicBool>,
) -> Result<ArrayRef, Failure> {
    let unwanted = rows == skipped.as_ref().map_or(0, NullBuffer::null_count);
    // Nothing is made for rows that are not called for.
    let shared = if unwanted { &[] } else { shared };
    let lent = shared.iter().map(SharedValue::lend);
    let lent = lent
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| Failure {
            row: None,
            error: error.into(),
        })?;
    let columns = Columns::new(arrays, &lent, rows, skipped);
    let columns = match stop {
        Some(stop) => columns.until(stop),
        None => columns,
    };
    catch_unwind(AssertUnwindSafe(|| kernel.call(&columns)))
        .unwrap_or_else(|panic| Err(panicked(Some(columns.current()), &*panic)))
}

/// Runs rows of a nested pipeline on its own engine; a panic is an error.
pub(crate) async fn call_engine(
    engine: &dyn Engine,
    pipeline: &Pipeline,
    columns: RecordBatch,
) -> Result<RecordBatch, Error> {
    let mapped = AssertUnwindSafe(async { engine.map(pipeline, columns).await });
    mapped.catch_unwind().await.unwrap_or_else(|panic| {
        let message = format!("engine {engine:?} {}", panic_text(&*panic));
        let error = Error::new(ErrorKind::NodePanicked, message);
        Err(error.with_context("pipeline", pipeline.name()))
    })
}

/// The failure that a panic is.
pub(crate) fn panicked(row: Option<usize>, panic: &(dyn Any + Send)) -> Failure {
    let error = Error::new(ErrorKind::NodePanicked, panic_text(panic));
    Failure {
        row,
        error: error.into(),
    }
}

/// The error that a failure is, `first` being the ordinal of the call's first row.
pub(crate) fn failed(bound: &BoundNode, first: u64, failure: Failure) -> Error {
    let name = bound.node.name();
    let error = match failure.error.downcast::<Error>() {
        Ok(ours) => ours.about(&format!("node {name:?}")),
        Err(users) => {
            Error::new(ErrorKind::NodeFailed, format!("node {name:?} failed")).with_source(users)
        }
    };
    let error = error
        .with_context("pipeline", &bound.pipeline)
        .with_context("node", name);
    match failure.row {
        Some(row) => error.with_context("row", first + row as u64),
        None => error.with_batch_at(first),
    }
}
