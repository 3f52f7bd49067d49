//! Whole arrays, for batch functions.

use std::ops::Deref;
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, DurationMicrosecondArray,
    Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array, StringArray,
    Time64MicrosecondArray, TimestampMicrosecondArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::datatypes::{DataType, TimeUnit};

use super::conform;
use super::conform::strictly;
use super::temporal::utc;
use crate::columns::Failure;

use super::{InputValue, IntoColumn, IntoInput};

/// An array type that says which column it is: what a batch function takes by `&` and returns.
///
/// It holds the column's nulls. Times are in microseconds; a column of another unit is converted,
/// and a value that is no whole number of them is an error of its row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an array type that a batch function takes or returns",
    label = "not an array of a known column type",
    note = "take and return `Int64Array`, `Float64Array`, `BooleanArray`, `StringArray` and the like; a dictionary or a view is read as its plain array"
)]
pub trait ColumnArray: Clone + 'static {
    /// The column's type.
    fn column_type() -> DataType;

    /// This array, if `array` is one.
    fn from_array(array: &ArrayRef) -> Option<Self>;

    /// The column; one of another type than [`ColumnArray::column_type`] is refused.
    fn into_array(self) -> ArrayRef;
}

macro_rules! arrays {
    ($($array:ident => $data_type:expr),* $(,)?) => {$(
        impl ColumnArray for $array {
            fn column_type() -> DataType {
                use DataType::*;
                $data_type
            }

            fn from_array(array: &ArrayRef) -> Option<Self> {
                array.as_any().downcast_ref::<Self>().cloned()
            }

            fn into_array(self) -> ArrayRef {
                Arc::new(self)
            }
        }

        impl IntoInput for $array {
            fn into_input(self) -> InputValue {
                InputValue::Column(self.into_array())
            }
        }
    )*};
}

arrays! {
    BooleanArray => Boolean,
    Int8Array => Int8,
    Int16Array => Int16,
    Int32Array => Int32,
    Int64Array => Int64,
    UInt8Array => UInt8,
    UInt16Array => UInt16,
    UInt32Array => UInt32,
    UInt64Array => UInt64,
    Float32Array => Float32,
    Float64Array => Float64,
    StringArray => Utf8,
    BinaryArray => Binary,
    Date32Array => Date32,
    Time64MicrosecondArray => Time64(TimeUnit::Microsecond),
    TimestampMicrosecondArray => Timestamp(TimeUnit::Microsecond, None),
    DurationMicrosecondArray => Duration(TimeUnit::Microsecond),
}

/// Instants, microseconds since 1970 in UTC, for batch functions: a `TimestampMicrosecondArray`
/// alone is a timestamp of no zone. One that is returned is labelled UTC, its numbers as they are.
#[derive(Debug, Clone)]
pub struct UtcTimestampArray(pub TimestampMicrosecondArray);

impl Deref for UtcTimestampArray {
    type Target = TimestampMicrosecondArray;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl IntoInput for UtcTimestampArray {
    fn into_input(self) -> InputValue {
        InputValue::Column(self.into_array())
    }
}

impl ColumnArray for UtcTimestampArray {
    fn column_type() -> DataType {
        utc()
    }

    fn from_array(array: &ArrayRef) -> Option<Self> {
        TimestampMicrosecondArray::from_array(array).map(Self)
    }

    fn into_array(self) -> ArrayRef {
        self.0.with_timezone("UTC").into_array()
    }
}

/// The array as `T`, converted from another layout or unit of the same type if need be.
///
/// # Errors
/// The first row that the unit of `T` cannot hold exactly; a fault of the engine if the array
/// is of another type.
pub(crate) fn downcast<T: ColumnArray>(array: &ArrayRef, index: usize) -> Result<T, Failure> {
    let wanted = T::column_type();
    let unexpected = || Failure::unexpected(array, index, &wanted);
    let array = conform(array, &wanted).map_err(|_| unexpected())?;
    let array = match array.data_type() {
        given if *given == wanted => array,
        given if given.is_temporal() => in_unit(&array, &wanted)?,
        _ => strictly(&array, &wanted).map_err(|_| unexpected())?,
    };
    T::from_array(&array).ok_or_else(unexpected)
}

/// The times of `array` in the unit of `wanted`, if that can be undone.
fn in_unit(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, Failure> {
    let made = |array: &ArrayRef| {
        let made = strictly(array, wanted).ok()?;
        let back = strictly(&made, array.data_type()).ok()?;
        (&back == array).then_some(made)
    };
    made(array).ok_or_else(|| {
        let row = (0..array.len()).find(|row| made(&array.slice(*row, 1)).is_none());
        let why = format!("a value of {} is not exact as {wanted}", array.data_type());
        Failure::unreadable(row.unwrap_or_default(), why.into())
    })
}

/// What a batch function may return: an array, a `Vec` of a column type, which becomes one, or
/// a `Result` of either with any error type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a batch function may return",
    label = "neither an array type nor a `Vec` of a column type, nor a `Result` of one",
    note = "return an array such as `Int64Array` or `StringArray`, or a `Vec`, with a row for each row of the arguments"
)]
pub trait BatchOutput {
    /// The column's type.
    fn column_type() -> DataType;

    /// The array, or the user's error as it is.
    ///
    /// # Errors
    /// The user's error, or why a column cannot hold an item.
    fn into_output(self) -> Result<ArrayRef, crate::BoxError>;
}

impl<T: ColumnArray> BatchOutput for T {
    fn column_type() -> DataType {
        <T as ColumnArray>::column_type()
    }

    fn into_output(self) -> Result<ArrayRef, crate::BoxError> {
        Ok(self.into_array())
    }
}

impl<T: IntoColumn> BatchOutput for Vec<T> {
    fn column_type() -> DataType {
        T::data_type()
    }

    fn into_output(self) -> Result<ArrayRef, crate::BoxError> {
        let mut builder = T::builder(self.len());
        for (row, item) in self.into_iter().enumerate() {
            let written = item.append(&mut builder);
            written.map_err(|why| format!("row {row} of the batch: {why}"))?;
        }
        Ok(T::finish(builder))
    }
}

impl<T: BatchOutput, E: Into<crate::BoxError>> BatchOutput for Result<T, E> {
    fn column_type() -> DataType {
        T::column_type()
    }

    fn into_output(self) -> Result<ArrayRef, crate::BoxError> {
        self.map_err(Into::into)?.into_output()
    }
}

#[cfg(test)]
mod tests {
    use arrow::array::{TimestampNanosecondArray, TimestampSecondArray};

    use super::*;

    #[test]
    fn a_unit_is_changed_if_that_loses_nothing() {
        let zoned = |array: TimestampNanosecondArray| -> ArrayRef {
            Arc::new(array.with_timezone("Europe/Berlin"))
        };
        let exact = zoned(vec![Some(1_000), None].into());
        let read = downcast::<UtcTimestampArray>(&exact, 0).expect("whole microseconds");
        assert_eq!((read.value(0), read.is_null(1)), (1, true));
        assert_eq!(read.data_type(), &utc());
        let fine = zoned(vec![1_000, 1_001].into());
        let failure = downcast::<UtcTimestampArray>(&fine, 0).expect_err("one nanosecond");
        assert_eq!(failure.row, Some(1));
        let far: ArrayRef = Arc::new(TimestampSecondArray::from(vec![0, i64::MAX]));
        let failure = downcast::<TimestampMicrosecondArray>(&far, 0).expect_err("too far");
        assert_eq!(failure.row, Some(1));
    }
}
