//! What the engine finds out by itself, without settings.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Barrier};
use std::time::Duration;

use datafusion::prelude::SessionConfig;
use futures::StreamExt;
use hypernodes::prelude::*;
use parking_lot::{Condvar, Mutex, MutexGuard};
use tokio::runtime::Builder;
use tokio::time::timeout;

use crate::alone::alone;
use crate::concurrency::compute;
use crate::engines::calls::Calls;

/// For what never ends.
const PATIENCE: Duration = Duration::from_secs(30);

fn numbers(rows: i64) -> Vec<i64> {
    (0..rows).collect()
}

/// What the pipeline makes of the numbers below `rows`, its input `x`, in their order, on an engine
/// whose threads no other test takes.
async fn mapped(pipeline: &Pipeline, rows: i64, output: &str) -> Result<Vec<i64>> {
    let session = Session::new()?;
    let mapping = pipeline.map(inputs! { x: numbers(rows) }).over("x");
    let mapping = mapping.on(&session).into_future();
    let made = timeout(PATIENCE, mapping).await.expect("it ends")?;
    made.column::<i64>(output)
}

/// An async node of which the first `at_once` calls wait for each other, and the others for nobody.
fn first_meet(calls: &Calls, at_once: usize) -> Node {
    let (calls, barrier) = (calls.clone(), Arc::new(tokio::sync::Barrier::new(at_once)));
    Node::map_async("y", ["x"], move |x: i64| {
        let (call, barrier) = (calls.begin(), Arc::clone(&barrier));
        async move {
            if x < at_once as i64 {
                barrier.wait().await;
            } else {
                tokio::task::yield_now().await;
            }
            drop(call);
            x
        }
    })
}

/// Of 4,000 rows, as many as `at_once` are in flight, and no more.
fn check_in_flight(settings: Settings, at_once: usize) -> Result<()> {
    let mut runtime = Builder::new_multi_thread();
    let runtime = runtime.worker_threads(2).enable_all().build();
    let calls = Calls::default();
    let node = first_meet(&calls, at_once).with_settings(settings);
    let pipeline = Pipeline::new([node])?;
    let made = mapped(&pipeline, 4_000, "y");
    let made = runtime.expect("threads").block_on(made)?;
    assert_eq!(made, numbers(4_000));
    assert_eq!((calls.begun(), calls.peak()), (4_000, at_once));
    Ok(())
}

#[cfg(unix)]
#[test]
fn async_calls_are_no_more_than_1024_at_once() -> Result<()> {
    let name = "adaptive::async_calls_are_no_more_than_1024_at_once";
    alone(name, "ulimit -S -n 4096;", || {
        check_in_flight(Settings::default(), 1_024)
    })
}

#[cfg(unix)]
#[test]
fn async_calls_are_no_more_than_half_of_the_files_that_may_be_open() -> Result<()> {
    let name = "adaptive::async_calls_are_no_more_than_half_of_the_files_that_may_be_open";
    alone(name, "ulimit -S -n 200;", || {
        check_in_flight(Settings::default(), 100)?;
        let asked = Settings {
            max_in_flight: Some(150),
            ..Settings::default()
        };
        check_in_flight(asked, 150)
    })
}

#[tokio::test]
async fn an_async_call_that_is_ready_at_once_is_no_task() -> Result<()> {
    for waits in [false, true] {
        let node = Node::map_async("y", ["x"], move |_: i64| async move {
            if waits {
                tokio::task::yield_now().await;
            }
            i64::from(tokio::task::try_id().is_some())
        });
        let made = mapped(&Pipeline::new([node])?, 1_000, "y").await?;
        assert_eq!(made, [i64::from(waits); 1_000]);
    }
    Ok(())
}

/// Rows of one batch: thousands that end at once, and so are called together, then ones that wait.
async fn check_change_within_a_batch(
    node: impl FnOnce(Box<dyn Fn(i64) + Send + Sync>) -> Node,
) -> Result<Outputs> {
    const SHORT: i64 = 100_000;
    const ALL: i64 = SHORT + 1_000;
    let (all, waiting) = (Arc::new(AtomicUsize::new(0)), Calls::default());
    let (begun, calls) = (Arc::clone(&all), waiting.clone());
    let node = node(Box::new(move |x| {
        begun.fetch_add(1, Ordering::Relaxed);
        if x >= SHORT {
            let _call = calls.begin();
            std::thread::sleep(Duration::from_millis(5));
        }
    }));
    let (pipeline, session) = (Pipeline::new([node])?, Session::new()?);
    let mapping = pipeline.map(inputs! { x: numbers(ALL) }).over("x");
    let mapping = timeout(PATIENCE, mapping.on(&session).into_future());
    let made = mapping.await.expect("it ends")?;
    assert_eq!(all.load(Ordering::Relaxed), ALL as usize, "each row once");
    assert!(waiting.peak() >= 32, "{} at once", waiting.peak());
    Ok(made)
}

#[tokio::test(flavor = "multi_thread")]
async fn rows_of_one_batch_that_begin_to_wait_do_so_together() -> Result<()> {
    let numbered = |wait: Box<dyn Fn(i64) + Send + Sync>| {
        Node::map("y", ["x"], move |x: i64| {
            wait(x);
            x
        })
    };
    let made = check_change_within_a_batch(numbered).await?;
    assert_eq!(made.column::<i64>("y")?, numbers(101_000));
    let written = |wait: Box<dyn Fn(i64) + Send + Sync>| {
        Node::map("y", ["x"], move |x: i64| {
            wait(x);
            (x % 3 > 0).then(|| x.to_string())
        })
    };
    let made = check_change_within_a_batch(written).await?;
    let texts = made.column::<Option<String>>("y")?;
    let expected = (0..101_000_i64).map(|x| (x % 3 > 0).then(|| x.to_string()));
    assert!(texts.into_iter().eq(expected));
    Ok(())
}

/// Rows that end at once, then ones that wait, then ones that compute.
#[tokio::test]
async fn a_sync_node_may_change_its_nature() -> Result<()> {
    const SHORT: i64 = 2_000;
    const WAITING: i64 = SHORT + 100;
    const MEETING: i64 = WAITING + 64;
    // So many computing calls end before there are no more of them than cores.
    const SETTLING: i64 = MEETING + 800;
    const ALL: i64 = SETTLING + 100;
    let computing = Calls::default();
    let (barrier, calls) = (Barrier::new(64), computing.clone());
    let node = Node::map("y", ["x"], move |x: i64| {
        match x {
            ..SHORT => {}
            SHORT..WAITING => std::thread::sleep(Duration::from_millis(10)),
            WAITING..MEETING => {
                barrier.wait();
            }
            MEETING..SETTLING => compute(Duration::from_millis(1)),
            SETTLING.. => {
                let _call = calls.begin();
                compute(Duration::from_millis(1));
            }
        }
        x
    });
    let config = SessionConfig::new().with_batch_size(20);
    let session = Session::with_config(config, Settings::default())?;
    let query = format!("SELECT value AS x FROM generate_series(0, {})", ALL - 1);
    let frame = session.sql(&query).await?.apply(&Pipeline::new([node])?)?;
    let collected = timeout(PATIENCE, frame.collect()).await.expect("they meet");
    let made = collected.expect("rows").into_iter();
    let made = made.map(|batch| Outputs::from(batch).column::<i64>("y"));
    assert_eq!(made.collect::<Result<Vec<_>>>()?.concat(), numbers(ALL));
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    // On a busy machine some seem to wait a little, but there were 64 of those that did.
    assert!(
        computing.peak() <= 4 * cores,
        "{} at once",
        computing.peak()
    );
    Ok(())
}

/// How many long calls have begun, and whether the short node was called.
#[derive(Default)]
struct Both {
    state: Mutex<(usize, bool)>,
    changed: Condvar,
}

impl Both {
    fn change(&self, change: impl FnOnce(&mut (usize, bool))) -> MutexGuard<'_, (usize, bool)> {
        let mut state = self.state.lock();
        change(&mut state);
        self.changed.notify_all();
        state
    }
}

/// A node that waits in row 0 until `threads` long calls wait, and in all other rows until the
/// short node was called for a row.
fn long(output: &'static str, both: &Arc<Both>, threads: usize) -> Node {
    let both = Arc::clone(both);
    Node::map(output, ["x"], move |x: i64| {
        let mut state = both.change(|(begun, _)| *begun += 1);
        both.changed.wait_while(&mut state, |(begun, ran)| match x {
            0 => *begun < threads,
            _ => !*ran,
        });
        x
    })
}

// Other systems do not tell of a call that has not ended whether it waits.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn long_calls_do_not_delay_a_short_node_of_their_pipeline() -> Result<()> {
    for (names, threads) in [(&["a"][..], 200), (&["a", "b"], 250)] {
        let both = Arc::new(Both::default());
        let longs = names.iter().map(|name| long(name, &both, threads));
        let ran = Arc::clone(&both);
        let short = Node::map("y", ["a", names[names.len() - 1]], move |x: i64, _: i64| {
            drop(ran.change(|(_, ran)| *ran = true));
            x
        });
        let pipeline = Pipeline::new(longs.chain([short]))?;
        assert_eq!(mapped(&pipeline, 1_000, "y").await?, numbers(1_000));
    }
    Ok(())
}

#[tokio::test]
async fn a_row_that_is_not_wanted_has_no_place_in_flight() -> Result<()> {
    // Row 0 never ends, and one row at a time is in flight.
    let node = Node::map_async("y", ["x"], |_: i64| std::future::pending::<i64>());
    let session = Session::new()?;
    session.register_nodes([node.with_settings(Settings {
        max_in_flight: Some(1),
        ordered: Some(false),
        ..Settings::default()
    })])?;
    let query = "SELECT CASE WHEN x < 1 THEN y(x) ELSE x END AS y \
                 FROM (SELECT value AS x FROM generate_series(0, 999))";
    let frame = session.sql(query).await?;
    let mut stream = frame.execute_stream().await.expect("a stream");
    let mut rows = 0;
    while rows < 999 {
        let batch = timeout(PATIENCE, stream.next()).await.expect("all others");
        rows += batch.expect("rows").expect("no error").num_rows();
    }
    assert_eq!(rows, 999);
    Ok(())
}
