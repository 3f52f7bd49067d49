#![allow(unused)]

use hypernodes_macros::node;

struct Score;

#[node]
fn scored(text: &str) -> Score {
    Score
}

fn main() {}
