//! What runs at once, what runs in vain, and where.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use datafusion::arrow::array::{AsArray, Int64Array};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion::execution::memory_pool::GreedyMemoryPool;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::physical_plan::{ExecutionPlan, displayable, execute_stream};
use datafusion::prelude::{DataFrame, SessionConfig, SessionContext};
use futures::StreamExt;
use hypernodes::prelude::*;
use hypernodes_exec::NodeMapExec;

use crate::engines::executors::Counting;

const SERIES: &str = "SELECT value AS x FROM generate_series(0, 999)";

#[derive(Clone, Default)]
struct Peak(Arc<[AtomicUsize; 3]>);

impl Peak {
    fn begin(&self) {
        self.0[2].fetch_add(1, Ordering::SeqCst);
        let now = self.0[0].fetch_add(1, Ordering::SeqCst) + 1;
        self.0[1].fetch_max(now, Ordering::SeqCst);
    }

    fn end(&self) {
        self.0[0].fetch_sub(1, Ordering::SeqCst);
    }

    fn most(&self) -> usize {
        self.0[1].load(Ordering::SeqCst)
    }

    fn calls(&self) -> usize {
        self.0[2].load(Ordering::SeqCst)
    }
}

/// Every kind of node that gives its argument back, counted.
fn kinds(count: &Peak) -> [Node; 3] {
    let (row, later, whole) = (count.clone(), count.clone(), count.clone());
    [
        Node::map("y", ["x"], move |x: i64| {
            row.begin();
            x
        }),
        Node::map_async("y", ["x"], move |x: i64| {
            later.begin();
            async move {
                tokio::task::yield_now().await;
                x
            }
        }),
        Node::batch("y", ["x"], move |x: &Int64Array| -> Int64Array {
            (0..x.len()).for_each(|_| whole.begin());
            x.clone()
        }),
    ]
}

async fn plan(frame: DataFrame) -> Arc<dyn ExecutionPlan> {
    frame.create_physical_plan().await.expect("a plan")
}

/// Sets a goal on every operator of nodes.
fn with_goal(plan: Arc<dyn ExecutionPlan>, goal: usize) -> Arc<dyn ExecutionPlan> {
    let aimed = plan.transform_up(|plan| {
        Ok(match plan.downcast_ref::<NodeMapExec>() {
            Some(nodes) => Transformed::yes(nodes.with_row_goal(Some(goal))),
            None => Transformed::no(plan),
        })
    });
    aimed.data().expect("the same plan")
}

#[tokio::test]
async fn a_row_goal_bounds_the_calls_until_the_reader_asks_for_more() -> Result<()> {
    let mut kind = 0;
    while kind < 3 {
        let count = Peak::default();
        let [row, later, whole] = kinds(&count);
        let node = [row, later, whole].into_iter().nth(kind).expect("a kind");
        let session = Session::new()?;
        let frame = session.sql(SERIES).await?.apply(&Pipeline::new([node])?)?;
        let plan = with_goal(plan(frame).await, 10);
        let mut stream = execute_stream(plan, session.task_ctx()).expect("a stream");
        let (mut rows, mut bounds) = (0, Vec::new());
        while let Some(batch) = stream.next().await {
            let batch = batch.expect("no error");
            let made = batch.column(1).as_primitive::<Int64Type>();
            let expected = rows as i64..(rows + batch.num_rows()) as i64;
            assert!(made.values().iter().copied().eq(expected), "in order");
            rows += batch.num_rows();
            bounds.push((rows, count.calls()));
        }
        assert_eq!((rows, count.calls()), (1000, 1000));
        // 10, then 20, 40, ... more: never more in vain than the reader had.
        for (rows, calls) in bounds {
            assert!(
                calls <= (3 * rows).max(10),
                "{calls} calls for {rows} rows of kind {kind}"
            );
        }
        kind += 1;
    }
    Ok(())
}

#[tokio::test]
async fn independent_nodes_of_one_row_run_at_the_same_time() -> Result<()> {
    // Both calls of a row meet, so that one after the other would never end.
    let meeting = Arc::new(tokio::sync::Barrier::new(2));
    let met = |output: &'static str| {
        let meeting = Arc::clone(&meeting);
        Node::map_async(output, ["x"], move |x: i64| {
            let meeting = Arc::clone(&meeting);
            async move {
                meeting.wait().await;
                x
            }
        })
    };
    let sum = Node::map("sum", ["left", "right"], |a: i64, b: i64| a + b);
    let pipeline = Pipeline::new([met("left"), met("right"), sum])?;
    let mapping = pipeline.map(inputs! { x: [1_i64] }).over("x");
    let mapped = tokio::time::timeout(Duration::from_secs(20), mapping).await;
    assert_eq!(mapped.expect("they met")?.column::<i64>("sum")?, [2]);

    let session = Session::new()?;
    let frame = session.sql(SERIES).await?.apply(&pipeline)?;
    let shown = displayable(&*plan(frame).await).indent(false).to_string();
    assert_eq!(shown.matches("NodeMapExec").count(), 2, "{shown}");
    Ok(())
}

/// Neither ends before as many have begun as may run once calls were seen to wait.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_are_more_before_any_has_ended() -> Result<()> {
    // As many as where 1,024 files may be open, which is usual.
    let later = Arc::new(tokio::sync::Barrier::new(500));
    let mut nodes = vec![Node::map_async("y", ["x"], move |x: i64| {
        let later = Arc::clone(&later);
        async move {
            later.wait().await;
            x
        }
    })];
    // Other systems do not tell of a call that has not ended whether it waits.
    if cfg!(target_os = "linux") {
        let blocking = std::sync::Barrier::new(100);
        nodes.push(Node::map("y", ["x"], move |x: i64| {
            blocking.wait();
            x
        }));
    }
    for node in nodes {
        let pipeline = Pipeline::new([node])?;
        let x = (0..1_000_i64).collect::<Vec<_>>();
        let mapping = pipeline.map(inputs! { x: x.clone() }).over("x");
        let mapped = tokio::time::timeout(Duration::from_secs(20), mapping).await;
        assert_eq!(mapped.expect("they met")?.column::<i64>("y")?, x);
    }
    Ok(())
}

/// A call that is on a core for `time`.
pub(crate) fn compute(time: Duration) {
    let began = cpu_time::ThreadTime::now();
    while began.elapsed() < time {
        std::hint::spin_loop();
    }
}

#[tokio::test]
async fn computing_calls_are_as_many_as_cores_and_waiting_ones_more() -> Result<()> {
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    let computing = Peak::default();
    let peak = computing.clone();
    let node = Node::map("y", ["x"], move |x: i64| {
        peak.begin();
        compute(Duration::from_millis(2));
        peak.end();
        x
    });
    let pipeline = Pipeline::new([node])?;
    let x = (0..60_i64).collect::<Vec<_>>();
    pipeline.map(inputs! { x: x.clone() }).over("x").await?;
    assert!(computing.most() <= cores, "{} on {cores}", computing.most());

    // Once the first calls were seen to wait, sixteen wait for each other; later ones do not, as
    // short calls may be made one after another.
    let meeting = Arc::new(std::sync::Barrier::new(16));
    let node = Node::map("y", ["x"], move |x: i64| {
        if (16..32).contains(&x) {
            meeting.wait();
        } else {
            std::thread::sleep(Duration::from_millis(5));
        }
        x
    });
    let pipeline = Pipeline::new([node])?;
    let x = (0..64_i64).collect::<Vec<_>>();
    let mapping = pipeline.map(inputs! { x: x.clone() }).over("x");
    let mapped = tokio::time::timeout(Duration::from_secs(20), mapping).await;
    assert_eq!(mapped.expect("they met")?.column::<i64>("y")?, x);
    Ok(())
}

#[tokio::test]
async fn several_batches_of_a_batch_node_are_called_for_at_once() -> Result<()> {
    let meeting = Arc::new(std::sync::Barrier::new(2));
    let node = Node::batch("y", ["x"], move |x: &Int64Array| -> Int64Array {
        meeting.wait();
        x.clone()
    });
    let node = node.with_settings(Settings {
        max_workers: Some(2),
        ..Settings::default()
    });
    let config = SessionConfig::new().with_batch_size(100);
    let session = Session::with_config(config, Settings::default())?;
    let frame = session.sql(SERIES).await?.apply(&Pipeline::new([node])?)?;
    let collected = tokio::time::timeout(Duration::from_secs(20), frame.collect()).await;
    let made = collected.expect("they met").expect("rows");
    let rows = made.iter().map(|batch| batch.num_rows()).sum::<usize>();
    assert_eq!(rows, 1000);
    Ok(())
}

#[tokio::test]
async fn explain_analyze_tells_rows_calls_times_and_peak_of_each_node() -> Result<()> {
    let [_, later, _] = kinds(&Peak::default());
    let once = Node::map("once", ["x"], |x: i64| x);
    let whole = Node::batch("whole", ["x"], |x: &Int64Array| -> Int64Array { x.clone() });
    let settings = Settings {
        max_in_flight: Some(7),
        ..Settings::default()
    };
    let session = Session::new()?;
    session.register_nodes([later.with_settings(settings), once, whole])?;
    // The three are called at once, by one operator.
    let query = "EXPLAIN ANALYZE SELECT y(NULLIF(x, 0)), CASE WHEN x < 100 THEN once(x) END, whole(x) FROM (SELECT value AS x FROM generate_series(0, 899))";
    let shown = session.sql(query).await?.collect().await.expect("a plan");
    let shown = datafusion::arrow::util::pretty::pretty_format_batches(&shown);
    let shown = shown.expect("text").to_string();
    let mut lines = shown.lines().filter(|line| line.contains("NodeMapExec"));
    let line = lines.next().unwrap_or_default();
    assert_eq!(lines.next(), None, "{shown}");
    for figure in [
        "output_rows=900,",
        "y.rows_in=900",
        "y.calls=899",
        "y.peak_in_flight=7",
        "once.rows_in=900",
        "once.calls=100",
        "whole.rows_in=900",
        "whole.calls=1,",
        "whole.peak_in_flight=1,",
    ] {
        assert!(line.contains(figure), "{figure} is not in\n{shown}");
    }
    for node in ["y", "once", "whole"] {
        for figure in ["waiting", "computing", "peak_in_flight"] {
            let figure = format!("{node}.{figure}=");
            assert!(line.contains(&figure), "{figure} is not in\n{shown}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_full_memory_pool_slows_reading_and_fails_only_if_nothing_can_be_freed() -> Result<()> {
    let frame = async |bytes: usize| {
        let pool = Arc::new(GreedyMemoryPool::new(bytes));
        let environment = RuntimeEnvBuilder::new().with_memory_pool(pool).build_arc();
        let config = SessionConfig::new()
            .with_batch_size(100)
            .with_target_partitions(1);
        let context = SessionContext::new_with_config_rt(config, environment.expect("a pool"));
        let context = context.with_hypernodes()?;
        let count = Peak::default();
        let [_, later, _] = kinds(&count);
        let table = context.sql(SERIES).await.expect("a table");
        let frame = table.apply(&Pipeline::new([later])?)?;
        Ok::<_, Error>(frame.collect().await)
    };
    // A batch of 100 rows takes 800 bytes.
    let made = frame(2000).await?.expect("two batches at a time");
    assert_eq!(
        made.iter().map(|batch| batch.num_rows()).sum::<usize>(),
        1000
    );
    assert!(frame(700).await?.is_err(), "not even one batch");
    Ok(())
}

/// Both partitions need the one permit, and the reader of one waits for the other.
#[tokio::test]
async fn a_partition_that_is_not_read_keeps_no_other_from_its_permits() -> Result<()> {
    let [row, later, whole] = kinds(&Peak::default());
    let workers = Settings {
        max_workers: Some(1),
        ..Settings::default()
    };
    let in_flight = Settings {
        max_in_flight: Some(1),
        ..Settings::default()
    };
    for (node, settings) in [(row, workers), (later, in_flight), (whole, workers)] {
        let config = SessionConfig::new()
            .with_batch_size(1)
            .with_target_partitions(2);
        let context = SessionContext::new_with_config(config).with_hypernodes()?;
        let half = "SELECT value AS x FROM generate_series(0, 19)";
        let table = context
            .sql(&format!("{half} UNION ALL {half}"))
            .await
            .expect("a table");
        let pipeline = Pipeline::new([node.with_settings(settings)])?;
        let frame = table.apply(&pipeline)?;
        let plan = frame.create_physical_plan().await.expect("a plan");
        let context = context.task_ctx();
        let of = |partition| plan.execute(partition, Arc::clone(&context));
        let (mut one, mut other) = (of(0).expect("a stream"), of(1).expect("a stream"));
        let first = one.next().await.expect("a row");
        assert_eq!(first.expect("no error").num_rows(), 1);
        let mut rows = 0;
        while let Some(batch) = other.next().await {
            rows += batch.expect("no error").num_rows();
        }
        assert_eq!(rows, 20);
    }
    Ok(())
}

/// A node of one worker, whose call of 0 waits until the sender sends or is dropped; and which
/// calls began.
fn first_waits() -> (Node, Sender<()>, Receiver<i64>) {
    let (began, begun) = channel();
    let (open, opened) = channel();
    let opened = Mutex::new(opened);
    let node = Node::map("y", ["x"], move |x: i64| {
        began.send(x).expect("the test waits");
        if x == 0 {
            let _sent_or_dropped = opened.lock().expect("no panic").recv();
        }
        x
    });
    let settings = Settings {
        max_workers: Some(1),
        use_batch_udf: Some(false),
        ..Settings::default()
    };
    (node.with_settings(settings), open, begun)
}

#[tokio::test]
async fn a_worker_takes_its_next_calls_while_nobody_reads() -> Result<()> {
    let (node, open, begun) = first_waits();
    let session = Session::new()?;
    let frame = session.sql(SERIES).await?.apply(&Pipeline::new([node])?)?;
    let mut stream = frame.execute_stream().await.expect("a stream");
    let first = loop {
        assert!(futures::poll!(stream.next()).is_pending(), "row 0 waits");
        tokio::task::yield_now().await;
        if let Ok(first) = begun.try_recv() {
            break first;
        }
    };
    assert_eq!(first, 0);
    open.send(()).expect("row 0 waits");
    for expected in 1..4 {
        let next = begun.recv_timeout(Duration::from_secs(20));
        assert_eq!(next, Ok(expected), "nobody polls");
    }
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.expect("no error").num_rows();
    }
    assert_eq!(rows, 1000);
    Ok(())
}

#[tokio::test]
async fn calls_that_wait_for_a_permit_are_not_made_once_the_stream_is_gone() -> Result<()> {
    let (node, open, begun) = first_waits();
    let jobs = Arc::new(Counting::default());
    let executor = Arc::clone(&jobs);
    let session = Session::on_executor(Settings::default(), executor)?;
    let frame = session.sql(SERIES).await?.apply(&Pipeline::new([node])?)?;
    let mut stream = frame.execute_stream().await.expect("a stream");
    while begun.try_recv().is_err() {
        assert!(futures::poll!(stream.next()).is_pending(), "row 0 waits");
        tokio::task::yield_now().await;
    }
    drop((stream, session));
    drop(open);
    // The node is gone with the plan and the call that ran, and nothing was sent meanwhile.
    let next = begun.recv_timeout(Duration::from_secs(20));
    assert_eq!(next, Err(RecvTimeoutError::Disconnected));
    assert_eq!(jobs.take(), 1, "those that waited were dropped");
    Ok(())
}

#[tokio::test]
async fn a_slow_row_holds_up_no_more_than_batches_do() -> Result<()> {
    const ROWS: i64 = 3 * 8192;
    let (others, all) = (
        Arc::new(AtomicUsize::new(0)),
        Arc::new(tokio::sync::Notify::new()),
    );
    let node = Node::map_async("y", ["x"], move |x: i64| {
        let (others, all) = (Arc::clone(&others), Arc::clone(&all));
        async move {
            if x == 0 {
                all.notified().await;
            } else if others.fetch_add(1, Ordering::SeqCst) + 2 == ROWS as usize {
                all.notify_one();
            }
            x
        }
    });
    let pipeline = Pipeline::new([node])?;
    let x: Vec<i64> = (0..ROWS).collect();
    let mapping = pipeline.map(inputs! { x: x.clone() }).over("x");
    let mapped = tokio::time::timeout(Duration::from_secs(20), mapping).await;
    assert_eq!(mapped.expect("row 0 ends last")?.column::<i64>("y")?, x);
    Ok(())
}
