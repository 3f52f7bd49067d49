//! Values of every kind, through every engine and through Parquet.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::time::Duration;

use hypernodes::chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use hypernodes::prelude::*;
use hypernodes::{Decimal, FromColumn, InputValue, IntoColumn, Json};
use proptest::arbitrary::any as any_of;
use proptest::prelude::{ProptestConfig, Strategy, prop, prop_assert, proptest};

#[derive(Column, Debug, Clone, PartialEq)]
struct Reading {
    at: DateTime<Utc>,
    #[column(name = "value")]
    measured: Option<f64>,
    tags: Vec<Option<String>>,
    place: Option<(i64, String)>,
}

fn reading(second: i64) -> Reading {
    Reading {
        at: DateTime::from_timestamp(second, 1_000).expect("in range"),
        measured: None,
        tags: vec![Some("naïve".into()), None],
        place: Some((second, String::new())),
    }
}

/// The values come back through `same` from `run`, from `map` on each engine, and from SQL over a
/// Parquet file.
async fn check<T>(same: Node, values: &[Option<T>]) -> Result<()>
where
    T: for<'a> FromColumn<'a> + IntoColumn + Clone + PartialEq + Debug,
{
    let pipeline = Pipeline::new([same])?;
    let session = Session::new()?;
    for engine in [&session as &dyn Engine, &SequentialEngine] {
        for value in values {
            let run = pipeline
                .run(inputs! { x: value.clone() })
                .on(engine)
                .await?;
            assert_eq!(run.get::<Option<T>>("y")?, *value, "{engine:?}");
        }
        let column = items(values.iter().cloned());
        let mapped = pipeline
            .map(inputs! { x: column })
            .over("x")
            .on(engine)
            .await?;
        assert_eq!(mapped.column::<Option<T>>("y")?, values, "{engine:?}");
    }
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("values.parquet");
    let InputValue::Column(column) = items(values.iter().cloned()) else {
        return Err(Error::new(
            ErrorKind::Internal,
            "values that no column holds",
        ));
    };
    let batch = hypernodes::arrow::array::RecordBatch::try_from_iter([("x", column)]);
    let frame = session
        .read_batch(batch.expect("one column"))
        .expect("a table");
    frame.save_parquet(&path).await?;
    let read = session.read_parquet(path.to_str().expect("UTF-8")).await?;
    let batches = read.apply(&pipeline)?.collect().await;
    let batches = batches.map_err(hypernodes::from_datafusion)?;
    let made = batches
        .iter()
        .map(|batch| batch.column_by_name("y").expect("the output"));
    let made: Vec<_> = made.map(AsRef::as_ref).collect();
    let made = hypernodes::arrow::compute::concat(&made).expect("one type");
    assert_eq!(made.data_type(), &<T as IntoColumn>::data_type());
    let view = Option::<T>::column(&made).expect("the type of the output");
    for (row, value) in values.iter().enumerate() {
        assert_eq!(Option::get(&view, row).as_ref(), Ok(value));
    }
    Ok(())
}

macro_rules! same {
    ($t:ty) => {
        Node::map("y", ["x"], |x: Option<$t>| x)
    };
}

#[tokio::test]
async fn times_pass_through_every_engine_and_parquet() -> Result<()> {
    let at = DateTime::from_timestamp_micros(-1).expect("in range");
    check::<DateTime<Utc>>(same!(DateTime<Utc>), &[Some(at), None]).await?;
    check::<NaiveDateTime>(same!(NaiveDateTime), &[Some(at.naive_utc()), None]).await?;
    check::<NaiveDate>(same!(NaiveDate), &[Some(at.date_naive()), None]).await?;
    check::<NaiveTime>(same!(NaiveTime), &[Some(at.time()), None]).await?;
    check::<TimeDelta>(same!(TimeDelta), &[Some(TimeDelta::microseconds(-1)), None]).await?;
    check::<Duration>(same!(Duration), &[Some(Duration::from_micros(1)), None]).await
}

#[tokio::test]
async fn decimals_sizes_and_characters_pass_through_every_engine_and_parquet() -> Result<()> {
    let price = Decimal::<10, 2>::from_unscaled(-990);
    check::<Decimal<10, 2>>(same!(Decimal<10, 2>), &[price, None]).await?;
    check::<Decimal<38, 0>>(
        same!(Decimal<38, 0>),
        &[Decimal::from_unscaled(10_i128.pow(38) - 1), None],
    )
    .await?;
    check::<usize>(same!(usize), &[Some(usize::MAX), None]).await?;
    check::<char>(same!(char), &[Some('🦊'), None]).await?;
    check::<std::sync::Arc<str>>(same!(std::sync::Arc<str>), &[Some("naïve".into()), None]).await
}

#[tokio::test]
async fn maps_and_json_pass_through_every_engine_and_parquet() -> Result<()> {
    let map = BTreeMap::from([("b".to_owned(), None), (String::new(), Some(1_i64))]);
    check::<BTreeMap<String, Option<i64>>>(
        same!(BTreeMap<String, Option<i64>>),
        &[Some(map.clone()), None],
    )
    .await?;
    let hashed = HashMap::from_iter(map);
    check::<HashMap<String, Option<i64>>>(
        same!(HashMap<String, Option<i64>>),
        &[Some(hashed), None],
    )
    .await?;
    let free = serde_json::json!({"kind": null, "n": [u64::MAX, 0.1, "naïve"]});
    check::<Json>(same!(Json), &[Some(Json(free)), None]).await?;
    check::<Json<(i64, String)>>(
        same!(Json<(i64, String)>),
        &[Some(Json((1, "a".into()))), None],
    )
    .await
}

#[derive(Column, Debug, Clone, PartialEq)]
struct Any {
    number: i64,
    float: Option<f64>,
    text: String,
    texts: Vec<Option<String>>,
    bytes: Vec<u8>,
    lists: Vec<Vec<u16>>,
    at: Option<DateTime<Utc>>,
    long: TimeDelta,
    map: BTreeMap<String, (bool, Option<char>)>,
}

fn any() -> impl Strategy<Value = Any> {
    let float =
        prop::option::of(prop::num::f64::ANY.prop_filter("it equals itself", |x| !x.is_nan()));
    let at = any_of::<i32>().prop_map(|second| DateTime::from_timestamp(second.into(), 1_000));
    let entry = (any_of::<bool>(), any_of::<Option<char>>());
    let map = prop::collection::btree_map(any_of::<String>(), entry, 0..3);
    let (lists, texts) = (any_of::<Vec<Vec<u16>>>(), any_of::<Vec<Option<String>>>());
    let plain = (
        any_of::<i64>(),
        float,
        any_of::<String>(),
        texts,
        any_of::<Vec<u8>>(),
    );
    let parts = (plain, lists, at, any_of::<i64>(), map);
    parts.prop_map(
        |((number, float, text, texts, bytes), lists, at, micros, map)| Any {
            number,
            float,
            text,
            texts,
            bytes,
            lists,
            at,
            long: TimeDelta::microseconds(micros),
            map,
        },
    )
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_values_pass_through_every_engine_and_parquet(
        values in prop::collection::vec(prop::option::of(any()), 1..8)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let checked = runtime.expect("a runtime").block_on(check::<Any>(same!(Any), &values));
        prop_assert!(checked.is_ok(), "{:?}", checked);
    }
}

#[tokio::test]
async fn structs_pass_through_every_engine_and_parquet() -> Result<()> {
    let bare = Reading {
        tags: vec![],
        place: None,
        ..reading(1)
    };
    check::<Reading>(same!(Reading), &[Some(reading(0)), None, Some(bare)]).await?;
    check::<Vec<Reading>>(
        same!(Vec<Reading>),
        &[Some(vec![reading(0), reading(1)]), None, Some(vec![])],
    )
    .await?;
    check::<(i64, Option<bool>)>(
        same!((i64, Option<bool>)),
        &[Some((1_i64, None::<bool>)), None],
    )
    .await
}

#[tokio::test]
async fn a_value_that_the_column_cannot_hold_is_an_error_of_its_row() -> Result<()> {
    let fine = |nanos: i64| DateTime::from_timestamp_nanos(nanos);
    let later = move |nanos: i64| async move {
        tokio::task::yield_now().await;
        fine(nanos)
    };
    let nodes = [
        Node::map("at", ["x"], fine),
        Node::map_async("at", ["x"], later),
    ];
    for node in nodes {
        let pipeline = Pipeline::new([node])?;
        for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
            let inputs = inputs! { x: [1_000_i64, 2_000, 2_001, 3_000] };
            let error = pipeline.map(inputs).over("x").on(engine).await;
            let error = error.expect_err("one nanosecond too many");
            assert_eq!(
                (error.row(), error.context("node")),
                (Some(2), Some("at")),
                "{engine:?}"
            );
            assert!(error.message().contains("microseconds"), "{error}");
        }
    }
    let inputs = inputs! { x: fine(1) };
    let same = Pipeline::new([same!(DateTime<Utc>)])?;
    let error = same
        .run(inputs)
        .await
        .expect_err("an input that no column holds");
    assert!(error.message().contains("\"x\" cannot be held"), "{error}");
    Ok(())
}

#[derive(Column, Debug, PartialEq)]
struct Point {
    x: i64,
    y: Option<f64>,
}

/// Every column of `values.parquet`, read as a function takes it.
#[node]
#[expect(clippy::too_many_arguments, reason = "one for each column")]
fn mistakes(
    id: i64,
    small: Option<i64>,
    unsigned: Option<u64>,
    half: Option<f64>,
    even: Option<bool>,
    text: Option<&str>,
    bytes: Option<&[u8]>,
    day: Option<NaiveDate>,
    time: Option<NaiveTime>,
    instant: Option<DateTime<Utc>>,
    local: Option<NaiveDateTime>,
    price: Option<Decimal<12, 4>>,
    point: Option<Point>,
    points: Vec<Point>,
    counts: Option<BTreeMap<String, i64>>,
) -> Vec<String> {
    let n = id;
    let at = |point: Point| {
        point
            == Point {
                x: n,
                y: (n % 3 != 0).then_some(n as f64),
            }
    };
    let found = [
        ("small", small.map(|small| small == i64::from(n as i8))),
        (
            "unsigned",
            unsigned.map(|unsigned| unsigned == u64::from(u32::MAX) - n as u64),
        ),
        ("half", half.map(|half| half == n as f64 / 2.0)),
        ("even", even.map(|even| even == (n % 2 == 0))),
        ("text", text.map(|text| text == "ü".repeat(n as usize % 5))),
        (
            "bytes",
            bytes.map(|bytes| bytes == vec![n as u8; n as usize % 4]),
        ),
        (
            "day",
            day.map(|day| i64::from(day.to_epoch_days()) == n - 150),
        ),
        (
            "time",
            time.map(|time| time == NaiveTime::MIN + TimeDelta::milliseconds(n)),
        ),
        (
            "instant",
            instant.map(|at| at == DateTime::from_timestamp_nanos(n * 1_000_000_001)),
        ),
        (
            "local",
            local.map(|local| local.and_utc().timestamp_millis() == -n),
        ),
        (
            "price",
            price.map(|price| price.unscaled() == i128::from(n - 150) * 100),
        ),
        ("point", point.map(at)),
        ("points", points.into_iter().next().map(at)),
        (
            "counts",
            counts.map(|counts| counts == BTreeMap::from([("row".to_owned(), n)])),
        ),
    ];
    let right = (n % 10 != 7).then_some(true);
    let wrong = found.into_iter().filter(|(_, is)| *is != right);
    wrong
        .map(|(name, is)| format!("{name} of row {n}: {is:?}"))
        .collect()
}

#[tokio::test]
async fn every_column_of_the_test_data_is_read_without_loss() -> Result<()> {
    let session = Session::new()?;
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../../testdata");
    let values = session
        .read_parquet(&format!("{folder}/values.parquet"))
        .await?;
    let applied = values.apply(&Pipeline::new(nodes![mistakes])?)?;
    let batches = applied
        .collect()
        .await
        .map_err(hypernodes::from_datafusion)?;
    let mut rows = 0;
    for batch in &batches {
        let column = batch.column_by_name("mistakes").expect("the output");
        let view = <Vec<String>>::column(column).expect("a list of text");
        for row in 0..batch.num_rows() {
            assert_eq!(Vec::get(&view, row).as_deref(), Ok(&[] as &[String]));
        }
        rows += batch.num_rows();
    }
    assert_eq!(rows, 300);
    Ok(())
}
