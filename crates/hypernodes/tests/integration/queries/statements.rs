//! Statements other than SELECT, plans that are not SQL, and what a plan looks like.

use datafusion::arrow::array::{AsArray, RecordBatch};
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::util::pretty::pretty_format_batches;
use datafusion::common::JoinType;
use datafusion::logical_expr::registry::FunctionRegistry;
use datafusion::prelude::{DataFrame, SessionContext, col, lit};
use hypernodes::Declared;
use hypernodes::prelude::*;

use super::fixture::{Calls, Data, Setting, f, g, ours, parquet, plain};
use super::matrix::rows;

const SETTING: Setting = Setting {
    batch_size: 64,
    partitions: 2,
    is_async: false,
    max_passes: 3,
};

struct Bench {
    context: SessionContext,
    calls: Calls,
    data: Data,
    folder: tempfile::TempDir,
}

async fn bench() -> Bench {
    let (data, calls) = (Data::new(200), Calls::default());
    let folder = tempfile::tempdir().expect("a folder");
    let file = parquet(&data, folder.path());
    let context = ours(&data, SETTING, &file, &calls).await;
    Bench {
        context,
        calls,
        data,
        folder,
    }
}

impl Bench {
    async fn text(&self, query: &str) -> String {
        let frame = self.context.sql(query).await.expect(query);
        let batches = frame.collect().await.expect(query);
        pretty_format_batches(&batches).expect("text").to_string()
    }

    /// The values that f gives for the first `rows` rows of `t`, one a line.
    fn first(&self, rows: usize) -> usize {
        self.data.t[..rows]
            .iter()
            .filter(|row| f(row.x).is_some())
            .count()
    }
}

/// Each statement, then the rows that it left, as plain DataFusion leaves them.
#[tokio::test]
async fn tables_are_made_filled_and_copied_with_one_call_a_row() {
    let bench = bench().await;
    let file = parquet(&bench.data, bench.folder.path());
    let plain = plain(&bench.data, &file).await;
    let t = |passes: fn(i64) -> bool| bench.data.t.iter().filter(|row| passes(row.x)).count();
    let over = t(|x| f(x) > Some(300));
    let some = |rows: usize| bench.first(rows);
    for (statement, calls, read) in [
        (
            "CREATE TABLE made AS SELECT x, f(x) AS a, f(x) + 1 AS b FROM t WHERE x < 50",
            [50, 0, 0, 0],
            "SELECT * FROM made",
        ),
        (
            "INSERT INTO made SELECT x, f(x), g(x) FROM t WHERE f(x) > 300",
            [200, over, 0, 0],
            "SELECT * FROM made",
        ),
        (
            "INSERT INTO made VALUES (1, f(1), g(f(2)))",
            [2, 1, 0, 0],
            "SELECT * FROM made",
        ),
        (
            "INSERT INTO made (b, x) SELECT m(y), x FROM t ORDER BY y LIMIT 5",
            [0, 0, 0, 5],
            "SELECT * FROM made",
        ),
        (
            "CREATE TABLE few AS SELECT x, b FROM pv WHERE a > 300 ORDER BY y LIMIT 3",
            [200, 3, 0, 0],
            "SELECT * FROM few",
        ),
        (
            "CREATE VIEW over AS SELECT x, g(a) AS c FROM pv WHERE a > 300",
            [0; 4],
            "SELECT * FROM over",
        ),
        (
            "COPY (SELECT x, a, b FROM pv WHERE x < 20) TO '{copy}'",
            [20, some(20), 0, 0],
            "SELECT * FROM '{copy}'",
        ),
        (
            "PREPARE q(BIGINT) AS SELECT f(x), f(x) + 1 FROM t WHERE x < $1 AND f(x) > 10",
            [0; 4],
            "EXECUTE q(30)",
        ),
    ] {
        let mut left = Vec::new();
        for (name, context) in [("ours", &bench.context), ("plain", &plain)] {
            let path = bench.folder.path().join(format!("{name}.parquet"));
            let sql = |text: &str| text.replace("{copy}", &path.to_string_lossy());
            rows(context, &sql(statement)).await.expect(statement);
            if name == "ours" {
                assert_eq!(bench.calls.take(), calls, "{statement}");
            }
            let files = context.clone().enable_url_table();
            let context = if read.contains("{copy}") {
                &files
            } else {
                context
            };
            let mut read = rows(context, &sql(read)).await.expect(read);
            read.sort_unstable();
            left.push(read);
        }
        bench.calls.take();
        assert!(!left[0].is_empty(), "{statement}");
        assert_eq!(left[0], left[1], "{statement}");
    }
}

#[tokio::test]
async fn rows_are_not_deleted_or_changed_by_calls() {
    let bench = bench().await;
    bench.text("CREATE TABLE made AS SELECT * FROM t").await;
    for statement in [
        "DELETE FROM made WHERE f(x) > 100",
        "UPDATE made SET y = f(y) WHERE x < 10",
        "UPDATE made SET y = 3 WHERE x IN (SELECT f(x) FROM s)",
    ] {
        let frame = bench.context.sql(statement).await.expect(statement);
        let error = frame.collect().await.expect_err(statement);
        // It blames the statement, not the rule that found it.
        let text = error.to_string();
        assert!(text.starts_with("External error: node \"f\" is"), "{text}");
        let error = hypernodes::from_datafusion(error);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{statement}: {error}");
        assert!(error.message().contains("\"f\""), "{error}");
        assert!(error.message().contains("made"), "{error}");
    }
    assert_eq!(bench.calls.take(), [0; 4]);
}

#[tokio::test]
async fn a_prepared_statement_calls_when_it_is_executed() {
    let bench = bench().await;
    bench
        .text("PREPARE q(BIGINT) AS SELECT f(x), f(x) + 1 FROM t WHERE x < $1 AND f(x) > 10")
        .await;
    assert_eq!(bench.calls.take(), [0; 4]);
    bench.text("EXECUTE q(30)").await;
    assert_eq!(bench.calls.take(), [30, 0, 0, 0]);
}

#[tokio::test]
async fn a_data_frame_is_a_query_like_any_other() {
    let bench = bench().await;
    let view = bench.context.table("pv").await.expect("the view");
    let frame = view
        .filter(col("a").gt(lit(100)))
        .and_then(|frame| frame.sort(vec![col("x").sort(true, true)]))
        .and_then(|frame| frame.limit(0, Some(5)))
        .and_then(|frame| frame.select_columns(&["x", "b"]))
        .expect("a plan");
    let made = frame.clone().to_string().await.expect("rows");
    assert_eq!(bench.calls.take(), [200, 5, 0, 0]);
    let file = parquet(&bench.data, bench.folder.path());
    let query = "SELECT x, b FROM pv WHERE a > 100 ORDER BY x LIMIT 5";
    let wanted = plain(&bench.data, &file).await.sql(query).await;
    let wanted = wanted.expect("a plan").to_string().await.expect("rows");
    assert_eq!(made, wanted);
    let cached = frame.cache().await.expect("a table");
    bench.calls.take();
    assert_eq!(cached.to_string().await.expect("rows"), wanted);
    assert_eq!(bench.calls.take(), [0; 4]);
}

/// Of a table's list column itself, whose items have no qualifier.
#[tokio::test]
async fn calls_beside_a_tables_list_wait_for_what_drops_its_items() {
    let bench = bench().await;
    bench
        .text("CREATE TABLE u AS SELECT x, y, [x, x + 1000] AS us FROM t")
        .await;
    let call = |name: &str, arg: &str| {
        let udf = bench.context.udf(name).expect("the node");
        udf.call(vec![col(arg)])
    };
    let frame = bench.context.table("u").await.expect("the table");
    let items = frame
        .with_column("a", call("f", "x"))
        .and_then(|frame| frame.unnest_columns(&["us"]))
        .and_then(|frame| frame.filter(col("us").gt(lit(1190))))
        .expect("a plan");
    let rows = items.collect().await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 9);
    assert_eq!(bench.calls.take(), [9, 0, 0, 0]);

    // The list has the name of another column.
    let frame = bench.context.table("u").await.expect("the table");
    let items = frame
        .select(vec![
            col("x").alias("us"),
            col("us").alias("x"),
            call("f", "y").alias("a"),
        ])
        .and_then(|frame| frame.unnest_columns(&["x"]))
        .and_then(|frame| frame.filter(call("g", "x").gt(lit(0)).and(col("x").lt(lit(5)))))
        .expect("a plan");
    let rows = items.collect().await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert_eq!(bench.calls.take(), [5, 5, 0, 0]);
}

/// Of a list column itself, not of an expression beside it.
#[tokio::test]
async fn calls_below_the_items_of_a_frames_list_wait_for_the_limit() {
    let bench = bench().await;
    let frame = bench
        .context
        .sql("SELECT f(x) AS a, g(x) AS b, [x, x + 1000] AS us FROM t")
        .await
        .and_then(|frame| frame.unnest_columns(&["us"]))
        .and_then(|frame| frame.filter(col("us").gt(lit(1000))))
        .and_then(|frame| frame.sort(vec![col("us").sort(true, true)]))
        .and_then(|frame| frame.limit(0, Some(5)))
        .expect("a plan");
    let rows = frame.collect().await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 5);
    assert_eq!(bench.calls.take(), [5, 5, 0, 0]);
}

#[tokio::test]
async fn a_sort_whose_order_nobody_sees_calls_nothing() {
    let bench = bench().await;
    let udf = bench.context.udf("f").expect("the node");
    let frame = bench.context.table("t").await.expect("the table");
    let sorted = frame
        .sort(vec![udf.call(vec![col("x")]).sort(true, true)])
        .expect("a plan");
    let count = sorted.clone().count().await.expect("a count");
    assert_eq!((count, bench.calls.take()), (200, [0; 4]));
    let again = sorted.clone().sort(vec![col("y").sort(true, true)]);
    let again = again.and_then(|frame| frame.limit(0, Some(3)));
    again.expect("a plan").collect().await.expect("rows");
    assert_eq!(bench.calls.take(), [0; 4]);
    let other = bench.context.table("t").await.expect("the table");
    let all = sorted.clone().union(other).and_then(DataFrame::distinct);
    let count = all.expect("a plan").count().await.expect("a count");
    assert_eq!((count, bench.calls.take()), (200, [0; 4]));
    sorted.collect().await.expect("rows");
    assert_eq!(bench.calls.take(), [200, 0, 0, 0]);
}

#[tokio::test]
async fn a_filter_by_a_call_keeps_the_order_of_a_sorted_frame() {
    let bench = bench().await;
    let call = |name: &str, arg: &str| {
        let udf = bench.context.udf(name).expect("the node");
        udf.call(vec![col(arg)])
    };
    let frame = bench.context.table("t").await.expect("the table");
    let keys = vec![call("f", "x").sort(false, false), col("y").sort(true, true)];
    let frame = frame
        .sort(keys)
        .and_then(|frame| frame.filter(call("g", "y").gt(lit(20))))
        .expect("a plan");
    let rows = frame.collect().await.expect("rows");
    let passing = |y: i64| g(y) > 20;
    let wanted = bench.data.t.iter().filter(|row| passing(row.y));
    let mut wanted: Vec<(i64, i64)> = wanted.map(|row| (row.x, row.y)).collect();
    wanted.sort_by_key(|(x, y)| (f(*x).is_none(), std::cmp::Reverse(f(*x)), *y));
    assert_eq!(bench.calls.take(), [wanted.len(), 200, 0, 0]);
    let columns = |name: &str| -> Vec<i64> {
        let arrays = rows.iter().filter_map(|batch| batch.column_by_name(name));
        let values = arrays.map(|array| array.as_primitive::<Int64Type>().values().to_vec());
        values.flatten().collect()
    };
    let found = std::iter::zip(columns("x"), columns("y")).collect::<Vec<_>>();
    assert_eq!(found, wanted);
}

/// DataFusion counts on the sort for one partition, and then takes it away for the one above.
#[tokio::test]
async fn rows_that_share_a_call_come_together_above_a_sort_that_is_dropped() {
    let bench = bench().await;
    // Which may see the order, so that the sort is not ours to drop.
    let declared = Declared {
        pure: false,
        ..Declared::default()
    };
    let watch = Node::map("watch", ["x"], |x: i64| x).with_declared(declared);
    let registered = bench.context.register_nodes([watch]);
    registered.expect("a free name");
    let call = |name: &str, arg: &str| {
        let udf = bench.context.udf(name).expect("the node");
        udf.call(vec![col(arg)])
    };
    let sides = ["SELECT * FROM t l", "SELECT y AS key, z % 5 AS part FROM s"];
    let [rows, other] = sides.map(|side| bench.context.sql(side));
    let (rows, other) = (rows.await.expect("a side"), other.await.expect("a side"));
    let frame = rows
        .join_on(
            other,
            JoinType::Inner,
            [(col("z") % lit(5)).eq(col("part"))],
        )
        .and_then(|frame| frame.sort(vec![col("y").sort(true, true)]))
        .and_then(|frame| frame.with_column("watched", call("watch", "x")))
        .and_then(|frame| frame.select(vec![col("watched"), call("f", "key").alias("e")]))
        .and_then(DataFrame::distinct)
        .and_then(|frame| frame.sort(vec![col("watched").sort(true, true)]))
        .expect("a plan");
    let rows = frame.collect().await.expect("rows");
    assert_eq!(rows.iter().map(RecordBatch::num_rows).sum::<usize>(), 760);
    assert_eq!(bench.calls.take(), [20, 0, 0, 0]);
}

/// A plan that was optimised once, and is then part of another query.
#[tokio::test]
async fn an_optimised_plan_may_be_part_of_a_query() {
    let bench = bench().await;
    let query = "SELECT x, f(x) AS a FROM t WHERE f(x) > 10";
    let plan = bench
        .context
        .sql(query)
        .await
        .expect("a plan")
        .into_optimized_plan();
    let frame = bench
        .context
        .execute_logical_plan(plan.expect("optimised"))
        .await;
    let view = frame.expect("a plan").into_view();
    bench
        .context
        .register_table("optimised", view)
        .expect("a free name");
    bench
        .text("SELECT l.a, g(r.a) FROM optimised l JOIN optimised r ON l.x = r.x WHERE g(l.x) > 0")
        .await;
    let passing = bench
        .data
        .t
        .iter()
        .filter(|row| f(row.x) > Some(10))
        .count();
    // Of the right side, what the left one's predicate leaves.
    assert_eq!(bench.calls.take(), [200 + passing, 2 * passing, 0, 0]);
}

/// Plans that were optimised on their own, one within another and beside itself.
#[tokio::test]
async fn optimised_plans_nest() {
    let bench = bench().await;
    let file = parquet(&bench.data, bench.folder.path());
    let plain = plain(&bench.data, &file).await;
    let mut rows = Vec::new();
    for context in [&bench.context, &plain] {
        for (name, query) in [
            (
                "o",
                "SELECT s.x, f(s.y) a, v.a b FROM s LEFT JOIN v ON s.x = v.x WHERE v.a > 3 OR v.a IS NULL",
            ),
            (
                "oo",
                "SELECT p.x, f(p.a) a, g(q.b) b FROM o p JOIN o q ON p.x = q.x WHERE m(p.a) >= m(q.b)",
            ),
            ("one", "SELECT g(z) c, max(f(g(z))) d FROM s GROUP BY z"),
        ] {
            let frame = context.sql(query).await.expect("a plan");
            let plan = frame.into_optimized_plan().expect("optimised");
            let frame = context.execute_logical_plan(plan).await.expect("a plan");
            context
                .register_table(name, frame.into_view())
                .expect("a free name");
        }
        for query in [
            "SELECT p.x, f(q.a), p.b, o.a FROM oo p JOIN oo q ON p.x = q.x LEFT JOIN o ON o.x = p.b WHERE m(q.x) > 1 ORDER BY 1, 2, 3, 4",
            "SELECT c FROM one WHERE c IS NOT NULL ORDER BY 1",
        ] {
            let frame = context.sql(query).await.expect("a plan");
            rows.push(frame.to_string().await.expect("rows"));
        }
    }
    for query in [0, 1] {
        assert_eq!(rows[query], rows[query + 2]);
        assert!(rows[query].lines().count() > 5, "{}", rows[query]);
    }
}

#[tokio::test]
async fn names_types_and_nulls_are_those_of_plain_functions() {
    let bench = bench().await;
    for (query, names) in [
        (
            "SELECT f(x), f(x) + 1 FROM t ORDER BY y LIMIT 3",
            vec!["f(t.x)", "f(t.x) + Int64(1)"],
        ),
        (
            "SELECT m(x), count(f(x)) FROM t GROUP BY m(x)",
            vec!["m(t.x)", "count(f(t.x))"],
        ),
        (
            "SELECT q.a, x FROM v q WHERE q.a > 3 LIMIT 1",
            vec!["a", "x"],
        ),
        (
            "SELECT * FROM pv WHERE x IN (SELECT x FROM s)",
            vec!["x", "y", "z", "a", "b", "d"],
        ),
    ] {
        let frame = bench.context.sql(query).await.expect(query);
        let before = frame.schema().clone();
        let optimised = frame.clone().into_optimized_plan().expect(query);
        assert!(
            before.logically_equivalent_names_and_types(optimised.schema()),
            "{query}"
        );
        let batches = frame.collect().await.expect(query);
        let found: Vec<_> = batches[0]
            .schema()
            .fields()
            .iter()
            .map(|f| f.name().clone())
            .collect();
        assert_eq!(found, names, "{query}");
    }
}

#[tokio::test]
async fn one_pass_of_the_optimizer_is_enough() {
    let bench = bench().await;
    bench.text("SET datafusion.optimizer.max_passes = 1").await;
    bench
        .text("SELECT x, b FROM v2 WHERE a > 100 AND x > 5 ORDER BY x LIMIT 3")
        .await;
    let needed = bench.data.t.iter().filter(|row| row.x > 5).count();
    assert_eq!(bench.calls.take(), [needed, 3, 0, 0]);
    bench
        .text("SELECT a FROM v WHERE x IN (SELECT x FROM s)")
        .await;
    assert_eq!(bench.calls.take(), [bench.data.s.len(), 0, 0, 0]);
}

/// Without a logical rule, calls are left where they were written.
#[tokio::test]
async fn a_call_that_no_rule_moved_is_refused_with_its_expression() {
    let bench = bench().await;
    bench.text("SET datafusion.optimizer.max_passes = 0").await;
    for (query, operator, expr) in [
        ("SELECT x, f(x) + 1 FROM t", "ProjectionExec", "f(x@0) + 1"),
        ("SELECT x FROM t WHERE g(y) > 3", "FilterExec", "g(y@1) > 3"),
        (
            "SELECT x FROM t ORDER BY f(x)",
            "SortPreservingMergeExec",
            "f(x@0)",
        ),
    ] {
        let frame = bench.context.sql(query).await.expect(query);
        let error = frame.collect().await.expect_err(query);
        let error = hypernodes::from_datafusion(error);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{query}: {error}");
        let wanted = format!("is called in {operator} by {expr}, where");
        assert!(error.message().contains(&wanted), "{query}: {error}");
    }
    assert_eq!(bench.calls.take(), [0; 4]);
}

/// DataFusion cannot do that with an ordinary function, either.
#[tokio::test]
async fn a_subquery_in_a_branch_that_datafusion_does_not_join_is_an_error_that_tells_so() {
    let bench = bench().await;
    for query in [
        "SELECT CASE WHEN x IN (SELECT x FROM s) THEN 1 ELSE f(x) END FROM t",
        "SELECT CASE WHEN EXISTS (SELECT 1 FROM s WHERE s.x = t.x) THEN 1 ELSE f(x) END FROM t",
    ] {
        let frame = bench.context.sql(query).await.expect(query);
        let error = frame.collect().await.expect_err(query);
        let text = error.to_string();
        assert!(
            text.starts_with("External error: the subquery in CASE WHEN"),
            "{text}"
        );
        let error = hypernodes::from_datafusion(error);
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    }
    assert_eq!(bench.calls.take(), [0; 4]);
}

/// DataFusion cannot do it with an ordinary function, either.
#[tokio::test]
async fn a_lateral_subquery_that_datafusion_does_not_join_is_an_error_that_tells_so() {
    let bench = bench().await;
    let query =
        "SELECT s.x, l.a FROM s, LATERAL (SELECT f(s.x + t.x) AS a FROM t WHERE t.x = s.x) l";
    let frame = bench.context.sql(query).await.expect(query);
    let error = frame.collect().await.expect_err(query);
    let error = hypernodes::from_datafusion(error);
    assert_eq!(error.kind(), ErrorKind::Unsupported, "{error}");
    assert!(error.message().contains("reads \"s.x\" of"), "{error}");
    assert!(error.message().contains("f("), "{error}");
    assert_eq!(bench.calls.take(), [0; 4]);
}

#[tokio::test]
async fn nothing_is_called_while_planning() {
    let bench = bench().await;
    for query in [
        "EXPLAIN SELECT f(5), f(x) FROM t WHERE g(7) > 1",
        "EXPLAIN SELECT * FROM (VALUES (f(1)), (f(2)))",
        "EXPLAIN SELECT x FROM t WHERE f(x) > 1 AND EXISTS (SELECT 1 FROM s WHERE s.x = t.x)",
        "EXPLAIN SELECT t.x FROM t LEFT JOIN s ON t.x = s.x WHERE f(s.y) > 1",
        "EXPLAIN SELECT CASE WHEN f(1) > 0 THEN g(2) END",
    ] {
        bench.text(query).await;
        assert_eq!(bench.calls.take(), [0; 4], "{query}");
    }
}

#[tokio::test]
async fn row_groups_are_pruned_below_a_node() {
    let bench = bench().await;
    let query = "EXPLAIN ANALYZE SELECT x, f(x) FROM p WHERE x >= 190 AND f(x) > 1";
    let plan = bench.text(query).await;
    assert!(
        plan.contains("row_groups_pruned_statistics=10 total → 1 matched"),
        "{plan}"
    );
    assert_eq!(bench.calls.take(), [10, 0, 0, 0]);
}

/// Plain DataFusion evaluates the argument on all rows, and fails.
#[tokio::test]
async fn an_argument_is_evaluated_only_where_its_call_is_reached() {
    let bench = bench().await;
    bench
        .text("SELECT x FROM t WHERE x <> 0 AND f(100 / x) > 1")
        .await;
    assert_eq!(bench.calls.take(), [199, 0, 0, 0]);
}
