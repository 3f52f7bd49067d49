//! Writing a query's rows to one file, whole or not at all.

use std::path::Path;

use arrow::array::{AsArray, RecordBatch};
use arrow::datatypes::UInt64Type;
use datafusion::common::Result as DataFusionResult;
use datafusion::dataframe::{DataFrame, DataFrameWriteOptions};
use hypernodes_graph::{Error, ErrorKind, Result};
use hypernodes_plan::from_datafusion;

/// What a file is written as.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Format {
    Parquet,
    /// With a header line.
    Csv,
    /// An object a line.
    Json,
}

impl Format {
    async fn write(self, frame: DataFrame, target: &str) -> DataFusionResult<Vec<RecordBatch>> {
        let options = DataFrameWriteOptions::new().with_single_file_output(true);
        match self {
            Self::Parquet => frame.write_parquet(target, options, None).await,
            Self::Csv => frame.write_csv(target, options, None).await,
            Self::Json => frame.write_json(target, options, None).await,
        }
    }
}

/// Runs the query and writes its rows to a hidden file beside `path`, which takes its name when
/// all is written; the number of rows.
pub(crate) async fn save(frame: DataFrame, format: Format, path: &Path) -> Result<u64> {
    let failed = |error: std::io::Error| {
        Error::new(ErrorKind::Query, format!("cannot write {path:?}: {error}"))
    };
    let folder = match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    if path.is_dir() {
        return Err(failed(std::io::ErrorKind::IsADirectory.into()));
    }
    let partial = tempfile::Builder::new()
        .prefix(".")
        .suffix(".partial")
        .tempfile_in(std::path::absolute(folder).map_err(failed)?)
        .map_err(failed)?
        .into_temp_path();
    let target = partial.to_string_lossy().into_owned();
    let counts = format
        .write(frame, &target)
        .await
        .map_err(from_datafusion)?;
    partial.persist(path).map_err(|error| failed(error.error))?;
    let counts = counts.iter().filter_map(|batch| {
        let counts = batch.column(0).as_primitive_opt::<UInt64Type>()?;
        Some(counts.values().iter().sum::<u64>())
    });
    Ok(counts.sum())
}
