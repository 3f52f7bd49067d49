//! Every type written to a column and read back, at its limits and with nulls.

use std::cell::Cell;
use std::collections::{BTreeMap, HashMap};
use std::fmt::Debug;
use std::sync::Arc;
use std::time::Duration;

use arrow::array::*;
use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::*;

fn written<T: IntoColumn>(values: Vec<T>) -> Result<ArrayRef, Unwritable> {
    let mut builder = T::builder(values.len());
    values
        .into_iter()
        .try_for_each(|value| value.append(&mut builder))?;
    Ok(T::finish(builder))
}

fn read<T: for<'a> FromColumn<'a>>(array: &ArrayRef) -> Result<Vec<Option<T>>, Unreadable> {
    let array = conform(array, &T::data_type()).map_err(|error| error.to_string())?;
    let view = Option::<T>::column(&array).ok_or("no view")?;
    (0..array.len())
        .map(|row| Option::get(&view, row))
        .collect()
}

/// The values, and a null after each, come back as they were, from a slice too.
fn check<T>(values: Vec<T>) -> Result<(), Unreadable>
where
    T: for<'a> FromColumn<'a> + IntoColumn + Clone + PartialEq + Debug,
{
    let values: Vec<Option<T>> = values.into_iter().flat_map(|v| [Some(v), None]).collect();
    let column = written(values.clone())?;
    assert_eq!(column.data_type(), &<T as IntoColumn>::data_type());
    assert_eq!(
        <T as FromColumn>::data_type(),
        <T as IntoColumn>::data_type()
    );
    assert_eq!(read::<T>(&column)?, values);
    assert_eq!(read::<T>(&column.slice(1, column.len() - 1))?, values[1..]);
    let nothing = written(vec![None::<T>, None])?;
    assert_eq!(nothing.null_count(), 2);
    assert_eq!(
        read::<T>(&(Arc::new(NullArray::new(1)) as ArrayRef))?,
        [None]
    );
    Ok(())
}

fn refused<T: IntoColumn>(value: T) -> String {
    let mut builder = T::builder(1);
    let why = value
        .append(&mut builder)
        .expect_err("a value that no column holds");
    assert!(T::finish(builder).is_null(0), "a refused row is null");
    why.into_owned()
}

fn at(micros: i64) -> DateTime<Utc> {
    DateTime::from_timestamp_micros(micros).expect("in range")
}

#[test]
fn numbers_text_bytes_and_lists_round_trip() -> Result<(), Unreadable> {
    check(vec![true, false])?;
    check(vec![i8::MIN, i8::MAX])?;
    check(vec![u8::MIN, u8::MAX])?;
    check(vec![i64::MIN, 0, i64::MAX])?;
    check(vec![u64::MIN, u64::MAX])?;
    check(vec![f32::MIN, f32::MIN_POSITIVE, f32::INFINITY])?;
    check(vec![f64::MIN, f64::MIN_POSITIVE, f64::NEG_INFINITY])?;
    check(vec![
        String::new(),
        "naïve 日本語 🦊".into(),
        "long ".repeat(10_000),
    ])?;
    check(vec![Vec::new(), vec![0_u8, 255]])?;
    check(vec![vec![], vec![i64::MIN, i64::MAX]])?;
    check(vec![vec![Some(String::new()), None], vec![]])?;
    check(vec![vec![vec![1.5_f64], vec![]], vec![]])?;
    check(vec![vec![NaiveDate::MIN], vec![]])
}

#[test]
fn times_round_trip() -> Result<(), Unreadable> {
    let last = NaiveTime::from_hms_micro_opt(23, 59, 59, 999_999).expect("a time");
    check(vec![NaiveDate::MIN, NaiveDate::MAX])?;
    check(vec![NaiveTime::MIN, last])?;
    let (first, last) = (
        at(-8_334_601_228_800_000_000),
        at(8_210_266_876_799_999_999),
    );
    check(vec![first, at(-1), at(0), last])?;
    check(vec![
        first.naive_utc(),
        at(-1).naive_utc(),
        last.naive_utc(),
    ])?;
    let limits = [i64::MIN, -1, 0, 1, i64::MAX].map(TimeDelta::microseconds);
    check(limits.to_vec())?;
    check(vec![Duration::ZERO, Duration::from_micros(i64::MAX as u64)])
}

#[test]
fn times_are_read_in_any_unit() -> Result<(), Unreadable> {
    let nanos = TimestampNanosecondArray::from(vec![-1]);
    let instant = DateTime::from_timestamp_nanos(-1);
    assert_eq!(
        read(&nanos.clone().into_column())?,
        [Some(instant.naive_utc())]
    );
    let zoned = nanos.with_timezone("Europe/Berlin").into_column();
    assert_eq!(read(&zoned)?, [Some(instant)]);
    assert!(
        read::<NaiveDateTime>(&zoned).is_err(),
        "a zone is not dropped"
    );
    let seconds = TimestampSecondArray::from(vec![i64::MAX]).into_column();
    assert!(read::<NaiveDateTime>(&seconds).is_err());
    let noon = NaiveTime::from_hms_opt(12, 0, 0);
    assert_eq!(
        read(&Time32SecondArray::from(vec![43_200]).into_column())?,
        [noon]
    );
    let noon = Time64NanosecondArray::from(vec![43_200_000_000_001]).into_column();
    assert_eq!(read(&noon)?, [NaiveTime::from_hms_nano_opt(12, 0, 0, 1)]);
    let midnight = Time32SecondArray::from(vec![86_400]).into_column();
    assert!(read::<NaiveTime>(&midnight).is_err());
    let before = DurationMillisecondArray::from(vec![-1]).into_column();
    assert_eq!(read(&before)?, [Some(TimeDelta::milliseconds(-1))]);
    assert!(read::<Duration>(&before).is_err());
    let days = Date64Array::from(vec![-86_400_000]).into_column();
    assert_eq!(read(&days)?, [NaiveDate::from_ymd_opt(1969, 12, 31)]);
    assert!(read::<NaiveDate>(&Date64Array::from(vec![1]).into_column()).is_err());
    Ok(())
}

#[test]
fn a_time_that_no_count_of_microseconds_is_is_refused() {
    let fine = DateTime::from_timestamp_nanos(1);
    for why in [
        refused(fine),
        refused(fine.naive_utc()),
        refused(fine.time()),
        refused(TimeDelta::nanoseconds(-1)),
        refused(Duration::from_nanos(1)),
        // A leap second.
        refused(NaiveTime::from_hms_milli_opt(23, 59, 59, 1_000).expect("a time")),
    ] {
        assert!(why.contains("no exact count of microseconds"), "{why}");
    }
    for why in [
        refused(Duration::MAX - Duration::from_nanos(999)),
        refused(TimeDelta::MAX),
    ] {
        assert!(why.contains("microseconds"), "{why}");
    }
    assert!(refused(Duration::from_secs(u64::MAX)).contains("range"));
    assert!(refused(vec![fine]).contains("no exact count"));
}

trait IntoColumnRef {
    fn into_column(self) -> ArrayRef;
}

impl<A: Array + 'static> IntoColumnRef for A {
    fn into_column(self) -> ArrayRef {
        Arc::new(self)
    }
}

#[test]
fn sizes_characters_and_shared_text_round_trip() -> Result<(), Unreadable> {
    check(vec![usize::MIN, usize::MAX])?;
    check(vec![isize::MIN, isize::MAX])?;
    check(vec!['a', '\0', '🦊'])?;
    check::<Arc<str>>(vec!["".into(), "naïve".into()])?;
    check::<Box<str>>(vec!["".into(), "naïve".into()])?;
    check(vec![Box::new(1_i64)])?;
    check(vec![vec!['a', 'b'], vec![]])?;
    let column = written(vec![Cow::from("borrowed"), Cow::from("owned".to_owned())])?;
    let view = <Cow<'_, str>>::column(&column).ok_or("no view")?;
    assert!(matches!(Cow::get(&view, 0)?, Cow::Borrowed("borrowed")));
    for text in ["", "ab"] {
        assert!(read::<char>(&written(vec![text])?).is_err(), "{text:?}");
    }
    Ok(())
}

type Price = Decimal<10, 2>;
type Widest = Decimal<38, 38>;

#[test]
fn decimals_round_trip() -> Result<(), Unreadable> {
    let limits = |digits: u32| [1 - 10_i128.pow(digits), 0, 10_i128.pow(digits) - 1];
    check(
        limits(10)
            .map(|n| Price::from_unscaled(n).expect("10 digits"))
            .to_vec(),
    )?;
    check(
        limits(38)
            .map(|n| Widest::from_unscaled(n).expect("38 digits"))
            .to_vec(),
    )?;
    assert_eq!(Price::from_unscaled(10_i128.pow(10)), None);
    Ok(())
}

#[test]
fn a_decimal_is_read_from_fewer_digits_and_nothing_else() -> Result<(), Unreadable> {
    let of = |precision, scale| {
        let array = Decimal128Array::from(vec![-12]);
        let array = array.with_precision_and_scale(precision, scale);
        array.expect("a valid decimal type").into_column()
    };
    assert_eq!(read::<Price>(&of(3, 1))?, [Price::from_unscaled(-120)]);
    assert_eq!(read::<Price>(&of(10, 2))?, [Price::from_unscaled(-12)]);
    for (precision, scale) in [(10, 1), (11, 2), (10, 3)] {
        assert!(
            read::<Price>(&of(precision, scale)).is_err(),
            "{precision}, {scale}"
        );
    }
    // Arrow does not look at the digits of a value.
    let lying = Decimal128Array::from(vec![10_i128.pow(10)]).with_precision_and_scale(10, 2);
    assert!(read::<Price>(&lying.expect("a valid decimal type").into_column()).is_err());
    Ok(())
}

#[test]
fn decimals_convert_exactly_or_not_at_all() -> crate::Result<()> {
    use rust_decimal::Decimal as Number;
    let price = |mantissa, scale| Price::try_from(Number::new(mantissa, scale));
    assert_eq!(price(-99, 1)?.to_string(), "-9.90");
    assert_eq!(price(9_900, 3)?.to_string(), "9.90");
    assert!(price(9_901, 3).is_err(), "it is not rounded");
    assert!(
        price(10_i64.pow(8), 0).is_err(),
        "nine digits before the point"
    );
    assert_eq!(Number::try_from(price(-99, 1)?)?, Number::new(-99, 1));
    let digits = Widest::from_unscaled(10_i128.pow(37)).expect("38 digits");
    assert!(
        Number::try_from(digits).is_err(),
        "38 digits are more than 28"
    );
    assert!(Widest::try_from(Number::MAX).is_err());
    Ok(())
}

#[test]
fn maps_round_trip_in_the_order_of_their_keys() -> Result<(), Unreadable> {
    let map = |keys: &[&str]| -> BTreeMap<String, Option<i64>> {
        let keys = keys.iter().map(|key| (*key).to_owned());
        keys.map(|key| (key.clone(), (key != "b").then_some(key.len() as i64)))
            .collect()
    };
    check(vec![map(&["b", "", "a"]), map(&[])])?;
    check(vec![
        HashMap::<String, Option<i64>>::from_iter(map(&["b", "a"])),
        HashMap::new(),
    ])?;
    check(vec![
        vec![BTreeMap::from([("a".to_owned(), vec!["x".to_owned()])])],
        vec![],
    ])?;
    let ordered = written(vec![map(&["c", "b", "a"])])?;
    let hashed = written(vec![HashMap::<String, _>::from_iter(map(&["a", "b", "c"]))])?;
    assert_eq!(&ordered, &hashed);
    let why = read::<BTreeMap<String, i64>>(&ordered).expect_err("b is null");
    assert!(why.contains("\"b\"") && why.contains("`Option`"), "{why}");
    Ok(())
}

#[test]
fn a_map_is_read_whatever_its_fields_are_called() -> Result<(), Unreadable> {
    let names = MapFieldNames {
        entry: "key_value".into(),
        key: "key".into(),
        value: "value".into(),
    };
    let mut builder = MapBuilder::new(Some(names), StringBuilder::new(), Int32Builder::new());
    for key in ["a", "a"] {
        builder.keys().append_value(key);
        builder.values().append_value(1);
        builder.append(true).map_err(|error| error.to_string())?;
    }
    let map = builder.finish();
    let one = BTreeMap::from([("a".to_owned(), 1_i64)]);
    assert_eq!(
        read(&map.clone().into_column())?,
        [Some(one.clone()), Some(one)]
    );
    let offsets = arrow::buffer::OffsetBuffer::from_lengths([2]);
    let (field, _, entries, nulls, ordered) = map.into_parts();
    let twice = MapArray::new(field, offsets, entries, nulls.filter(|_| false), ordered);
    let why = read::<BTreeMap<String, i64>>(&twice.into_column()).expect_err("a key twice");
    assert!(why.contains("twice"), "{why}");
    Ok(())
}

#[test]
fn json_round_trips_and_says_what_is_wrong() -> Result<(), Unreadable> {
    let free = serde_json::json!({"b": [1, null, u64::MAX, 0.1], "a": {"": "naïve"}});
    check(vec![Json(free), Json(serde_json::Value::Null)])?;
    check(vec![Json(vec![f64::MIN_POSITIVE, 0.1 + 0.2])])?;
    let text = written(vec!["[1, \"a\"]"])?;
    let why = read::<Json<Vec<i64>>>(&text).expect_err("a text is no number");
    assert!(why.contains("column"), "{why}");
    assert!(refused(Json(BTreeMap::from([((1, 2), 3)]))).contains("no JSON"));
    Ok(())
}

#[test]
fn a_value_tells_the_memory_that_it_holds() {
    fn elsewhere<T: IntoColumn>(value: &T) -> usize {
        value.held_bytes() - size_of_val(value)
    }
    let text = || "x".repeat(1000);
    assert_eq!(
        (elsewhere(&1_i64), elsewhere(&'x'), elsewhere(&true)),
        (0, 0, 0)
    );
    assert!(elsewhere(&text()) >= 1000);
    assert!(elsewhere(&text().into_bytes()) >= 1000);
    assert!(elsewhere(&Some(text())) >= 1000);
    assert_eq!(elsewhere(&None::<String>), 0);
    assert!(elsewhere(&(1_i64, text())) >= 1000);
    assert!(elsewhere(&vec![text(), text()]) >= 2000);
    assert!(elsewhere(&vec![0.5; 100]) >= 800);
    assert!(elsewhere(&BTreeMap::from([(text(), text())])) >= 2000);
    assert!(elsewhere(&HashMap::<String, _>::from([(text(), text())])) >= 2000);
    assert!(elsewhere(&Box::new(text())) >= 1000);
    assert!(elsewhere(&std::sync::Arc::<str>::from(text())) >= 1000);
    assert!(elsewhere(&std::borrow::Cow::from(text())) >= 1000);
    assert!(Json(vec![text()]).held_bytes() >= 1000);
}

#[test]
fn a_column_that_is_stopped_has_its_first_rows() -> Result<(), Failure> {
    fn check<T: IntoColumn>(value: impl Fn(usize) -> T) -> Result<(), Failure> {
        let skipped: NullBuffer = (0..100).map(|row| row % 3 > 0).collect();
        for skipped in [None, Some(&skipped)] {
            let whole = T::gather(100, skipped, || false, |row| Ok(value(row)))?;
            assert_eq!(whole.len(), 100);
            let last = Cell::new(0);
            let called = |row| {
                last.set(row);
                Ok(value(row))
            };
            let made = T::gather(100, skipped, || last.get() >= 20, called)?;
            assert_eq!((&made, last.get()), (&whole.slice(0, 32), 31));
        }
        Ok(())
    }
    check(|row| row as i64)?;
    check(|row| row.to_string())?;
    check(|row| (row % 2 > 0).then_some(row as f64))
}
