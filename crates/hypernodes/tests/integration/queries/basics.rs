//! Calls counted against the optimum of each query.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use hypernodes::prelude::*;

const ROWS: i64 = 300;

/// The calls of the nodes f, g and h.
#[derive(Clone, Default)]
struct Calls(Arc<[AtomicUsize; 3]>);

impl Calls {
    fn count(&self, node: usize) {
        self.0[node].fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> [usize; 3] {
        std::array::from_fn(|node| self.0[node].swap(0, Ordering::Relaxed))
    }
}

/// `t(x: 0..300, y: 0..300 shuffled)`, the view `v` of it with a = 2x, b = a + 1, d = -y, and
/// the same functions in SQL.
async fn session(calls: &Calls) -> Result<Session> {
    let (f, g, h) = (calls.clone(), calls.clone(), calls.clone());
    let double = move |x: i64| {
        f.count(0);
        x * 2
    };
    let next = move |a: i64| {
        let g = g.clone();
        async move {
            tokio::task::yield_now().await;
            g.count(1);
            a + 1
        }
    };
    let negated = move |y: i64| {
        h.count(2);
        -y
    };
    let pipeline = Pipeline::new([
        Node::map("a", ["x"], double.clone()),
        Node::map_async("b", ["a"], next),
        Node::map("d", ["y"], negated),
    ])?;
    let session = Session::new()?;
    let x = Int64Array::from_iter_values(0..ROWS);
    let y = Int64Array::from_iter_values((0..ROWS).map(|x| x * 7919 % ROWS));
    let batch = RecordBatch::try_from_iter([("x", Arc::new(x) as _), ("y", Arc::new(y) as _)]);
    session
        .register_batch("t", batch.expect("two columns"))
        .expect("a free name");
    session.register_pipeline("v", &pipeline, "t").await?;
    session.register_nodes([Node::map("double", ["x"], double)])?;
    Ok(session)
}

/// The rows, as the text of their first column's numbers, and the calls of f, g and h.
async fn check(query: &str, rows: impl IntoIterator<Item = i64>, calls: [usize; 3]) -> Result<()> {
    let counted = Calls::default();
    let session = session(&counted).await?;
    let frame = session.sql(query).await?;
    let batches = frame
        .collect()
        .await
        .unwrap_or_else(|error| panic!("{query}: {error}"));
    let columns = batches
        .iter()
        .map(|batch| batch.column(0).as_primitive::<Int64Type>());
    let found: Vec<i64> = columns
        .flat_map(|column| column.values().to_vec())
        .collect();
    assert_eq!(found, rows.into_iter().collect::<Vec<_>>(), "{query}");
    assert_eq!(counted.take(), calls, "calls of {query}");
    Ok(())
}

#[tokio::test]
async fn each_node_runs_once_per_row_needed() -> Result<()> {
    check("SELECT x FROM v", 0..300, [0, 0, 0]).await?;
    check("SELECT count(*) FROM v", [300], [0, 0, 0]).await?;
    check("SELECT a FROM v", (0..300).map(|x| 2 * x), [300, 0, 0]).await?;
    check(
        "SELECT b, a, d FROM v",
        (0..300).map(|x| 2 * x + 1),
        [300, 300, 300],
    )
    .await?;
    check("SELECT x, a FROM v WHERE a > 500", 251..300, [300, 0, 0]).await?;
    check(
        "SELECT x, a, b FROM v WHERE a > 500",
        251..300,
        [300, 49, 0],
    )
    .await?;
    check(
        "SELECT x FROM v WHERE a > 500 AND x < 280",
        251..280,
        [280, 0, 0],
    )
    .await?;
    check("SELECT x, b FROM v WHERE x < 10", 0..10, [10, 10, 0]).await?;
    check("SELECT x, b FROM v LIMIT 10", 0..10, [10, 10, 0]).await
}

#[tokio::test]
async fn a_node_in_sql_runs_once_wherever_the_query_names_it() -> Result<()> {
    let passing = 51..300;
    check(
        "SELECT x FROM t WHERE double(x) > 100",
        passing.clone(),
        [300, 0, 0],
    )
    .await?;
    let query = "SELECT x, double(x), double(x) + 1 FROM t WHERE double(x) > 100";
    check(query, passing, [300, 0, 0]).await?;
    let query = "SELECT x FROM t WHERE double(x) BETWEEN 100 AND 110";
    check(query, 50..56, [300, 0, 0]).await?;
    let query = "SELECT q.x, double(q.x) FROM (SELECT x, double(x) AS a FROM t) q WHERE q.a > 590";
    check(query, 296..300, [300, 0, 0]).await?;
    check(
        "SELECT double(double(x)) FROM t",
        (0..300).map(|x| 4 * x),
        [600, 0, 0],
    )
    .await?;
    let query = "SELECT x FROM t WHERE double(x) > 580 AND x >= 5 AND double(y) >= 0";
    check(query, 291..300, [295 + 9, 0, 0]).await
}

#[tokio::test]
async fn a_predicate_on_a_node_stays_where_it_was_written() -> Result<()> {
    let having = "SELECT y % 3 AS k FROM t GROUP BY y % 3 HAVING double(y % 3) > 2";
    check(having, [2], [3, 0, 0]).await?;
    let join = "SELECT t.x FROM t JOIN (SELECT x FROM t WHERE x < 20) u ON t.x = u.x \
                WHERE double(t.x) > 36";
    check(join, [19], [20, 0, 0]).await
}

#[tokio::test]
async fn planning_and_explaining_call_nothing() -> Result<()> {
    let calls = Calls::default();
    let session = session(&calls).await?;
    let explain = session
        .sql("EXPLAIN SELECT double(5), a FROM v WHERE b > 1")
        .await?;
    let plan = explain.to_string().await.expect("a plan");
    assert!(plan.contains("NodeMap"), "{plan}");
    assert_eq!(calls.take(), [0, 0, 0]);
    Ok(())
}

/// DataFusion 55.2 lets each null that is looked into unmake all, also where the condition is not
/// met.
#[tokio::test]
async fn nulls_of_pairs_that_meet_no_condition_are_not_in_a_subquery() -> Result<()> {
    let calls = Calls::default();
    let session = session(&calls).await?;
    let query = "SELECT x FROM t WHERE nullif(x, 5) NOT IN
        (SELECT nullif(u.x, 1) FROM t u WHERE u.x < 20 AND double(t.x + u.x) > 590)";
    let result = session.sql(query).await?.collect().await;
    let batches = result.map_err(hypernodes::from_datafusion)?;
    let columns = batches
        .iter()
        .map(|batch| batch.column(0).as_primitive::<Int64Type>());
    let mut found: Vec<i64> = columns
        .flat_map(|column| column.values().to_vec())
        .collect();
    found.sort_unstable();
    // From 295 on, the row with a null meets the condition.
    assert_eq!(found, (0..295).collect::<Vec<_>>());
    // Pairs that may be equal: of a null on either side, or 18 of equal values.
    assert_eq!(calls.take(), [300 + 20 - 1 + 18, 0, 0]);
    Ok(())
}

#[tokio::test]
async fn a_session_without_our_rules_is_refused() -> Result<()> {
    let plain = datafusion::prelude::SessionContext::new();
    let node = || Node::map("double", ["x"], |x: i64| x * 2);
    let error = plain.register_nodes([node()]).expect_err("no rules");
    assert_eq!(error.kind(), ErrorKind::Unsupported);
    let frame = plain.read_empty().expect("an empty table");
    assert!(frame.apply(&Pipeline::new([node()])?).is_err());
    let ours = plain.with_hypernodes()?;
    ours.register_nodes([node()])?;
    let frame = ours.sql("SELECT double(21)").await.expect("a plan");
    let batches = frame.collect().await.expect("a row");
    assert_eq!(
        batches[0].column(0).as_primitive::<Int64Type>().value(0),
        42
    );
    let again = ours
        .register_nodes([node()])
        .expect_err("another definition");
    assert_eq!(again.kind(), ErrorKind::InvalidInput);
    Ok(())
}
