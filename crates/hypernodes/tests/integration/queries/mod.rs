//! Calls counted against the optimum of each query, and rows against plain DataFusion.

mod basics;
mod cases;
mod declared;
mod fixture;
mod limits;
mod logic;
mod matrix;
mod once_per;
mod pairs;
mod plans;
mod reports;
mod shared;
mod sides;
mod statements;
mod tpch;
