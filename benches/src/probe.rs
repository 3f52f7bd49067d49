//! The time and the peak memory of one query, in a process of its own.

use std::path::PathBuf;
use std::process::Command;
use std::time::Instant;

use clap::{Args, ValueEnum};
use hypernodes::datafusion::prelude::SessionConfig;
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::text;

/// What a query does with each row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Work {
    /// Numbers go through functions and are added up.
    Functions,
    /// The same through async functions that are ready at once.
    Ready,
    /// Texts of a Parquet file are cleaned and counted into another.
    Texts,
}

/// A query to be measured.
#[derive(Debug, Clone, Args)]
pub struct Probe {
    /// What is done with each row.
    pub work: Work,
    /// Rows that are made; of texts, those of the file.
    pub rows: usize,
    /// Nodes in a chain; of texts, two.
    #[arg(long, default_value_t = 1)]
    pub nodes: usize,
    /// DataFusion's partitions; as many as cores if not said.
    #[arg(long)]
    pub partitions: Option<usize>,
    /// The file of texts; what is made of it goes beside it.
    #[arg(long)]
    pub file: Option<PathBuf>,
}

/// What a query took.
#[derive(Debug, Clone, Copy)]
pub struct Taken {
    /// Its time, planning not included.
    pub seconds: f64,
    /// Its peak memory above the idle process.
    pub megabytes: f64,
}

/// A figure of this process, as Linux tells it.
fn megabytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// A chain of nodes from `x` to `y`, each of which adds one.
fn chain(work: Work, nodes: usize) -> Pipeline {
    let name = |place| match place {
        0 => "x".to_owned(),
        place if place == nodes => "y".to_owned(),
        place => format!("y{place}"),
    };
    let chain = (0..nodes).map(|place| {
        let (from, to) = (name(place), name(place + 1));
        match work {
            Work::Ready => Node::map_async(to, [from.as_str()], |x: i64| async move { x + 1 }),
            _ => Node::map(to, [from.as_str()], |x: i64| x + 1),
        }
    });
    Pipeline::new(chain).unwrap()
}

impl Probe {
    /// One node on so many rows.
    pub fn of(work: Work, rows: usize) -> Self {
        Self {
            work,
            rows,
            nodes: 1,
            partitions: None,
            file: None,
        }
    }

    /// Measures in this process: the memory means something once.
    pub fn here(&self) -> Taken {
        let runtime = Runtime::new().unwrap();
        let config = SessionConfig::new();
        let config = match self.partitions {
            None => config,
            Some(partitions) => config.with_target_partitions(partitions),
        };
        let session = Session::with_config(config, Settings::default()).unwrap();
        runtime.block_on(async {
            let frame = if let Some(file) = &self.file {
                text::from_file(&session, file, text::ENRICHED).await
            } else {
                let rows = self.rows;
                let made = format!("SELECT value AS x FROM generate_series(1, {rows})");
                let made = session.sql(&made).await.unwrap();
                session.register_table("t", made.into_view()).unwrap();
                let chain = chain(self.work, self.nodes);
                session.register_pipeline("v", &chain, "t").await.unwrap();
                session.sql("SELECT sum(y) FROM v").await.unwrap()
            };
            let idle = megabytes("VmRSS:");
            let began = Instant::now();
            match &self.file {
                Some(file) => text::write(frame, &file.with_extension("out.parquet")).await,
                None => assert_eq!(frame.collect().await.unwrap().len(), 1),
            }
            Taken {
                seconds: began.elapsed().as_secs_f64(),
                megabytes: megabytes("VmHWM:") - idle,
            }
        })
    }

    /// Measures in a process of its own, which is this program's `probe`.
    pub fn in_a_process(&self) -> Taken {
        let own = std::env::current_exe().unwrap();
        let mut command = Command::new(own);
        let work = self.work.to_possible_value().unwrap();
        command.args(["probe", work.get_name(), &self.rows.to_string()]);
        command.args(["--nodes", &self.nodes.to_string()]);
        if let Some(partitions) = self.partitions {
            command.args(["--partitions", &partitions.to_string()]);
        }
        if let Some(file) = &self.file {
            command.arg("--file").arg(file);
        }
        let output = command.output().unwrap();
        assert!(output.status.success(), "{command:?}: {output:?}");
        let text = String::from_utf8(output.stdout).unwrap();
        let mut figures = text
            .split_whitespace()
            .map(|word| word.parse::<f64>().unwrap());
        let mut next = || figures.next().unwrap();
        let (seconds, megabytes) = (next(), next());
        Taken { seconds, megabytes }
    }
}
