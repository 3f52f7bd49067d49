//! Eight scenarios of small pipelines, each on the three engines.

use std::hint::black_box;
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

#[node(output = "sum")]
fn add_one(x: i64) -> i64 {
    x + 1
}

#[node(output = "sum")]
fn add_both(x: i64, y: i64) -> i64 {
    x + y
}

#[node(output = "result")]
fn double(sum: i64) -> i64 {
    sum * 2
}

#[node(output = "result")]
fn wait(x: i64) -> i64 {
    std::thread::sleep(Duration::from_millis(50));
    x * 2
}

#[node(output = "result")]
fn compute(x: i64) -> i64 {
    (0..500_000).fold(x, |x, _| black_box((x * 7 + 11) % 1_000_000))
}

#[node(output = "outer")]
fn treble(result: i64) -> i64 {
    result * 3
}

#[node(output = "twice")]
fn twice(x: i64) -> i64 {
    x * 2
}

#[node(output = "both")]
fn add_twice(sum: i64, twice: i64) -> i64 {
    sum + twice
}

#[node(output = "result")]
fn add_three(sum: i64, twice: i64, both: i64) -> i64 {
    sum + twice + both
}

/// What is run: once, or over the inputs that are named.
struct Scenario {
    name: &'static str,
    pipeline: Pipeline,
    inputs: Inputs,
    over: &'static [&'static str],
}

fn scenarios() -> Result<[Scenario; 8]> {
    let simple = Pipeline::new(nodes![add_one, double])?;
    let nested = Pipeline::new(nodes![simple.as_node(), treble])?;
    let ten = inputs! { x: items(0..10_i64) };
    let three = inputs! { x: items(0..3_i64) };
    let one = inputs! { x: 5_i64 };
    let scenario = |name, pipeline: &Pipeline, inputs: &Inputs, over| Scenario {
        name,
        pipeline: pipeline.clone(),
        inputs: inputs.clone(),
        over,
    };
    let waiting = Pipeline::new(nodes![wait])?;
    let computing = Pipeline::new(nodes![compute])?;
    let complex = Pipeline::new(nodes![add_one, twice, add_twice, add_three])?;
    let several = Pipeline::new(nodes![add_both, double])?;
    let pairs = inputs! { x: items(0..10_i64), y: items(10..20_i64) };
    Ok([
        scenario("simple", &simple, &one, &[]),
        scenario("map", &simple, &ten, &["x"]),
        scenario("map, waiting", &waiting, &three, &["x"]),
        scenario("map, computing", &computing, &three, &["x"]),
        scenario("nested", &nested, &one, &[]),
        scenario("nested, map", &nested, &ten, &["x"]),
        scenario("complex graph", &complex, &one, &[]),
        scenario("map, several parameters", &several, &pairs, &["x", "y"]),
    ])
}

/// Runs a scenario, and gives the number of rows.
async fn run(scenario: &Scenario, engine: &dyn Engine) -> Result<usize> {
    let (pipeline, inputs) = (&scenario.pipeline, scenario.inputs.clone());
    let made = match scenario.over {
        [] => pipeline.run(inputs).on(engine).await?,
        over => pipeline.map(inputs).over(over).on(engine).await?,
    };
    Ok(made.rows())
}

#[expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]
fn bench(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let session = Session::new().unwrap();
    let parallel = ParallelEngine::default();
    let engines: [(&str, &dyn Engine); 3] = [
        ("sequential", &SequentialEngine),
        ("session", &session),
        ("parallel", &parallel),
    ];
    for scenario in scenarios().unwrap() {
        let mut group = criterion.benchmark_group(scenario.name);
        group.sample_size(10);
        for (name, engine) in engines {
            group.bench_function(BenchmarkId::from_parameter(name), |bencher| {
                bencher.iter(|| runtime.block_on(run(&scenario, engine)).unwrap());
            });
        }
        group.finish();
    }
}

criterion_group!(benches, bench);
criterion_main!(benches);
