#![allow(unused)]

use hypernodes_macros::node;

#[node(max_in_flight = 2)]
fn scored(x: i64) -> i64 {
    x
}

#[node(max_workers = 2, batch_size = 2, use_batch_udf = false, workload_type = "io")]
async fn fetched(x: i64) -> i64 {
    x
}

#[node(batch, use_batch_udf = true)]
fn doubled(x: &arrow::array::Int64Array) -> arrow::array::Int64Array {
    x.clone()
}

#[node(workload_type = "wait")]
fn waited(x: i64) -> i64 {
    x
}

fn main() {}
