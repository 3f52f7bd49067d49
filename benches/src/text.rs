//! Texts cleaned and counted, in memory and from Parquet to Parquet.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use hypernodes::datafusion::arrow::array::{Array, Int64Array, StringArray, StringBuilder};
use hypernodes::datafusion::dataframe::{DataFrame, DataFrameWriteOptions};
use hypernodes::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::measure::Run;
use crate::trivial::{queried, session};

const ROWS: usize = 1_000_000;

fn texts() -> StringArray {
    let text = |row| {
        format!(
            "  The Quick brown {row} Fox jumps OVER the lazy dog {}  ",
            row % 97
        )
    };
    StringArray::from_iter_values((0..ROWS).map(text))
}

fn clean(text: &str) -> String {
    text.trim().to_lowercase()
}

fn words(cleaned: &str) -> i64 {
    cleaned.split(' ').count() as i64
}

fn nodes() -> [Node; 2] {
    [
        Node::map("cleaned", ["text"], clean),
        Node::map("words", ["cleaned"], words),
    ]
}

/// The same by threads, each over a slice of the array, in order.
fn by_threads(texts: &StringArray) -> Vec<(StringArray, Int64Array)> {
    let cores = std::thread::available_parallelism().unwrap().get();
    let length = texts.len().div_ceil(cores);
    std::thread::scope(|scope| {
        let parts = (0..texts.len()).step_by(length);
        let threads = parts.map(|start| {
            let part = texts.slice(start, length.min(texts.len() - start));
            scope.spawn(move || {
                let mut cleaned = StringBuilder::with_capacity(part.len(), part.value_data().len());
                let counts = part.iter().flatten().map(|text| {
                    let text = clean(text);
                    cleaned.append_value(&text);
                    words(&text)
                });
                let counts = Int64Array::from_iter_values(counts);
                (cleaned.finish(), counts)
            })
        });
        let threads: Vec<_> = threads.collect();
        threads
            .into_iter()
            .map(|thread| thread.join().unwrap())
            .collect()
    })
}

async fn write(frame: DataFrame, path: &Path) {
    let options = DataFrameWriteOptions::new().with_single_file_output(true);
    let path = path.to_string_lossy();
    frame.write_parquet(&path, options, None).await.unwrap();
}

/// Reads the texts of a file, and writes what `query` makes of them into another.
fn from_file_to_file(
    runtime: &Arc<Runtime>,
    session: &Session,
    query: &str,
    folder: &Arc<TempDir>,
    name: &str,
) -> Run {
    let frame = runtime.block_on(session.sql(query)).unwrap();
    let (runtime, folder) = (Arc::clone(runtime), Arc::clone(folder));
    let path: PathBuf = folder.path().join(name);
    Box::new(move || {
        runtime.block_on(write(frame.clone(), &path));
        assert!(folder.path().exists());
    })
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let texts = texts();
    let memory = session("text", Arc::new(texts.clone()));
    let pipeline = Pipeline::new(nodes()).unwrap();
    let registered = memory.register_pipeline("enriched", &pipeline, "t");
    runtime.block_on(registered).unwrap();

    let folder = Arc::new(TempDir::new().unwrap());
    let source = folder.path().join("texts.parquet");
    let files = Session::new().unwrap();
    runtime.block_on(async {
        write(memory.table("t").await.unwrap(), &source).await;
        let path = source.to_string_lossy();
        let frame = files.read_parquet(&path).await.unwrap();
        files.register_table("t", frame.into_view()).unwrap();
        files
            .register_pipeline("enriched", &pipeline, "t")
            .await
            .unwrap();
    });
    let ours = "SELECT text, cleaned, words FROM enriched";
    let theirs = "SELECT text, lower(btrim(text)) AS cleaned, \
         array_length(string_to_array(lower(btrim(text)), ' ')) AS words FROM t";
    vec![
        Workload {
            name: "1M texts cleaned and counted",
            strategy: "function per row",
            n: ROWS,
            baseline: "bare threads over slices",
            target: 1.3,
            repeats: 9,
            run: queried(
                runtime,
                &memory,
                "SELECT cleaned, words FROM enriched",
                ROWS,
            ),
            base: Box::new(move || assert!(!by_threads(&texts).is_empty())),
        },
        Workload {
            name: "1M texts, Parquet to Parquet",
            strategy: "function per row",
            n: ROWS,
            baseline: "DataFusion's functions",
            target: 1.1,
            repeats: 7,
            run: from_file_to_file(runtime, &files, ours, &folder, "ours.parquet"),
            base: from_file_to_file(runtime, &files, theirs, &folder, "theirs.parquet"),
        },
    ]
}
