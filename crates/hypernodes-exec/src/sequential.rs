//! The oracle: one row, one node at a time.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, new_empty_array, new_null_array};
use arrow::compute::concat;
use arrow::datatypes::{Field, Schema};
use hypernodes_graph::{BoxFuture, Call, Engine, Error, ErrorKind, Pipeline, Result};
use hypernodes_plan::BoundNode;

use crate::call::{call, conformed, failed, panicked, skipped};

/// Runs each row through the whole pipeline before the next, on the caller's thread, without
/// DataFusion and without a pool. For debugging, and what every other engine is tested against.
#[derive(Debug, Default, Clone, Copy)]
pub struct SequentialEngine;

impl Engine for SequentialEngine {
    /// Fails with the first failing row's error, at its first failing node.
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        Box::pin(map(pipeline, columns))
    }
}

async fn map(pipeline: &Pipeline, inputs: RecordBatch) -> Result<RecordBatch> {
    let rows = inputs.num_rows();
    let schema = inputs.schema();
    let nodes = pipeline.nodes().iter();
    let nodes = nodes.map(|node| BoundNode::of(pipeline, node));
    let nodes = nodes.collect::<Result<Vec<_>>>()?;
    let count = pipeline.outputs().count();
    let mut outputs = vec![Vec::with_capacity(rows); count];
    for row in 0..rows {
        let mut values = BTreeMap::new();
        for (field, array) in std::iter::zip(schema.fields(), inputs.columns()) {
            values.insert(field.name().as_str(), array.slice(row, 1));
        }
        let mut columns = outputs.iter_mut();
        for bound in &nodes {
            let made = one(bound, &values, row as u64).await?;
            let made = bound.node.columns(&made);
            for (output, value) in std::iter::zip(bound.node.outputs(), made) {
                values.insert(&output.name, Arc::clone(&value));
                columns
                    .next()
                    .into_iter()
                    .for_each(|column| column.push(Arc::clone(&value)));
            }
        }
    }
    let mut columns = Vec::with_capacity(count);
    for (output, values) in std::iter::zip(pipeline.outputs(), &outputs) {
        let values: Vec<_> = values.iter().map(AsRef::as_ref).collect();
        columns.push(match values[..] {
            [] => new_empty_array(&output.data_type),
            _ => concat(&values).map_err(internal)?,
        });
    }
    let fields = pipeline.outputs();
    let fields: Vec<_> = fields
        .map(|output| Field::new(&output.name, output.data_type.clone(), true))
        .collect();
    RecordBatch::try_new(Arc::new(Schema::new(fields)), columns).map_err(internal)
}

async fn one(bound: &BoundNode, values: &BTreeMap<&str, ArrayRef>, row: u64) -> Result<ArrayRef> {
    let arrays = bound.node.parameters().iter().map(|parameter| {
        values.get(parameter.name.as_str()).cloned().ok_or_else(|| {
            let message = format!("input {:?} is missing", parameter.name);
            Error::new(ErrorKind::InvalidInput, message)
        })
    });
    let arrays = arrays.collect::<Result<Vec<_>>>()?;
    let nulls = skipped(&bound.node, &arrays);
    if nulls.is_some_and(|nulls| nulls.is_null(0)) && !matches!(bound.node.call(), Call::Batch(_)) {
        return Ok(new_null_array(&bound.node.data_type(), 1));
    }
    let arrays = conformed(bound, &arrays)?;
    let result = match bound.node.call() {
        Call::Rows(kernel) | Call::Batch(kernel) => {
            call(&**kernel, &arrays, &bound.shared, 1, None)
        }
        Call::Async(kernel) => {
            use futures::FutureExt;
            let rows = kernel.batch(arrays, &bound.shared, 1);
            let calling = Arc::clone(&rows);
            let calling = std::panic::AssertUnwindSafe(async move { calling.call(0).await });
            let result = calling.catch_unwind().await;
            let result = result.unwrap_or_else(|panic| Err(panicked(Some(0), &*panic)));
            result.map(|()| rows.take(0..1))
        }
    };
    result.map_err(|failure| failed(bound, row, failure))
}

fn internal(error: arrow::error::ArrowError) -> Error {
    Error::new(ErrorKind::Internal, "the outputs cannot be put together").with_source(error)
}
