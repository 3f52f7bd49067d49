#![allow(unused)]

use hypernodes_macros::node;

use arrow::array::Int64Array;

#[node(batch)]
fn doubled(x: i64, y: &i64) -> Int64Array {
    Int64Array::from(vec![x * y])
}

fn main() {}
