//! The guide's table: waiting, async and blocking, beside bare Tokio and bare threads; and what
//! a trivial node costs per row beside DataFusion's own expression.

#![expect(clippy::print_stdout, clippy::unwrap_used, reason = "a benchmark")]

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hypernodes::datafusion::arrow::array::{ArrayRef, Int64Array};
use hypernodes::datafusion::datasource::MemTable;
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

const WAIT: Duration = Duration::from_millis(10);
const ITEMS: usize = 100;
const ROWS: usize = 1_000_000;
const REPEATS: usize = 11;

/// The median of some runs.
fn median(mut run: impl FnMut()) -> f64 {
    let mut seconds: Vec<f64> = (0..REPEATS)
        .map(|_| {
            let began = Instant::now();
            run();
            began.elapsed().as_secs_f64()
        })
        .collect();
    seconds.sort_by(f64::total_cmp);
    seconds[REPEATS / 2]
}

fn items() -> Inputs {
    inputs! { x: (0..ITEMS as i64).collect::<Vec<_>>() }
}

fn bare_tokio(runtime: &Runtime) {
    runtime.block_on(async {
        let tasks = (0..ITEMS).map(|_| tokio::spawn(tokio::time::sleep(WAIT)));
        for task in tasks.collect::<Vec<_>>() {
            task.await.unwrap();
        }
    });
}

fn bare_threads() {
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..16 {
            scope.spawn(|| {
                while next.fetch_add(1, Ordering::Relaxed) < ITEMS {
                    std::thread::sleep(WAIT);
                }
            });
        }
    });
}

fn map(runtime: &Runtime, pipeline: &Pipeline, engine: &dyn Engine) {
    let made = runtime.block_on(async { pipeline.map(items()).over("x").on(engine).await });
    assert_eq!(made.unwrap().rows(), ITEMS);
}

fn waiting(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let asleep = Node::map_async("y", ["x"], |x: i64| async move {
        tokio::time::sleep(WAIT).await;
        x
    });
    let blocked = Node::map("y", ["x"], |x: i64| {
        std::thread::sleep(WAIT);
        x
    });
    let asleep = Pipeline::new([asleep]).unwrap();
    let blocked = Pipeline::new([blocked]).unwrap();
    let free = Session::new().unwrap();
    let sixteen = Settings {
        max_workers: Some(16),
        ..Settings::default()
    };
    let sixteen = Session::with_settings(sixteen).unwrap();
    let runs: [(&str, &str, &str, &dyn Fn()); 7] = [
        ("async 100 x 10 ms", "bare Tokio", "bare Tokio", &|| {
            bare_tokio(&runtime)
        }),
        ("async 100 x 10 ms", "default", "bare Tokio", &|| {
            map(&runtime, &asleep, &free)
        }),
        ("async 100 x 10 ms", "sequential", "bare Tokio", &|| {
            map(&runtime, &asleep, &SequentialEngine)
        }),
        (
            "blocking 100 x 10 ms",
            "16 bare threads",
            "16 bare threads",
            &bare_threads,
        ),
        (
            "blocking 100 x 10 ms",
            "max_workers 16",
            "16 bare threads",
            &|| map(&runtime, &blocked, &sixteen),
        ),
        (
            "blocking 100 x 10 ms",
            "default",
            "16 bare threads",
            &|| map(&runtime, &blocked, &free),
        ),
        (
            "blocking 100 x 10 ms",
            "sequential",
            "16 bare threads",
            &|| map(&runtime, &blocked, &SequentialEngine),
        ),
    ];
    report(criterion, ITEMS, &runs);
}

fn trivial(criterion: &mut Criterion) {
    let runtime = Runtime::new().unwrap();
    let session = Session::new().unwrap();
    let x: ArrayRef = Arc::new(Int64Array::from_iter_values(0..ROWS as i64));
    let batch = hypernodes::arrow::array::RecordBatch::try_from_iter([("x", x)]).unwrap();
    let batches: Vec<_> = (0..ROWS)
        .step_by(8192)
        .map(|start| batch.slice(start, 8192.min(ROWS - start)))
        .collect();
    let table = MemTable::try_new(batch.schema(), vec![batches]).unwrap();
    session.register_table("t", Arc::new(table)).unwrap();
    let node = Node::map("scaled", ["x"], |x: i64| x * 2 + 1);
    let whole = Node::batch("scaled_whole", ["x"], |x: &Int64Array| -> Int64Array {
        x.unary(|x| x * 2 + 1)
    });
    session.register_nodes([node, whole]).unwrap();
    let query = |query: &str| {
        let frame = runtime.block_on(session.sql(query)).unwrap();
        let rows = runtime.block_on(frame.count()).unwrap();
        assert_eq!(rows, ROWS);
    };
    let workload = "trivial x * 2 + 1";
    let own = "DataFusion's expression";
    let runs: [(&str, &str, &str, &dyn Fn()); 3] = [
        (workload, own, own, &|| {
            query("SELECT x FROM t WHERE x * 2 + 1 > 0")
        }),
        (workload, "function per row", own, &|| {
            query("SELECT x FROM t WHERE scaled(x) > 0")
        }),
        (workload, "function per batch", own, &|| {
            query("SELECT x FROM t WHERE scaled_whole(x) > 0");
        }),
    ];
    report(criterion, ROWS, &runs);
}

/// Benches each run, and prints its median beside its baseline's.
fn report(criterion: &mut Criterion, n: usize, runs: &[(&str, &str, &str, &dyn Fn())]) {
    let mut group = criterion.benchmark_group("guide");
    group.sample_size(10);
    let mut medians: Vec<(&str, &str, f64)> = Vec::new();
    let mut lines = Vec::new();
    for (workload, strategy, baseline, run) in runs {
        if *strategy != "sequential" {
            let id = BenchmarkId::new(*workload, strategy);
            group.bench_function(id, |bencher| bencher.iter(run));
        }
        let seconds = median(run);
        medians.push((workload, strategy, seconds));
        let base = medians
            .iter()
            .find(|(known, strategy, _)| known == workload && strategy == baseline);
        let ratio = base.map(|(_, _, base)| seconds / base);
        lines.push(serde_json::json!({
            "workload": workload, "strategy": strategy, "n": n,
            "median_s": seconds, "baseline": baseline, "ratio": ratio,
        }));
    }
    group.finish();
    lines.iter().for_each(|line| println!("{line}"));
}

criterion_group!(guide, waiting, trivial);
criterion_main!(guide);
