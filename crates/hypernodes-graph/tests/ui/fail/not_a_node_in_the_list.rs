#![allow(unused)]

use hypernodes_macros::{node, nodes};

fn plain(x: i64) -> i64 {
    x
}

fn main() {
    nodes![1 + 2];
    nodes![plain];
    let variable = 1;
    nodes![variable];
}
