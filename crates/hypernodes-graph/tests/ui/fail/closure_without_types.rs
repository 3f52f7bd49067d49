#![allow(unused)]

use hypernodes_graph::Node;

fn main() {
    Node::map("y", ["x"], |x| x);
}
