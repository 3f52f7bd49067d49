//! The parallel engine: its workers, its partitions, its settings, and how it stops.

use std::sync::{Arc, Barrier, mpsc};

use datafusion::arrow::array::Int64Array;
use hypernodes::prelude::*;
use tokio::sync::Notify;

use super::calls::Calls;

fn numbers(rows: i64) -> Vec<i64> {
    (0..rows).collect()
}

/// Rows that wait until `at_once` of them run at the same time.
fn meeting(calls: &Calls, at_once: usize) -> Result<Pipeline> {
    let (calls, barrier) = (calls.clone(), Barrier::new(at_once));
    Pipeline::new([Node::map("y", ["x"], move |x: i64| {
        let _call = calls.begin();
        barrier.wait();
        x + 1
    })])
}

#[tokio::test]
async fn e05_e09_as_many_rows_are_in_flight_as_there_are_workers() -> Result<()> {
    for workers in [1, 3] {
        let engine = ParallelEngine::builder()
            .num_workers(workers)
            .npartitions(6)
            .build()?;
        let calls = Calls::default();
        let pipeline = meeting(&calls, workers)?;
        let mut threads = Vec::new();
        for _ in 0..2 {
            let x = numbers(24);
            let made = pipeline.map(inputs! { x: x }).over("x").on(&engine).await?;
            assert_eq!(made.column::<i64>("y")?, (1..=24).collect::<Vec<i64>>());
            threads.push(calls.threads());
        }
        assert_eq!((calls.begun(), calls.peak()), (48, workers));
        assert_eq!(threads[0].len(), workers);
        assert_eq!(threads[0], threads[1], "threads are used again");
        assert!(!threads[0].contains(&std::thread::current().id()));
    }
    Ok(())
}

#[tokio::test]
async fn e09_several_runs_share_the_workers() -> Result<()> {
    let engine = ParallelEngine::builder().num_workers(2).build()?;
    let calls = Calls::default();
    let pipeline = meeting(&calls, 2)?;
    let run = || {
        pipeline
            .map(inputs! { x: numbers(40) })
            .over("x")
            .on(&engine)
            .into_future()
    };
    let made = futures::future::try_join_all([run(), run(), run()]).await?;
    assert!(made.iter().all(|made| made.rows() == 40));
    assert_eq!((calls.begun(), calls.peak()), (120, 2));
    Ok(())
}

#[tokio::test]
async fn e09_the_synchronous_scheduler_stays_on_the_callers_thread() -> Result<()> {
    let engine = ParallelEngine::builder().scheduler(Scheduler::Synchronous);
    let calls = Calls::default();
    let pipeline = meeting(&calls, 1)?;
    let engine = engine.build()?;
    pipeline
        .map(inputs! { x: numbers(50) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!((calls.begun(), calls.peak()), (50, 1));
    assert_eq!(calls.threads(), [std::thread::current().id()].into());
    Ok(())
}

#[test]
fn e07_what_cannot_be_honoured_is_refused_when_the_engine_is_made() {
    let new = ParallelEngine::builder;
    let synchronous = || new().scheduler(Scheduler::Synchronous);
    for (builder, faults) in [
        (
            new().num_workers(0).npartitions(0),
            ["num_workers", "npartitions"],
        ),
        (
            new().npartitions(4).workload_type(WorkloadType::Io),
            ["workload_type", "npartitions"],
        ),
        (
            synchronous().num_workers(2).npartitions(4),
            ["num_workers", "npartitions"],
        ),
    ] {
        let error = builder.build().expect_err("no engine");
        assert_eq!(error.kind(), ErrorKind::InvalidSetting);
        for fault in faults {
            assert!(error.message().contains(&format!("`{fault}`")), "{error}");
        }
    }
}

#[tokio::test]
async fn the_first_row_that_fails_is_reported_though_others_fail_too() -> Result<()> {
    let engine = ParallelEngine::builder()
        .num_workers(4)
        .npartitions(4)
        .build()?;
    let after = Calls::default();
    let (seen, both) = (after.clone(), Barrier::new(2));
    let failing = move |x: i64| -> Result<i64, std::fmt::Error> {
        match x {
            // Partitions have 15 rows: these are in the first and in the last.
            3 | 50 => {
                both.wait();
                Err(std::fmt::Error)
            }
            4..15 | 51.. => {
                drop(seen.begin());
                Ok(x)
            }
            _ => Ok(x),
        }
    };
    let pipeline = Pipeline::new([Node::map("y", ["x"], failing)])?;
    let mapped = pipeline
        .map(inputs! { x: numbers(60) })
        .over("x")
        .on(&engine)
        .await;
    let error = mapped.expect_err("two rows fail");
    assert_eq!(error.row(), Some(3));
    assert!(error.user_error::<std::fmt::Error>().is_some());
    assert_eq!(after.begun(), 0, "rows after one that failed");
    Ok(())
}

#[tokio::test]
async fn dropping_the_run_cancels_async_calls_and_begins_no_row() -> Result<()> {
    let engine = ParallelEngine::builder()
        .num_workers(2)
        .npartitions(4)
        .build()?;
    let (calls, begun) = (Calls::default(), Arc::new(Notify::new()));
    let (seen, signal) = (calls.clone(), Arc::clone(&begun));
    let waiting = move |x: i64| {
        let (call, signal) = (seen.begin(), Arc::clone(&signal));
        async move {
            signal.notify_one();
            std::future::pending::<()>().await;
            drop(call);
            x
        }
    };
    let pipeline = Pipeline::new([Node::map_async("y", ["x"], waiting)])?;
    let mut run = pipeline
        .map(inputs! { x: numbers(8) })
        .over("x")
        .on(&engine)
        .into_future();
    while calls.begun() < 2 {
        tokio::select! {
            _ = &mut run => panic!("it never ends"),
            () = begun.notified() => {}
        }
    }
    drop(run);
    // Both workers are needed for this, so they have left what was dropped.
    let after = Calls::default();
    meeting(&after, 2)?
        .map(inputs! { x: numbers(20) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!((calls.begun(), calls.running()), (2, 0));
    Ok(())
}

#[tokio::test]
async fn dropping_the_run_lets_running_calls_finish_and_begins_no_row() -> Result<()> {
    let engine = ParallelEngine::builder()
        .num_workers(2)
        .npartitions(4)
        .build()?;
    let calls = Calls::default();
    let (begun, mut begins) = tokio::sync::mpsc::unbounded_channel();
    let (open, gate) = mpsc::channel::<()>();
    let (seen, gate) = (calls.clone(), parking_lot::Mutex::new(gate));
    let blocking = move |x: i64| {
        let _call = seen.begin();
        begun.send(()).expect("the test waits");
        // Ends when the other side is dropped.
        let _ = gate.lock().recv();
        x
    };
    let pipeline = Pipeline::new([Node::map("y", ["x"], blocking)])?;
    let mut run = pipeline
        .map(inputs! { x: numbers(8) })
        .over("x")
        .on(&engine)
        .into_future();
    for _ in 0..2 {
        tokio::select! {
            _ = &mut run => panic!("it is blocked"),
            _ = begins.recv() => {}
        }
    }
    drop(run);
    drop(open);
    let after = Calls::default();
    meeting(&after, 2)?
        .map(inputs! { x: numbers(20) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!((calls.begun(), calls.running()), (2, 0));
    Ok(())
}

#[tokio::test]
async fn functions_find_the_callers_runtime_and_may_block_on_futures() -> Result<()> {
    let engine = ParallelEngine::builder().num_workers(2).build()?;
    let pipeline = Pipeline::new([
        Node::map_async("slept", ["x"], |x: i64| async move {
            tokio::time::sleep(std::time::Duration::from_millis(1)).await;
            x
        }),
        Node::map("blocked", ["slept"], |slept: i64| {
            let handle = tokio::runtime::Handle::current();
            futures::executor::block_on(handle.spawn(async move { slept + 1 }))
        }),
    ])?;
    let made = pipeline
        .map(inputs! { x: numbers(20) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!(
        made.column::<i64>("blocked")?,
        (1..=20).collect::<Vec<i64>>()
    );
    Ok(())
}

#[tokio::test]
async fn x19_an_engine_within_itself_waits_for_no_thread_that_waits_for_it() -> Result<()> {
    for workers in [1, 2] {
        let engine = ParallelEngine::builder()
            .num_workers(workers)
            .npartitions(4)
            .build()?;
        let calls = Calls::default();
        let seen = calls.clone();
        let inner = Pipeline::new([Node::map("y", ["x"], move |x: i64| {
            let _call = seen.begin();
            x * 10
        })])?;
        let middle = inner.with_engine(engine.clone()).as_node();
        let middle = Pipeline::new([middle.input_mapping([("xs", "x")]).map_over(["xs"])])?;
        let outer = Pipeline::new([middle.with_engine(engine.clone())])?;
        let xs: Vec<Vec<i64>> = (0..12).map(|row| (0..row).collect()).collect();
        let made = outer
            .map(inputs! { xs: xs.clone() })
            .over("xs")
            .on(&engine)
            .await?;
        let expected = xs.iter().map(|xs| xs.iter().map(|x| x * 10).collect());
        assert_eq!(
            made.column::<Vec<i64>>("y")?,
            expected.collect::<Vec<Vec<i64>>>()
        );
        assert_eq!(calls.begun(), 66);
        assert!(calls.peak() <= workers);
    }
    Ok(())
}

#[tokio::test]
async fn dual_nodes_run_by_their_singular_function_and_no_rows_make_empty_columns() -> Result<()> {
    let (one, many) = (Calls::default(), Calls::default());
    let (ones, manys) = (one.clone(), many.clone());
    let single = Node::map("y", ["x"], move |x: i64| {
        drop(ones.begin());
        x
    });
    let batch = Node::batch("y", ["x"], move |x: &Int64Array| -> Int64Array {
        drop(manys.begin());
        x.clone()
    });
    let pipeline = Pipeline::new([single.with_batch(batch)])?;
    let engine = ParallelEngine::default();
    pipeline
        .map(inputs! { x: numbers(30) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!((one.begun(), many.begun()), (30, 0));
    let none = pipeline
        .map(inputs! { x: numbers(0) })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!(none.batch().schema(), pipeline.output_schema());
    assert_eq!((none.rows(), one.begun()), (0, 30));
    Ok(())
}
