//! Dates, times, timestamps and durations, as the types of `chrono` and `std`.
//!
//! A column of any unit is read as it is, so that nanoseconds stay nanoseconds. Written are
//! microseconds, which every reader of Arrow and Parquet knows; a value that has no exact
//! count of them is an error of its row.

use std::sync::Arc;
use std::time::Duration;

use arrow::array::{Array, ArrayRef, AsArray, PrimitiveBuilder};
use arrow::datatypes::{
    DataType, Date32Type, Date64Type, DurationMicrosecondType, DurationMillisecondType,
    DurationNanosecondType, DurationSecondType, Time32MillisecondType, Time32SecondType,
    Time64MicrosecondType, Time64NanosecondType, TimeUnit, TimestampMicrosecondType,
    TimestampMillisecondType, TimestampNanosecondType, TimestampSecondType,
};
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Timelike, Utc};

use super::{FromColumn, IntoColumn, ListItem, Owned, Unreadable, Unwritable, reads};

const NANOS: u32 = 1_000_000_000;
const MILLIS_OF_DAY: i64 = 86_400_000;

const OUT_OF_RANGE: &str = "the value is beyond the range of its type";
const NOT_A_WHOLE_DAY: &str = "the date has a time of day; a date is whole days";
const TOO_FINE: &str = "it has no exact count of microseconds, which is what the column holds";
const TOO_LARGE: &str = "it is beyond the range of a 64-bit count of microseconds";

/// A column of times, timestamps or durations in any unit.
#[derive(Debug)]
pub enum TicksColumn<'a> {
    /// 32-bit ticks, so many a second.
    Narrow(&'a [i32], u32),
    /// 64-bit ticks, so many a second.
    Wide(&'a [i64], u32),
}

macro_rules! ticks {
    ($array:ident: $($variant:ident($arrow:ty, $a_second:expr)),* $(,)?) => {
        None$(.or_else(|| {
            let ticks = $array.as_primitive_opt::<$arrow>()?;
            Some(TicksColumn::$variant(ticks.values(), $a_second))
        }))*
    };
}

impl<'a> TicksColumn<'a> {
    fn of(array: &'a ArrayRef) -> Option<Self> {
        ticks! { array:
            Wide(TimestampSecondType, 1),
            Wide(TimestampMillisecondType, 1_000),
            Wide(TimestampMicrosecondType, 1_000_000),
            Wide(TimestampNanosecondType, NANOS),
            Narrow(Time32SecondType, 1),
            Narrow(Time32MillisecondType, 1_000),
            Wide(Time64MicrosecondType, 1_000_000),
            Wide(Time64NanosecondType, NANOS),
            Wide(DurationSecondType, 1),
            Wide(DurationMillisecondType, 1_000),
            Wide(DurationMicrosecondType, 1_000_000),
            Wide(DurationNanosecondType, NANOS),
        }
    }

    /// Whole seconds, rounded down, and the nanoseconds after them.
    #[inline]
    fn seconds(&self, row: usize) -> (i64, u32) {
        let (ticks, a_second) = match self {
            Self::Narrow(ticks, a_second) => (i64::from(ticks[row]), *a_second),
            Self::Wide(ticks, a_second) => (ticks[row], *a_second),
        };
        let rest = ticks.rem_euclid(i64::from(a_second)) as u32;
        (
            ticks.div_euclid(i64::from(a_second)),
            rest * (NANOS / a_second),
        )
    }
}

/// The count of microseconds that is exactly this long.
#[inline]
fn micros(seconds: i64, nanos: u32) -> Result<i64, Unwritable> {
    // A leap second of `chrono` has more than 10^9 nanoseconds.
    if !nanos.is_multiple_of(1_000) || nanos >= NANOS {
        return Err(TOO_FINE.into());
    }
    let micros = i128::from(seconds) * 1_000_000 + i128::from(nanos / 1_000);
    i64::try_from(micros).map_err(|_| TOO_LARGE.into())
}

/// A type for each: its column, and how it comes from and goes to seconds and nanoseconds.
macro_rules! temporal {
    ($($native:ty, $arrow:ty, $data_type:expr, $from:expr, $into:expr;)*) => {$(
        impl<'a> FromColumn<'a> for $native {
            type Column = TicksColumn<'a>;

            fn data_type() -> DataType {
                $data_type
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                let readable = reads(&$data_type, array.data_type());
                readable.then(|| TicksColumn::of(array)).flatten()
            }

            #[inline]
            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                let (seconds, nanos) = column.seconds(row);
                $from(seconds, nanos).ok_or(OUT_OF_RANGE.into())
            }
        }

        impl Owned for $native {}
        impl ListItem for $native {}

        impl IntoColumn for $native {
            type Builder = PrimitiveBuilder<$arrow>;

            fn data_type() -> DataType {
                $data_type
            }

            fn builder(rows: usize) -> Self::Builder {
                PrimitiveBuilder::with_capacity(rows).with_data_type($data_type)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                let (seconds, nanos) = $into(self);
                let micros = micros(seconds, nanos);
                builder.append_option(micros.as_ref().ok().copied());
                micros.map(drop)
            }

            #[inline]
            fn append_null(builder: &mut Self::Builder) {
                builder.append_null();
            }

            fn finish(mut builder: Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }
    )*};
}

temporal! {
    NaiveDateTime, TimestampMicrosecondType, DataType::Timestamp(TimeUnit::Microsecond, None),
        |seconds, nanos| DateTime::from_timestamp(seconds, nanos).map(|at| at.naive_utc()),
        |at: Self| (at.and_utc().timestamp(), at.nanosecond());
    DateTime<Utc>, TimestampMicrosecondType, utc(),
        DateTime::from_timestamp,
        |at: Self| (at.timestamp(), at.nanosecond());
    NaiveTime, Time64MicrosecondType, DataType::Time64(TimeUnit::Microsecond),
        |seconds, nanos| {
            NaiveTime::from_num_seconds_from_midnight_opt(u32::try_from(seconds).ok()?, nanos)
        },
        |at: Self| (i64::from(at.num_seconds_from_midnight()), at.nanosecond());
    TimeDelta, DurationMicrosecondType, DataType::Duration(TimeUnit::Microsecond),
        TimeDelta::new,
        |long: Self| match (long.num_seconds(), long.subsec_nanos()) {
            (seconds, nanos @ ..0) => (seconds - 1, (nanos + NANOS as i32) as u32),
            (seconds, nanos) => (seconds, nanos as u32),
        };
    Duration, DurationMicrosecondType, DataType::Duration(TimeUnit::Microsecond),
        |seconds, nanos| Some(Duration::new(u64::try_from(seconds).ok()?, nanos)),
        |long: Self| (i64::try_from(long.as_secs()).unwrap_or(i64::MAX), long.subsec_nanos());
}

/// The column that holds instants.
pub(super) fn utc() -> DataType {
    DataType::Timestamp(TimeUnit::Microsecond, Some("UTC".into()))
}

/// A column of dates: Date32, or a Date64 of whole days.
#[derive(Debug)]
pub enum DateColumn<'a> {
    /// Days since 1970.
    Days(&'a [i32]),
    /// Milliseconds since 1970.
    Millis(&'a [i64]),
}

impl<'a> FromColumn<'a> for NaiveDate {
    type Column = DateColumn<'a>;

    fn data_type() -> DataType {
        DataType::Date32
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        let days = array.as_primitive_opt::<Date32Type>();
        let days = days.map(|days| DateColumn::Days(days.values()));
        let millis = || {
            Some(DateColumn::Millis(
                array.as_primitive_opt::<Date64Type>()?.values(),
            ))
        };
        days.or_else(millis)
    }

    #[inline]
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        let days = match column {
            DateColumn::Days(days) => Some(days[row]),
            DateColumn::Millis(millis) if millis[row] % MILLIS_OF_DAY != 0 => {
                return Err(NOT_A_WHOLE_DAY.into());
            }
            DateColumn::Millis(millis) => i32::try_from(millis[row] / MILLIS_OF_DAY).ok(),
        };
        days.and_then(NaiveDate::from_epoch_days)
            .ok_or(OUT_OF_RANGE.into())
    }
}

impl Owned for NaiveDate {}
impl ListItem for NaiveDate {}

impl IntoColumn for NaiveDate {
    type Builder = PrimitiveBuilder<Date32Type>;

    fn data_type() -> DataType {
        DataType::Date32
    }

    fn builder(rows: usize) -> Self::Builder {
        PrimitiveBuilder::with_capacity(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        builder.append_value(self.to_epoch_days());
        Ok(())
    }

    #[inline]
    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
