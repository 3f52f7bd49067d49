//! Prints what this machine measures.

#![expect(
    clippy::print_stderr,
    clippy::unwrap_used,
    reason = "a benchmark's face"
)]

use std::process::ExitCode;
use std::sync::Arc;

use clap::{Parser, Subcommand};
use hypernodes_bench::peers::Peers;
use hypernodes_bench::print::line;
use hypernodes_bench::probe::Probe;
use hypernodes_bench::table::Table;
use hypernodes_bench::{TOPICS, growth, sweep};
use tokio::runtime::Runtime;

/// Benchmarks that a person wants to see.
#[derive(Parser)]
struct Options {
    #[command(subcommand)]
    command: Task,
}

#[derive(Subcommand)]
enum Task {
    /// Every workload beside its baseline, and without settings beside the best of a few settings;
    /// exits with 1 if one misses its target by more than the noise.
    Report(Chosen),
    /// Time and peak memory as rows, nodes and partitions grow.
    Growth,
    /// Our figures beside those of other systems; exits with 1 if one is not as far ahead as asked.
    Peers(Peers),
    /// Prints the seconds and the peak megabytes of one query.
    Probe(Probe),
}

/// What to measure, and how to print it.
#[derive(clap::Args)]
struct Chosen {
    /// A JSON object for each row, in place of the table.
    #[arg(long)]
    json: bool,
    /// Only workloads whose name or strategy holds this.
    #[arg(default_value = "")]
    only: String,
}

fn main() -> ExitCode {
    let all_met = match Options::parse().command {
        Task::Report(chosen) => report(&chosen),
        Task::Growth => {
            growth::growth();
            true
        }
        Task::Peers(peers) => match peers.compare() {
            Ok(all_met) => all_met,
            Err(missing) => {
                eprintln!("nothing to compare with: {missing}");
                false
            }
        },
        Task::Probe(probe) => {
            let taken = probe.here();
            line(format_args!("{} {}", taken.seconds, taken.megabytes));
            true
        }
    };
    ExitCode::from(u8::from(!all_met))
}

fn report(chosen: &Chosen) -> bool {
    let runtime = Arc::new(Runtime::new().unwrap());
    let only = chosen.only.as_str();
    let mut table = Table::new(chosen.json);
    for (_, topic) in TOPICS {
        for workload in topic(&runtime) {
            if workload.name.contains(only) || workload.strategy.contains(only) {
                table.measure(workload);
            }
        }
    }
    if "memory".contains(only) {
        table.measure_memory();
    }
    for case in sweep::cases(&runtime) {
        if case.name.contains(only) || sweep::STRATEGY.contains(only) {
            table.measure(case.against_best(&runtime));
        }
    }
    table.all_met()
}
