#![allow(unused)]

use hypernodes_macros::{Column, node};

#[derive(Column)]
struct Point {
    #[column(rename = "y")]
    x: f64,
    #[column(name = "z")]
    y: f64,
    z: f64,
}

fn main() {}
