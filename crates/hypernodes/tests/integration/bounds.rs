//! What is held while rows are in flight.

use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::SchemaRef;
use datafusion::catalog::streaming::StreamingTable;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::memory_pool::{GreedyMemoryPool, MemoryPool};
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::execution::{RecordBatchStream, SendableRecordBatchStream, TaskContext};
use datafusion::physical_plan::streaming::PartitionStream;
use datafusion::prelude::SessionContext;
use futures::{Stream, StreamExt};
use hypernodes::prelude::*;
use tokio::sync::Notify;

const BATCH: usize = 10;
const ROWS: usize = 10_000;

/// A table of batches of ten rows that counts the rows it was asked for.
#[derive(Debug, Clone)]
struct Source {
    schema: SchemaRef,
    asked: Arc<AtomicUsize>,
}

impl Source {
    fn new() -> Self {
        let schema = batch(0).schema();
        let asked = Arc::default();
        Self { schema, asked }
    }

    fn frame(&self, context: &SessionContext) -> datafusion::dataframe::DataFrame {
        let partitions: Vec<Arc<dyn PartitionStream>> = vec![Arc::new(self.clone())];
        let table = StreamingTable::try_new(Arc::clone(&self.schema), partitions);
        let table = Arc::new(table.expect("one schema"));
        context.read_table(table).expect("a table")
    }
}

fn in_flight(rows: usize) -> Settings {
    Settings {
        max_in_flight: Some(rows),
        ..Settings::default()
    }
}

fn batch(first: usize) -> RecordBatch {
    let x = Int64Array::from_iter_values((first..first + BATCH).map(|x| x as i64));
    RecordBatch::try_from_iter([("x", Arc::new(x) as _)]).expect("a column")
}

impl PartitionStream for Source {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn execute(&self, _: Arc<TaskContext>) -> SendableRecordBatchStream {
        Box::pin(self.clone())
    }
}

impl Stream for Source {
    type Item = DataFusionResult<RecordBatch>;

    fn poll_next(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Self::Item>> {
        let first = self.asked.fetch_add(BATCH, Ordering::SeqCst);
        Poll::Ready((first < ROWS).then(|| Ok(batch(first))))
    }
}

impl RecordBatchStream for Source {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }
}

#[tokio::test]
async fn a_slow_first_row_does_not_buffer_the_table() -> Result<()> {
    // The most in flight, if nothing is said.
    for (setting, window) in [(Some(50), 50), (None, 1024)] {
        let (source, session) = (Source::new(), Session::new()?);
        let gate = Arc::new(tokio::sync::Semaphore::new(0));
        let wait = Arc::clone(&gate);
        let head = move |x: i64| {
            let wait = Arc::clone(&wait);
            async move {
                if x == 0 {
                    wait.acquire().await.expect("an open gate").forget();
                }
                tokio::task::yield_now().await;
                x
            }
        };
        let node = Node::map_async("y", ["x"], head).with_settings(Settings {
            max_in_flight: setting,
            ..Settings::default()
        });
        let frame = source.frame(&session).apply(&Pipeline::new([node])?)?;
        let mut stream = frame.execute_stream().await.expect("a plan");
        for _ in 0..ROWS {
            assert!(futures::poll!(stream.next()).is_pending());
            tokio::task::yield_now().await;
        }
        let asked = source.asked.load(Ordering::SeqCst);
        assert!(asked <= 4 * window + BATCH, "{asked} rows were read ahead");
        assert!(asked > window.min(256), "the window was filled: {asked}");
        gate.add_permits(1);
        let mut rows = 0;
        while let Some(batch) = stream.next().await {
            rows += batch.expect("no error").num_rows();
        }
        assert_eq!(rows, ROWS);
    }
    Ok(())
}

#[tokio::test]
async fn results_that_wait_for_a_row_before_them_are_taken_from_the_memory_pool() -> Result<()> {
    const WAITING: usize = 99;
    let (pool, head) = (
        Arc::new(GreedyMemoryPool::new(1 << 30)),
        Arc::new(Notify::new()),
    );
    let done = Arc::new(AtomicUsize::new(0));
    let (wait, count) = (Arc::clone(&head), Arc::clone(&done));
    let text = move |x: i64| {
        let (wait, count) = (Arc::clone(&wait), Arc::clone(&count));
        async move {
            match x {
                0 => wait.notified().await,
                _ => tokio::task::yield_now().await,
            }
            count.fetch_add(1, Ordering::SeqCst);
            "x".repeat(10_000)
        }
    };
    let runtime = RuntimeEnvBuilder::new().with_memory_pool(Arc::clone(&pool) as _);
    let state = SessionStateBuilder::new_with_default_features()
        .with_runtime_env(runtime.build_arc().expect("an environment"))
        .with_hypernodes(hypernodes::Runtime::new(in_flight(WAITING + 1))?)
        .build();
    let context = SessionContext::new_with_state(state);
    let pipeline = Pipeline::new([Node::map_async("y", ["x"], text)])?;
    let frame = Source::new().frame(&context).apply(&pipeline)?;
    let mut stream = frame.execute_stream().await.expect("a plan");
    while done.load(Ordering::SeqCst) < WAITING {
        assert!(futures::poll!(stream.next()).is_pending());
        tokio::task::yield_now().await;
    }
    assert!(futures::poll!(stream.next()).is_pending());
    let held = pool.reserved();
    assert!(held >= WAITING * 10_000, "{held} bytes are accounted for");
    head.notify_one();
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.expect("no error").num_rows();
    }
    assert_eq!((rows, pool.reserved()), (ROWS, 0));
    Ok(())
}

#[tokio::test]
async fn what_is_held_is_taken_from_the_memory_pool() -> Result<()> {
    let later = |x: i64| async move {
        tokio::task::yield_now().await;
        x
    };
    for node in [
        Node::map("y", ["x"], |x: i64| x),
        Node::map_async("y", ["x"], later),
    ] {
        let tiny = RuntimeEnvBuilder::new().with_memory_pool(Arc::new(GreedyMemoryPool::new(16)));
        let state = SessionStateBuilder::new_with_default_features()
            .with_runtime_env(tiny.build_arc().expect("an environment"))
            .with_hypernodes(hypernodes::Runtime::new(Settings::default())?)
            .build();
        let source = Source::new();
        let context = SessionContext::new_with_state(state);
        let frame = source.frame(&context).apply(&Pipeline::new([node])?)?;
        let collected = frame.collect().await;
        let error = hypernodes::from_datafusion(collected.expect_err("16 bytes"));
        assert!(error.message().contains("NodeMapExec[y]"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn an_error_in_one_of_several_partitions_is_the_querys() -> Result<()> {
    let failing = |x: i64| {
        if x == 7777 {
            Err(std::fmt::Error)
        } else {
            Ok(x)
        }
    };
    let later = move |x: i64| async move { failing(x) };
    for node in [
        Node::map("y", ["x"], failing),
        Node::map_async("y", ["x"], later),
    ] {
        let config = datafusion::prelude::SessionConfig::new().with_target_partitions(4);
        let session = Session::with_config(config, Settings::default())?;
        let source = Source::new();
        let view = source.frame(&session).into_view();
        session.register_table("t", view).expect("a free name");
        let pipeline = Pipeline::new([node])?;
        session.register_pipeline("v", &pipeline, "t").await?;
        // The aggregate spreads its input over partitions, in tasks of their own.
        let query = "SELECT y % 10, count(*) FROM v GROUP BY 1";
        let collected = session.sql(query).await?.collect().await;
        let error = hypernodes::from_datafusion(collected.expect_err("7777 fails"));
        assert_eq!(error.user_error(), Some(&std::fmt::Error));
        assert_eq!(error.context("node"), Some("y"));
    }
    Ok(())
}
