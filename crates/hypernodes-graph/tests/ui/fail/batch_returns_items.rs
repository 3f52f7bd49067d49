#![allow(unused)]

use hypernodes_macros::node;

use arrow::array::Int64Array;

#[node(batch)]
fn doubled(x: &Int64Array) -> i64 {
    x.values().iter().sum()
}

fn main() {}
