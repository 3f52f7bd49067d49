//! What a behaviour is shown with: the engines that must share it, and counters of calls.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use futures::future::BoxFuture;
use hypernodes::prelude::*;

/// The engines on which every behaviour is the same.
pub(crate) fn engines() -> Result<[Box<dyn Engine>; 3]> {
    let parallel = ParallelEngine::builder().num_workers(2).build()?;
    Ok([
        Box::new(SequentialEngine),
        Box::new(Session::new()?),
        Box::new(parallel),
    ])
}

/// Counts calls; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<AtomicUsize>);

impl Calls {
    pub(crate) fn tick(&self) {
        self.0.fetch_add(1, Ordering::SeqCst);
    }

    /// The calls since this was last asked.
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

/// A user's own engine: it counts what it is given, and has it run one row at a time.
#[derive(Debug, Clone, Default)]
pub(crate) struct CountingEngine {
    pub(crate) maps: Calls,
}

impl Engine for CountingEngine {
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        self.maps.tick();
        SequentialEngine.map(pipeline, columns)
    }
}

/// What a query gives, its batches as one.
pub(crate) async fn query(session: &Session, query: &str) -> Result<Outputs> {
    let frame = session.sql(query).await?;
    let schema = Arc::clone(frame.schema().inner());
    let batches = frame.collect().await.map_err(hypernodes::from_datafusion)?;
    let whole = concat_batches(&schema, &batches);
    Ok(whole.expect("batches of one schema").into())
}

/// The message of a failure.
pub(crate) fn message<T: std::fmt::Debug>(result: Result<T>) -> String {
    result.expect_err("a failure").message().to_owned()
}

/// The names of a result's columns, in their order.
pub(crate) fn columns(outputs: &Outputs) -> Vec<String> {
    let schema = outputs.batch().schema();
    schema
        .fields()
        .iter()
        .map(|field| field.name().clone())
        .collect()
}

/// A pipeline of `doubled` and `plus` from `x`, whose calls are counted in this order.
pub(crate) fn chain() -> Result<(Pipeline, [Calls; 2])> {
    let calls = [Calls::default(), Calls::default()];
    let [first, second] = calls.clone();
    let pipeline = Pipeline::new([
        Node::map("doubled", ["x"], move |x: i64| {
            first.tick();
            2 * x
        }),
        Node::map("plus", ["doubled", "k"], move |doubled: i64, k: i64| {
            second.tick();
            doubled + k
        }),
    ])?;
    Ok((pipeline, calls))
}
