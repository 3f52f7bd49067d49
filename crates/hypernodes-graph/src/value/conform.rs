//! The one table of conversions that lose nothing, and the conversion itself.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, MapArray, StructArray, new_null_array};
use arrow::compute::{CastOptions, cast, cast_with_options};
use arrow::datatypes::{DataType, Field, FieldRef, Fields, TimeUnit};
use arrow::error::ArrowError;

/// Whether a parameter of type `wanted` can read a column of type `given` without loss.
///
/// Integers, floats and decimals widen where every value fits; text, bytes and lists are read
/// in any layout; times, timestamps and durations in any unit, and a timestamp that has a zone
/// in any zone; Date64 as a date, if its rows are whole days; a struct by the names of its
/// fields, of which it may have more; a map whatever its fields are called; a dictionary as its
/// values; a column of nulls as anything.
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
        (Decimal128(p, s), Decimal32(q, t) | Decimal64(q, t) | Decimal128(q, t)) => {
            t <= s && integer_digits(*q, *t) <= integer_digits(*p, *s)
        }
        (Date32, Date64) => true,
        (Time64(TimeUnit::Microsecond), Time32(_) | Time64(_)) => true,
        (Duration(TimeUnit::Microsecond), Duration(_)) => true,
        (Timestamp(TimeUnit::Microsecond, wanted), Timestamp(_, given)) => {
            wanted.is_some() == given.is_some()
        }
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
        (Map(wanted, _), Map(given, _)) => match (wanted.data_type(), given.data_type()) {
            (Struct(wanted), Struct(given)) => std::iter::zip(wanted, given)
                .all(|(wanted, given)| reads(wanted.data_type(), given.data_type())),
            _ => false,
        },
        (Struct(wanted), Struct(given)) => wanted.iter().all(|wanted| {
            let found = given.find(wanted.name());
            found.is_some_and(|(_, given)| reads(wanted.data_type(), given.data_type()))
        }),
        _ => false,
    }
}

fn integer_digits(precision: u8, scale: i8) -> i16 {
    i16::from(precision) - i16::from(scale)
}

/// The array as a parameter of type `wanted` reads it: as it is where the parameter's view
/// knows its layout or unit, else converted. A struct has the wanted fields in their order.
///
/// # Errors
/// If [`reads`] does not allow the conversion, or memory or offsets run out in it.
pub fn conform(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    use DataType::*;
    match (wanted, array.data_type()) {
        (wanted, given) if wanted == given => Ok(Arc::clone(array)),
        (wanted, given) if !reads(wanted, given) => Err(ArrowError::CastError(format!(
            "a column of {given} cannot be read as {wanted}"
        ))),
        (wanted, Null) => Ok(new_null_array(wanted, array.len())),
        (wanted, Dictionary(_, values)) => conform(&cast(array, values)?, wanted),
        (wanted, RunEndEncoded(_, values)) => conform(&cast(array, values.data_type())?, wanted),
        (Utf8, _)
        | (Binary, LargeBinary | BinaryView)
        | (Date32 | Time64(_) | Duration(_) | Timestamp(_, _), _) => Ok(Arc::clone(array)),
        (List(item), List(_)) => list(array.as_list(), item),
        (
            List(_),
            LargeList(given) | FixedSizeList(given, _) | ListView(given) | LargeListView(given),
        ) => conform(&cast(array, &List(Arc::clone(given)))?, wanted),
        (Map(entries, _), Map(_, _)) => map(array.as_map(), entries),
        (Struct(fields), Struct(_)) => structure(array.as_struct(), fields),
        _ => strictly(array, wanted),
    }
}

/// The cast, or an error where one value cannot be cast.
pub(super) fn strictly(array: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, ArrowError> {
    let options = CastOptions {
        safe: false,
        ..CastOptions::default()
    };
    cast_with_options(array, wanted, &options)
}

/// Values that are given to a pipeline, as `wanted` reads them: what [`reads`] allows as it is,
/// and integers as any number that holds each of them, as the type of `3` is nobody's choice.
///
/// # Errors
/// In words, for what follows the name of the input, if they cannot be read.
pub(crate) fn fit(given: &ArrayRef, wanted: &DataType) -> Result<ArrayRef, String> {
    if reads(wanted, given.data_type()) {
        return Ok(Arc::clone(given));
    }
    let told = format!(
        "{}, and the pipeline reads it as {wanted}",
        given.data_type()
    );
    if !counts(wanted, given.data_type()) {
        return Err(told);
    }
    let read = strictly(given, wanted);
    let back = read.and_then(|read| Ok((strictly(&read, given.data_type())?, read)));
    match back {
        Ok((back, read)) if &back == given => Ok(read),
        _ => Err(format!("{told}, which does not hold every value of it")),
    }
}

/// Whether integers, or lists of them, are given for numbers.
fn counts(wanted: &DataType, given: &DataType) -> bool {
    match (wanted, given) {
        (DataType::List(wanted), DataType::List(given)) => {
            counts(wanted.data_type(), given.data_type())
        }
        _ => wanted.is_numeric() && given.is_integer(),
    }
}

fn list(list: &ListArray, item: &Field) -> Result<ArrayRef, ArrowError> {
    let items = conform(list.values(), item.data_type())?;
    let item = item.clone().with_data_type(items.data_type().clone());
    let (offsets, nulls) = (list.offsets().clone(), list.nulls().cloned());
    Ok(Arc::new(ListArray::try_new(
        Arc::new(item),
        offsets,
        items,
        nulls,
    )?))
}

fn map(given: &MapArray, wanted: &Field) -> Result<ArrayRef, ArrowError> {
    let DataType::Struct(fields) = wanted.data_type() else {
        return Err(ArrowError::CastError(
            "the entries of a map are a struct".into(),
        ));
    };
    let columns = std::iter::zip(fields, [given.keys(), given.values()]);
    let columns = columns.map(|(wanted, column)| {
        let column = conform(column, wanted.data_type())?;
        let field = wanted.as_ref().clone();
        Ok((field.with_data_type(column.data_type().clone()), column))
    });
    let (fields, columns): (Vec<Field>, Vec<ArrayRef>) = columns
        .collect::<Result<Vec<_>, ArrowError>>()?
        .into_iter()
        .unzip();
    let entries = StructArray::try_new(fields.into(), columns, None)?;
    let field = wanted.clone().with_data_type(entries.data_type().clone());
    let (offsets, nulls) = (given.offsets().clone(), given.nulls().cloned());
    Ok(Arc::new(MapArray::try_new(
        Arc::new(field),
        offsets,
        entries,
        nulls,
        false,
    )?))
}

fn structure(given: &StructArray, wanted: &Fields) -> Result<ArrayRef, ArrowError> {
    let conformed = |wanted: &FieldRef| {
        let column = given.column_by_name(wanted.name()).ok_or_else(|| {
            ArrowError::CastError(format!("the struct has no field {:?}", wanted.name()))
        })?;
        let column = conform(column, wanted.data_type())?;
        let field = Field::new(wanted.name(), column.data_type().clone(), true);
        Ok((Arc::new(field), column))
    };
    let columns = wanted.iter().map(conformed);
    let (fields, columns): (Vec<FieldRef>, Vec<ArrayRef>) = columns
        .collect::<Result<Vec<_>, ArrowError>>()?
        .into_iter()
        .unzip();
    let nulls = given.nulls().cloned();
    Ok(Arc::new(StructArray::try_new(
        fields.into(),
        columns,
        nulls,
    )?))
}

/// The widest type that both `left` and `right` read, if there is one.
pub fn meet(left: &DataType, right: &DataType) -> Option<DataType> {
    use DataType::*;
    match (left, right) {
        (List(l), List(r)) => {
            let item = meet(l.data_type(), r.data_type())?;
            return Some(List(Arc::new(l.as_ref().clone().with_data_type(item))));
        }
        (Struct(l), Struct(r)) => return meet_fields(l, r).map(Struct),
        (Decimal128(p, s), Decimal128(q, t)) => {
            let scale = *s.min(t);
            let digits = integer_digits(*p, *s).min(integer_digits(*q, *t)) + i16::from(scale);
            let precision = u8::try_from(digits).ok().filter(|digits| *digits > 0);
            return precision.map(|precision| Decimal128(precision, scale));
        }
        _ => {}
    }
    let numbers = [Float32, Int32, UInt32, Int16, UInt16, Int8, UInt8];
    let candidates = [right, left].into_iter().chain(&numbers);
    candidates
        .into_iter()
        .find(|given| reads(left, given) && reads(right, given))
        .cloned()
}

/// The fields that either struct asks for, each as both read it.
fn meet_fields(left: &Fields, right: &Fields) -> Option<Fields> {
    let met = left.iter().map(|field| match right.find(field.name()) {
        Some((_, other)) => {
            let met = meet(field.data_type(), other.data_type())?;
            Some(Arc::new(field.as_ref().clone().with_data_type(met)))
        }
        None => Some(Arc::clone(field)),
    });
    let more = right
        .iter()
        .filter(|field| left.find(field.name()).is_none());
    met.chain(more.map(|field| Some(Arc::clone(field))))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check_meet(left: DataType, right: DataType, expected: Option<DataType>) {
        assert_eq!(meet(&left, &right), expected, "{left} with {right}");
        assert_eq!(meet(&right, &left), expected, "{right} with {left}");
    }

    fn structure(fields: &[(&str, DataType)]) -> DataType {
        let fields = fields.iter().cloned();
        let fields = fields.map(|(name, data_type)| Field::new(name, data_type, true));
        DataType::Struct(fields.collect())
    }

    #[test]
    fn two_readers_meet_at_the_widest_type_both_read() {
        use DataType::*;
        check_meet(Int64, Int64, Some(Int64));
        check_meet(Int64, Float64, Some(Int32));
        check_meet(Float64, Float32, Some(Float32));
        check_meet(Int8, UInt8, None);
        check_meet(Utf8, Int64, None);
        check_meet(Decimal128(10, 2), Decimal128(6, 3), Some(Decimal128(5, 2)));
        check_meet(Decimal128(4, 4), Decimal128(4, 0), None);
        let (left, right) = ([("a", Int64), ("b", Utf8)], [("a", Float64), ("c", Utf8)]);
        let met = [("a", Int32), ("b", Utf8), ("c", Utf8)];
        let met = (structure(&met), meet(&structure(&left), &structure(&right)));
        assert_eq!(Some(met.0), met.1);
        assert_eq!(
            meet(&structure(&[("a", Utf8)]), &structure(&[("a", Int8)])),
            None
        );
    }

    #[test]
    fn a_struct_is_read_by_the_names_of_its_fields() -> Result<(), ArrowError> {
        use DataType::*;
        let given = structure(&[("b", Int32), ("more", Utf8), ("a", Utf8View)]);
        let wanted = structure(&[("a", Utf8), ("b", Int64)]);
        assert!(reads(&wanted, &given) && !reads(&given, &wanted));
        let read = conform(&new_null_array(&given, 2), &wanted)?;
        let names: Vec<_> = read
            .as_struct()
            .fields()
            .iter()
            .map(|field| field.name())
            .collect();
        assert_eq!(names, ["a", "b"]);
        assert_eq!(read.as_struct().column(1).data_type(), &Int64);
        Ok(())
    }

    /// Columns of the least and the greatest value of each type, as far as types go.
    fn extremes() -> Vec<ArrayRef> {
        use arrow::array::*;
        use arrow::datatypes::*;
        macro_rules! of {
            ($($arrow:ty),*) => {
                [$({
                    let least = <$arrow as ArrowPrimitiveType>::Native::MIN;
                    let greatest = <$arrow as ArrowPrimitiveType>::Native::MAX;
                    let array = PrimitiveArray::<$arrow>::from_iter_values([least, 0 as _, greatest]);
                    Arc::new(array) as ArrayRef
                }),*]
            };
        }
        let mut all: Vec<ArrayRef> = of![
            Int8Type,
            UInt8Type,
            Int16Type,
            UInt16Type,
            Int32Type,
            UInt32Type,
            Int64Type,
            UInt64Type,
            Float32Type,
            Float64Type,
            Date32Type,
            Date64Type,
            Time32SecondType,
            Time32MillisecondType,
            Time64MicrosecondType,
            Time64NanosecondType,
            TimestampSecondType,
            TimestampMillisecondType,
            TimestampMicrosecondType,
            TimestampNanosecondType,
            DurationSecondType,
            DurationMillisecondType,
            DurationMicrosecondType,
            DurationNanosecondType
        ]
        .into();
        let zoned = TimestampNanosecondArray::from(vec![i64::MIN, i64::MAX]);
        all.push(Arc::new(zoned.with_timezone("Europe/Berlin")));
        for (precision, scale) in [(38, 0), (38, 38), (20, 10), (10, 2), (9, 2), (3, 3)] {
            let nines = 10_i128.pow(u32::from(precision)) - 1;
            let array = Decimal128Array::from(vec![-nines, 0, nines]);
            let array = array.with_precision_and_scale(precision, scale);
            all.push(Arc::new(array.expect("a valid decimal type")));
        }
        let nines = Decimal32Array::from(vec![-999_999_999, 999_999_999]);
        let nines = nines.with_precision_and_scale(9, 2);
        all.push(Arc::new(nines.expect("a valid decimal type")));
        let texts = ["", "\u{10ffff}", "longer than a view holds"];
        all.push(Arc::new(StringArray::from_iter_values(texts)));
        all.push(Arc::new(StringViewArray::from_iter_values(texts)));
        all.push(Arc::new(BinaryArray::from_iter_values(texts)));
        all.push(Arc::new(DictionaryArray::<Int8Type>::from_iter(texts)));
        all
    }

    #[test]
    fn no_conversion_in_the_table_loses_a_value() {
        let plain = extremes();
        let lists = plain.iter().map(|items| {
            let item = Arc::new(Field::new_list_field(items.data_type().clone(), true));
            let offsets = arrow::buffer::OffsetBuffer::from_lengths([1, items.len() - 1]);
            Arc::new(ListArray::new(item, offsets, Arc::clone(items), None)) as ArrayRef
        });
        let all: Vec<ArrayRef> = plain.iter().cloned().chain(lists).collect();
        let mut conversions = 0;
        for given in &all {
            for wanted in all.iter().map(|array| array.data_type()) {
                let Ok(read) = conform(given, wanted) else {
                    assert!(!reads(wanted, given.data_type()));
                    continue;
                };
                assert!(reads(wanted, given.data_type()));
                conversions += usize::from(wanted != given.data_type());
                let back = cast(&read, given.data_type()).unwrap();
                assert_eq!(&back, given, "{} read as {wanted}", given.data_type());
            }
        }
        // The size of the table, so that a pair that is added or lost is seen.
        assert_eq!(conversions, 98);
    }
}
