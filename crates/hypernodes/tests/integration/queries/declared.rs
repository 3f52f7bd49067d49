//! What nodes declare, and what tells them apart.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Int64Array, RecordBatch};
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::arrow::{array::AsArray, util::pretty::pretty_format_batches};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{ColumnarValue, Volatility, create_udf};
use datafusion::prelude::{SessionConfig, SessionContext};
use hypernodes::Declared;
use hypernodes::prelude::*;

use super::fixture::Setting;
use super::matrix::rows;

const ROWS: usize = 50;

#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    fn take(&self) -> usize {
        self.0.swap(0, Ordering::Relaxed)
    }
}

/// A node that adds 1 and counts.
fn next(name: &str, count: &Count) -> Node {
    let count = count.clone();
    Node::map(name, ["x"], move |x: i64| {
        count.more();
        x + 1
    })
}

async fn context() -> SessionContext {
    context_by(Setting {
        batch_size: 8192,
        partitions: 1,
        is_async: false,
        max_passes: 3,
    })
}

/// A session with `t`, whose rows come in batches of five.
fn context_by(setting: Setting) -> SessionContext {
    filled(setting.context(), setting.partitions)
}

fn filled(context: SessionContext, partitions: usize) -> SessionContext {
    let x = |start: i64| Arc::new(Int64Array::from_iter_values(start..start + 5));
    let batch = |start| RecordBatch::try_from_iter([("x", x(start) as _)]).expect("a column");
    let mut parts = vec![Vec::new(); partitions];
    for (place, start) in (0..ROWS as i64).step_by(5).enumerate() {
        parts[place % partitions].push(batch(start));
    }
    let table = MemTable::try_new(parts[0][0].schema(), parts).expect("one schema");
    context
        .register_table("t", Arc::new(table))
        .expect("a free name");
    context
}

/// Plain DataFusion with the same table, and functions of these names that add 1.
fn plain(functions: &[&str]) -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for name in functions {
        let call = |args: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(args)?;
            let x = arrays[0].as_primitive::<Int64Type>();
            let made: Int64Array = x.unary(|x| x + 1);
            Ok(ColumnarValue::Array(Arc::new(made)))
        };
        let (types, made) = (vec![DataType::Int64], DataType::Int64);
        let call = Arc::new(call);
        context.register_udf(create_udf(name, types, made, Volatility::Immutable, call));
    }
    filled(context, 1)
}

/// The rows of both sessions are the same, in any order; those of ours.
async fn same(ours: &SessionContext, plain: &SessionContext, query: &str) -> Vec<String> {
    let (found, wanted) = (rows(ours, query).await, rows(plain, query).await);
    let (mut found, mut wanted) = (found.expect(query), wanted.expect(query));
    found.sort_unstable();
    wanted.sort_unstable();
    assert_eq!(found, wanted, "{query}");
    found
}

async fn text(context: &SessionContext, query: &str) -> String {
    let frame = context.sql(query).await.expect(query);
    let batches = frame.collect().await.expect(query);
    pretty_format_batches(&batches).expect("text").to_string()
}

#[tokio::test]
async fn a_node_that_is_not_pure_runs_once_per_reference_and_row() {
    let plain = plain(&["roll"]);
    let view = "CREATE VIEW v AS SELECT x, roll(x) AS a FROM t";
    plain.sql(view).await.expect("a view");
    for setting in Setting::all() {
        let count = Count::default();
        let context = context_by(setting);
        let impure = Declared {
            pure: false,
            ..Declared::default()
        };
        let node = next("roll", &count).with_declared(impure);
        context.register_nodes([node.clone()]).expect("a free name");
        let view = Pipeline::new([node.with_output_renamed("roll", "a")]).expect("a pipeline");
        let view = context.register_pipeline("v", &view, "t").await;
        view.expect("a view");
        for (query, references) in [
            ("SELECT roll(x) AS a, roll(x) AS b FROM t", 2),
            ("SELECT roll(x) FROM t WHERE roll(x) >= 0", 2),
            (
                "SELECT a, a + 1, a + 2 FROM (SELECT roll(x) AS a FROM t)",
                1,
            ),
            ("SELECT x FROM t WHERE roll(x) BETWEEN 0 AND 1000", 1),
            (
                "SELECT a FROM (SELECT roll(x) AS a FROM t) WHERE a >= 0 ORDER BY a",
                1,
            ),
            ("SELECT roll(7), x FROM t", 1),
            // Each reference of a view is one of its own.
            ("SELECT l.a, r.a FROM v l JOIN v r ON l.x = r.x", 2),
        ] {
            same(&context, &plain, query).await;
            assert_eq!(count.take(), references * ROWS, "{query} at {setting:?}");
        }
    }
}

#[tokio::test]
async fn calls_of_volatile_arguments_are_not_one() {
    let calls = Count::default();
    let context = context().await;
    let nodes = [next("f", &calls)];
    context.register_nodes(nodes).expect("a free name");
    let random = "CAST(random() * 1e15 AS BIGINT)";
    for query in [
        format!("SELECT count(DISTINCT f({random})) AS n FROM t"),
        format!(
            "SELECT count(DISTINCT a) + count(*) FILTER (WHERE a = b) AS n FROM (SELECT f({random}) AS a, f({random}) AS b FROM t)"
        ),
        format!("SELECT count(DISTINCT f({random})) AS n FROM t JOIN (VALUES (1)) ON true"),
    ] {
        let rows = text(&context, "SELECT count(*) AS n FROM t").await;
        let many = text(&context, &query).await;
        assert_eq!(many, rows, "{query}");
        assert!(calls.take() > 1, "{query}");
    }
}

/// Of rows that tie any may be the last, but all columns are of the same.
#[tokio::test]
async fn a_call_of_the_last_row_reads_columns_of_one_row() {
    let context = context().await;
    let check = Node::map(
        "is_of_one",
        ["x", "half", "even"],
        |x: i64, half: f64, even: bool| half * 2.0 == x as f64 && even == (x % 2 == 0),
    );
    context.register_nodes([check]).expect("a free name");
    let rows = "CREATE TABLE r AS SELECT value AS x, value * 0.5 AS half, value % 2 = 0 AS even, value * 13 % 3 AS o FROM generate_series(1, 600)";
    text(&context, rows).await;
    let query = "SELECT count(*) AS n FROM (SELECT last_value(is_of_one(x, half, even) ORDER BY o) AS ok FROM r GROUP BY x % 5) WHERE ok";
    let all = text(&context, "SELECT 5 AS n").await;
    assert_eq!(text(&context, query).await, all);
}

/// Of two evaluations, which differ, a row would have to be kept by both.
#[tokio::test]
async fn what_is_volatile_in_a_side_is_evaluated_once() {
    let context = context().await;
    context
        .register_nodes([next("f", &Count::default())])
        .expect("a free name");
    let rows = "CREATE TABLE r AS SELECT value AS x FROM generate_series(1, 4000)";
    text(&context, rows).await;
    let coin = "CAST(round(random()) AS BIGINT)";
    for query in [
        format!(
            "SELECT max(c) > 1500 FROM (SELECT {coin} AS k, count(f(x)) AS c FROM r GROUP BY 1) q JOIN (VALUES (0)) o(k) ON q.k = o.k"
        ),
        format!(
            "SELECT count(*) > 1500 FROM (SELECT x, f(x) a FROM r) v JOIN (SELECT q.x FROM (SELECT x, f(x) b FROM r) q JOIN r s ON q.x * {coin} = s.x WHERE b > 0) w ON v.x = w.x WHERE v.a > 0"
        ),
    ] {
        let rows = text(&context, &query).await;
        assert!(rows.contains("| true"), "{query}\n{rows}");
    }
}

#[tokio::test]
async fn the_cheaper_of_two_predicates_is_tested_first_however_they_are_written() {
    let plain = plain(&["cheap", "dear"]);
    let view = "CREATE VIEW v AS SELECT x, dear(x) AS dear, cheap(x) AS cheap FROM t";
    plain.sql(view).await.expect("a view");
    for setting in Setting::all() {
        let (cheap, dear) = (Count::default(), Count::default());
        let context = context_by(setting);
        let costly = Declared {
            cost: 10,
            ..Declared::default()
        };
        let nodes = [
            next("cheap", &cheap),
            next("dear", &dear).with_declared(costly),
        ];
        context.register_nodes(nodes.clone()).expect("free names");
        let [a, b] = nodes;
        let view = Pipeline::new([b, a]).expect("a pipeline");
        let view = context.register_pipeline("v", &view, "t").await;
        view.expect("a view");
        for query in [
            "SELECT x FROM t WHERE cheap(x) > 40 AND dear(x) > 0",
            "SELECT x FROM t WHERE dear(x) > 0 AND cheap(x) > 40",
            "SELECT x FROM v WHERE dear > 0 AND cheap > 40",
            "SELECT x FROM v WHERE cheap > 40 AND dear > 0",
            "SELECT x FROM t WHERE dear(x) IN (SELECT x + 1 FROM t) AND cheap(x) > 40",
            "SELECT x FROM t WHERE cheap(x) > 40 AND dear(x) NOT IN (SELECT x + 90 FROM t)",
            "SELECT a.x FROM t a JOIN t b ON dear(a.x) = b.x + 1 WHERE cheap(a.x) > 40",
            "SELECT v.x FROM v JOIN t b ON v.dear = b.x + 1 WHERE v.cheap > 40",
        ] {
            assert_eq!(same(&context, &plain, query).await.len(), 10, "{query}");
            let calls = (cheap.take(), dear.take());
            assert_eq!(calls, (ROWS, 10), "{query} at {setting:?}");
        }
    }
}

#[tokio::test]
async fn a_sync_predicate_is_tested_before_an_async_one() {
    let plain = plain(&["slow", "quick"]);
    for setting in Setting::all() {
        let (sync, waits) = (Count::default(), Count::default());
        let context = context_by(setting);
        let counted = waits.clone();
        let slow = Node::map_async("slow", ["x"], move |x: i64| {
            counted.more();
            async move { x + 1 }
        });
        let registered = context.register_nodes([slow, next("quick", &sync)]);
        registered.expect("free names");
        for query in [
            "SELECT x FROM t WHERE slow(x) >= 0 AND quick(x) > 40",
            "SELECT x FROM t WHERE quick(x) > 40 AND slow(x) >= 0",
        ] {
            assert_eq!(same(&context, &plain, query).await.len(), 10, "{query}");
            let calls = (sync.take(), waits.take());
            assert_eq!(calls, (ROWS, 10), "{query} at {setting:?}");
        }
    }
}

#[tokio::test]
async fn two_closures_of_one_name_are_two_nodes() {
    let plain = plain(&["a"]);
    for view in ["v", "w"] {
        let view = format!("CREATE VIEW {view} AS SELECT x, a(x) AS a FROM t");
        plain.sql(&view).await.expect("a view");
    }
    for setting in Setting::all() {
        let (one, other) = (Count::default(), Count::default());
        let context = context_by(setting);
        for (view, count) in [("v", &one), ("w", &other)] {
            let pipeline = Pipeline::new([next("a", count)]).expect("a pipeline");
            let view = context.register_pipeline(view, &pipeline, "t").await;
            view.expect("a view");
        }
        for query in [
            "SELECT v.a, w.a FROM v JOIN w ON v.x = w.x",
            "SELECT a FROM v UNION ALL SELECT a FROM w",
        ] {
            same(&context, &plain, query).await;
            let calls = (one.take(), other.take());
            assert_eq!(calls, (ROWS, ROWS), "{query} at {setting:?}");
        }
    }
}

#[tokio::test]
async fn one_definition_is_one_node_in_a_view_and_in_sql() {
    let plain = plain(&["a"]);
    let view = "CREATE VIEW v AS SELECT x, a(x) AS a FROM t";
    plain.sql(view).await.expect("a view");
    for setting in Setting::all() {
        let count = Count::default();
        let context = context_by(setting);
        let node = next("a", &count);
        context.register_nodes([node.clone()]).expect("a free name");
        let pipeline = Pipeline::new([node]).expect("a pipeline");
        let view = context.register_pipeline("v", &pipeline, "t").await;
        view.expect("a view");
        same(
            &context,
            &plain,
            "SELECT a, a(x) + 1 FROM v WHERE a(x) > 10",
        )
        .await;
        assert_eq!(count.take(), ROWS, "{setting:?}");
    }
}

#[tokio::test]
async fn all_outputs_of_a_node_come_of_one_call() {
    let plain = plain(&[]);
    let view = "CREATE VIEW v AS SELECT x, x + 1 AS up, x * 2 AS twice FROM t";
    plain.sql(view).await.expect("a view");
    for setting in Setting::all() {
        let count = Count::default();
        let context = context_by(setting);
        let counted = count.clone();
        let both = Node::map(["up", "twice"], ["x"], move |x: i64| {
            counted.more();
            (x + 1, x * 2)
        });
        let pipeline = Pipeline::new([both]).expect("a pipeline");
        let view = context.register_pipeline("v", &pipeline, "t").await;
        view.expect("a view");
        for (query, calls) in [
            ("SELECT up, twice FROM v", ROWS),
            ("SELECT twice, up FROM v WHERE up > 10", ROWS),
            ("SELECT up FROM v ORDER BY x LIMIT 3", 3),
            ("SELECT sum(up), max(twice) FROM v", ROWS),
            ("SELECT up FROM v ORDER BY twice DESC LIMIT 3", ROWS),
            ("SELECT x FROM v", 0),
        ] {
            same(&context, &plain, query).await;
            assert_eq!(count.take(), calls, "{query} at {setting:?}");
        }
    }
}

#[derive(Column, Debug, Clone, PartialEq)]
struct Digits {
    low: i64,
    high: Option<i64>,
}

/// A node whose one output is a Struct, in SQL and as a view's column; what `{d}` stands for is
/// the call, and in plain DataFusion an expression.
#[tokio::test]
async fn fields_of_a_nodes_struct_are_read_of_one_call() {
    let plain = plain(&[]);
    let digits = "named_struct('low', x % 10, 'high', CASE WHEN x > 9 THEN x / 10 END)";
    let view = format!("CREATE VIEW v AS SELECT x, {digits} AS digits FROM t");
    plain.sql(&view).await.expect("a view");
    for setting in Setting::all() {
        let count = Count::default();
        let context = context_by(setting);
        let counted = count.clone();
        let split = move |x: i64| {
            counted.more();
            Digits {
                low: x % 10,
                high: (x > 9).then_some(x / 10),
            }
        };
        let node = match setting.is_async {
            false => Node::map("digits", ["x"], split),
            true => Node::map_async("digits", ["x"], move |x: i64| {
                let split = split.clone();
                async move { split(x) }
            }),
        };
        context.register_nodes([node.clone()]).expect("a free name");
        let pipeline = Pipeline::new([node]).expect("a pipeline");
        let view = context.register_pipeline("v", &pipeline, "t").await;
        view.expect("a view");
        for (query, calls) in [
            ("SELECT {d}['low'], {d}['high'] FROM t", ROWS),
            ("SELECT x, {d} FROM t WHERE {d}['low'] > 1", ROWS),
            (
                "SELECT {d}['high'] FROM t WHERE {d}['low'] > 1 AND x < 20",
                20,
            ),
            ("SELECT {d}['low'] FROM t ORDER BY x LIMIT 3", 3),
            (
                "SELECT x, {d}['high'] FROM t ORDER BY {d}['low'], x LIMIT 3",
                ROWS,
            ),
            (
                "SELECT {d}['low'] AS l, sum({d}['high']) FROM t GROUP BY {d}['low']",
                ROWS,
            ),
            (
                "SELECT q.d['low'] + q.d['high'] FROM (SELECT {d} AS d FROM t) q",
                ROWS,
            ),
            ("SELECT coalesce({d}['high'], {d}['low']) FROM t", ROWS),
            ("SELECT v.digits['low'], v.digits['high'] FROM v", ROWS),
            ("SELECT x FROM v WHERE digits['high'] IS NULL", ROWS),
            ("SELECT digits['high'] FROM v ORDER BY x DESC LIMIT 3", 3),
            (
                "SELECT a.x, b.x FROM v a JOIN v b ON a.digits['low'] = b.digits['high'] AND a.x < 3 AND b.x > 40",
                3 + 9,
            ),
            ("SELECT x FROM v", 0),
            ("SELECT count(*) FROM v", 0),
        ] {
            let (ours, theirs) = (
                query.replace("{d}", "digits(x)"),
                query.replace("{d}", digits),
            );
            let (found, wanted) = (rows(&context, &ours).await, rows(&plain, &theirs).await);
            let (mut found, mut wanted) = (found.expect(&ours), wanted.expect(&theirs));
            found.sort_unstable();
            wanted.sort_unstable();
            assert_eq!(found, wanted, "{ours} at {setting:?}");
            assert_eq!(count.take(), calls, "{ours} at {setting:?}");
        }
    }
}

#[node(cost = 7, dedup)]
fn declared_by_macro(x: i64) -> i64 {
    x
}

#[test]
fn the_macro_declares_what_its_options_say() {
    let node = &nodes![declared_by_macro][0];
    let said = Declared {
        pure: true,
        cost: 7,
        dedup: true,
    };
    assert_eq!(*node.declared(), said);
    assert_eq!(
        *next("a", &Count::default()).declared(),
        Declared::default()
    );
}

/// On this runtime's one thread, the table is read to its end while the calls yield, so that all
/// rows are in flight together.
#[tokio::test]
async fn rows_of_equal_arguments_in_flight_share_a_call() {
    let key = "CASE WHEN x % 7 <> 6 THEN x % 4 END";
    let wanted = (0..ROWS as i64).map(|x| (x, (x % 7 != 6).then_some(x % 4 * 10)));
    let wanted: Vec<(i64, Option<i64>)> = wanted.collect();
    for setting in Setting::all() {
        let made = Count::default();
        let counted = made.clone();
        let slow = Node::map_async("slow", ["key"], move |key: i64| {
            let made = counted.clone();
            async move {
                made.more();
                for _ in 0..1000 {
                    tokio::task::yield_now().await;
                }
                key * 10
            }
        });
        let dedup = Declared {
            dedup: true,
            ..Declared::default()
        };
        let context = context_by(setting);
        let registered = context.register_nodes([slow.with_declared(dedup)]);
        registered.expect("a free name");
        let frame = context.sql(&format!("SELECT x, slow({key}) FROM t")).await;
        let batches = frame.expect("a plan").collect().await.expect("rows");
        let mut rows = Vec::new();
        for batch in &batches {
            let x = batch.column(0).as_primitive::<Int64Type>();
            let slow = batch.column(1).as_primitive::<Int64Type>();
            rows.extend(std::iter::zip(x.iter().flatten(), slow.iter()));
        }
        if setting.partitions > 1 {
            rows.sort_unstable();
        }
        assert_eq!(rows, wanted, "in order at {setting:?}");
        // Each partition looks among the rows that it has in flight.
        let wanted = 4..=4 * setting.partitions;
        let made = made.take();
        assert!(
            wanted.contains(&made),
            "{made} of {wanted:?} at {setting:?}"
        );
    }
}

#[tokio::test]
async fn an_error_of_a_shared_call_names_the_first_row_that_needs_it() {
    let half = |x: i64| match x {
        3 => Err("three"),
        x => Ok(x),
    };
    let dedup = Declared {
        dedup: true,
        ..Declared::default()
    };
    let node = Node::map("half", ["x"], half).with_declared(dedup);
    let pipeline = Pipeline::new([node]).expect("a pipeline");
    let x = vec![1_i64, 1, 2, 2, 3, 3];
    let mapped = pipeline.map(inputs! { x: x }).over("x").await;
    assert_eq!(mapped.expect_err("3 fails").row(), Some(4));
    let both = Declared {
        pure: false,
        ..dedup
    };
    let node = Node::map("half", ["x"], half).with_declared(both);
    let error = Pipeline::new([node]).expect_err("a contradiction");
    assert!(error.message().contains("dedup"), "{error}");
}
