#![allow(unused)]

use hypernodes_macros::node;

struct Bad;

#[node]
fn scored(text: &str) -> Result<f64, Bad> {
    Err(Bad)
}

fn main() {}
