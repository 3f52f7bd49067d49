//! The oracle: one row, one node at a time.

use std::collections::BTreeMap;
use std::panic::AssertUnwindSafe;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, RecordBatch, RecordBatchOptions, new_empty_array, new_null_array,
};
use arrow::compute::{cast, concat};
use arrow::datatypes::{DataType, Field, Schema};
use futures::FutureExt;
use hypernodes_graph::{
    BoxFuture, Call, Engine, Error, ErrorKind, Failure, Nested, Node, Pipeline, Result,
};
use hypernodes_plan::BoundNode;
use tokio::task::yield_now;

use crate::call::{call, call_engine, conformed, failed, panicked, skipped};
use crate::nested::{flatten, lengths, regroup};

/// Runs each row through the whole pipeline before the next, on the caller's thread, without
/// DataFusion and without a pool. For debugging, and what every other engine is tested against.
///
/// Dual nodes run by their singular functions, batch functions for a row at a time. A nested
/// pipeline with an engine of its own runs on that, a row at a time. Settings change nothing.
/// Dropping the future stops the run at the next row.
///
/// ```
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch};
/// use hypernodes_exec::SequentialEngine;
/// use hypernodes_graph::{Engine, Node, Outputs, Pipeline};
/// use std::sync::Arc;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| x + 1)])?;
/// let x: ArrayRef = Arc::new(Int64Array::from(vec![Some(1), None]));
/// let made = SequentialEngine.map(&pipeline, RecordBatch::try_from_iter([("x", x)])?).await?;
/// assert_eq!(Outputs::from(made).column::<Option<i64>>("y")?, [Some(2), None]);
/// # Ok(())
/// # }
/// ```
#[derive(Debug, Default, Clone, Copy)]
pub struct SequentialEngine;

impl Engine for SequentialEngine {
    /// Fails with the first failing row's error, at its first failing node.
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        Box::pin(async move { rows(&pipeline.clone().singular(), &columns, 0).await })
    }
}

/// The values of one row, each an array of one row.
type Values = BTreeMap<String, ArrayRef>;

/// The outputs for these rows, one row after the other; `first` is the ordinal of the first.
///
/// Between two rows it is pending once, so that it can be stopped there.
pub(crate) async fn rows(
    pipeline: &Pipeline,
    columns: &RecordBatch,
    first: u64,
) -> Result<RecordBatch> {
    let schema = pipeline.output_schema();
    let rows = columns.num_rows();
    let mut made = vec![Vec::with_capacity(rows); schema.fields().len()];
    for row in 0..rows {
        if row > 0 {
            yield_now().await;
        }
        let given = columns.schema_ref().fields().iter();
        let given = std::iter::zip(given, columns.columns());
        let given = given.map(|(field, column)| (field.name().clone(), column.slice(row, 1)));
        let values = run(pipeline, given.collect(), first + row as u64).await?;
        std::iter::zip(&mut made, values).for_each(|(made, value)| made.push(value));
    }
    let columns = std::iter::zip(made, schema.fields());
    let columns = columns.map(|(values, field)| whole(&values, field.data_type()));
    let columns = columns.collect::<Result<_>>()?;
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(schema, columns, &options).map_err(internal)
}

/// The arrays one after the other.
fn whole(values: &[ArrayRef], data_type: &DataType) -> Result<ArrayRef> {
    let values: Vec<&dyn Array> = values.iter().map(AsRef::as_ref).collect();
    match values[..] {
        [] => Ok(new_empty_array(data_type)),
        _ => concat(&values).map_err(internal),
    }
}

/// The outputs of the pipeline for one row.
async fn run(pipeline: &Pipeline, mut values: Values, row: u64) -> Result<Vec<ArrayRef>> {
    for input in pipeline.inputs() {
        // As on a table: what is bound goes before a column, a column before a default.
        if let Some(bound) = pipeline.bound_item(&input.name) {
            values.insert(input.name.clone(), Arc::clone(bound));
        } else if let (Some(default), false) = (&input.default, values.contains_key(&input.name)) {
            values.insert(input.name.clone(), Arc::clone(default));
        }
    }
    for node in pipeline.nodes() {
        let made = match node.call() {
            Call::Nested(nested) => run_nested(pipeline, node, nested, &values, row).await?,
            _ => run_node(pipeline, node, &values, row).await?,
        };
        let names = node.outputs().iter().map(|output| output.name.clone());
        values.extend(std::iter::zip(names, made));
    }
    let outputs = pipeline.outputs();
    outputs.map(|output| read(&values, &output.name)).collect()
}

fn read(values: &Values, name: &str) -> Result<ArrayRef> {
    values.get(name).cloned().ok_or_else(|| {
        let message = format!("{name:?} is neither made nor given");
        Error::new(ErrorKind::InvalidInput, message)
    })
}

fn arguments(node: &Node, values: &Values) -> Result<Vec<ArrayRef>> {
    let parameters = node.parameters().iter();
    parameters
        .map(|parameter| read(values, &parameter.name))
        .collect()
}

async fn run_node(
    pipeline: &Pipeline,
    node: &Node,
    values: &Values,
    row: u64,
) -> Result<Vec<ArrayRef>> {
    let bound = BoundNode::of(pipeline, node)?;
    let arrays = arguments(node, values)?;
    if skipped(node, &arrays).is_some_and(|nulls| nulls.is_null(0)) {
        return Ok(node.columns(&new_null_array(&node.data_type(), 1)));
    }
    let arrays = conformed(&bound, &arrays)?;
    let made = one(&bound, arrays).await;
    let made = made.map_err(|failure| failed(&bound, row, failure))?;
    Ok(node.columns(&made))
}

async fn one(bound: &BoundNode, arrays: Vec<ArrayRef>) -> Result<ArrayRef, Failure> {
    // Made here, where a constructor may be awaited, before a function that cannot asks for it.
    for shared in bound.shared.iter().filter(|shared| !shared.is_per_worker()) {
        shared.get().await.map_err(|error| Failure {
            row: None,
            error: error.into(),
        })?;
    }
    match bound.node.call() {
        Call::Rows(kernel) | Call::Batch(kernel) => {
            call(&**kernel, &arrays, &bound.shared, 1, None, None)
        }
        Call::Async(kernel) => {
            let rows = kernel.batch(arrays, &bound.shared, 1);
            let calling = Arc::clone(&rows);
            let calling = AssertUnwindSafe(async move { calling.call(0).await });
            let result = calling.catch_unwind().await;
            let result = result.unwrap_or_else(|panic| Err(panicked(Some(0), &*panic)));
            result.and_then(|_| rows.take(0..1))
        }
        Call::Nested(_) => Err(Failure {
            row: None,
            error: Error::new(ErrorKind::Internal, "a nested pipeline is no function").into(),
        }),
    }
}

/// Runs a nested pipeline for one row: once, or for each item of its lists.
fn run_nested<'a>(
    pipeline: &'a Pipeline,
    node: &'a Node,
    nested: &'a Nested,
    values: &'a Values,
    row: u64,
) -> BoxFuture<'a, Result<Vec<ArrayRef>>> {
    Box::pin(async move {
        let bound = BoundNode::of(pipeline, node)?;
        let arrays = conformed(&bound, &arguments(node, values)?)?;
        let names: Vec<&str> = node
            .parameters()
            .iter()
            .map(|known| known.name.as_str())
            .collect();
        let failing = |failure| failed(&bound, row, failure);
        let lengths = lengths(nested, &names, &arrays, 1, None).map_err(failing)?;
        let flat = flatten(nested, &arrays, lengths).map_err(failing)?;
        let outputs = nested.pipeline.outputs();
        let mut made: Vec<Vec<ArrayRef>> = vec![Vec::new(); outputs.len()];
        for item in 0..flat.rows {
            if item > 0 {
                yield_now().await;
            }
            let given = std::iter::zip(&nested.inputs, &flat.columns);
            let given = given.map(|((name, _), column)| (name.clone(), column.slice(item, 1)));
            let given: Values = given.collect();
            let run = match nested.pipeline.engine() {
                Some(engine) => run_on(engine.as_ref(), &nested.pipeline, given, row).boxed(),
                None => run(&nested.pipeline, given, row).boxed(),
            };
            let values = run.await.map_err(|error| match nested.mode {
                Some(_) => error.with_context("item", item),
                None => error,
            })?;
            std::iter::zip(&mut made, values).for_each(|(made, value)| made.push(value));
        }
        let made = std::iter::zip(made, outputs);
        let made = made.map(|(values, output)| {
            let values = whole(&values, &output.data_type)?;
            regroup(nested.mode.is_some(), &flat.lengths, values).map_err(internal)
        });
        made.collect()
    })
}

/// One row on another engine.
async fn run_on(
    engine: &dyn Engine,
    pipeline: &Pipeline,
    values: Values,
    row: u64,
) -> Result<Vec<ArrayRef>> {
    let (mut fields, mut columns) = (Vec::new(), Vec::new());
    for input in pipeline.inputs() {
        if let Some(value) = values.get(&input.name) {
            let field = Field::new(&input.name, input.data_type.clone(), true);
            columns.push(cast(value, field.data_type()).map_err(internal)?);
            fields.push(field);
        }
    }
    let options = RecordBatchOptions::new().with_row_count(Some(1));
    let schema = Arc::new(Schema::new(fields));
    let batch = RecordBatch::try_new_with_options(schema, columns, &options);
    let batch = batch.map_err(internal)?;
    let made = call_engine(engine, pipeline, batch).await;
    let made = made.map_err(|error| match error.first_row() {
        Some(_) => error.with_row(row),
        None => error,
    })?;
    Ok(made.columns().to_vec())
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "the outputs cannot be put together").with_source(error)
}
