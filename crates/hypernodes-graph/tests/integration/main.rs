//! What `#[node]` and `nodes!` make, without an engine.

mod macros;
