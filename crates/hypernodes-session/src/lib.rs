//! Pipelines on tables: in memory, on files, in SQL.
//!
//! - [`Session`] is a DataFusion `SessionContext` that runs pipelines, and an engine;
//! - [`PipelineExt`] runs a pipeline on one item or maps it over columns;
//! - [`SessionContextExt`] and [`DataFrameExt`] do the same for a user's own session.
//!
//! Only this crate sees SQL and the paths of data.

mod extend;
mod gather;
mod planner;
mod run;
mod save;
mod session;

pub use extend::{DataFrameExt, SessionContextExt, SessionStateBuilderExt};
pub use planner::NodeQueryPlanner;
pub use run::{MapCall, PipelineExt, RunCall};
pub use session::Session;
