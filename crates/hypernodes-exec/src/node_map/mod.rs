//! The operator that runs nodes: its plan, its stream, and what plants it.

mod exec;
mod gate;
mod planner;
mod stream;

pub use exec::NodeMapExec;
pub(crate) use exec::PhysicalCall;
pub use planner::NodeMapPlanner;
