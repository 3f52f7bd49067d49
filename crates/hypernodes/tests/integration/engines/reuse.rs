//! One engine, many runs, nothing left behind.

use std::sync::Arc;
use std::time::{Duration, Instant};

use futures::{StreamExt, TryStreamExt, stream};
use hypernodes::prelude::*;

use crate::alone::alone;

const RUNS: usize = 1000;
/// Threads of the default engine, which is set so here.
const MAX_WORKERS: usize = 4;
/// The thread that stops calls which take too long, and ends when there were none for a while.
const WATCHDOG: usize = 1;
/// For threads that never end.
const PATIENCE: Duration = Duration::from_secs(60);

#[node]
fn scaled(x: i64, #[shared] factor: &Arc<i64>) -> i64 {
    x * **factor
}

#[node]
async fn shifted(scaled: i64, #[shared] factor: &Arc<i64>) -> i64 {
    tokio::task::yield_now().await;
    scaled + **factor
}

/// What there is: threads and Tokio's tasks.
fn held() -> [usize; 2] {
    let tasks = tokio::runtime::Handle::current().metrics();
    [threads(), tasks.num_alive_tasks()]
}

/// Runs and maps many times, sixteen at once.
async fn many(pipeline: &Pipeline, engine: &dyn Engine) -> Result<()> {
    let runs = stream::iter(0..RUNS).map(async |run| {
        let x = run as i64;
        if run % 2 == 0 {
            let made = pipeline.run(inputs! { x: x }).on(engine).await?;
            assert_eq!(made.get::<i64>("shifted")?, 2 * x + 2);
        } else {
            let xs: Vec<i64> = (x..x + 25).collect();
            let made = pipeline
                .map(inputs! { x: xs.clone() })
                .over("x")
                .on(engine)
                .await?;
            let expected: Vec<i64> = xs.iter().map(|x| 2 * x + 2).collect();
            assert_eq!(made.column::<i64>("shifted")?, expected);
        }
        Ok(())
    });
    runs.buffer_unordered(16).try_collect::<()>().await
}

/// What the pipeline shared, which nobody else holds when the engine's threads have ended.
async fn count(engine: Box<dyn Engine>, pool: impl Fn() -> usize) -> Result<Arc<i64>> {
    let factor = Arc::new(2_i64);
    let bare = held();
    let pipeline = Pipeline::new(nodes![scaled, shifted])?;
    let pipeline = pipeline.bind_shared("factor", Arc::clone(&factor))?;
    many(&pipeline, &*engine).await?;
    let after = held();
    assert!(
        after[0] <= bare[0] + MAX_WORKERS + WATCHDOG,
        "{engine:?}: {bare:?}, {after:?}"
    );
    assert_eq!(after[1], 0, "{engine:?}: tasks");
    assert_eq!(pool(), 0, "{engine:?}: memory");
    Ok(factor)
}

fn threads() -> usize {
    std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count)
}

/// Waits until this process has no more threads than that, as those of a dropped engine end.
fn wait_for_threads(at_most: usize) {
    let begun = Instant::now();
    while threads() > at_most {
        assert!(begun.elapsed() < PATIENCE, "{} threads are left", threads());
        std::thread::yield_now();
    }
}

fn runs() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads");
    let before = threads();
    let factors: Result<_> = runtime.block_on(async {
        let session = Session::with_settings(Settings {
            max_workers: Some(MAX_WORKERS),
            ..Settings::default()
        })?;
        let memory = session.clone();
        let reserved = move || memory.runtime_env().memory_pool.reserved();
        let parallel = ParallelEngine::builder().num_workers(3).build()?;
        Ok([
            count(Box::new(session), reserved).await?,
            count(Box::new(SequentialEngine), || 0).await?,
            count(Box::new(parallel), || 0).await?,
        ])
    });
    let factors = factors?;
    wait_for_threads(before);
    assert_eq!(factors.each_ref().map(Arc::strong_count), [1, 1, 1]);
    Ok(())
}

#[test]
fn e08_a_thousand_runs_of_one_engine_leave_nothing_behind() -> Result<()> {
    let name = "engines::reuse::e08_a_thousand_runs_of_one_engine_leave_nothing_behind";
    alone(name, "", runs)
}
