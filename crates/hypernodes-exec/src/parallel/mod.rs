//! Rows cut into partitions, each of which one worker runs through the whole pipeline.
//!
//! ```text
//!   columns --> partition 0 | partition 1 | partition 2 | partition 3 --> outputs, in order
//!                worker 0      worker 1      worker 0      worker 1
//! ```
//!
//! What belongs here: cutting, handing to workers, putting together. What never does: how a row
//! is run, which is the sequential engine's.

mod block_on;
mod engine;
mod partitions;
mod run;

pub use engine::{ParallelEngine, ParallelEngineBuilder, Scheduler};
