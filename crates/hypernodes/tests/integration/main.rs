//! The library as its users see it.

mod engines;
mod failures;
mod queries;
mod running;
