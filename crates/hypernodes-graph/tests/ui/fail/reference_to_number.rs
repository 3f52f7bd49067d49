#![allow(unused)]

use hypernodes_macros::node;

#[node]
fn scored(x: &i64) -> i64 {
    *x
}

fn main() {}
