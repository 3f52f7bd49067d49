//! The tables, the functions as nodes and as ordinary UDFs, and the sessions that have them.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::{Array, ArrayRef, AsArray, Int64Array, RecordBatch};
use datafusion::arrow::datatypes::{DataType, Int64Type};
use datafusion::datasource::MemTable;
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use hypernodes::prelude::*;

/// The functions, by name, in the order of the counters.
pub(super) const NAMES: [&str; 4] = ["f", "g", "h", "m"];

pub(super) fn f(x: i64) -> Option<i64> {
    (x % 10 != 3).then_some(2 * x)
}

pub(super) fn g(x: i64) -> i64 {
    x + 1
}

pub(super) fn h(x: i64, y: i64, z: i64) -> i64 {
    x + y + z
}

pub(super) fn m(x: i64) -> i64 {
    x % 7
}

/// A row of `t` or `s`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Row {
    pub(super) x: i64,
    pub(super) y: i64,
    pub(super) z: i64,
}

/// `t` has `n` rows, `s` a tenth as many; x counts, y is x shuffled, z repeats. `k` is `s` with x
/// as its primary key.
#[derive(Debug, Clone)]
pub(super) struct Data {
    pub(super) t: Vec<Row>,
    pub(super) s: Vec<Row>,
}

impl Data {
    pub(super) fn new(n: i64) -> Self {
        let rows = |n: i64| {
            let row = |x| Row {
                x,
                y: x * 7919 % n,
                z: x % 100,
            };
            (0..n).map(row).collect()
        };
        Self {
            t: rows(n),
            s: rows(n / 10),
        }
    }

    /// The query with each `{p}` as p percent of the rows of `t`.
    pub(super) fn sql(&self, query: &str) -> String {
        let mut parts = query.split('{');
        let mut sql = parts.next().unwrap_or_default().to_owned();
        for part in parts {
            let (percent, rest) = part.split_once('}').expect("a closing brace");
            let percent: i64 = percent.parse().expect("a number");
            sql += &format!("{}{rest}", self.percent(percent));
        }
        sql
    }

    pub(super) fn percent(&self, percent: i64) -> i64 {
        self.t.len() as i64 * percent / 100
    }
}

#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<[AtomicUsize; 4]>);

impl Calls {
    fn count(&self, function: usize) {
        self.0[function].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> [usize; 4] {
        std::array::from_fn(|function| self.0[function].swap(0, Ordering::Relaxed))
    }
}

/// How a session is set.
#[derive(Debug, Clone, Copy)]
pub(super) struct Setting {
    pub(super) batch_size: usize,
    pub(super) partitions: usize,
    pub(super) is_async: bool,
    /// Of DataFusion's optimizer, at most.
    pub(super) max_passes: usize,
}

impl Setting {
    /// Every batch size at every partition count, each with sync and async nodes in turn, and with
    /// one pass of the optimizer, DataFusion's three, and eight.
    pub(super) fn all() -> Vec<Self> {
        let mut settings = Vec::new();
        for (place, batch_size) in [1, 7, 8192].into_iter().enumerate() {
            for (other, partitions) in [1, 2, 8].into_iter().enumerate() {
                settings.push(Self {
                    batch_size,
                    partitions,
                    is_async: (place + partitions) % 2 == 0,
                    max_passes: [3, 1, 8][(place + other) % 3],
                });
            }
        }
        settings
    }

    /// A session of ours without tables and nodes.
    pub(super) fn context(self) -> SessionContext {
        let mut config = SessionConfig::new()
            .with_batch_size(self.batch_size)
            .with_target_partitions(self.partitions);
        config.options_mut().optimizer.max_passes = self.max_passes;
        let context = SessionContext::new_with_config(config);
        context.with_hypernodes().expect("a runtime")
    }
}

pub(super) fn nodes(calls: &Calls, is_async: bool) -> [Node; 4] {
    let counted = |function: usize| {
        let calls = calls.clone();
        move || calls.count(function)
    };
    let (cf, cg, ch, cm) = (counted(0), counted(1), counted(2), counted(3));
    if !is_async {
        return [
            Node::map("f", ["x"], move |x: i64| {
                cf();
                f(x)
            }),
            Node::map("g", ["x"], move |x: i64| {
                cg();
                g(x)
            }),
            Node::map("h", ["x", "y", "z"], move |x: i64, y: i64, z: i64| {
                ch();
                h(x, y, z)
            }),
            Node::map("m", ["x"], move |x: i64| {
                cm();
                m(x)
            }),
        ];
    }
    [
        Node::map_async("f", ["x"], move |x: i64| {
            cf();
            async move {
                tokio::task::yield_now().await;
                f(x)
            }
        }),
        Node::map_async("g", ["x"], move |x: i64| {
            cg();
            async move { g(x) }
        }),
        Node::map_async("h", ["x", "y", "z"], move |x: i64, y: i64, z: i64| {
            ch();
            async move {
                tokio::task::yield_now().await;
                h(x, y, z)
            }
        }),
        Node::map_async("m", ["x"], move |x: i64| {
            cm();
            async move { m(x) }
        }),
    ]
}

pub(super) fn udfs() -> Vec<ScalarUDF> {
    let udf = |name: &str, arity: usize, of: fn(&[i64]) -> Option<i64>| {
        let call = move |args: &[ColumnarValue]| {
            let arrays = ColumnarValue::values_to_arrays(args)?;
            let columns: Vec<&Int64Array> = arrays
                .iter()
                .map(|array| array.as_primitive::<Int64Type>())
                .collect();
            let value = |row: usize| {
                let values = columns
                    .iter()
                    .map(|column| column.is_valid(row).then(|| column.value(row)));
                of(&values.collect::<Option<Vec<i64>>>()?)
            };
            let made: Int64Array = (0..columns[0].len()).map(value).collect();
            Ok(ColumnarValue::Array(Arc::new(made) as ArrayRef))
        };
        let types = vec![DataType::Int64; arity];
        create_udf(
            name,
            types,
            DataType::Int64,
            Volatility::Immutable,
            Arc::new(call),
        )
    };
    vec![
        udf("f", 1, |args| f(args[0])),
        udf("g", 1, |args| Some(g(args[0]))),
        udf("h", 3, |args| Some(h(args[0], args[1], args[2]))),
        udf("m", 1, |args| Some(m(args[0]))),
    ]
}

async fn register(context: &SessionContext, data: &Data, partitions: usize, parquet: &str) {
    for (name, rows) in [("t", &data.t), ("s", &data.s)] {
        let column = |of: fn(&Row) -> i64, rows: &[Row]| -> ArrayRef {
            Arc::new(Int64Array::from_iter_values(rows.iter().map(of)))
        };
        let mut parts = vec![Vec::new(); partitions];
        for (place, rows) in rows.chunks(rows.len().div_ceil(10)).enumerate() {
            let columns = [
                ("x", column(|row| row.x, rows)),
                ("y", column(|row| row.y, rows)),
                ("z", column(|row| row.z, rows)),
            ];
            let batch = RecordBatch::try_from_iter(columns).expect("three columns");
            parts[place % partitions].push(batch);
        }
        let schema = parts[0][0].schema();
        let table = MemTable::try_new(schema, parts).expect("a table");
        context
            .register_table(name, Arc::new(table))
            .expect("a free name");
    }
    let options = ParquetReadOptions::default();
    context
        .register_parquet("p", parquet, options)
        .await
        .expect("a file");
    for view in [
        "CREATE VIEW v AS SELECT x, y, f(x) AS a, g(y) AS b, g(f(x)) AS c FROM t",
        "CREATE VIEW v2 AS SELECT *, g(a) AS b FROM (SELECT x, y, f(x) AS a FROM t)",
    ] {
        context.sql(view).await.expect("a view");
    }
    let keyed = "CREATE TABLE k (x BIGINT, y BIGINT, z BIGINT, PRIMARY KEY (x)) AS SELECT * FROM s";
    let table = context.sql(keyed).await.expect("a table");
    table.collect().await.expect("its rows");
}

/// The Parquet file of `t`, in ten row groups.
pub(super) fn parquet(data: &Data, folder: &std::path::Path) -> String {
    use parquet::arrow::ArrowWriter;
    use parquet::file::properties::WriterProperties;
    let path = folder.join(format!("p{}.parquet", data.t.len()));
    let column = |of: fn(&Row) -> i64| -> ArrayRef {
        Arc::new(Int64Array::from_iter_values(data.t.iter().map(of)))
    };
    let columns = [
        ("x", column(|row| row.x)),
        ("y", column(|row| row.y)),
        ("z", column(|row| row.z)),
    ];
    let batch = RecordBatch::try_from_iter(columns).expect("three columns");
    let group = data.t.len().div_ceil(10);
    let properties = WriterProperties::builder()
        .set_max_row_group_row_count(Some(group))
        .build();
    let file = std::fs::File::create(&path).expect("a file");
    let mut writer =
        ArrowWriter::try_new(file, batch.schema(), Some(properties)).expect("a writer");
    writer.write(&batch).expect("written");
    writer.close().expect("closed");
    path.to_string_lossy().into_owned()
}

/// A session of ours, with nodes f, g, h and m, and `pv`: a pipeline's view of `t`.
pub(super) async fn ours(
    data: &Data,
    setting: Setting,
    parquet: &str,
    calls: &Calls,
) -> SessionContext {
    let context = setting.context();
    let [f, g, h, m] = nodes(calls, setting.is_async);
    let columns = [f.clone(), g.clone(), m.clone()];
    context.register_nodes([f, g, h, m]).expect("free names");
    register(&context, data, setting.partitions, parquet).await;
    let [a, b, d] = columns;
    let pipeline = Pipeline::new([
        a.with_output_renamed("f", "a"),
        b.with_output_renamed("g", "b").with_input_renamed("x", "a"),
        d.with_output_renamed("m", "d").with_input_renamed("x", "y"),
    ]);
    let pipeline = pipeline.expect("a pipeline");
    context
        .register_pipeline("pv", &pipeline, "t")
        .await
        .expect("a view");
    context
}

/// The same tables, views and functions in plain DataFusion.
pub(super) async fn plain(data: &Data, parquet: &str) -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for udf in udfs() {
        context.register_udf(udf);
    }
    register(&context, data, 1, parquet).await;
    let view = "CREATE VIEW pv AS SELECT x, y, z, f(x) AS a, g(f(x)) AS b, m(y) AS d FROM t";
    context.sql(view).await.expect("a view");
    context
}
