#![allow(unused)]

use hypernodes_macros::node;

#[node(batch)]
async fn doubled(x: &arrow::array::Int64Array) -> arrow::array::Int64Array {
    x.clone()
}

fn main() {}
