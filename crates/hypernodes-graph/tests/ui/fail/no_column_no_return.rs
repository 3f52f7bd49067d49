#![allow(unused)]

use hypernodes_macros::node;

#[node]
fn nothing(#[shared] model: &i64) {}

fn main() {}
