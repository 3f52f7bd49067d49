#![allow(unused)]

use hypernodes_macros::node;

#[node]
fn sum((a, b): (i64, i64)) -> i64 {
    a + b
}

fn main() {}
