//! The files of `testdata/`, the same bytes' worth of values on every run.

use std::error::Error;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, DictionaryArray, Float64Array, Int64Array, ListBuilder, RecordBatch, StringArray,
    StringBuilder, TimestampMicrosecondArray,
};
use arrow::datatypes::Int8Type;
use parquet::arrow::ArrowWriter;
use parquet::basic::{Compression, ZstdLevel};
use parquet::file::properties::WriterProperties;

/// Rows of `passages.parquet`.
const ROWS: usize = 2_000;
const ROW_GROUP: usize = 500;

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
    let file = File::create(folder.join("passages.parquet"))?;
    let batch = passages()?;
    let properties = WriterProperties::builder()
        .set_compression(Compression::ZSTD(ZstdLevel::try_new(3)?))
        .set_max_row_group_row_count(Some(ROW_GROUP))
        .build();
    let mut writer = ArrowWriter::try_new(file, batch.schema(), Some(properties))?;
    writer.write(&batch)?;
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
