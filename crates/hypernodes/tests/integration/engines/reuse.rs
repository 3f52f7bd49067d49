//! One engine, many runs, nothing left behind.

use std::process::Command;
use std::sync::Arc;

use futures::{StreamExt, TryStreamExt, stream};
use hypernodes::prelude::*;

const RUNS: usize = 1000;
/// Threads of the default engine, which is set so here.
const MAX_WORKERS: usize = 4;
/// Set in the process that counts: there, no other test has threads.
const ALONE: &str = "HYPERNODES_COUNTS_ALONE";

#[node]
fn scaled(x: i64, #[shared] factor: &Arc<i64>) -> i64 {
    x * **factor
}

#[node]
async fn shifted(scaled: i64, #[shared] factor: &Arc<i64>) -> i64 {
    tokio::task::yield_now().await;
    scaled + **factor
}

/// What there is: threads, Tokio's tasks, holders of the shared value.
fn held(factor: &Arc<i64>) -> std::io::Result<[usize; 3]> {
    let threads = std::fs::read_dir("/proc/self/task")?.count();
    let tasks = tokio::runtime::Handle::current().metrics();
    Ok([threads, tasks.num_alive_tasks(), Arc::strong_count(factor)])
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

async fn count(engine: Box<dyn Engine>, pool: impl Fn() -> usize) -> Result<()> {
    let io = |error| panic!("{error}");
    let factor = Arc::new(2_i64);
    let bare = held(&factor).unwrap_or_else(io);
    let pipeline = Pipeline::new(nodes![scaled, shifted])?;
    let pipeline = pipeline.bind_shared("factor", Arc::clone(&factor))?;
    many(&pipeline, &*engine).await?;
    let first = held(&factor).unwrap_or_else(io);
    many(&pipeline, &*engine).await?;
    let second = held(&factor).unwrap_or_else(io);
    assert!(
        second[0] <= first[0].max(bare[0] + 64),
        "{engine:?}: {first:?}, {second:?}"
    );
    assert_eq!((second[1], second[2]), (0, 2), "{engine:?}: {second:?}");
    assert_eq!(pool(), 0, "{engine:?}: memory");
    drop((engine, pipeline));
    Ok(())
}

/// Waits until this process has no more threads than that.
fn wait_for_threads(at_most: usize) {
    let threads = || std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    while threads() > at_most {
        std::thread::yield_now();
    }
}

fn alone() -> Result<()> {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    let runtime = runtime.expect("threads");
    let threads = std::fs::read_dir("/proc/self/task").map_or(0, Iterator::count);
    runtime.block_on(async {
        let session = Session::with_settings(Settings {
            max_workers: Some(MAX_WORKERS),
            ..Settings::default()
        })?;
        let memory = session.clone();
        let reserved = move || memory.runtime_env().memory_pool.reserved();
        count(Box::new(session), reserved).await?;
        count(Box::new(SequentialEngine), || 0).await?;
        let parallel = ParallelEngine::builder().num_workers(3).build()?;
        count(Box::new(parallel), || 0).await
    })?;
    wait_for_threads(threads);
    Ok(())
}

#[test]
fn e08_a_thousand_runs_of_one_engine_leave_nothing_behind() -> Result<()> {
    if std::env::var_os(ALONE).is_some() {
        return alone();
    }
    let name = "engines::reuse::e08_a_thousand_runs_of_one_engine_leave_nothing_behind";
    let program = std::env::current_exe().expect("this test");
    let counted = Command::new(program)
        .args([name, "--exact"])
        .env(ALONE, "1")
        .output();
    let counted = counted.expect("a process");
    let said = String::from_utf8_lossy(&counted.stdout);
    assert!(
        counted.status.success() && said.contains("1 passed"),
        "{said}"
    );
    Ok(())
}
