//! What one run costs, whatever it does.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::measure::Run;

/// Runs of a measurement, so that the clock has something to see.
const RUNS: usize = 50;

fn add(x: i64) -> i64 {
    black_box(x + 1)
}

fn double(a: i64) -> i64 {
    black_box(a * 2)
}

fn negate(b: i64) -> i64 {
    black_box(-b)
}

/// As many runs as [`RUNS`] of a pipeline of three functions on one item.
fn run(runtime: &Arc<Runtime>, engine: Arc<dyn Engine>) -> Run {
    let nodes = [
        Node::map("a", ["x"], add),
        Node::map("b", ["a"], double),
        Node::map("c", ["b"], negate),
    ];
    let pipeline = Pipeline::new(nodes).unwrap();
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        runtime.block_on(async {
            for x in 0..RUNS as i64 {
                let made = pipeline.run(inputs! { x: x }).on(&*engine).await;
                assert_eq!(
                    made.unwrap().get::<i64>("c").unwrap(),
                    negate(double(add(x)))
                );
            }
        });
    })
}

/// Spins for the time that the runs may take; calling the three functions takes none of it.
fn allowance(each: Duration) -> Run {
    Box::new(move || {
        let began = std::time::Instant::now();
        while began.elapsed() < each * RUNS as u32 {
            std::hint::spin_loop();
        }
    })
}

/// The workloads: the baseline is the time allowed.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let default: Arc<dyn Engine> = Arc::new(Session::new().unwrap());
    vec![
        Workload {
            name: "run of one item, 3 sync nodes, 50 times",
            strategy: "sequential",
            n: RUNS,
            baseline: "50 microseconds a run",
            target: 1.0,
            repeats: 15,
            run: run(runtime, Arc::new(SequentialEngine)),
            base: allowance(Duration::from_micros(50)),
        },
        Workload {
            name: "run of one item, 3 sync nodes, 50 times",
            strategy: "no settings",
            n: RUNS,
            baseline: "1 millisecond a run",
            target: 1.0,
            repeats: 9,
            run: run(runtime, default),
            base: allowance(Duration::from_millis(1)),
        },
    ]
}
