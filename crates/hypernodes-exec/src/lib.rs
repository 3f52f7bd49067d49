//! Running nodes over streams of RecordBatches.
//!
//! Only this crate calls users' functions, spawns tasks and catches panics.
//!
//! - [`Runtime`] holds the settings and the threads that nodes share;
//! - [`Executor`] is what those threads are: a [`Pool`], or a user's own;
//! - [`NodeMapExec`] runs a node over its input's rows, and [`NodeMapPlanner`] plants it;
//! - [`run_pipeline`] runs a pipeline over columns in memory by the same streams;
//! - [`NodeUdfExt`] makes an ordinary DataFusion function of a node;
//! - [`SetRowGoals`] tells operators of nodes under a limit how few rows are read;
//! - [`check_fence`] refuses a plan in which a node's call is anywhere else;
//! - [`SequentialEngine`] runs a pipeline row by row on the caller's thread;
//! - [`ParallelEngine`] does so for some rows on each of several workers.

mod call;
mod clock;
mod executor;
mod fence;
mod nested;
mod node_map;
mod parallel;
mod pipeline;
mod pool;
mod rejoined;
mod row_goal;
mod runtime;
mod sequential;
mod watchdog;

pub use executor::{Executor, Job};
pub use fence::check_fence;
pub use node_map::{NodeMapExec, NodeMapPlanner, NodeUdfExt};
pub use parallel::{ParallelEngine, ParallelEngineBuilder, Scheduler};
pub use pipeline::run_pipeline;
pub use pool::Pool;
pub use row_goal::SetRowGoals;
pub use runtime::Runtime;
pub use sequential::SequentialEngine;
