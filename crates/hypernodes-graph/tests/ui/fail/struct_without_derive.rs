#![allow(unused)]

use hypernodes_macros::{Column, node};

struct Point {
    x: f64,
}

#[node]
fn moved(text: &str) -> Vec<Point> {
    Vec::new()
}

fn main() {}
