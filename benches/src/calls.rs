//! Calls that wait or compute for a known time, and the bare programs that make them.

use std::hint::black_box;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, Instant};

use hypernodes::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::Semaphore;

use crate::measure::Run;

/// What the calls of the guide's headline case take.
pub(crate) const WAIT: Duration = Duration::from_millis(10);

/// The async calls that the engine has in flight at most, if nothing is said.
pub(crate) const IN_FLIGHT: usize = 1_024;

/// The threads that the engine's pool has at most, if nothing is said.
pub(crate) const THREADS: usize = 256;

/// The cores of this machine.
pub(crate) fn cores() -> usize {
    std::thread::available_parallelism().unwrap().get()
}

/// Maps a pipeline over the numbers below `n`, its input `x`, on a session of these settings.
pub(crate) fn mapped(
    runtime: &Arc<Runtime>,
    nodes: impl IntoIterator<Item = Node>,
    settings: Settings,
    n: usize,
) -> Run {
    let session = Session::with_settings(settings).unwrap();
    let pipeline = Pipeline::new(nodes).unwrap();
    let items = inputs! { x: items(0..n as i64) };
    let runtime = Arc::clone(runtime);
    Box::new(move || map(&runtime, &session, &pipeline, items.clone(), "x", n))
}

/// Maps a pipeline over the `n` items of the input `over`.
pub(crate) fn map(
    runtime: &Runtime,
    session: &Session,
    pipeline: &Pipeline,
    inputs: Inputs,
    over: &str,
    n: usize,
) {
    let mapping = pipeline.map(inputs).over(over).on(session);
    let made = runtime.block_on(async { mapping.await });
    assert_eq!(made.unwrap().rows(), n);
}

/// A node `y` of `x` that sleeps as long as `wait` says.
pub(crate) fn asleep(wait: fn(i64) -> Duration) -> Node {
    Node::map_async("y", ["x"], move |x: i64| async move {
        tokio::time::sleep(wait(x)).await;
        x
    })
}

/// A node `y` of `x` that blocks its thread as long as `wait` says.
pub(crate) fn blocked(wait: fn(i64) -> Duration) -> Node {
    Node::map("y", ["x"], move |x: i64| {
        std::thread::sleep(wait(x));
        x
    })
}

/// A task for each number below `n`, which has one of `in_flight` permits while it waits.
pub(crate) fn bare_tokio(
    runtime: &Arc<Runtime>,
    in_flight: usize,
    n: usize,
    wait: fn(i64) -> Duration,
) -> Run {
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        runtime.block_on(async {
            let permits = Arc::new(Semaphore::new(in_flight));
            let tasks = (0..n as i64).map(|x| {
                let permits = Arc::clone(&permits);
                tokio::spawn(async move {
                    let _permit = permits.acquire().await.unwrap();
                    tokio::time::sleep(wait(x)).await;
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
    })
}

/// Threads that take the numbers below `n` one by one.
pub(crate) fn by_turns(threads: usize, n: usize, work: impl Fn(usize) + Sync) {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..threads {
            scope.spawn(|| {
                let taken = std::iter::repeat_with(|| next.fetch_add(1, Ordering::Relaxed));
                taken.take_while(|x| *x < n).for_each(&work);
            });
        }
    });
}

/// The same as often as one likes.
pub(crate) fn bare_threads(threads: usize, n: usize, work: fn(i64)) -> Run {
    Box::new(move || by_turns(threads, n, |x| work(x as i64)))
}

fn rounds(rounds: u64) {
    let mixed = (0..rounds).fold(1_u64, |sum, round| {
        black_box(
            sum.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(round),
        )
    });
    black_box(mixed);
}

/// A fixed amount of work, which takes a core about as long as `time`.
pub(crate) fn compute(time: Duration) {
    static PER_SECOND: OnceLock<f64> = OnceLock::new();
    let per_second = PER_SECOND.get_or_init(|| {
        const TRIED: u64 = 1_000_000;
        let tries = (0..20).map(|_| {
            let began = Instant::now();
            rounds(TRIED);
            began.elapsed().as_secs_f64()
        });
        TRIED as f64 / tries.fold(f64::INFINITY, f64::min)
    });
    rounds((per_second * time.as_secs_f64()) as u64);
}

/// So many rows in flight at once, and nothing else set.
pub(crate) fn with_in_flight(rows: usize) -> Settings {
    Settings {
        max_in_flight: Some(rows),
        ..Settings::default()
    }
}

/// So many calls at once, and nothing else set.
pub(crate) fn with_workers(threads: usize) -> Settings {
    Settings {
        max_workers: Some(threads),
        ..Settings::default()
    }
}
