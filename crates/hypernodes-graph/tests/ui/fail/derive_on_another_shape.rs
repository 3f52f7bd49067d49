#![allow(unused)]

use hypernodes_macros::{Column, node};

#[derive(Column)]
enum Level {
    Low,
}

#[derive(Column)]
struct Meters(f64);

#[derive(Column)]
struct Nothing {}

#[derive(Column)]
struct Pair<'a, 'b, T> {
    left: &'a str,
    right: &'b str,
    both: T,
}

fn main() {}
