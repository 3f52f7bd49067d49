#![allow(unused)]

use hypernodes_macros::node;

struct Model;

#[node]
fn scored(text: &str, model: &Model) -> f64 {
    0.0
}

fn main() {}
