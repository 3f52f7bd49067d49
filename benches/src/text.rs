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

/// A million texts of about twelve words.
pub(crate) fn texts() -> StringArray {
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

/// Writes a table into one Parquet file.
pub(crate) async fn write(frame: DataFrame, path: &Path) {
    let options = DataFrameWriteOptions::new().with_single_file_output(true);
    let path = path.to_string_lossy();
    frame.write_parquet(&path, options, None).await.unwrap();
}

/// The table `enriched`: `t` with the columns that the nodes make.
pub(crate) async fn enrich(session: &Session) {
    let pipeline = Pipeline::new(nodes()).unwrap();
    let registered = session.register_pipeline("enriched", &pipeline, "t");
    registered.await.unwrap();
}

/// Cleans and counts the texts of a table.
pub(crate) fn in_memory(runtime: &Arc<Runtime>, settings: Settings, texts: &StringArray) -> Run {
    let session = session(settings, "text", Arc::new(texts.clone()));
    runtime.block_on(enrich(&session));
    let query = "SELECT cleaned, words FROM enriched";
    queried(runtime, &session, query, texts.len())
}

/// A folder with a file of these texts, `texts.parquet`.
pub(crate) fn folder(runtime: &Arc<Runtime>, texts: &StringArray) -> Arc<TempDir> {
    let folder = Arc::new(TempDir::new().unwrap());
    let session = session(Settings::default(), "text", Arc::new(texts.clone()));
    runtime.block_on(async {
        let table = session.table("t").await.unwrap();
        write(table, &folder.path().join("texts.parquet")).await;
    });
    folder
}

/// The table that `query` makes of the texts in a file, which are `t`, or cleaned and counted
/// `enriched`.
pub(crate) async fn from_file(session: &Session, file: &Path, query: &str) -> DataFrame {
    let frame = session.read_parquet(&file.to_string_lossy()).await.unwrap();
    session.register_table("t", frame.into_view()).unwrap();
    enrich(session).await;
    session.sql(query).await.unwrap()
}

/// Reads the texts of a folder, and writes what `query` makes of them into the file `name`.
pub(crate) fn from_file_to_file(
    runtime: &Arc<Runtime>,
    settings: Settings,
    folder: &Arc<TempDir>,
    query: &str,
    name: &str,
) -> Run {
    let session = Session::with_settings(settings).unwrap();
    let source = folder.path().join("texts.parquet");
    let frame = runtime.block_on(from_file(&session, &source, query));
    let (runtime, folder) = (Arc::clone(runtime), Arc::clone(folder));
    let path: PathBuf = folder.path().join(name);
    Box::new(move || {
        runtime.block_on(write(frame.clone(), &path));
        assert!(folder.path().exists());
    })
}

/// What our nodes make of the texts.
pub(crate) const ENRICHED: &str = "SELECT text, cleaned, words FROM enriched";

/// The same by DataFusion's own functions.
const BUILT_IN: &str = "SELECT text, lower(btrim(text)) AS cleaned, \
     array_length(string_to_array(lower(btrim(text)), ' ')) AS words FROM t";

/// The same work in three steps, each over all rows, as if nothing overlapped: the file is read,
/// the nodes run, the rows are written.
fn in_steps(runtime: &Arc<Runtime>, folder: &Arc<TempDir>) -> Run {
    let (runtime, folder) = (Arc::clone(runtime), Arc::clone(folder));
    Box::new(move || {
        runtime.block_on(async {
            let session = Session::new().unwrap();
            let source = folder.path().join("texts.parquet");
            let read = session
                .read_parquet(&source.to_string_lossy())
                .await
                .unwrap();
            let read = read.cache().await.unwrap();
            session.register_table("t", read.into_view()).unwrap();
            enrich(&session).await;
            let made = session.sql(ENRICHED).await.unwrap().cache().await.unwrap();
            write(made, &folder.path().join("steps.parquet")).await;
        });
    })
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let (texts, free) = (texts(), Settings::default());
    let folder = folder(runtime, &texts);
    let between = |query, name| from_file_to_file(runtime, free, &folder, query, name);
    vec![
        Workload {
            name: "1M texts cleaned and counted",
            strategy: "function per row",
            n: ROWS,
            baseline: "bare threads over slices",
            target: 1.3,
            repeats: 9,
            run: in_memory(runtime, free, &texts),
            base: Box::new(move || assert!(!by_threads(&texts).is_empty())),
        },
        Workload {
            name: "1M texts, Parquet to Parquet",
            strategy: "function per row",
            n: ROWS,
            baseline: "DataFusion's functions",
            target: 1.1,
            repeats: 7,
            run: between(ENRICHED, "ours.parquet"),
            base: between(BUILT_IN, "theirs.parquet"),
        },
        Workload {
            name: "1M texts, Parquet to Parquet",
            strategy: "reading, nodes and writing at once",
            n: ROWS,
            baseline: "the same, one after the other",
            target: 1.0,
            repeats: 7,
            run: between(ENRICHED, "ours.parquet"),
            base: in_steps(runtime, &folder),
        },
    ]
}
