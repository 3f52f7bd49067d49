#![allow(unused)]

use hypernodes_graph::Node;

struct Score;

fn main() {
    Node::map("y", ["x"], |x: i64| Score);
}
