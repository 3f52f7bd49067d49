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

fn pipeline() -> Pipeline {
    let nodes = [
        Node::map("a", ["x"], add),
        Node::map("b", ["a"], double),
        Node::map("c", ["b"], negate),
    ];
    Pipeline::new(nodes).unwrap()
}

fn expected(x: i64) -> i64 {
    negate(double(add(x)))
}

/// As many runs as [`RUNS`] of a pipeline of three functions on one item.
fn run(runtime: &Arc<Runtime>, engine: Arc<dyn Engine>) -> Run {
    let (runtime, pipeline) = (Arc::clone(runtime), pipeline());
    Box::new(move || {
        runtime.block_on(async {
            for x in 0..RUNS as i64 {
                let made = pipeline.run(inputs! { x: x }).on(&*engine).await;
                assert_eq!(made.unwrap().get::<i64>("c").unwrap(), expected(x));
            }
        });
    })
}

/// As many maps of the same over ten items.
fn map(runtime: &Arc<Runtime>, engine: Arc<dyn Engine>) -> Run {
    let (runtime, pipeline) = (Arc::clone(runtime), pipeline());
    Box::new(move || {
        runtime.block_on(async {
            for x in 0..RUNS as i64 {
                let ten = inputs! { x: items(x..x + 10) };
                let made = pipeline.map(ten).over("x").on(&*engine).await;
                let made = made.unwrap().column::<i64>("c").unwrap();
                assert!(made.into_iter().eq((x..x + 10).map(expected)));
            }
        });
    })
}

/// Spins for the time that so many runs may take; what they call takes none of it.
pub(crate) fn allowance(runs: usize, each: Duration) -> Run {
    Box::new(move || {
        let began = std::time::Instant::now();
        while began.elapsed() < each * runs as u32 {
            std::hint::spin_loop();
        }
    })
}

/// The workloads: the baseline is the time allowed.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let default: Arc<dyn Engine> = Arc::new(Session::new().unwrap());
    let sequential: Arc<dyn Engine> = Arc::new(SequentialEngine);
    let workload = |name, n, on: fn(&Arc<Runtime>, Arc<dyn Engine>) -> Run| {
        move |engine: &Arc<dyn Engine>, strategy, repeats, baseline, each| Workload {
            name,
            strategy,
            n,
            baseline,
            target: 1.0,
            repeats,
            run: on(runtime, Arc::clone(engine)),
            base: allowance(RUNS, each),
        }
    };
    let run = workload("run of one item, 3 sync nodes, 50 times", RUNS, run);
    let map = workload("map of ten items, 3 sync nodes, 50 times", 10 * RUNS, map);
    let (plain, open) = ("sequential", "no settings");
    let (micros, millis) = (Duration::from_micros, Duration::from_millis);
    vec![
        run(&sequential, plain, 15, "50 microseconds a run", micros(50)),
        run(&default, open, 9, "1 millisecond a run", millis(1)),
        map(
            &sequential,
            plain,
            15,
            "100 microseconds a map",
            micros(100),
        ),
        map(&default, open, 9, "1 millisecond a map", millis(1)),
    ]
}
