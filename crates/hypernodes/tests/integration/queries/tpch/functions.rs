//! The functions, as nodes that count and as ordinary UDFs.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use chrono::NaiveDate;
use datafusion::arrow::datatypes::DataType::{self, Date32, Int64, Utf8};
use datafusion::logical_expr::{ColumnarValue, ScalarUDF, Volatility, create_udf};
use datafusion::scalar::ScalarValue;
use hypernodes::prelude::*;

/// The functions, by name, in the order of the counters.
pub(super) const NAMES: [&str; 5] = ["score", "label", "usd", "net", "delay"];

/// What a model says of a text, from 0 to 99.
fn score(text: String) -> i64 {
    text.bytes().map(i64::from).sum::<i64>() * 37 % 100
}

/// The class of a text.
fn label(text: String) -> String {
    ["calm", "angry", "glad"][score(text) as usize % 3].to_owned()
}

/// An amount in another currency.
fn usd(amount: i64) -> i64 {
    amount * 11 / 10
}

/// A price less a discount in percent.
fn net(price: i64, discount: i64) -> i64 {
    price * (100 - discount) / 100
}

/// The days from one date to another.
fn delay(from: NaiveDate, to: NaiveDate) -> i64 {
    (to - from).num_days()
}

#[derive(Debug, Clone, Default)]
pub(super) struct Calls(Arc<[AtomicUsize; 5]>);

impl Calls {
    fn count(&self, function: usize) {
        self.0[function].fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn take(&self) -> [usize; 5] {
        std::array::from_fn(|function| self.0[function].swap(0, Ordering::Relaxed))
    }
}

pub(super) fn nodes(calls: &Calls, is_async: bool) -> Vec<Node> {
    macro_rules! node {
        ($place:literal, $function:ident($($argument:ident: $kind:ty),*)) => {{
            let calls = calls.clone();
            let inputs = [$(stringify!($argument)),*];
            match is_async {
                true => Node::map_async(NAMES[$place], inputs, move |$($argument: $kind),*| {
                    calls.count($place);
                    async move {
                        tokio::task::yield_now().await;
                        $function($($argument),*)
                    }
                }),
                false => Node::map(NAMES[$place], inputs, move |$($argument: $kind),*| {
                    calls.count($place);
                    $function($($argument),*)
                }),
            }
        }};
    }
    vec![
        node!(0, score(text: String)),
        node!(1, label(text: String)),
        node!(2, usd(amount: i64)),
        node!(3, net(price: i64, discount: i64)),
        node!(4, delay(from: NaiveDate, to: NaiveDate)),
    ]
}

fn text(value: &ScalarValue) -> Option<String> {
    value.try_as_str().flatten().map(str::to_owned)
}

fn int(value: &ScalarValue) -> Option<i64> {
    match value {
        ScalarValue::Int64(value) => *value,
        _ => None,
    }
}

fn date(value: &ScalarValue) -> Option<NaiveDate> {
    match value {
        ScalarValue::Date32(Some(days)) => NaiveDate::from_epoch_days(*days),
        _ => None,
    }
}

type Row<'a> = &'a [ScalarValue];

pub(super) fn udfs() -> Vec<ScalarUDF> {
    let udf = |place: usize, types: &[DataType], to: DataType, of: fn(Row<'_>) -> ScalarValue| {
        let call = move |args: &[ColumnarValue]| {
            let columns = ColumnarValue::values_to_arrays(args)?;
            let value = |row| {
                let values = columns.iter();
                let values = values.map(|column| ScalarValue::try_from_array(column, row));
                Ok(of(&values.collect::<datafusion::error::Result<Vec<_>>>()?))
            };
            let values = (0..columns[0].len()).map(value);
            let values = values.collect::<datafusion::error::Result<Vec<_>>>()?;
            Ok(ColumnarValue::Array(ScalarValue::iter_to_array(values)?))
        };
        let call = Arc::new(call);
        create_udf(
            NAMES[place],
            types.to_vec(),
            to,
            Volatility::Immutable,
            call,
        )
    };
    vec![
        udf(0, &[Utf8], Int64, |row| text(&row[0]).map(score).into()),
        udf(1, &[Utf8], Utf8, |row| {
            ScalarValue::Utf8(text(&row[0]).map(label))
        }),
        udf(2, &[Int64], Int64, |row| int(&row[0]).map(usd).into()),
        udf(3, &[Int64, Int64], Int64, |row| {
            int(&row[0])
                .zip(int(&row[1]))
                .map(|(price, discount)| net(price, discount))
                .into()
        }),
        udf(4, &[Date32, Date32], Int64, |row| {
            date(&row[0])
                .zip(date(&row[1]))
                .map(|(from, to)| delay(from, to))
                .into()
        }),
    ]
}
