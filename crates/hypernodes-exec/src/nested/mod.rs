//! Pipelines as nodes: mapped over lists, or run by an engine of their own.
//!
//! A List array is its flattened items and their offsets. So nothing is exploded, grouped or
//! sorted: the inner nodes run over the items, the other columns are repeated by a take, and
//! what comes out is put back under the same offsets.
//!
//! ```text
//!   outer rows --> Flattened: items --> inner nodes, each with its window --> Regrouped: outer rows
//!                       \------------- the rows and their lengths, in order -----------/
//! ```

mod flat;
mod program;
mod stream;

pub(crate) use flat::{flatten, lengths, regroup};
pub(crate) use program::{Program, Scope, steer};
pub(crate) use stream::Regrouped;
