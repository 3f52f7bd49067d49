//! `report`: every workload beside its baseline, in one table.

#![expect(
    clippy::unwrap_used,
    clippy::print_stdout,
    reason = "a benchmark's face"
)]

use std::process::{Command, ExitCode};
use std::sync::Arc;

use clap::{Parser, Subcommand};
use hypernodes_bench::{TOPICS, Workload, memory};
use serde_json::json;
use tokio::runtime::Runtime;

/// Benchmarks that a person wants to see.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Measures every workload; exits with 1 if one misses its target by more than the noise.
    Report {
        /// A JSON object for each row, in place of the table.
        #[arg(long)]
        json: bool,
        /// Only workloads whose name or strategy holds this.
        only: Option<String>,
    },
    /// Prints the peak memory of one workload, in megabytes above the idle process.
    Memory,
}

/// Megabytes that 5,000,000 rows may take.
const MEMORY_TARGET: f64 = 300.0;

fn main() -> ExitCode {
    match Options::parse().command {
        Task::Report { json, only } => report(json, only.as_deref().unwrap_or("")),
        Task::Memory => {
            println!("{}", memory::ready_at_once());
            ExitCode::SUCCESS
        }
    }
}

fn report(as_json: bool, only: &str) -> ExitCode {
    let runtime = Arc::new(Runtime::new().unwrap());
    if !as_json {
        println!(
            "| workload | strategy | baseline | ours s | baseline s | ratio | noise | at most | |"
        );
        println!("|---|---|---|---|---|---|---|---|---|");
    }
    let mut missed = 0;
    for (_, topic) in TOPICS {
        for mut workload in topic(&runtime) {
            let Workload {
                name,
                strategy,
                baseline,
                target,
                ..
            } = workload;
            if !name.contains(only) && !strategy.contains(only) {
                continue;
            }
            let figure = workload.measure();
            let met = figure.ratio - figure.noise <= target;
            missed += usize::from(!met);
            if as_json {
                let row = json!({
                    "workload": name, "strategy": strategy, "n": workload.n,
                    "median_s": figure.seconds, "baseline": baseline,
                    "baseline_s": figure.base_seconds, "ratio": figure.ratio, "target": target,
                });
                println!("{row}");
            } else {
                let verdict = if met { "met" } else { "missed" };
                println!(
                    "| {name} | {strategy} | {baseline} | {:.4} | {:.4} | {:.3} | {:.3} | {target} | {verdict} |",
                    figure.seconds, figure.base_seconds, figure.ratio, figure.noise
                );
            }
        }
    }
    if "memory".contains(only) {
        missed += usize::from(!peak(as_json));
    }
    ExitCode::from(u8::from(missed > 0))
}

/// The peak memory of a process of its own.
fn peak(as_json: bool) -> bool {
    let own = std::env::current_exe().unwrap();
    let output = Command::new(own).arg("memory").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let megabytes: f64 = text.trim().parse().unwrap();
    let ratio = megabytes / MEMORY_TARGET;
    if as_json {
        let row = json!({
            "workload": "5M rows, async ready at once", "strategy": "memory", "n": memory::ROWS,
            "megabytes": megabytes, "baseline": "300 MB", "ratio": ratio, "target": 1.0,
        });
        println!("{row}");
    } else {
        let verdict = if ratio <= 1.0 { "met" } else { "missed" };
        println!(
            "| 5M rows, async ready at once | memory | 300 MB | {megabytes:.0} MB | | {ratio:.3} | | 1 | {verdict} |"
        );
    }
    ratio <= 1.0
}
