//! The engine without settings beside the best of a few settings, up to its own caps.

use std::sync::Arc;
use std::time::Duration;

use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::calls::{
    IN_FLIGHT, THREADS, asleep, blocked, compute, cores, mapped, with_in_flight, with_workers,
};
use crate::measure::{Run, seconds};
use crate::waiting::{computing, even, skewed};
use crate::{mixed, text, trivial};

/// The most that no settings may cost.
const TARGET: f64 = 1.1;

/// What the report calls these.
pub const STRATEGY: &str = "no settings, beside the best of some";

/// How many times as long as the best a setting takes that is not tried again.
const FAR: f64 = 1.5;

/// Settings and what they are called.
type Tuned = (&'static str, Settings);

/// A workload under any settings.
type Make = Box<dyn Fn(&Arc<Runtime>, Settings) -> Run>;

/// A workload and the settings to try.
pub struct Case {
    /// What is done.
    pub name: &'static str,
    /// Items or rows.
    n: usize,
    make: Make,
    tuned: Vec<Tuned>,
}

/// For async calls.
fn in_flight() -> Vec<Tuned> {
    let tuned = |name, rows| (name, with_in_flight(rows));
    vec![
        tuned("max_in_flight 256", 256),
        tuned("max_in_flight 512", 512),
        tuned("max_in_flight 1,024", IN_FLIGHT),
    ]
}

fn pooled(name: &'static str, threads: usize, batch_size: usize) -> Tuned {
    let settings = Settings {
        batch_size: Some(batch_size),
        ..with_workers(threads)
    };
    (name, settings)
}

/// For calls that wait or compute.
fn workers() -> Vec<Tuned> {
    vec![
        pooled("a worker a core, batch_size 1", cores(), 1),
        pooled("a worker a core, batch_size 64", cores(), 64),
        pooled("max_workers 64, batch_size 1", 64, 1),
        pooled("max_workers 256, batch_size 1", THREADS, 1),
    ]
}

/// For rows that take less than a call of a pool.
fn chunks() -> Vec<Tuned> {
    vec![
        pooled("a worker a core, batch_size 1,024", cores(), 1_024),
        pooled("a worker a core, batch_size 8,192", cores(), 8_192),
        pooled("a worker, batch_size 8,192", 1, 8_192),
    ]
}

/// For nodes of every kind.
fn both() -> Vec<Tuned> {
    let tuned = |name, threads| {
        let (name, pooled) = pooled(name, threads, 1);
        let max_in_flight = Some(IN_FLIGHT);
        let settings = Settings {
            max_in_flight,
            ..pooled
        };
        (name, settings)
    };
    vec![
        tuned("1,024 in flight, 16 workers", 16),
        tuned("1,024 in flight, 64 workers", 64),
        tuned("1,024 in flight, 256 workers", THREADS),
    ]
}

fn short() -> Node {
    Node::map("y", ["x"], |x: i64| {
        compute(Duration::from_micros(20));
        x
    })
}

fn calls<I>(name: &'static str, n: usize, nodes: fn() -> I, tuned: fn() -> Vec<Tuned>) -> Case
where
    I: IntoIterator<Item = Node> + 'static,
{
    let make: Make = Box::new(move |runtime, settings| mapped(runtime, nodes(), settings, n));
    let tuned = tuned();
    Case {
        name,
        n,
        make,
        tuned,
    }
}

/// The workloads; the settings that suit each kind.
pub fn cases(runtime: &Arc<Runtime>) -> Vec<Case> {
    let texts = text::texts();
    let folder = text::folder(runtime, &texts);
    let rows = |name, make: Make| Case {
        name,
        n: 1_000_000,
        make,
        tuned: chunks(),
    };
    vec![
        calls("async 100 x 10 ms", 100, || [asleep(even)], in_flight),
        calls("async 10,000 x 10 ms", 10_000, || [asleep(even)], in_flight),
        calls(
            "async 10,000 x 1 ms, 1 % 100 ms",
            10_000,
            || [asleep(skewed)],
            in_flight,
        ),
        calls(
            "diamond of 10 ms, 1,000 rows",
            1_000,
            mixed::diamond,
            in_flight,
        ),
        calls("blocking 100 x 10 ms", 100, || [blocked(even)], workers),
        calls("blocking 2,000 x 10 ms", 2_000, || [blocked(even)], workers),
        calls(
            "blocking 2,000 x 1 ms, 1 % 100 ms",
            2_000,
            || [blocked(skewed)],
            workers,
        ),
        calls("computing 200 x 10 ms", 200, || [computing()], workers),
        calls("computing 50,000 x 0.02 ms", 50_000, || [short()], workers),
        calls(
            "fetch, parse, score, clean 2,000 pages",
            2_000,
            mixed::mixture,
            both,
        ),
        rows("1M rows x * 2 + 1, by row", Box::new(trivial::by_row)),
        rows("1M rows x * 2 + 1, by batch", Box::new(trivial::by_batch)),
        rows(
            "1M texts cleaned and counted",
            Box::new(move |runtime, settings| text::in_memory(runtime, settings, &texts)),
        ),
        rows(
            "1M texts, Parquet to Parquet",
            Box::new(move |runtime, settings| {
                let (query, out) = (text::ENRICHED, "out.parquet");
                text::from_file_to_file(runtime, settings, &folder, query, out)
            }),
        ),
    ]
}

impl Case {
    /// Tries all settings by turns, once, and three times more those that are not far off, and keeps
    /// the best, to be measured anew: the least of several figures flatters itself.
    pub fn against_best(self, runtime: &Arc<Runtime>) -> Workload {
        let tuned = self.tuned.into_iter();
        let mut tried: Vec<_> = tuned
            .map(|(name, settings)| (name, (self.make)(runtime, settings), f64::INFINITY))
            .collect();
        for (_, run, best) in &mut tried {
            *best = seconds(&mut *run);
        }
        let least = tried.iter().map(|(_, _, best)| *best);
        let least = least.fold(f64::INFINITY, f64::min);
        tried.retain(|(_, _, best)| *best < FAR * least);
        for _ in 0..3 {
            for (_, run, best) in &mut tried {
                *best = best.min(seconds(&mut *run));
            }
        }
        let best = tried.into_iter().min_by(|a, b| a.2.total_cmp(&b.2));
        let (baseline, base, best) = best.unwrap();
        Workload {
            name: self.name,
            strategy: STRATEGY,
            n: self.n,
            baseline,
            target: TARGET,
            repeats: ((1.5 / best) as usize).clamp(5, 31),
            run: (self.make)(runtime, Settings::default()),
            base,
        }
    }
}
