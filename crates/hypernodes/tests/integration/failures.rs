//! Errors and panics of users' functions, and what stops.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

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

#[tokio::test]
async fn a_users_error_comes_back_as_itself_with_node_and_row() -> Result<()> {
    for pipeline in halving()? {
        for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
            let mapped = pipeline
                .map(inputs! { x: numbers() })
                .over("x")
                .on(engine)
                .await;
            let error = mapped.expect_err("13 is odd");
            assert_eq!(error.user_error::<Odd>(), Some(&Odd(13)), "{engine:?}");
            assert_eq!(error.row(), Some(7));
            assert_eq!(error.context("node"), Some("half"));
            assert_eq!(error.context("pipeline"), Some("halving"));
        }
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
        let pipeline = Pipeline::new([node])?;
        for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
            let mapped = pipeline
                .map(inputs! { x: numbers() })
                .over("x")
                .on(engine)
                .await;
            let error = mapped.expect_err("thirteen");
            assert_eq!(error.kind(), ErrorKind::NodePanicked);
            assert!(error.message().contains("thirteen"), "{error}");
            assert_eq!(
                (error.context("node"), error.row()),
                (Some("safe"), Some(7))
            );
        }
    }
    Ok(())
}

#[tokio::test]
async fn dropping_the_stream_stops_calls_within_the_window() -> Result<()> {
    let calls = Arc::new(AtomicUsize::new(0));
    let counted = Arc::clone(&calls);
    let slow = move |x: i64| {
        let number = counted.fetch_add(1, Ordering::SeqCst);
        async move {
            if number >= 5 {
                std::future::pending::<()>().await;
            }
            x
        }
    };
    let node = Node::map_async("y", ["x"], slow).with_settings(Settings {
        max_in_flight: Some(8),
        ..Settings::default()
    });
    let session = Session::new()?;
    let t = session
        .sql("SELECT value AS x FROM generate_series(1, 1000)")
        .await?;
    let mut stream = t
        .apply(&Pipeline::new([node])?)?
        .execute_stream()
        .await
        .expect("a plan");
    let first = stream.next().await.expect("rows").expect("no error");
    assert_eq!(first.num_rows(), 5, "the completed prefix is emitted early");
    drop(stream);
    tokio::task::yield_now().await;
    assert!(calls.load(Ordering::SeqCst) <= 5 + 8);
    Ok(())
}
