//! Nodes as ordinary functions of a session without our rules.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};

use datafusion::arrow::array::{AsArray, Int32Array, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::SessionContext;
use hypernodes::prelude::*;

const ROWS: i32 = 1000;

/// A session of DataFusion's own with `t(x)`: 0..1000 as 32-bit integers, every tenth null.
fn plain() -> SessionContext {
    let x: Int32Array = (0..ROWS).map(|x| (x % 10 != 0).then_some(x)).collect();
    let batch = RecordBatch::try_from_iter_with_nullable([("x", Arc::new(x) as _, true)]);
    let context = SessionContext::new();
    context
        .register_batch("t", batch.expect("a column"))
        .expect("a free name");
    context
}

async fn query(context: &SessionContext, query: &str) -> Result<Vec<Option<i64>>> {
    let collected = async { context.sql(query).await?.collect().await };
    let batches = collected.await.map_err(hypernodes::from_datafusion)?;
    let columns = batches.iter().map(|batch| batch.column(0));
    let values = columns.flat_map(|column| column.as_primitive::<Int64Type>());
    Ok(values.collect())
}

/// Sync, by the batch, async, and nested: all add one.
fn adders() -> Result<[Node; 4]> {
    let next = |x: i64| async move {
        tokio::task::yield_now().await;
        x + 1
    };
    let whole = |x: &datafusion::arrow::array::Int64Array| -> datafusion::arrow::array::Int64Array {
        x.iter().map(|x| x.map(|x| x + 1)).collect()
    };
    let nested = Pipeline::new([Node::map_async("f", ["x"], next)])?.with_name("f");
    Ok([
        Node::map("f", ["x"], |x: i64| x + 1),
        Node::batch("f", ["x"], whole),
        Node::map_async("f", ["x"], next),
        nested.into(),
    ])
}

#[tokio::test]
async fn a_function_of_any_kind_gives_the_rows_of_its_node() -> Result<()> {
    let expected: Vec<Option<i64>> = (0..i64::from(ROWS))
        .map(|x| (x % 10 != 0).then_some(x + 1))
        .collect();
    for node in adders()? {
        let context = plain();
        context.register_udf(node.to_udf()?);
        let mut made = query(&context, "SELECT f(x) FROM t").await?;
        // DataFusion spreads an async function's batches over partitions.
        made.sort_unstable();
        let mut rows = expected.clone();
        rows.sort_unstable();
        assert_eq!(made, rows, "{node:?}");
        let none = query(&context, "SELECT f(x) FROM t WHERE x < 0").await;
        assert_eq!(none?, [], "{node:?}");
    }
    Ok(())
}

#[tokio::test]
async fn rows_of_a_batch_are_in_flight_together_and_bounded() -> Result<()> {
    let (now, peak) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (entered, most) = (Arc::clone(&now), Arc::clone(&peak));
    let slow = move |x: i64| {
        let (now, peak) = (Arc::clone(&entered), Arc::clone(&most));
        async move {
            peak.fetch_max(now.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
            tokio::task::yield_now().await;
            now.fetch_sub(1, Ordering::SeqCst);
            x
        }
    };
    let node = Node::map_async("f", ["x"], slow).with_settings(Settings {
        max_in_flight: Some(7),
        ..Settings::default()
    });
    let context = plain();
    context.register_udf(node.to_udf()?);
    query(&context, "SELECT f(x) FROM t").await?;
    assert_eq!(peak.load(Ordering::SeqCst), 7);
    Ok(())
}

#[tokio::test]
async fn sync_rows_of_a_batch_meet_on_the_pool() -> Result<()> {
    let barrier = Arc::new(Barrier::new(3));
    let meet = move |x: i64| {
        barrier.wait();
        x
    };
    let pool = Arc::new(hypernodes::Pool::new(3));
    let settings = Settings {
        max_workers: Some(3),
        use_batch_udf: Some(false),
        ..Settings::default()
    };
    let runtime = hypernodes::Runtime::on_executor(settings, Arc::clone(&pool) as _)?;
    let context = plain();
    context.register_udf(Node::map("f", ["x"], meet).to_udf_on(&runtime)?);
    let made = query(&context, "SELECT f(x) FROM t WHERE x < 100").await?;
    assert_eq!(made.len(), 90, "called by threes, or it would never end");
    assert_eq!(pool.threads(), 3);
    Ok(())
}

#[tokio::test]
async fn an_error_or_a_panic_comes_back_with_node_and_row() -> Result<()> {
    let odd = |x: i64| match x {
        13 => Err("thirteen".parse::<i64>().expect_err("no number")),
        14 => panic!("fourteen"),
        x => Ok(x),
    };
    let later = move |x: i64| async move { odd(x) };
    for node in [
        Node::map("f", ["x"], odd),
        Node::map_async("f", ["x"], later),
    ] {
        let context = plain();
        context.register_udf(node.to_udf()?);
        let failed = query(&context, "SELECT f(x) FROM t WHERE x < 14").await;
        let error = failed.expect_err("13 fails");
        assert!(error.user_error::<std::num::ParseIntError>().is_some());
        assert_eq!((error.context("node"), error.row()), (Some("f"), Some(11)));
        let failed = query(&context, "SELECT f(x) FROM t WHERE x = 14").await;
        let error = failed.expect_err("14 panics");
        assert_eq!(error.kind(), ErrorKind::NodePanicked);
        assert_eq!(error.row(), Some(0));
    }
    Ok(())
}

#[tokio::test]
async fn planning_calls_nothing_and_types_are_checked() -> Result<()> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let node = Node::map("f", ["x"], move |x: i64| {
        counted.fetch_add(1, Ordering::SeqCst);
        x
    });
    let context = plain();
    context.register_udf(node.to_udf()?);
    let explained = context
        .sql("EXPLAIN SELECT f(5), f(x) FROM t WHERE f(x) > 1")
        .await;
    explained.expect("a plan").collect().await.expect("a text");
    assert_eq!(calls.load(Ordering::SeqCst), 0);
    for node in adders()? {
        context.register_udf(node.to_udf()?);
        for wrong in ["SELECT f('a') FROM t", "SELECT f(x, x) FROM t"] {
            assert!(query(&context, wrong).await.is_err(), "{wrong}: {node:?}");
        }
    }
    Ok(())
}

#[node]
fn scaled(x: i64, #[shared] factor: &i64) -> i64 {
    x * factor
}

#[tokio::test]
async fn a_shared_value_is_bound_in_a_pipeline() -> Result<()> {
    let node = nodes![scaled].remove(0);
    let error = node.to_udf().expect_err("no factor");
    assert!(error.message().contains("\"factor\""), "{error}");
    let bound = Pipeline::new([node])?
        .with_name("scaled")
        .bind_shared("factor", 3_i64)?;
    let context = plain();
    context.register_udf(Node::from(bound).to_udf()?);
    let made = query(&context, "SELECT scaled(x) FROM t WHERE x = 7").await?;
    assert_eq!(made, [Some(21)]);
    Ok(())
}
