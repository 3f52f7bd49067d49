//! Calls of nodes become columns of [`NodeMap`](crate::NodeMap)s.
//!
//! From the leaves up, each operator gives a plan with hidden columns and a list of what they
//! hold, so that a call made below is read, not repeated, above. A boundary that must have
//! exactly its columns (the top, the arms of a union, a subquery) drops the hidden ones.

mod demand;
mod extracted;
mod join;
mod operators;
mod pairs;
mod rule;
mod unique;

pub(crate) use demand::{Demand, any_of, demands_of, demands_of_predicate, is_repeatable};
pub(crate) use extracted::{completed_by, has_subquery, replace};
pub(crate) use unique::made_name;

pub use rule::ExtractNodes;
