//! Errors and panics of users' functions, and what stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::Int64Array;
use datafusion::prelude::SessionContext;
use futures::StreamExt;
use hypernodes::prelude::*;

#[derive(Debug, PartialEq)]
struct Odd(i64);

impl std::fmt::Display for Odd {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} is odd", self.0)
    }
}

impl std::error::Error for Odd {}

fn numbers() -> [i64; 10] {
    [0, 2, 4, 6, 8, 10, 12, 13, 14, 16]
}

fn halving() -> Result<[Pipeline; 2]> {
    let half = |x: i64| if x % 2 == 0 { Ok(x / 2) } else { Err(Odd(x)) };
    let later = move |x: i64| async move {
        tokio::task::yield_now().await;
        half(x)
    };
    Ok([
        Pipeline::new([Node::map("half", ["x"], half)])?.with_name("halving"),
        Pipeline::new([Node::map_async("half", ["x"], later)])?.with_name("halving"),
    ])
}

/// The error of mapping the numbers, which every engine finds at row 7 of `node`.
async fn check(pipeline: &Pipeline, node: &str, judge: impl Fn(&Error)) -> Result<()> {
    for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
        let inputs = inputs! { x: numbers() };
        let mapped = pipeline.map(inputs).over("x").on(engine).await;
        let error = mapped.expect_err("13 fails");
        assert_eq!(error.context("node"), Some(node), "{engine:?}");
        assert_eq!(error.row(), Some(7), "{engine:?}");
        judge(&error);
    }
    Ok(())
}

#[tokio::test]
async fn a_users_error_comes_back_as_itself_with_node_and_row() -> Result<()> {
    for pipeline in halving()? {
        check(&pipeline, "half", |error| {
            assert_eq!(error.user_error::<Odd>(), Some(&Odd(13)));
            assert_eq!(error.context("pipeline"), Some("halving"));
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_users_error_crosses_sql_and_a_join() -> Result<()> {
    for pipeline in halving()? {
        let session = Session::new()?;
        let x = Pipeline::new([Node::map("x", ["n"], |n: i64| n)])?;
        session.register("t", x.map(inputs! { n: numbers() }).over("n").await?)?;
        session.register_pipeline("v", &pipeline, "t").await?;
        let query = "SELECT v.half FROM v JOIN t ON v.half = t.x ORDER BY 1";
        let collected = session.sql(query).await?.collect().await;
        let error = hypernodes::from_datafusion(collected.expect_err("13 is odd"));
        assert_eq!(error.user_error::<Odd>(), Some(&Odd(13)));
        assert_eq!(error.row(), Some(7));
    }
    Ok(())
}

/// Of a query's error, people print the outermost alone.
#[tokio::test]
async fn the_text_of_a_querys_error_tells_what_the_function_said() -> Result<()> {
    let half = |x: i64| if x % 2 == 0 { Ok(x / 2) } else { Err(Odd(x)) };
    let safe = |x: i64| {
        assert!(x != 13, "thirteen");
        x
    };
    let later = move |x: i64| async move { half(x) };
    let (ours, plain) = (Session::new()?, SessionContext::new().with_hypernodes()?);
    for context in [&*ours, &plain] {
        context.register_nodes([
            Node::map("half", ["x"], half),
            Node::map_async("later", ["x"], later),
            Node::map("safe", ["x"], safe),
        ])?;
        let failed = |node: &str| {
            format!("node {node:?} failed (pipeline: sql, node: {node}, row: 12): 13 is odd")
        };
        let panicked = "node \"safe\": panicked: thirteen (pipeline: sql, node: safe, row: 12)";
        for (node, wanted) in [
            ("half", failed("half")),
            ("later", failed("later")),
            ("safe", panicked.to_owned()),
        ] {
            // The others are even or call nothing.
            let query = format!(
                "SELECT {node}(CASE WHEN x = 13 THEN x ELSE 2 END) FROM (SELECT value AS x FROM generate_series(1, 20))"
            );
            let frame = context.sql(&query).await.expect("a plan");
            let error = frame.collect().await.expect_err("13 fails");
            assert_eq!(error.to_string(), format!("External error: {wanted}"));
            // As itself, it leaves that to the chain of its sources.
            let error = hypernodes::from_datafusion(error);
            assert!(!error.to_string().contains("is odd"), "{error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_panic_is_an_error_that_names_node_and_row() -> Result<()> {
    let explode = |x: i64| {
        assert!(x != 13, "thirteen");
        x
    };
    let later = move |x: i64| async move {
        tokio::task::yield_now().await;
        explode(x)
    };
    for node in [
        Node::map("safe", ["x"], explode),
        Node::map_async("safe", ["x"], later),
    ] {
        check(&Pipeline::new([node])?, "safe", |error| {
            assert_eq!(error.kind(), ErrorKind::NodePanicked);
            assert!(error.message().contains("thirteen"), "{error}");
        })
        .await?;
    }
    Ok(())
}

#[tokio::test]
async fn u08_a_batch_function_must_return_a_row_for_each() -> Result<()> {
    let short = Node::batch("short", ["x"], |x: &Int64Array| -> Int64Array {
        x.slice(0, x.len() - 1)
    });
    let x = (0..5).collect::<Vec<i64>>();
    let mapped = Pipeline::new([short])?
        .map(inputs! { x: x })
        .over("x")
        .await;
    let error = mapped.expect_err("4 rows for 5");
    assert_eq!(error.context("node"), Some("short"));
    assert!(error.message().contains("4 rows for 5"), "{error}");
    Ok(())
}

/// Row 3 fails; of a thousand, how many are called for.
async fn calls_until_one_fails(node: impl FnOnce(Arc<AtomicUsize>) -> Node) -> Result<usize> {
    let calls = Arc::default();
    let pipeline = Pipeline::new([node(Arc::clone(&calls))])?;
    let x: Vec<i64> = (0..1_000).collect();
    let error = pipeline.map(inputs! { x: x }).over("x").await;
    let error = error.expect_err("row 3 fails");
    assert_eq!((error.row(), error.user_error()), (Some(3), Some(&Odd(3))));
    Ok(calls.load(Ordering::SeqCst))
}

#[tokio::test]
async fn no_call_begins_after_one_that_failed() -> Result<()> {
    let half = |x: i64| if x == 3 { Err(Odd(x)) } else { Ok(x) };
    let one_thread = calls_until_one_fails(|calls| {
        let node = Node::map("y", ["x"], move |x: i64| {
            calls.fetch_add(1, Ordering::SeqCst);
            half(x)
        });
        node.with_settings(Settings {
            max_workers: Some(1),
            use_batch_udf: Some(false),
            ..Settings::default()
        })
    });
    assert_eq!(one_thread.await?, 4, "though more were issued");
    for waits in [false, true] {
        let in_flight = calls_until_one_fails(|calls| {
            let node = Node::map_async("y", ["x"], move |x: i64| {
                calls.fetch_add(1, Ordering::SeqCst);
                async move {
                    if waits {
                        tokio::task::yield_now().await;
                    }
                    half(x)
                }
            });
            node.with_settings(Settings {
                max_in_flight: Some(4),
                ..Settings::default()
            })
        });
        let calls = in_flight.await?;
        assert!(calls <= 8, "{calls} calls for 4 rows, 4 at once");
    }
    Ok(())
}

#[tokio::test]
async fn dropping_the_stream_cancels_the_calls_in_flight() -> Result<()> {
    let (begun, ended) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let gate = Arc::new(tokio::sync::Semaphore::new(5));
    let (begins, ends, wait) = (Arc::clone(&begun), Arc::clone(&ended), Arc::clone(&gate));
    let slow = move |x: i64| {
        begins.fetch_add(1, Ordering::SeqCst);
        let (ends, wait) = (Arc::clone(&ends), Arc::clone(&wait));
        async move {
            wait.acquire().await.expect("an open gate").forget();
            ends.fetch_add(1, Ordering::SeqCst);
            x
        }
    };
    let node = Node::map_async("y", ["x"], slow).with_settings(Settings {
        max_in_flight: Some(8),
        ..Settings::default()
    });
    let session = Session::new()?;
    let query = "SELECT value AS x FROM generate_series(1, 1000)";
    let table = session.sql(query).await?;
    let frame = table.apply(&Pipeline::new([node])?)?;
    let mut stream = frame.execute_stream().await.expect("a plan");
    let first = stream.next().await.expect("rows").expect("no error");
    assert_eq!(first.num_rows(), 5, "the completed prefix is emitted early");
    drop(stream);
    gate.add_permits(1000);
    for _ in 0..1000 {
        tokio::task::yield_now().await;
    }
    assert!(begun.load(Ordering::SeqCst) <= 5 + 8);
    assert_eq!(
        ended.load(Ordering::SeqCst),
        5,
        "those in flight were cancelled"
    );
    Ok(())
}
