#![allow(unused)]

use hypernodes_macros::{Column, node};

struct Model;

#[derive(Column)]
struct Scored {
    text: String,
    model: Model,
}

fn main() {}
