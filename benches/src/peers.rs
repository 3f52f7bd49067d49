//! Our figures beside those of other systems, which a script of Python measures.

use std::hint::black_box;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Arc;

use clap::{Args, ValueEnum};
use futures_timer::Delay;
use hypernodes::datafusion::arrow::array::{Int64Array, StringArray};
use hypernodes::prelude::*;
use serde_json::Value;
use tokio::runtime::Runtime;

use crate::calls::{WAIT, bare_threads, cores, map, with_in_flight, with_workers};
use crate::measure::{Run, median, seconds};
use crate::print;
use crate::text::{enrich, folder, from_file_to_file};
use crate::trivial::{queried, session};

/// Where the script is, seen from the repository.
const SCRIPT: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/../../shared/peers/bench_peers.py"
);

/// Which systems, each set in an environment of its own beside the script.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Systems {
    /// Daft, Polars, DuckDB and asyncio.
    Latest,
    /// HyperNodes for Python; takes minutes.
    Hypernodes,
}

/// Whom to compare with.
#[derive(Debug, Clone, Args)]
pub struct Peers {
    /// Which systems.
    #[arg(default_value = "latest")]
    systems: Systems,
    /// The script that measures them.
    #[arg(long, default_value = SCRIPT)]
    script: PathBuf,
    /// The Python that runs it; that of the environment beside the script if not said.
    #[arg(long)]
    python: Option<PathBuf>,
}

/// What a strategy without settings is called.
const NO_SETTINGS: &str = "no settings";

/// Why there is nothing to compare with.
type Missing = String;

impl Peers {
    /// The systems' name for the script, and the Python of their environment.
    fn environment(&self) -> (&'static str, PathBuf) {
        let (name, environment) = match self.systems {
            Systems::Latest => ("latest", ".venv-latest"),
            Systems::Hypernodes => ("hypernodes", ".venv-daft6"),
        };
        let beside = self.script.with_file_name(environment).join("bin/python");
        let python = match &self.python {
            Some(python) => python.clone(),
            None if beside.exists() => beside,
            None => "python3".into(),
        };
        (name, python)
    }

    /// What the script prints of a workload: an object a line.
    fn theirs(&self, workload: &str) -> Result<Vec<(String, f64)>, Missing> {
        if !self.script.exists() {
            return Err(format!("there is no {}", self.script.display()));
        }
        let (name, python) = self.environment();
        let mut command = Command::new(&python);
        command.arg(&self.script).arg(name).env("ONLY", workload);
        command.stderr(Stdio::inherit());
        let output = command.output();
        let output = output.map_err(|error| format!("cannot run {}: {error}", python.display()))?;
        if !output.status.success() {
            let folder = self.script.parent().unwrap_or(Path::new("."));
            return Err(format!(
                "{} ended with {}; if it lacks libraries, `sh {}` sets up environments that have \
                 them",
                python.display(),
                output.status,
                folder.join("setup.sh").display()
            ));
        }
        let mut figures = Vec::new();
        for line in String::from_utf8_lossy(&output.stdout).lines() {
            let row: Value = serde_json::from_str(line)
                .map_err(|error| format!("the script printed {line:?}: {error}"))?;
            let text = |key: &str| row[key].as_str().unwrap_or_default().to_owned();
            match row["median_s"].as_f64() {
                Some(seconds) => figures.push((text("system"), seconds)),
                None => print::line(format_args!("{} fails: {}", text("system"), text("error"))),
            }
        }
        Ok(figures)
    }

    /// Measures them and us, a workload after the other, and prints a table: whether each of our
    /// strategies is as far ahead of each system as asked.
    ///
    /// # Errors
    /// There is no script, or no Python with the libraries that it needs.
    pub fn compare(&self) -> Result<bool, Missing> {
        let runtime = Arc::new(Runtime::new().unwrap());
        let mut all_met = true;
        print::line("| workload | ours | s | system | s | over ours | at least | |");
        print::line("|---|---|---|---|---|---|---|---|");
        for (workload, ours) in ours(&runtime) {
            let mut systems = self.theirs(workload)?;
            if workload == "cpu_200" {
                let threads = bare_threads(cores(), 200, |x| {
                    black_box(burn(x));
                });
                systems.push((THREADS.to_owned(), timed(threads)));
            }
            for (strategy, run) in ours {
                let taken = timed(run);
                for (system, theirs) in &systems {
                    let (ratio, least) = (theirs / taken, least(workload, strategy, system));
                    let verdict = if ratio >= least { "met" } else { "missed" };
                    all_met &= ratio >= least;
                    print::line(format_args!(
                        "| {workload} | {strategy} | {taken:.4} | {system} | {theirs:.4} | \
                         {ratio:.2}x | {least:.2}x | {verdict} |"
                    ));
                }
            }
        }
        Ok(all_met)
    }
}

/// The system that the script does not have.
const THREADS: &str = "bare threads";

/// How many times as long as ours a system should take at least.
fn least(workload: &str, strategy: &str, system: &str) -> f64 {
    let is_daft = system.starts_with("Daft");
    match (workload, strategy) {
        ("async_io_100", _) if is_daft => 1.5,
        ("async_io_10k", NO_SETTINGS) if is_daft => 2.5,
        ("async_io_10k", _) if is_daft => 8.0,
        ("sync_io_100", NO_SETTINGS) if is_daft => 2.5,
        ("cpu_200", _) if system == THREADS => 1.0 / 1.08,
        _ => 1.0,
    }
}

/// The median of five runs after one to warm up, as the script takes it.
fn timed(mut run: Run) -> f64 {
    run();
    median((0..5).map(|_| seconds(&mut *run)).collect())
}

fn texts(n: usize) -> Vec<String> {
    let text = |i| format!("  The Quick brown fox number {i} jumps OVER the lazy dog  ");
    (0..n).map(text).collect()
}

/// The script's computation, with as many rounds.
fn burn(x: i64) -> i64 {
    let burnt = (0..130_000).fold(x as u64, |x, _| {
        black_box(
            x.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    });
    (burnt >> 1) as i64
}

/// Waits as exactly as asyncio: Tokio's timer, which the report's workloads have on both sides, ends
/// 10 ms after 11 to 12.
fn fetch() -> Node {
    Node::map_async("result", ["text"], |text: String| async move {
        Delay::new(WAIT).await;
        text + "!"
    })
}

fn read() -> Node {
    Node::map("result", ["text"], |text: &str| {
        std::thread::sleep(WAIT);
        format!("{text}!")
    })
}

/// Maps a node over the items of `inputs`.
fn mapped(
    runtime: &Arc<Runtime>,
    node: Node,
    settings: Settings,
    over: &'static str,
    inputs: Inputs,
    n: usize,
) -> Run {
    let session = Session::with_settings(settings).unwrap();
    let pipeline = Pipeline::new([node]).unwrap();
    let runtime = Arc::clone(runtime);
    Box::new(move || map(&runtime, &session, &pipeline, inputs.clone(), over, n))
}

/// The script's workloads as we do them, each by its strategies.
fn ours(runtime: &Arc<Runtime>) -> Vec<(&'static str, Vec<(&'static str, Run)>)> {
    const MILLION: usize = 1_000_000;
    let free = Settings::default();
    let over_texts = |node, settings, n| {
        let inputs = inputs! { text: items(texts(n)) };
        mapped(runtime, node, settings, "text", inputs, n)
    };
    let (many, sixteen) = (with_in_flight(10_000), with_workers(16));
    let numbers = session(
        free,
        "x",
        Arc::new(Int64Array::from_iter_values(0..MILLION as i64)),
    );
    let by_row = Node::map("by_row", ["x"], |x: i64| x * 2 + 1);
    let by_batch = Node::batch("by_batch", ["x"], |x: &Int64Array| -> Int64Array {
        x.unary(|x| x * 2 + 1)
    });
    numbers.register_nodes([by_row, by_batch]).unwrap();
    let million = StringArray::from_iter_values(texts(MILLION));
    let memory = session(free, "text", Arc::new(million.clone()));
    runtime.block_on(enrich(&memory));
    let folder = folder(runtime, &million);
    let all = "SELECT text, cleaned, words FROM enriched";
    let burning = Node::map("result", ["x"], burn);
    let numbered = inputs! { x: items(0..200_i64) };
    vec![
        (
            "async_io_100",
            vec![(NO_SETTINGS, over_texts(fetch(), free, 100))],
        ),
        (
            "async_io_10k",
            vec![
                (NO_SETTINGS, over_texts(fetch(), free, 10_000)),
                ("max_in_flight 10,000", over_texts(fetch(), many, 10_000)),
            ],
        ),
        (
            "sync_io_100",
            vec![
                (NO_SETTINGS, over_texts(read(), free, 100)),
                ("max_workers 16", over_texts(read(), sixteen, 100)),
            ],
        ),
        (
            "cpu_200",
            vec![(
                NO_SETTINGS,
                mapped(runtime, burning, free, "x", numbered, 200),
            )],
        ),
        (
            "row_1m",
            vec![(
                "function per row",
                queried(
                    runtime,
                    &numbers,
                    "SELECT x, by_row(x) AS result FROM t",
                    MILLION,
                ),
            )],
        ),
        (
            "batch_1m",
            vec![(
                "function per batch",
                queried(
                    runtime,
                    &numbers,
                    "SELECT x, by_batch(x) AS result FROM t",
                    MILLION,
                ),
            )],
        ),
        (
            "text_1m",
            vec![("functions per row", queried(runtime, &memory, all, MILLION))],
        ),
        (
            "parquet_text",
            vec![(
                "functions per row",
                from_file_to_file(runtime, free, &folder, all, "out.parquet"),
            )],
        ),
    ]
}
