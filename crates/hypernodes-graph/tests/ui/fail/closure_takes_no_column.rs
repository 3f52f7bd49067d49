#![allow(unused)]

use hypernodes_graph::Node;

struct Score;

fn main() {
    Node::map("y", ["x"], |x: Score| 1_i64);
}
