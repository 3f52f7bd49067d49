//! Pipelines as DataFusion logical plans, in which every node runs once per row.
//!
//! Nothing here runs user code.
//!
//! - [`apply`] stacks one projection per node on a plan, whose columns [`resolve`] finds;
//! - [`NodeExprExt`] makes a node of an expression;
//! - [`NodeUdf`] is a node's call in an expression;
//! - [`PinNodes`], first of the optimizer's rules, keeps predicates on nodes where they are;
//! - [`ExtractNodes`], the last, moves every call into a [`NodeMap`];
//! - [`DeferRefusal`] lets a rule of ours refuse a plan in its own words;
//! - [`share_calls`], before physical planning, lets the rows that a join makes of one row share a
//!   call;
//! - [`to_datafusion`] and [`from_datafusion`] carry errors through DataFusion and back.

mod apply;
mod arrange;
mod error;
mod expr;
mod extract;
mod join;
mod names;
mod node_map;
mod order;
mod pin_nodes;
mod refusal;
mod share;
mod subqueries;
mod total;
mod udf;

pub use apply::{apply, resolve};
pub use error::{from_datafusion, to_datafusion};
pub use expr::NodeExprExt;
pub use extract::ExtractNodes;
pub use names::has_ambiguous_names;
pub use node_map::{MappedCall, MappedOutput, NodeMap, calls_nodes};
pub use pin_nodes::PinNodes;
pub use refusal::{DeferRefusal, Refused};
pub use share::share_calls;
pub use udf::{BoundNode, NodeUdf};
