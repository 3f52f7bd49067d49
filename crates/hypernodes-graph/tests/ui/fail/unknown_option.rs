#![allow(unused)]

use hypernodes_macros::node;

#[node(retry = 3)]
fn scored(x: i64) -> i64 {
    x
}

fn main() {}
