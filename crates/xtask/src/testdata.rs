//! The files of `testdata/`, the same bytes' worth of values on every run.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::*;
use arrow::buffer::OffsetBuffer;
use arrow::compute::take;
use arrow::datatypes::{DataType, Field, Fields, Int8Type};
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Rows of `passages.parquet`.
const ROWS: usize = 2_000;
const ROW_GROUP: usize = 500;

/// Rows of `values.parquet`.
const VALUES: i64 = 300;
const VALUES_ROW_GROUP: usize = 100;

const WORDS: [&str; 12] = [
    "Der",
    "quick",
    "naïve",
    "fox",
    "JUMPS",
    "über",
    "日本語",
    "lazy",
    "dogs",
    "🦊",
    "und",
    "so",
];

/// Knuth's MMIX linear congruential generator (The Art of Computer Programming, vol. 2, 3.3.4).
struct Random(u64);

impl Random {
    fn below(&mut self, bound: usize) -> usize {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        ((self.0 >> 33) as usize) % bound
    }
}

pub(crate) fn write(folder: &Path) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder)?;
    write_file(&folder.join("passages.parquet"), &passages()?, ROW_GROUP)?;
    write_file(&folder.join("values.parquet"), &values()?, VALUES_ROW_GROUP)
}

fn write_file(path: &Path, batch: &RecordBatch, row_group: usize) -> Result<(), Box<dyn Error>> {
    let file = File::create(path)?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(row_group))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(batch)?;
    writer.close()?;
    Ok(())
}

fn passages() -> Result<RecordBatch, Box<dyn Error>> {
    let mut random = Random(2026);
    let texts: Vec<Option<String>> = (0..ROWS).map(|row| text(row, &mut random)).collect();
    let mut tags = ListBuilder::new(StringBuilder::new());
    for row in 0..ROWS {
        for _ in 0..row % 4 {
            tags.values().append_value(WORDS[random.below(WORDS.len())]);
        }
        tags.append(row % 11 != 0);
    }
    let sources =
        (0..ROWS).map(|row| (row % 13 != 0).then_some(["web", "book", "letter"][row % 3]));
    let extremes = [i64::MIN, i64::MAX, 0, -1];
    let sizes = (0..ROWS).map(|row| match row {
        0..4 => Some(extremes[row]),
        _ => (row % 17 != 0).then(|| random.below(1_000_000) as i64),
    });
    let sizes: Int64Array = sizes.collect();
    let scores = (0..ROWS).map(|row| match row {
        0 => Some(f64::NAN),
        1 => Some(f64::INFINITY),
        _ => (row % 19 != 0).then_some(row as f64 / 7.0),
    });
    let scores: Float64Array = scores.collect();
    let times = (0..ROWS).map(|row| (row % 23 != 0).then_some(1_700_000_000_000_000 + row as i64));
    let times: TimestampMicrosecondArray = times.collect();
    let columns: [(&str, ArrayRef); 7] = [
        ("id", Arc::new(Int64Array::from_iter_values(0..ROWS as i64))),
        ("text", Arc::new(StringArray::from(texts))),
        ("tags", Arc::new(tags.finish())),
        (
            "source",
            Arc::new(sources.collect::<DictionaryArray<Int8Type>>()),
        ),
        ("size", Arc::new(sizes)),
        ("score", Arc::new(scores)),
        ("written", Arc::new(times.with_timezone("UTC"))),
    ];
    let columns = columns.map(|(name, column)| (name, column, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// A column of every kind that a parameter reads from another type than it writes; row 7 of each
/// ten is null, and every other value follows from the row's number.
fn values() -> Result<RecordBatch, Box<dyn Error>> {
    fn column<A: FromIterator<Option<V>>, V>(value: impl Fn(i64) -> V) -> A {
        let rows = 0..VALUES;
        rows.map(|row| (row % 10 != 7).then(|| value(row)))
            .collect()
    }
    const SECOND: i64 = 1_000_000_000;
    let nanos: TimestampNanosecondArray = column(|row| row * SECOND + row);
    let millis: TimestampMillisecondArray = column(|row| -row);
    let prices: Decimal128Array = column(|row| i128::from(row) - 150);
    let text: LargeStringArray = column(|row| "ü".repeat(row as usize % 5));
    let bytes: BinaryArray = column(|row| vec![row as u8; row as usize % 4]);
    let xs: Int32Array = column(|row| row as i32);
    let ys: Int32Array = (0..VALUES)
        .map(|row| (row % 3 != 0).then_some(row as i32))
        .collect();
    let point = Fields::from(vec![
        Field::new("more", DataType::LargeUtf8, true),
        Field::new("y", DataType::Int32, true),
        Field::new("x", DataType::Int32, true),
    ]);
    let fields: Vec<ArrayRef> = vec![Arc::new(text.clone()), Arc::new(ys), Arc::new(xs.clone())];
    let points = StructArray::try_new(point.clone(), fields, xs.nulls().cloned())?;
    let item = Arc::new(Field::new_list_field(DataType::Struct(point), true));
    let lengths = (0..VALUES as usize).map(|row| usize::from(row % 10 != 7));
    let some: UInt64Array = (0..VALUES as u64).filter(|row| row % 10 != 7).collect();
    let listed = take(&points, &some, None)?;
    let lists = ListArray::try_new(item, OffsetBuffer::from_lengths(lengths), listed, None)?;
    let mut counts = MapBuilder::new(None, StringBuilder::new(), Int64Builder::new());
    for row in 0..VALUES {
        counts.keys().append_value("row");
        counts.values().append_value(row);
        counts.append(row % 10 != 7)?;
    }
    let columns: Vec<(&str, ArrayRef)> = vec![
        ("id", Arc::new(Int64Array::from_iter_values(0..VALUES))),
        ("small", Arc::new(column::<Int8Array, _>(|row| row as i8))),
        (
            "unsigned",
            Arc::new(column::<UInt32Array, _>(|row| u32::MAX - row as u32)),
        ),
        (
            "half",
            Arc::new(column::<Float32Array, _>(|row| row as f32 / 2.0)),
        ),
        (
            "even",
            Arc::new(column::<BooleanArray, _>(|row| row % 2 == 0)),
        ),
        ("text", Arc::new(text)),
        ("bytes", Arc::new(bytes)),
        (
            "day",
            Arc::new(column::<Date32Array, _>(|row| row as i32 - 150)),
        ),
        (
            "time",
            Arc::new(column::<Time32MillisecondArray, _>(|row| row as i32)),
        ),
        ("instant", Arc::new(nanos.with_timezone("Europe/Berlin"))),
        ("local", Arc::new(millis)),
        ("price", Arc::new(prices.with_precision_and_scale(8, 2)?)),
        ("point", Arc::new(points)),
        ("points", Arc::new(lists)),
        ("counts", Arc::new(counts.finish())),
    ];
    let columns = columns
        .into_iter()
        .map(|(name, column)| (name, column, true));
    Ok(RecordBatch::try_from_iter_with_nullable(columns)?)
}

/// A null, nothing, blanks, one long text, and else up to twelve words.
fn text(row: usize, random: &mut Random) -> Option<String> {
    match row % 50 {
        7 => None,
        8 => Some(String::new()),
        9 => Some(" \t ".into()),
        10 if row < 50 => Some("long ".repeat(20_000)),
        _ => {
            let words = (0..1 + random.below(12)).map(|_| WORDS[random.below(WORDS.len())]);
            Some(format!("  {} ", words.collect::<Vec<_>>().join(" ")))
        }
    }
}
