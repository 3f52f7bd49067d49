//! The one table of conversions that lose nothing, and the conversion itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef};
use arrow::compute::cast;
use arrow::datatypes::DataType;
use arrow::error::ArrowError;

/// Whether a parameter of type `wanted` can read a column of type `given` without loss.
///
/// Integers and floats widen where every value fits; text, bytes and lists are read in any
/// layout; a dictionary is read as its values; a column of nulls as anything.
pub fn reads(wanted: &DataType, given: &DataType) -> bool {
    use DataType::*;
    if wanted == given {
        return true;
    }
    match (wanted, given) {
        (_, Null) => true,
        (wanted, Dictionary(_, values)) => reads(wanted, values),
        (wanted, RunEndEncoded(_, values)) => reads(wanted, values.data_type()),
        (Int16, Int8 | UInt8) => true,
        (Int32, Int8 | Int16 | UInt8 | UInt16) => true,
        (Int64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32) => true,
        (UInt16, UInt8) => true,
        (UInt32, UInt8 | UInt16) => true,
        (UInt64, UInt8 | UInt16 | UInt32) => true,
        (Float32, Int8 | Int16 | UInt8 | UInt16 | Float16) => true,
        (Float64, Int8 | Int16 | Int32 | UInt8 | UInt16 | UInt32 | Float16 | Float32) => true,
        (Utf8, LargeUtf8 | Utf8View) => true,
        (Binary, LargeBinary | BinaryView | FixedSizeBinary(_)) => true,
        (
            List(wanted),
            List(given)
            | LargeList(given)
            | FixedSizeList(given, _)
            | ListView(given)
            | LargeListView(given),
        ) => reads(wanted.data_type(), given.data_type()),
        _ => false,
    }
}

/// The array as a parameter of type `wanted` reads it: as it is where the parameter's view
/// knows its layout, else converted.
///
/// # Errors
/// If [`reads`] does not allow the conversion, or memory or offsets run out in it.
pub fn conform(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::*;
    match (wanted, array.data_type()) {
        (wanted, given) if wanted == given => Ok(Arc::clone(array)),
        (Utf8, LargeUtf8 | Utf8View) | (Binary, LargeBinary | BinaryView) => Ok(Arc::clone(array)),
        (wanted, given) if reads(wanted, given) => cast(array, wanted),
        (wanted, given) => Err(ArrowError::CastError(format!(
            "a column of {given} cannot be read as {wanted}"
        ))),
    }
}

/// The widest type that both `left` and `right` read, if there is one.
pub fn meet(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::*;
    if let (List(l), List(r)) = (left, right) {
        let item = meet(l.data_type(), r.data_type())?;
        return Some(List(Arc::new(l.as_ref().clone().with_data_type(item))));
    }
    let numbers = [Float32, Int32, UInt32, Int16, UInt16, Int8, UInt8];
    let candidates = [right, left].into_iter().chain(&numbers);
    candidates
        .into_iter()
        .find(|given| reads(left, given) && reads(right, given))
        .cloned()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_meet(left: DataType, right: DataType, expected: Option<DataType>) {
        assert_eq!(meet(&left, &right), expected, "{left} with {right}");
        assert_eq!(meet(&right, &left), expected, "{right} with {left}");
    }

    #[test]
    fn two_readers_meet_at_the_widest_type_both_read() {
        check_meet(DataType::Int64, DataType::Int64, Some(DataType::Int64));
        check_meet(DataType::Int64, DataType::Float64, Some(DataType::Int32));
        check_meet(
            DataType::Float64,
            DataType::Float32,
            Some(DataType::Float32),
        );
        check_meet(DataType::Int8, DataType::UInt8, None);
        check_meet(DataType::Utf8, DataType::Int64, None);
    }

    #[test]
    fn no_conversion_in_the_table_loses_a_value() {
        use arrow::array::*;
        let extremes: Vec<ArrayRef> = vec![
            Arc::new(Int8Array::from(vec![i8::MIN, i8::MAX])),
            Arc::new(UInt8Array::from(vec![u8::MIN, u8::MAX])),
            Arc::new(Int16Array::from(vec![i16::MIN, i16::MAX])),
            Arc::new(UInt16Array::from(vec![u16::MIN, u16::MAX])),
            Arc::new(Int32Array::from(vec![i32::MIN, i32::MAX])),
            Arc::new(UInt32Array::from(vec![u32::MIN, u32::MAX])),
            Arc::new(Int64Array::from(vec![i64::MIN, i64::MAX])),
            Arc::new(UInt64Array::from(vec![u64::MIN, u64::MAX])),
            Arc::new(Float32Array::from(vec![f32::MIN, f32::MIN_POSITIVE])),
            Arc::new(Float64Array::from(vec![f64::MIN, f64::MIN_POSITIVE])),
        ];
        for given in &extremes {
            for wanted in extremes.iter().map(|array| array.data_type()) {
                let Ok(read) = conform(given, wanted) else {
                    assert!(!reads(wanted, given.data_type()));
                    continue;
                };
                let back = cast(&read, given.data_type()).unwrap();
                assert_eq!(&back, given, "{} read as {wanted}", given.data_type());
            }
        }
    }
}
