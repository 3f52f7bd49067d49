//! The library as its users see it.

#![expect(clippy::expect_used, clippy::panic, reason = "a test may panic")]

mod adaptive;
mod alone;
mod both;
mod bounds;
mod concurrency;
mod documented;
mod dual;
mod engines;
mod exprs;
mod failures;
mod files;
mod mapping;
mod nesting;
mod nodes;
mod pipelines;
mod ported;
mod queries;
mod retrieval;
mod running;
mod selecting;
mod sessions;
mod settings;
mod stateful;
mod types;
mod udfs;
mod unordered;
mod values;
