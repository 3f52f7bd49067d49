#![allow(unused)]

use hypernodes_macros::{Column, node};

#[node(outputs = ["low", "high"])]
fn bounds(xs: &[i64]) -> Vec<i64> {
    xs.to_vec()
}

fn main() {}
