//! A pipeline over columns in memory.

use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use datafusion_common::{DFSchema, Result};
use datafusion_execution::SendableRecordBatchStream;
use datafusion_execution::memory_pool::MemoryPool;
use datafusion_expr::Expr;
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, Literal};
use datafusion_physical_plan::coop::make_cooperative;
use datafusion_physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::{StreamExt, stream};
use hypernodes_graph::{Error, ErrorKind, Pipeline};
use hypernodes_plan::{resolve, to_datafusion};

use crate::nested::{Scope, steer};
use crate::node_map::{Setting, run};
use crate::runtime::Runtime;

/// The outputs of `pipeline` for these rows, in their order whatever settings say, as its nodes
/// make them.
///
/// There is nothing to optimise where every output of every row is asked for, so the operators are
/// put together without a plan. The nodes see batches of at most `batch_size` rows, and `pool` is
/// told of what is held. Dropping the stream stops the calls.
///
/// # Errors
/// Before the first call, as for [`hypernodes_plan::apply`].
pub fn run_pipeline(
    pipeline: &Pipeline,
    columns: &RecordBatch,
    batch_size: usize,
    runtime: &Arc<Runtime>,
    pool: &Arc<dyn MemoryPool>,
) -> Result<SendableRecordBatchStream> {
    let schema = DFSchema::try_from(columns.schema())?;
    let mut scope = Scope::new();
    for (name, expr) in resolve(&schema, pipeline).map_err(to_datafusion)? {
        let physical: Arc<dyn PhysicalExpr> = match expr {
            Expr::Literal(value, _) => Arc::new(Literal::new(value)),
            Expr::Column(column) => {
                Arc::new(Column::new(&column.name, schema.index_of_column(&column)?))
            }
            other => {
                let message = format!("input {name:?} is {other}");
                return Err(to_datafusion(Error::new(ErrorKind::Internal, message)));
            }
        };
        scope.insert(name, physical);
    }
    let (calls, outputs) = steer(pipeline, columns.schema(), scope, runtime)?;
    let batches: Vec<_> = (0..columns.num_rows())
        .step_by(batch_size.max(1))
        .map(|first| Ok(columns.slice(first, batch_size.min(columns.num_rows() - first))))
        .collect();
    let batches = RecordBatchStreamAdapter::new(columns.schema(), stream::iter(batches));
    let setting = Setting {
        runtime,
        pool,
        metrics: &ExecutionPlanMetricsSet::new(),
        partition: 0,
        row_goal: None,
        ordered: true,
    };
    // Calls in place are interrupted, as those of a plan are.
    let batches = make_cooperative(Box::pin(batches));
    let made = run(batches, &calls, &setting);
    let schema = pipeline.output_schema();
    let named = Arc::clone(&schema);
    let made = made.map(move |batch| {
        let batch = batch?;
        let columns = outputs
            .iter()
            .map(|column| Arc::clone(batch.column(*column)));
        let columns: Vec<ArrayRef> = columns.collect();
        let options = RecordBatchOptions::new().with_row_count(Some(batch.num_rows()));
        let schema = Arc::clone(&named);
        Ok(RecordBatch::try_new_with_options(
            schema, columns, &options,
        )?)
    });
    Ok(Box::pin(RecordBatchStreamAdapter::new(schema, made)))
}
