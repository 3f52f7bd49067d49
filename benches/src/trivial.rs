//! `x * 2 + 1` over a million rows.

use std::sync::Arc;

use hypernodes::datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use hypernodes::datafusion::datasource::MemTable;
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::measure::Run;

const ROWS: usize = 1_000_000;

/// A session with the table `t` of this column, in batches of 8,192 rows.
pub(crate) fn session(settings: Settings, name: &str, column: ArrayRef) -> Session {
    let session = Session::with_settings(settings).unwrap();
    let batch = RecordBatch::try_from_iter([(name, column)]).unwrap();
    let rows = batch.num_rows();
    let batches = (0..rows).step_by(8192);
    let batches = batches.map(|start| batch.slice(start, 8192.min(rows - start)));
    let table = MemTable::try_new(batch.schema(), vec![batches.collect()]).unwrap();
    session.register_table("t", Arc::new(table)).unwrap();
    session
}

/// Runs a query that is planned anew each time from a plan that was optimized before.
pub(crate) fn queried(runtime: &Arc<Runtime>, session: &Session, query: &str, rows: usize) -> Run {
    let (runtime, session) = (Arc::clone(runtime), session.clone());
    let plan = runtime.block_on(async {
        let frame = session.sql(query).await.unwrap();
        frame.create_physical_plan().await.unwrap()
    });
    Box::new(move || {
        use hypernodes::datafusion::physical_plan::{collect, execution_plan::reset_plan_states};
        let fresh = reset_plan_states(Arc::clone(&plan)).unwrap();
        let made = runtime
            .block_on(collect(fresh, session.task_ctx()))
            .unwrap();
        assert_eq!(made.iter().map(RecordBatch::num_rows).sum::<usize>(), rows);
    })
}

fn numbers(settings: Settings) -> Session {
    let column = Int64Array::from_iter_values(0..ROWS as i64);
    session(settings, "x", Arc::new(column))
}

/// The function per row.
pub(crate) fn by_row(runtime: &Arc<Runtime>, settings: Settings) -> Run {
    let session = numbers(settings);
    let node = Node::map("scaled", ["x"], |x: i64| x * 2 + 1);
    session.register_nodes([node]).unwrap();
    queried(runtime, &session, "SELECT scaled(x) FROM t", ROWS)
}

/// The function per batch.
pub(crate) fn by_batch(runtime: &Arc<Runtime>, settings: Settings) -> Run {
    let session = numbers(settings);
    let node = Node::batch("scaled", ["x"], |x: &Int64Array| -> Int64Array {
        x.unary(|x| x * 2 + 1)
    });
    session.register_nodes([node]).unwrap();
    queried(runtime, &session, "SELECT scaled(x) FROM t", ROWS)
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let free = Settings::default();
    let runs = [
        ("function per row", by_row(runtime, free), 2.0),
        ("function per batch", by_batch(runtime, free), 1.2),
    ];
    runs.map(|(strategy, run, target)| Workload {
        name: "1M rows x * 2 + 1",
        strategy,
        n: ROWS,
        baseline: "DataFusion's expression",
        target,
        repeats: 41,
        run,
        base: queried(runtime, &numbers(free), "SELECT x * 2 + 1 FROM t", ROWS),
    })
    .into()
}
