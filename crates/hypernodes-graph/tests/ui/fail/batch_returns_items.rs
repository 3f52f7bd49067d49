#![allow(unused)]

use hypernodes_macros::node;

use arrow::array::Int64Array;

#[node(batch)]
fn doubled(x: &Int64Array) -> Vec<i64> {
    x.values().to_vec()
}

fn main() {}
