//! Executors of a user's own.

use std::io;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::{Duration, Instant};

use hypernodes::prelude::*;
use hypernodes::{Executor, Job};

use super::calls::Calls;

/// A thread for each job, which are counted.
#[derive(Debug, Default)]
pub(crate) struct Counting(AtomicUsize);

impl Counting {
    pub(crate) fn take(&self) -> usize {
        self.0.swap(0, Ordering::SeqCst)
    }
}

impl Executor for Counting {
    fn submit(&self, job: Job) -> io::Result<()> {
        self.0.fetch_add(1, Ordering::SeqCst);
        let thread = std::thread::Builder::new().name("users-own".into());
        thread.spawn(job).map(|_| ())
    }
}

/// Where each row ran.
fn places() -> Result<Pipeline> {
    Pipeline::new([Node::map("place", ["x"], |_: i64| {
        std::thread::current().name().map(str::to_owned)
    })])
}

async fn check(pipeline: &Pipeline, rows: i64, engine: &dyn Engine) -> Result<()> {
    let x = (0..rows).collect::<Vec<i64>>();
    let made = pipeline.map(inputs! { x: x }).over("x").on(engine).await?;
    let places = made.column::<Option<&str>>("place")?;
    assert_eq!(places, vec![Some("users-own"); rows as usize], "{engine:?}");
    Ok(())
}

#[tokio::test]
async fn e06_an_executor_of_ones_own_is_shared_by_two_engines() -> Result<()> {
    let executor = Arc::new(Counting::default());
    let (parallel, session) = (Arc::clone(&executor), Arc::clone(&executor));
    let parallel = ParallelEngine::builder()
        .npartitions(7)
        .on_executor(parallel)
        .build()?;
    let one_row_each = Settings {
        batch_size: Some(1),
        ..Settings::default()
    };
    let session = Session::on_executor(one_row_each, session)?;
    let pipeline = places()?;
    check(&pipeline, 20, &parallel).await?;
    assert_eq!(executor.take(), 7, "a job for each partition");
    check(&pipeline, 20, &session).await?;
    let jobs = executor.take();
    assert!((1..=20).contains(&jobs), "{jobs} jobs for 20 calls");
    drop((parallel, session));
    // A thread that has just submitted the last row may not have let go of it.
    let deadline = Instant::now() + Duration::from_secs(20);
    while Arc::strong_count(&executor) > 1 && Instant::now() < deadline {
        std::thread::yield_now();
    }
    assert_eq!(Arc::strong_count(&executor), 1);
    Ok(())
}

#[tokio::test]
async fn e05_e06_no_more_partitions_run_at_once_than_there_are_workers() -> Result<()> {
    let (calls, barrier) = (Calls::default(), Barrier::new(2));
    let seen = calls.clone();
    let pipeline = Pipeline::new([Node::map("y", ["x"], move |x: i64| {
        let _call = seen.begin();
        barrier.wait();
        x
    })])?;
    let executor = Arc::new(Counting::default());
    let engine = ParallelEngine::builder().num_workers(2).npartitions(6);
    let engine = engine.on_executor(executor).build()?;
    let x = (0..24).collect::<Vec<i64>>();
    pipeline.map(inputs! { x: x }).over("x").on(&engine).await?;
    assert_eq!((calls.begun(), calls.peak()), (24, 2));
    Ok(())
}

#[tokio::test]
async fn e09_e10_a_job_for_each_partition_of_the_workload() -> Result<()> {
    use WorkloadType::{Cpu, Io, Mixed};
    for (workload, expected) in [(Io, 16), (Cpu, 8), (Mixed, 12)] {
        let executor = Arc::new(Counting::default());
        let engine = ParallelEngine::builder()
            .num_workers(4)
            .workload_type(workload);
        let engine = engine
            .on_executor(Arc::clone(&executor) as Arc<dyn Executor>)
            .build()?;
        assert_eq!(engine.partitions(400), expected);
        check(&places()?, 400, &engine).await?;
        assert_eq!(executor.take(), expected, "{workload:?}");
    }
    Ok(())
}

#[derive(Debug)]
struct Refusing;

impl Executor for Refusing {
    fn submit(&self, _: Job) -> io::Result<()> {
        Err(io::Error::other("closed"))
    }
}

#[derive(Debug)]
struct Losing;

impl Executor for Losing {
    fn submit(&self, _: Job) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test]
async fn a_job_that_is_refused_or_lost_fails_the_run() -> Result<()> {
    let engine =
        |executor: Arc<dyn Executor>| ParallelEngine::builder().on_executor(executor).build();
    let session = Session::on_executor(Settings::default(), Arc::new(Refusing))?;
    let (refusing, losing) = (engine(Arc::new(Refusing))?, engine(Arc::new(Losing))?);
    for (engine, message) in [
        (&refusing as &dyn Engine, "closed"),
        (&losing, "dropped work"),
        (&session, "closed"),
    ] {
        let x = (0..50).collect::<Vec<i64>>();
        let mapped = places()?.map(inputs! { x: x }).over("x").on(engine).await;
        let error = mapped.expect_err("nothing runs");
        assert!(format!("{error:?}").contains(message), "{error:?}");
    }
    Ok(())
}
