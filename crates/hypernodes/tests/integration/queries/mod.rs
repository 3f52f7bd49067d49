//! Calls counted against the optimum of each query, and rows against plain DataFusion.

mod basics;
mod cases;
mod fixture;
mod matrix;
