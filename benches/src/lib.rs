//! Workloads, each beside its baseline in the same process.
//!
//! - [`measure`] runs a workload and its baseline by turns, and gives the ratio and its noise;
//! - [`waiting`], [`trivial`], [`text`] and [`fixed`] are the workloads, a topic each;
//! - [`memory`] is what a process takes at its peak.
//!
//! Sessions and plans are made before the clock starts, unless a workload is about them.

#![expect(clippy::unwrap_used, reason = "a benchmark stops at the first fault")]

pub mod fixed;
pub mod measure;
pub mod memory;
pub mod text;
pub mod trivial;
pub mod waiting;

pub use measure::{Figure, Workload};
