//! Calls that wait or compute for 10 ms, and waits of which one in a hundred is long.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::calls::{
    IN_FLIGHT, THREADS, WAIT, asleep, bare_threads, bare_tokio, blocked, by_turns, compute, cores,
    map, mapped, with_in_flight, with_workers,
};
use crate::measure::Run;

/// Ten milliseconds each.
pub(crate) fn even(_: i64) -> Duration {
    WAIT
}

/// One millisecond, and one time in a hundred a hundred.
pub(crate) fn skewed(x: i64) -> Duration {
    Duration::from_millis(if x % 100 == 50 { 100 } else { 1 })
}

/// A node that computes for ten milliseconds.
pub(crate) fn computing() -> Node {
    Node::map("y", ["x"], |x: i64| {
        compute(WAIT);
        x
    })
}

/// What takes 50 ms to make.
struct Model(i64);

impl Model {
    fn new() -> Self {
        compute(Duration::from_millis(50));
        Self(1)
    }

    fn apply(&self, x: i64) -> i64 {
        compute(WAIT);
        x + self.0
    }
}

#[node(output = "y")]
fn modelled(x: i64, #[shared] model: &Model) -> i64 {
    model.apply(x)
}

/// Each run makes the model anew, at its first row.
fn stateful(runtime: &Arc<Runtime>, n: usize) -> Run {
    let (runtime, session) = (Arc::clone(runtime), Session::new().unwrap());
    let pipeline = Pipeline::new(nodes![modelled]).unwrap();
    Box::new(move || {
        let make = || Ok::<_, Infallible>(Model::new());
        let pipeline = pipeline.clone().bind_shared_with("model", make).unwrap();
        let items = inputs! { x: items(0..n as i64) };
        map(&runtime, &session, &pipeline, items, "x", n);
    })
}

/// As [`bare_threads`], with a model for all.
fn stateful_threads(n: usize) -> Run {
    Box::new(move || {
        let model = Model::new();
        by_turns(cores(), n, |x| {
            model.apply(x as i64);
        });
    })
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let free = Settings::default();
    let (many, sixteen) = (with_in_flight(10_000), with_workers(16));
    vec![
        Workload {
            name: "async 100 x 10 ms",
            strategy: "no settings",
            n: 100,
            baseline: "bare Tokio",
            target: 1.2,
            repeats: 15,
            run: mapped(runtime, [asleep(even)], free, 100),
            base: bare_tokio(runtime, 100, 100, even),
        },
        Workload {
            name: "async 10,000 x 10 ms",
            strategy: "max_in_flight 10,000",
            n: 10_000,
            baseline: "bare Tokio",
            target: 1.5,
            repeats: 15,
            run: mapped(runtime, [asleep(even)], many, 10_000),
            base: bare_tokio(runtime, 10_000, 10_000, even),
        },
        Workload {
            name: "blocking 100 x 10 ms",
            strategy: "max_workers 16",
            n: 100,
            baseline: "16 bare threads",
            target: 1.1,
            repeats: 15,
            run: mapped(runtime, [blocked(even)], sixteen, 100),
            base: bare_threads(16, 100, |_| std::thread::sleep(WAIT)),
        },
        Workload {
            name: "blocking 100 x 10 ms",
            strategy: "no settings",
            n: 100,
            baseline: "one wait",
            target: 4.0,
            repeats: 15,
            run: mapped(runtime, [blocked(even)], free, 100),
            base: Box::new(|| std::thread::sleep(WAIT)),
        },
        Workload {
            name: "computing 200 x 10 ms",
            strategy: "no settings",
            n: 200,
            baseline: "a bare thread a core",
            target: 1.08,
            repeats: 5,
            run: mapped(runtime, [computing()], free, 200),
            base: bare_threads(cores(), 200, |_| compute(WAIT)),
        },
        Workload {
            name: "computing 200 x 10 ms with a model",
            strategy: "no settings",
            n: 200,
            baseline: "a bare thread a core",
            target: 1.08,
            repeats: 5,
            run: stateful(runtime, 200),
            base: stateful_threads(200),
        },
        Workload {
            name: "async 10,000 x 1 ms, 1 % 100 ms",
            strategy: "no settings",
            n: 10_000,
            baseline: "bare Tokio, 1,024 at once",
            target: 1.5,
            repeats: 9,
            run: mapped(runtime, [asleep(skewed)], free, 10_000),
            base: bare_tokio(runtime, IN_FLIGHT, 10_000, skewed),
        },
        Workload {
            name: "blocking 2,000 x 1 ms, 1 % 100 ms",
            strategy: "no settings",
            n: 2_000,
            baseline: "256 bare threads",
            target: 1.5,
            repeats: 9,
            run: mapped(runtime, [blocked(skewed)], free, 2_000),
            base: bare_threads(THREADS, 2_000, |x| std::thread::sleep(skewed(x))),
        },
    ]
}
