#![allow(unused)]

use hypernodes_macros::node;

#[node]
struct Score(f64);

fn main() {}
