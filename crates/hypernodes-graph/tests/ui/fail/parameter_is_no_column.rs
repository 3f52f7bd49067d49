#![allow(unused)]

use hypernodes_macros::node;

struct Model;

#[node]
fn scored(model: Model) -> f64 {
    0.0
}

fn main() {}
