//! The memory of this process, as Linux tells it.

use hypernodes::prelude::*;
use tokio::runtime::Runtime;

/// Rows of the measurement.
pub const ROWS: usize = 5_000_000;

fn megabytes(field: &str) -> f64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with(field)).unwrap();
    let kilobytes: f64 = line.split_whitespace().nth(1).unwrap().parse().unwrap();
    kilobytes / 1024.0
}

/// Megabytes above the idle process at the peak of an async node, ready at once, over
/// [`ROWS`] rows. Means something once in a process.
pub fn ready_at_once() -> f64 {
    let runtime = Runtime::new().unwrap();
    let node = Node::map_async("y", ["x"], |x: i64| async move { x + 1 });
    let session = Session::new().unwrap();
    session.register_nodes([node]).unwrap();
    let query = format!("SELECT sum(y(value)) FROM generate_series(1, {ROWS})");
    let frame = runtime.block_on(session.sql(&query)).unwrap();
    let idle = megabytes("VmRSS:");
    runtime.block_on(frame.collect()).unwrap();
    megabytes("VmHWM:") - idle
}
