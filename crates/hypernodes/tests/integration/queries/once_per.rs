//! What a call is that joined rows share, by the kinds of nodes.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::datasource::MemTable;
use datafusion::execution::FunctionRegistry;
use datafusion::execution::runtime_env::RuntimeEnvBuilder;
use datafusion::logical_expr::Partitioning;
use datafusion::prelude::{SessionConfig, SessionContext, col};
use hypernodes::Declared;
use hypernodes::prelude::*;

/// Rows of `a`; `b` has each of them thrice, and one that `a` has not.
const ROWS: i64 = 40;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn more(&self, rows: usize) {
        self.0.fetch_add(rows, Ordering::Relaxed);
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

async fn context(nodes: Vec<Node>, partitions: usize) -> SessionContext {
    let config = SessionConfig::new()
        .with_batch_size(7)
        .with_target_partitions(partitions);
    let context = SessionContext::new_with_config(config);
    filled(context.with_hypernodes().expect("a runtime"), nodes)
}

fn filled(context: SessionContext, nodes: Vec<Node>) -> SessionContext {
    let thrice = (0..3 * ROWS).map(|x| x / 3).chain([-1]);
    for (table, x) in [
        ("a", (0..ROWS).collect()),
        ("b", thrice.collect::<Vec<i64>>()),
    ] {
        let y: Vec<i64> = (0..x.len() as i64).collect();
        let columns = [("x", x), ("y", y)];
        let columns = columns.map(|(name, values)| {
            let column: ArrayRef = Arc::new(Int64Array::from(values));
            (name, column)
        });
        let batch = RecordBatch::try_from_iter(columns).expect("two columns");
        let table_of = MemTable::try_new(batch.schema(), vec![vec![batch]]).expect("one schema");
        context
            .register_table(table, Arc::new(table_of))
            .expect("a free name");
    }
    context.register_nodes(nodes).expect("free names");
    context
}

/// A predicate that calls, so that the other side is not reduced by what it keeps.
fn passes() -> Node {
    Node::map("passes", ["y"], |y: i64| y >= 0)
}

async fn sum(context: &SessionContext, query: &str) -> Result<Option<i64>, String> {
    let frame = context
        .sql(query)
        .await
        .map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let column = batches[0].column(0).as_primitive::<Int64Type>();
    Ok(column.iter().next().flatten())
}

#[tokio::test]
async fn each_kind_of_node_is_called_once_for_a_row_that_a_join_repeats() {
    let calls = Count::default();
    let kinds: Vec<Node> = vec![
        {
            let calls = calls.clone();
            Node::map("n", ["x"], move |x: i64| {
                calls.more(1);
                x + 1
            })
        },
        {
            let calls = calls.clone();
            Node::map_async("n", ["x"], move |x: i64| {
                calls.more(1);
                async move {
                    tokio::task::yield_now().await;
                    x + 1
                }
            })
        },
        {
            let calls = calls.clone();
            Node::batch("n", ["x"], move |x: &Int64Array| -> Int64Array {
                calls.more(x.len());
                x.iter().map(|x| x.map(|x| x + 1)).collect()
            })
        },
        {
            let calls = calls.clone();
            let inner = Node::map("n", ["x"], move |x: i64| {
                calls.more(1);
                x + 1
            });
            Pipeline::new([inner])
                .expect("a pipeline")
                .as_node()
                .with_name("n")
                .into()
        },
    ];
    for node in kinds {
        for partitions in [1, 4] {
            let context = context(vec![node.clone(), passes()], partitions).await;
            let query = "SELECT sum(n(a.x)) FROM a JOIN b ON a.x = b.x WHERE passes(b.y)";
            let expected = 3 * (1..=ROWS).sum::<i64>();
            assert_eq!(sum(&context, query).await, Ok(Some(expected)), "{node:?}");
            assert_eq!(calls.take(), ROWS as usize, "{node:?}");
        }
    }
}

#[tokio::test]
async fn a_node_that_is_not_pure_runs_for_each_joined_row() {
    let calls = Count::default();
    let counted = calls.clone();
    let impure = Declared {
        pure: false,
        ..Declared::default()
    };
    let roll = Node::map("roll", ["x"], move |x: i64| {
        counted.more(1);
        x
    });
    let context = context(vec![roll.with_declared(impure), passes()], 2).await;
    let query = "SELECT sum(roll(a.x)) FROM a JOIN b ON a.x = b.x WHERE passes(b.y)";
    sum(&context, query).await.expect("a sum");
    assert_eq!(calls.take(), 3 * ROWS as usize);
}

#[tokio::test]
async fn a_padded_row_shares_no_call_and_has_what_is_made_of_nulls() {
    let calls = Count::default();
    let counted = calls.clone();
    let known = Node::map("known", ["x"], move |x: Option<i64>| {
        counted.more(1);
        x.map_or(100, |_| 1)
    });
    for partitions in [1, 4] {
        let context = context(vec![known.clone(), passes()], partitions).await;
        for (query, total, made) in [
            // All of b, of which a row has no match.
            (
                "SELECT sum(known(a.x)) FROM b LEFT JOIN a ON a.x = b.x",
                3 * ROWS + 100,
                ROWS + 1,
            ),
            (
                "SELECT sum(known(a.x)) FROM a RIGHT JOIN b ON a.x = b.x AND b.y < 6",
                6 + 100 * (3 * ROWS - 5),
                2 + 3 * ROWS - 5,
            ),
        ] {
            assert_eq!(sum(&context, query).await, Ok(Some(total)), "{query}");
            assert_eq!(calls.take() as i64, made, "{query}");
        }
    }
}

#[tokio::test]
async fn equal_arguments_share_a_call_that_declares_so() {
    let calls = Count::default();
    let counted = calls.clone();
    let dedup = Declared {
        dedup: true,
        ..Declared::default()
    };
    let tens = Node::map("tens", ["x"], move |x: i64| {
        counted.more(1);
        x
    });
    let context = context(vec![tens.with_declared(dedup), passes()], 1).await;
    let query = "SELECT sum(tens(a.x / 10)) FROM a JOIN b ON a.x = b.x WHERE passes(b.y)";
    sum(&context, query).await.expect("a sum");
    assert_eq!(calls.take(), 4);
}

#[tokio::test]
async fn what_is_kept_for_rows_to_come_is_reserved() {
    let text = Node::map("long", ["x"], |x: i64| x.to_string().repeat(50_000));
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(2_000_000, 1.0);
    let runtime = runtime.build_arc().expect("a runtime");
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(1);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let context = filled(
        context.with_hypernodes().expect("a runtime"),
        vec![text, passes()],
    );
    let query = "SELECT sum(length(long(a.x))) FROM a JOIN b ON a.x = b.x WHERE passes(b.y)";
    let error = sum(&context, query).await.expect_err("more than 2 MB");
    assert!(error.contains("NodeMapExec[long]"), "{error}");
}

#[tokio::test]
async fn rows_that_wait_for_a_call_wait_for_memory_too() {
    let later = Node::map_async("later", ["x"], |x: i64| async move {
        for _ in 0..1000 {
            tokio::task::yield_now().await;
        }
        x
    });
    let runtime = RuntimeEnvBuilder::new().with_memory_limit(1_000_000, 1.0);
    let runtime = runtime.build_arc().expect("a runtime");
    let config = SessionConfig::new()
        .with_target_partitions(1)
        .with_batch_size(10);
    let context = SessionContext::new_with_config_rt(config, runtime);
    let context = filled(
        context.with_hypernodes().expect("a runtime"),
        vec![later, passes()],
    );
    // 3,000 rows of 1,000 bytes, of which no more than a third fit.
    let query = "SELECT sum(later(a.x)) + sum(length(pad)) FROM a JOIN (SELECT b.x, b.y, repeat('x', 1000) AS pad FROM b, (SELECT x AS i FROM a WHERE x < 25)) b ON a.x = b.x WHERE passes(b.y)";
    let expected = 75 * (0..ROWS).sum::<i64>() + 75 * ROWS * 1000;
    assert_eq!(sum(&context, query).await, Ok(Some(expected)));
}

#[tokio::test]
async fn a_call_may_say_where_rows_are_repartitioned() {
    let calls = Count::default();
    let counted = calls.clone();
    let key = Node::map("key", ["x"], move |x: i64| {
        counted.more(1);
        x % 3
    });
    let context = context(vec![key], 2).await;
    let table = context.table("a").await.expect("the table");
    let udf = context.udf("key").expect("a function");
    let expr = udf.call(vec![col("x")]);
    let scheme = Partitioning::Hash(vec![expr], 3);
    let frame = table.repartition(scheme).expect("a plan");
    let rows = frame.collect().await.expect("rows");
    assert_eq!(
        rows.iter().map(RecordBatch::num_rows).sum::<usize>(),
        ROWS as usize
    );
    assert_eq!(calls.take(), ROWS as usize);
}
