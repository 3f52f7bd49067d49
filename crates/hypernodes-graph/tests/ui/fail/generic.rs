#![allow(unused)]

use hypernodes_macros::node;

#[node]
fn same<T>(x: T, y: impl Copy) -> T {
    x
}

fn main() {}
