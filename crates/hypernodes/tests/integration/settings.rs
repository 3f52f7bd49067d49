//! What settings do, on an engine and on a node.
//!
//! Rows meet at barriers as wide as the setting allows: fewer at once would never end, and more
//! are counted.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, LazyLock, Mutex};
use std::time::{Duration, Instant};

use datafusion::arrow::array::Int64Array;
use futures::StreamExt;
use hypernodes::prelude::*;

/// For what never happens.
const PATIENCE: Duration = Duration::from_secs(20);

const NONE: Settings = Settings {
    max_workers: None,
    workload_type: None,
    batch_size: None,
    max_in_flight: None,
    use_batch_udf: None,
    ordered: None,
};

fn in_flight(rows: usize) -> Settings {
    Settings {
        max_in_flight: Some(rows),
        ..NONE
    }
}

fn workers(calls: usize) -> Settings {
    Settings {
        max_workers: Some(calls),
        use_batch_udf: Some(false),
        ..NONE
    }
}

fn batches(rows: usize) -> Settings {
    Settings {
        batch_size: Some(rows),
        ..NONE
    }
}

/// The calls that run, and the most that ever ran.
#[derive(Default)]
struct Running(AtomicUsize, AtomicUsize);

impl Running {
    fn enter(&self) {
        let now = self.0.fetch_add(1, Ordering::SeqCst) + 1;
        self.1.fetch_max(now, Ordering::SeqCst);
    }

    fn leave(&self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Maps `rows` rows over the node on an engine of these settings.
async fn map(node: Node, engine: Settings, rows: i64) -> Result<()> {
    let x: Vec<i64> = (0..rows).collect();
    let pipeline = Pipeline::new([node])?;
    let session = Session::with_settings(engine)?;
    let inputs = inputs! { x: x.clone() };
    let made = pipeline.map(inputs).over("x").on(&session).await?;
    assert_eq!(made.column::<i64>("y")?, x);
    Ok(())
}

/// Of 40 rows, `wide` run at once, and never more.
async fn check_async(node: Settings, engine: Settings, wide: usize) -> Result<()> {
    let running = Arc::new(Running::default());
    let barrier = Arc::new(tokio::sync::Barrier::new(wide));
    let inside = Arc::clone(&running);
    let meet = move |x: i64| {
        let (running, barrier) = (Arc::clone(&inside), Arc::clone(&barrier));
        async move {
            running.enter();
            barrier.wait().await;
            running.leave();
            x
        }
    };
    let meeting = Node::map_async("y", ["x"], meet).with_settings(node);
    map(meeting, engine, 40).await?;
    let peak = running.1.load(Ordering::SeqCst);
    assert_eq!(peak, wide, "node {node:?}, engine {engine:?}");
    Ok(())
}

async fn check_sync(node: Settings, engine: Settings, wide: usize) -> Result<()> {
    let running = Arc::new(Running::default());
    let barrier = std::sync::Barrier::new(wide);
    let inside = Arc::clone(&running);
    let meet = move |x: i64| {
        inside.enter();
        barrier.wait();
        inside.leave();
        x
    };
    let meeting = Node::map("y", ["x"], meet).with_settings(node);
    let rows = 40_usize.next_multiple_of(wide);
    map(meeting, engine, rows as i64).await?;
    let peak = running.1.load(Ordering::SeqCst);
    assert_eq!(peak, wide, "node {node:?}, engine {engine:?}");
    Ok(())
}

async fn check_batches(node: Settings, engine: Settings, expected: &[usize]) -> Result<()> {
    let sizes = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&sizes);
    let whole = move |x: &Int64Array| -> Int64Array {
        noted.lock().expect("no panic").push(x.len());
        x.clone()
    };
    let node = Node::batch("y", ["x"], whole).with_settings(node);
    map(node, engine, 40).await?;
    let mut sizes = sizes.lock().expect("no panic").clone();
    sizes.sort_unstable();
    assert_eq!(sizes, expected);
    Ok(())
}

#[tokio::test]
async fn d03_e05_max_in_flight_bounds_a_node_and_the_nodes_own_comes_first() -> Result<()> {
    check_async(NONE, NONE, 40).await?;
    check_async(NONE, in_flight(4), 4).await?;
    check_async(in_flight(2), NONE, 2).await?;
    check_async(in_flight(2), in_flight(4), 2).await?;
    check_async(in_flight(8), in_flight(4), 8).await
}

#[tokio::test]
async fn d03_e05_max_workers_is_the_pools_and_a_nodes_share_of_it() -> Result<()> {
    check_sync(NONE, workers(4), 4).await?;
    check_sync(workers(2), NONE, 2).await?;
    check_sync(workers(2), workers(4), 2).await?;
    // Four threads are all there are.
    check_sync(workers(8), workers(4), 4).await
}

#[tokio::test]
async fn d03_e05_batch_size_is_the_rows_of_a_call_and_the_nodes_own_comes_first() -> Result<()> {
    check_batches(NONE, NONE, &[40]).await?;
    check_batches(NONE, batches(15), &[10, 15, 15]).await?;
    check_batches(batches(20), batches(15), &[20, 20]).await?;
    let by_twenties = Settings {
        use_batch_udf: None,
        batch_size: Some(20),
        ..workers(4)
    };
    check_sync(NONE, by_twenties, 2).await?;
    check_sync(by_twenties, NONE, 2).await?;
    // One row at a time, whatever the size of a batch.
    let by_ones = Settings {
        use_batch_udf: Some(false),
        ..NONE
    };
    check_sync(by_ones, by_twenties, 4).await?;
    // And rows by twenties all the same, if the node says so.
    let together = Settings {
        use_batch_udf: Some(true),
        batch_size: Some(20),
        ..NONE
    };
    check_sync(together, workers(4), 2).await
}

#[tokio::test]
async fn e05_without_batches_no_row_runs_where_the_stream_is_read() -> Result<()> {
    let engine = Settings {
        use_batch_udf: Some(false),
        ..NONE
    };
    // However short a row is: without the setting, most of these would run in place.
    let caller = std::thread::current().id();
    let elsewhere = move |x: i64| {
        assert_ne!(std::thread::current().id(), caller);
        x
    };
    map(Node::map("y", ["x"], elsewhere), engine, 1_000).await
}

#[tokio::test]
async fn e05_without_batches_each_row_is_a_job_of_its_own() -> Result<()> {
    // The first rows teach the engine that a row costs nothing; then forty rows must meet.
    let barrier = std::sync::Barrier::new(40);
    let meet = move |x: i64| {
        if x >= 1000 {
            barrier.wait();
        }
        x
    };
    map(Node::map("y", ["x"], meet), workers(40), 1040).await
}

fn workload(kind: WorkloadType) -> Settings {
    Settings {
        workload_type: Some(kind),
        use_batch_udf: Some(false),
        ..NONE
    }
}

fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from)
}

#[tokio::test]
async fn e09_calls_that_wait_are_at_once_from_the_first_on() -> Result<()> {
    use WorkloadType::{Cpu, Io};
    // Nothing is measured before all forty have met.
    check_sync(NONE, workload(Io), 40).await?;
    check_sync(workload(Io), NONE, 40).await?;
    check_sync(workload(Io), workload(Cpu), 40).await?;
    let few = Settings {
        max_workers: Some(4),
        ..workload(Io)
    };
    check_sync(NONE, few, 4).await?;
    check_sync(few, NONE, 4).await?;
    // Nor would these be seen to wait.
    let (arrived, end) = (AtomicUsize::new(0), Instant::now() + PATIENCE);
    let spin = move |x: i64| {
        arrived.fetch_add(1, Ordering::SeqCst);
        while arrived.load(Ordering::SeqCst) < 40 {
            assert!(Instant::now() < end, "all forty meet");
            std::thread::yield_now();
        }
        x
    };
    map(Node::map("y", ["x"], spin), workload(Io), 40).await
}

#[tokio::test]
async fn e09_calls_that_compute_are_as_many_as_cores_though_they_wait() -> Result<()> {
    use WorkloadType::{Cpu, Io};
    check_sync(NONE, workload(Cpu), cores()).await?;
    check_sync(workload(Cpu), NONE, cores()).await?;
    check_sync(workload(Cpu), workload(Io), cores()).await?;
    let many = Settings {
        max_workers: Some(40 + cores()),
        ..workload(Cpu)
    };
    check_sync(NONE, many, cores()).await?;
    let one = Settings {
        max_workers: Some(1),
        ..workload(Cpu)
    };
    check_sync(one, NONE, 1).await
}

#[tokio::test]
async fn e09_calls_of_both_kinds_are_measured_up_to_the_workers() -> Result<()> {
    let up_to_eight = Settings {
        max_workers: Some(8),
        ..workload(WorkloadType::Mixed)
    };
    // Those that meet are asleep, which is seen before the first has ended.
    check_sync(NONE, up_to_eight, 8).await?;
    check_sync(up_to_eight, workload(WorkloadType::Cpu), 8).await
}

#[tokio::test]
async fn e09_what_waits_never_runs_where_the_stream_is_read() -> Result<()> {
    let caller = std::thread::current().id();
    let elsewhere = move |x: i64| {
        assert_ne!(std::thread::current().id(), caller);
        x
    };
    let waiting = Settings {
        use_batch_udf: None,
        ..workload(WorkloadType::Io)
    };
    map(Node::map("y", ["x"], elsewhere), waiting, 1_000).await
}

/// As many as there are cores meet, whatever the engine says.
#[node(output = "y", workload_type = "cpu", use_batch_udf = false)]
fn met(x: i64) -> i64 {
    static RUNNING: LazyLock<Running> = LazyLock::new(Running::default);
    static BARRIER: LazyLock<std::sync::Barrier> =
        LazyLock::new(|| std::sync::Barrier::new(cores()));
    RUNNING.enter();
    BARRIER.wait();
    RUNNING.leave();
    assert!(RUNNING.1.load(Ordering::SeqCst) <= cores());
    x
}

#[node(output = "y", max_workers = 2, use_batch_udf = false)]
fn paired(x: i64) -> i64 {
    static RUNNING: LazyLock<Running> = LazyLock::new(Running::default);
    static BARRIER: LazyLock<std::sync::Barrier> = LazyLock::new(|| std::sync::Barrier::new(2));
    RUNNING.enter();
    BARRIER.wait();
    RUNNING.leave();
    assert!(RUNNING.1.load(Ordering::SeqCst) <= 2);
    x
}

#[node(output = "y", max_in_flight = 2)]
async fn awaited(x: i64) -> i64 {
    static RUNNING: LazyLock<Running> = LazyLock::new(Running::default);
    static BARRIER: LazyLock<tokio::sync::Barrier> = LazyLock::new(|| tokio::sync::Barrier::new(2));
    RUNNING.enter();
    BARRIER.wait().await;
    RUNNING.leave();
    assert!(RUNNING.1.load(Ordering::SeqCst) <= 2);
    x
}

static OTHERS: tokio::sync::Semaphore = tokio::sync::Semaphore::const_new(0);

/// Row 0 waits for all others to have been read.
#[node(output = "y", ordered = false)]
async fn delayed(x: i64) -> i64 {
    if x == 0 {
        OTHERS.acquire().await.expect("it stays open").forget();
    }
    x
}

#[tokio::test]
async fn d03_the_macros_ordered_is_the_nodes() -> Result<()> {
    let session = Session::new()?;
    let table = session.sql("SELECT value AS x FROM generate_series(0, 99)");
    let frame = table.await?.apply(&Pipeline::new(nodes![delayed])?)?;
    let mut stream = frame.execute_stream().await.expect("a stream");
    let mut made = Vec::new();
    let mut next = async || tokio::time::timeout(PATIENCE, stream.next()).await;
    while let Some(batch) = next().await.expect("row 0 holds up none") {
        made.extend(Outputs::from(batch.expect("no error")).column::<i64>("y")?);
        if made.len() == 99 {
            OTHERS.add_permits(1);
        }
    }
    assert_eq!((made.len(), made.last()), (100, Some(&0)));
    Ok(())
}

#[tokio::test]
async fn d03_e05_the_macros_settings_are_the_nodes() -> Result<()> {
    for node in nodes![paired, awaited] {
        map(node, NONE, 40).await?;
    }
    let rows = 40 * cores() as i64;
    for node in nodes![met] {
        map(node, workload(WorkloadType::Io), rows).await?;
    }
    Ok(())
}

#[test]
fn what_cannot_be_honoured_is_refused() {
    let error = Session::with_settings(workers(0)).expect_err("zero");
    assert_eq!(error.kind(), ErrorKind::InvalidSetting);
    let sync = || Node::map("y", ["x"], |x: i64| x);
    let later = || Node::map_async("y", ["x"], |x: i64| async move { x });
    let whole = || Node::batch("y", ["x"], |x: &Int64Array| -> Int64Array { x.clone() });
    let refused = [
        (sync().with_settings(batches(0)), "batch_size"),
        (sync().with_settings(in_flight(2)), "max_in_flight"),
        (later().with_settings(workers(2)), "max_workers"),
        (whole().with_settings(workers(2)), "use_batch_udf"),
        (later().with_settings(batches(2)), "batch_size"),
        (
            later().with_settings(workload(WorkloadType::Io)),
            "workload_type",
        ),
    ];
    for (node, setting) in refused {
        let error = Pipeline::new([node]).expect_err(setting);
        assert!(error.message().contains(setting), "{error}");
    }
}
