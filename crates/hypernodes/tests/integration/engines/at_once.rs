//! What runs at the same time: async rows, independent nodes; and what is made once.

use std::sync::Arc;

use hypernodes::prelude::*;
use tokio::sync::Barrier;

use super::all;
use super::calls::Calls;

/// Async rows that wait until `at_once` of them are in flight.
fn meeting(calls: &Calls, at_once: usize) -> Node {
    let (calls, barrier) = (calls.clone(), Arc::new(Barrier::new(at_once)));
    Node::map_async("y", ["x"], move |x: i64| {
        let (call, barrier) = (calls.begin(), Arc::clone(&barrier));
        async move {
            barrier.wait().await;
            drop(call);
            x
        }
    })
}

fn numbers(rows: i64) -> Vec<i64> {
    (0..rows).collect()
}

#[tokio::test]
async fn e03_d05_all_async_rows_of_a_map_are_in_flight_at_once() -> Result<()> {
    let calls = Calls::default();
    let pipeline = Pipeline::new([meeting(&calls, 100)])?;
    let x = numbers(100);
    let made = pipeline.map(inputs! { x: x.clone() }).over("x").await?;
    assert_eq!(made.column::<i64>("y")?, x);
    assert_eq!((calls.begun(), calls.peak()), (100, 100));

    // The same on a table.
    let session = Session::new()?;
    let query = "SELECT value AS x FROM generate_series(0, 99)";
    let frame = session.sql(query).await?.apply(&pipeline)?;
    let batches = frame.collect().await.map_err(hypernodes::from_datafusion)?;
    assert_eq!(
        batches.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        100
    );
    assert_eq!((calls.begun(), calls.peak()), (200, 100));
    Ok(())
}

#[tokio::test]
async fn e03_async_rows_of_the_parallel_engine_are_in_flight_on_each_worker() -> Result<()> {
    let calls = Calls::default();
    let pipeline = Pipeline::new([meeting(&calls, 4)])?;
    let engine = ParallelEngine::builder()
        .num_workers(4)
        .npartitions(4)
        .build()?;
    pipeline
        .map(inputs! { x: numbers(40) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!((calls.begun(), calls.peak()), (40, 4));
    Ok(())
}

#[tokio::test]
async fn e04_calls_of_two_nodes_are_in_flight_at_once_over_the_rows() -> Result<()> {
    let parallel = ParallelEngine::builder()
        .num_workers(2)
        .npartitions(2)
        .build()?;
    for engine in [&Session::new()? as &dyn Engine, &parallel] {
        let both = Arc::new(Barrier::new(2));
        let meet = |row: i64| {
            let both = Arc::clone(&both);
            move |x: i64, _: i64| {
                let both = Arc::clone(&both);
                async move {
                    if x == row {
                        both.wait().await;
                    }
                    x
                }
            }
        };
        let pipeline = Pipeline::new([
            Node::map("zero", ["x"], |_: i64| 0_i64),
            Node::map_async("first", ["x", "zero"], meet(1)),
            Node::map_async("second", ["x", "first"], meet(0)),
        ])?;
        // The second node's row 0 and the first node's row 1 wait for each other.
        let made = pipeline
            .map(inputs! { x: [0_i64, 1] })
            .over("x")
            .on(engine)
            .await?;
        assert_eq!(made.column::<i64>("second")?, [0, 1], "{engine:?}");
    }
    Ok(())
}

#[node]
fn scaled(x: i64, #[shared] factor: &i64) -> i64 {
    x * factor
}

#[node]
async fn shifted(scaled: i64, #[shared] factor: &i64) -> i64 {
    scaled + factor
}

#[tokio::test]
async fn d12_what_nodes_share_is_made_once_over_nodes_workers_and_runs() -> Result<()> {
    for engine in all()? {
        let made = Calls::default();
        let making = made.clone();
        let make = move || {
            drop(making.begin());
            Ok::<_, std::fmt::Error>(10_i64)
        };
        let pipeline = Pipeline::new(nodes![scaled, shifted])?.bind_shared_with("factor", make)?;
        assert_eq!(made.begun(), 0, "not before a row needs it");
        for _ in 0..3 {
            let x = numbers(50);
            let mapped = pipeline
                .map(inputs! { x: x.clone() })
                .over("x")
                .on(&*engine)
                .await?;
            let expected: Vec<i64> = x.iter().map(|x| x * 10 + 10).collect();
            assert_eq!(mapped.column::<i64>("shifted")?, expected, "{engine:?}");
        }
        assert_eq!(made.begun(), 1, "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn d03_a_nodes_setting_goes_before_the_sessions() -> Result<()> {
    let in_flight = |rows| Settings {
        max_in_flight: Some(rows),
        ..Settings::default()
    };
    let session = Session::with_settings(in_flight(4))?;
    for (settings, expected) in [
        (Settings::default(), 4),
        (in_flight(2), 2),
        (in_flight(20), 20),
    ] {
        let calls = Calls::default();
        let node = meeting(&calls, expected).with_settings(settings);
        let pipeline = Pipeline::new([node])?;
        pipeline
            .map(inputs! { x: numbers(40) })
            .over("x")
            .on(&session)
            .await?;
        assert_eq!((calls.begun(), calls.peak()), (40, expected));
    }
    Ok(())
}
