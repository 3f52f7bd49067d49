#![allow(unused)]

use hypernodes_macros::node;

#[node]
fn scored(text: &String) -> i64 {
    text.len() as i64
}

fn main() {}
