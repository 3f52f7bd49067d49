//! The workloads of the report, as criterion sees them.

use std::sync::Arc;

use criterion::{BenchmarkId, Criterion, criterion_group, criterion_main};
use hypernodes_bench::{TOPICS, Workload};
use tokio::runtime::Runtime;

fn bench(criterion: &mut Criterion, topic: &str, make: fn(&Arc<Runtime>) -> Vec<Workload>) {
    #[expect(clippy::unwrap_used, reason = "a benchmark")]
    let runtime = Arc::new(Runtime::new().unwrap());
    let mut group = criterion.benchmark_group(topic);
    group.sample_size(10);
    for mut workload in make(&runtime) {
        let id = BenchmarkId::new(workload.name, workload.strategy);
        group.bench_function(id, |bencher| bencher.iter(&mut *workload.run));
        let beside = format!("{}, baseline of {}", workload.baseline, workload.strategy);
        let id = BenchmarkId::new(workload.name, beside);
        group.bench_function(id, |bencher| bencher.iter(&mut *workload.base));
    }
    group.finish();
}

fn guide(criterion: &mut Criterion) {
    for (topic, make) in TOPICS {
        bench(criterion, topic, make);
    }
}

criterion_group!(benches, guide);
criterion_main!(benches);
