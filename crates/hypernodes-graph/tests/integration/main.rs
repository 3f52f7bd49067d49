//! What `#[node]` and `nodes!` make, without an engine.

#![expect(clippy::panic, reason = "a test may panic")]

mod allocations;
mod columns;
mod macros;
mod mistakes;
