//! The library as its users see it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod bounds;
mod concurrency;
mod engines;
mod exprs;
mod failures;
mod files;
mod nesting;
mod queries;
mod running;
mod sessions;
mod settings;
mod udfs;
mod values;
