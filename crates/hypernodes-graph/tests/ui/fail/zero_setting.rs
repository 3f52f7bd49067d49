#![allow(unused)]

use hypernodes_macros::node;

#[node(max_workers = 0)]
fn scored(x: i64) -> i64 {
    x
}

fn main() {}
