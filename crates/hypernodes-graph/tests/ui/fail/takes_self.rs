#![allow(unused)]

use hypernodes_macros::node;

struct Model;

impl Model {
    #[node]
    fn scored(&self, x: i64) -> i64 {
        x
    }
}

fn main() {}
