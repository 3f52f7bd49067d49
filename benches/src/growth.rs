//! How time and memory grow with rows, nodes and partitions.

use std::path::Path;

use hypernodes::prelude::*;
use tempfile::TempDir;
use tokio::runtime::Runtime;

use crate::print::line;
use crate::probe::{Probe, Work};
use crate::text;

const MOST: usize = 10_000_000;

/// Numbers of rows: each ten times the last.
fn rows() -> impl Iterator<Item = usize> {
    std::iter::successors(Some(1_000), |rows| Some(rows * 10)).take_while(|rows| *rows <= MOST)
}

/// Writes so many texts into a Parquet file.
async fn write_texts(rows: usize, path: &Path) {
    let query = format!(
        "SELECT '  The Quick brown ' || value || ' Fox jumps OVER the lazy dog  ' AS text \
         FROM generate_series(1, {rows})"
    );
    let session = Session::new().unwrap();
    text::write(session.sql(&query).await.unwrap(), path).await;
}

fn print(what: &str, probe: &Probe) {
    let taken = probe.in_a_process();
    let per_row = taken.seconds * 1e9 / probe.rows as f64;
    let partitions = probe
        .partitions
        .map(|count| count.to_string())
        .unwrap_or_default();
    line(format_args!(
        "| {what} | {} | {} | {partitions} | {:.4} | {per_row:.1} | {:.0} |",
        probe.rows, probe.nodes, taken.seconds, taken.megabytes
    ));
}

/// Prints a row for each measurement, each of which has a process of its own.
pub fn growth() {
    line("| work | rows | nodes | partitions | s | ns a row | peak MB above idle |");
    line("|---|---|---|---|---|---|---|");
    for (what, work) in [
        ("functions", Work::Functions),
        ("async, ready at once", Work::Ready),
    ] {
        for rows in rows() {
            print(what, &Probe::of(work, rows));
        }
    }
    let folder = TempDir::new().unwrap();
    let runtime = Runtime::new().unwrap();
    for rows in rows() {
        let file = folder.path().join("texts.parquet");
        runtime.block_on(write_texts(rows, &file));
        for partitions in [1, 2] {
            let probe = Probe {
                nodes: 2,
                partitions: Some(partitions),
                file: Some(file.clone()),
                ..Probe::of(Work::Texts, rows)
            };
            print("texts, Parquet to Parquet", &probe);
        }
    }
    for nodes in [1, 2, 5, 10, 20, 50, 100] {
        for (what, work) in [
            ("functions in a chain", Work::Functions),
            ("async in a chain", Work::Ready),
        ] {
            let probe = Probe {
                nodes,
                ..Probe::of(work, 1_000_000)
            };
            print(what, &probe);
        }
    }
}
