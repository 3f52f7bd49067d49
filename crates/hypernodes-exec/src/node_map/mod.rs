//! The operator that runs nodes: its plan, its stream, and what plants it; and the same stream
//! as an ordinary function.

mod ahead;
mod exec;
mod explain;
mod gate;
mod held;
mod layers;
mod limiter;
mod meters;
mod physical_call;
mod planner;
mod shared;
mod stream;
mod to_udf;
mod window;
mod work;

pub use exec::NodeMapExec;
pub(crate) use exec::{Setting, run};
pub(crate) use physical_call::PhysicalCall;
pub use planner::NodeMapPlanner;
pub use to_udf::NodeUdfExt;
