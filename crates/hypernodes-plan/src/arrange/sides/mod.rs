//! Calls and the sides of joins.
//!
//! A call above a join that reads one side alone moves to that side ([`sink`]), and a side with
//! calls is reduced to the rows that the join can use ([`reduce`]) by a semi join with what the
//! other side is without its calls ([`bare`]). So a call is made once for a row of its side,
//! however many rows the join makes of it, and for no row that the join drops.

mod bare;
mod conditions;
mod offer;
mod reduce;
mod reduction;
mod scans;
mod sink;

pub(super) use offer::Offer;
pub(super) use reduce::{droppable, reads_mark, reduce};
pub(super) use reduction::is_keys;
pub(crate) use reduction::marked;
pub(crate) use scans::with_own_sources;
pub(super) use sink::sink;
