#![allow(unused)]

use hypernodes_macros::{Column, node};

#[node(outputs = ["low", "high", "mean"])]
fn bounds(xs: &[i64]) -> Option<(i64, i64)> {
    Some((*xs.first()?, *xs.last()?))
}

fn main() {}
