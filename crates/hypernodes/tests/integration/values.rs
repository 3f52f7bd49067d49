//! Values of every kind, through every engine and through Parquet.

use std::fmt::Debug;
use std::time::Duration;

use hypernodes::chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};
use hypernodes::prelude::*;
use hypernodes::{Decimal, FromColumn, InputValue, IntoColumn};

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
    check(same!(DateTime<Utc>), &[Some(at), None]).await?;
    check(same!(NaiveDateTime), &[Some(at.naive_utc()), None]).await?;
    check(same!(NaiveDate), &[Some(at.date_naive()), None]).await?;
    check(same!(NaiveTime), &[Some(at.time()), None]).await?;
    check(same!(TimeDelta), &[Some(TimeDelta::microseconds(-1)), None]).await?;
    check(same!(Duration), &[Some(Duration::from_micros(1)), None]).await
}

#[tokio::test]
async fn decimals_sizes_and_characters_pass_through_every_engine_and_parquet() -> Result<()> {
    let price = Decimal::<10, 2>::from_unscaled(-990);
    check(same!(Decimal<10, 2>), &[price, None]).await?;
    check(
        same!(Decimal<38, 0>),
        &[Decimal::from_unscaled(10_i128.pow(38) - 1), None],
    )
    .await?;
    check(same!(usize), &[Some(usize::MAX), None]).await?;
    check(same!(char), &[Some('🦊'), None]).await?;
    check(same!(std::sync::Arc<str>), &[Some("naïve".into()), None]).await
}

#[tokio::test]
async fn structs_pass_through_every_engine_and_parquet() -> Result<()> {
    let bare = Reading {
        tags: vec![],
        place: None,
        ..reading(1)
    };
    check(same!(Reading), &[Some(reading(0)), None, Some(bare)]).await?;
    check(
        same!(Vec<Reading>),
        &[Some(vec![reading(0), reading(1)]), None, Some(vec![])],
    )
    .await?;
    check(
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
