//! Workloads, each beside its baseline in the same process.
//!
//! - [`measure`] runs a workload and its baseline by turns, and gives the ratio and its noise;
//! - [`waiting`], [`mixed`], [`files`], [`trivial`], [`text`], [`fixed`] and [`planning`] are the
//!   workloads, a topic each, and [`topics`] lists them;
//! - [`sweep`] sets the engine without settings beside settings that suit a workload;
//! - [`probe`] is one query in a process of its own, and [`growth`] a table of such;
//! - [`peers`] sets us beside other systems;
//! - [`table`] and [`mod@print`] print.
//!
//! Sessions and plans are made before the clock starts, unless a workload is about them.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

mod calls;
pub mod files;
pub mod fixed;
pub mod growth;
pub mod measure;
pub mod mixed;
pub mod peers;
pub mod planning;
pub mod print;
pub mod probe;
pub mod sweep;
pub mod table;
pub mod text;
pub mod topics;
pub mod trivial;
pub mod waiting;

pub use measure::{Figure, Workload};
pub use topics::TOPICS;
