#![allow(unused)]

use hypernodes_graph::Node;

fn main() {
    Node::map("y", ["x", "z"], |x: i64| x + 1);
}
