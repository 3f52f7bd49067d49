//! Every engine against the sequential one, on random pipelines and data.

use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::datasource::MemTable;
use datafusion::prelude::SessionConfig;
use hypernodes::prelude::*;
use proptest::prelude::*;
use proptest::test_runner::TestCaseResult;

use super::random::{Level, Row, batch, batches, level};

/// Where the sessions and their tasks live.
static RUNTIME: LazyLock<tokio::runtime::Runtime> = LazyLock::new(|| {
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build();
    runtime.expect("threads")
});

/// The engines that nested pipelines run on.
static NESTED: LazyLock<[Arc<dyn Engine>; 3]> = LazyLock::new(|| {
    let parallel = ParallelEngine::builder().num_workers(2).npartitions(3);
    [
        Arc::new(SequentialEngine),
        Arc::new(parallel.build().expect("an engine")),
        Arc::new(Session::new().expect("an engine")),
    ]
});

/// How the default engine gets the rows.
#[derive(Debug, Clone)]
struct Table {
    batch_size: usize,
    /// Whether each batch is a partition, whose order among the others is open.
    split: bool,
}

fn table() -> impl Strategy<Value = Table> {
    (1usize..50, any::<bool>()).prop_map(|(batch_size, split)| Table { batch_size, split })
}

fn parallel() -> impl Strategy<Value = [usize; 2]> {
    [1usize..4, 1usize..9]
}

async fn on_table(
    pipeline: &Pipeline,
    batches: &[RecordBatch],
    table: &Table,
) -> Result<RecordBatch> {
    let config = SessionConfig::new()
        .with_batch_size(table.batch_size)
        .with_target_partitions(3);
    let session = Session::with_config(config, Settings::default())?;
    let partitions = match table.split {
        true => batches.iter().map(|batch| vec![batch.clone()]).collect(),
        false => vec![batches.to_vec()],
    };
    let table = MemTable::try_new(batches[0].schema(), partitions).expect("one schema");
    let frame = session.read_table(Arc::new(table)).expect("a table");
    let frame = frame.apply(pipeline)?;
    let outputs = pipeline.outputs().map(|output| output.name.as_str());
    let frame = frame
        .select_columns(&outputs.collect::<Vec<_>>())
        .expect("the outputs");
    let made = frame.collect().await.map_err(hypernodes::from_datafusion)?;
    Ok(concat_batches(&pipeline.output_schema(), &made).expect("one schema"))
}

/// Each row, in an order that does not depend on that of the rows if `sorted`.
fn lines(batch: &RecordBatch, sorted: bool) -> Vec<String> {
    let rows = 0..batch.num_rows();
    let mut lines: Vec<String> = rows
        .map(|row| format!("{:?}", batch.slice(row, 1).columns()))
        .collect();
    if sorted {
        lines.sort();
    }
    lines
}

/// What is known of an error, whatever engine met it.
fn facts(error: &Error) -> (ErrorKind, [Option<&str>; 4], &str) {
    let facts = ["pipeline", "node", "row", "item"].map(|key| error.context(key));
    (error.kind(), facts, error.message())
}

async fn check(
    level: Level,
    rows: Vec<Vec<Row>>,
    table: Table,
    [workers, partitions]: [usize; 2],
) -> TestCaseResult {
    let broken = |error: Error| TestCaseError::fail(format!("{error:?}"));
    let pipeline = level.build(&NESTED).map_err(broken)?;
    let batches = rows.iter().map(|rows| batch(rows)).collect::<Vec<_>>();
    let whole = concat_batches(&batches[0].schema(), &batches).expect("one schema");
    let expected = SequentialEngine.map(&pipeline, whole.clone()).await;

    let engine = ParallelEngine::builder()
        .num_workers(workers)
        .npartitions(partitions);
    let engine = engine.build().map_err(broken)?;
    match (&expected, engine.map(&pipeline, whole.clone()).await) {
        (Ok(expected), Ok(made)) => prop_assert_eq!(lines(&made, false), lines(expected, false)),
        (Err(expected), Err(made)) => prop_assert_eq!(facts(&made), facts(expected)),
        (expected, made) => {
            return Err(TestCaseError::fail(format!(
                "expected {expected:?}, parallel {made:?}"
            )));
        }
    }
    match (&expected, on_table(&pipeline, &batches, &table).await) {
        (Ok(expected), Ok(made)) => {
            prop_assert_eq!(lines(&made, table.split), lines(expected, table.split));
        }
        (Err(_), Err(made)) => {
            let is_users = made.user_error::<std::fmt::Error>().is_some();
            let kind = if is_users {
                ErrorKind::NodeFailed
            } else {
                ErrorKind::InvalidInput
            };
            prop_assert_eq!(made.kind(), kind, "{:?}", made);
            prop_assert!(made.first_row().is_some(), "{:?}", made);
            // Which of the failing rows is reported is open, but it must be one that fails.
            if let (false, Some(row)) = (table.split, made.row()) {
                prop_assert!(row < whole.num_rows() as u64, "{:?}", made);
                let alone = whole.slice(row as usize, 1);
                let alone = SequentialEngine.map(&pipeline, alone).await;
                prop_assert!(alone.is_err(), "row {} does not fail: {:?}", row, made);
            }
        }
        (expected, made) => {
            return Err(TestCaseError::fail(format!(
                "expected {expected:?}, made {made:?}"
            )));
        }
    }
    Ok(())
}

fn cases(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        max_shrink_iters: 4096,
        ..ProptestConfig::with_cases(cases)
    }
}

proptest! {
    #![proptest_config(cases(40))]

    #[test]
    fn engines_agree_on_flat_pipelines(
        level in level(0), rows in batches(), table in table(), parallel in parallel(),
    ) {
        RUNTIME.block_on(check(level, rows, table, parallel))?;
    }
}

proptest! {
    #![proptest_config(cases(100))]

    #[test]
    fn engines_agree_on_pipelines_in_pipelines(
        level in level(3), rows in batches(), table in table(), parallel in parallel(),
    ) {
        RUNTIME.block_on(check(level, rows, table, parallel))?;
    }
}
