//! Calls that wait or compute for 10 ms.

use std::hint::black_box;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;

const WAIT: Duration = Duration::from_millis(10);

/// Maps `node` over `n` items on a session of these settings.
fn mapped(runtime: &Arc<Runtime>, node: Node, settings: Settings, n: usize) -> Box<dyn FnMut()> {
    let session = Session::with_settings(settings).unwrap();
    let pipeline = Pipeline::new([node]).unwrap();
    let items = inputs! { x: items(0..n as i64) };
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        let mapping = pipeline.map(items.clone()).over("x").on(&session);
        let made = runtime.block_on(async { mapping.await });
        assert_eq!(made.unwrap().rows(), n);
    })
}

fn asleep() -> Node {
    Node::map_async("y", ["x"], |x: i64| async move {
        tokio::time::sleep(WAIT).await;
        x
    })
}

fn blocked() -> Node {
    Node::map("y", ["x"], |x: i64| {
        std::thread::sleep(WAIT);
        x
    })
}

fn bare_tokio(runtime: &Arc<Runtime>, n: usize) -> Box<dyn FnMut()> {
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        runtime.block_on(async {
            let tasks = (0..n).map(|_| tokio::spawn(tokio::time::sleep(WAIT)));
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
    })
}

fn bare_threads(threads: usize, n: usize, work: fn()) -> Box<dyn FnMut()> {
    Box::new(move || {
        let next = AtomicUsize::new(0);
        std::thread::scope(|scope| {
            for _ in 0..threads {
                scope.spawn(|| {
                    while next.fetch_add(1, Ordering::Relaxed) < n {
                        work();
                    }
                });
            }
        });
    })
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

/// A fixed amount of work, about 10 ms of a core.
fn compute() {
    static ROUNDS: std::sync::OnceLock<u64> = std::sync::OnceLock::new();
    let known = ROUNDS.get_or_init(|| {
        const TRIED: u64 = 1_000_000;
        let tries = (0..20).map(|_| {
            let began = Instant::now();
            rounds(TRIED);
            began.elapsed().as_secs_f64()
        });
        let least = tries.fold(f64::INFINITY, f64::min);
        (TRIED as f64 * WAIT.as_secs_f64() / least) as u64
    });
    rounds(*known);
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let free = Settings::default();
    let many = Settings {
        max_in_flight: Some(10_000),
        ..free
    };
    let sixteen = Settings {
        max_workers: Some(16),
        ..free
    };
    let computing = Node::map("y", ["x"], |x: i64| {
        compute();
        x
    });
    vec![
        Workload {
            name: "async 100 x 10 ms",
            strategy: "no settings",
            n: 100,
            baseline: "bare Tokio",
            target: 1.2,
            repeats: 15,
            run: mapped(runtime, asleep(), free, 100),
            base: bare_tokio(runtime, 100),
        },
        Workload {
            name: "async 10,000 x 10 ms",
            strategy: "max_in_flight 10,000",
            n: 10_000,
            baseline: "bare Tokio",
            target: 1.5,
            repeats: 15,
            run: mapped(runtime, asleep(), many, 10_000),
            base: bare_tokio(runtime, 10_000),
        },
        Workload {
            name: "blocking 100 x 10 ms",
            strategy: "max_workers 16",
            n: 100,
            baseline: "16 bare threads",
            target: 1.1,
            repeats: 15,
            run: mapped(runtime, blocked(), sixteen, 100),
            base: bare_threads(16, 100, || std::thread::sleep(WAIT)),
        },
        Workload {
            name: "blocking 100 x 10 ms",
            strategy: "no settings",
            n: 100,
            baseline: "one wait",
            target: 4.0,
            repeats: 15,
            run: mapped(runtime, blocked(), free, 100),
            base: Box::new(|| std::thread::sleep(WAIT)),
        },
        Workload {
            name: "computing 200 x 10 ms",
            strategy: "no settings",
            n: 200,
            baseline: "a bare thread a core",
            target: 1.08,
            repeats: 5,
            run: mapped(runtime, computing, free, 200),
            base: bare_threads(cores, 200, compute),
        },
    ]
}
