//! Functions per row are loops: what they allocate does not follow the number of rows.

use std::sync::Arc;

use allocation_counter::measure;
use arrow::array::{ArrayRef, BooleanArray, Int64Array, StringArray};
use hypernodes_graph::Node;
use hypernodes_macros::{node, nodes};

use crate::macros::call;

#[node(output = "trimmed")]
fn trimmed(text: &str) -> &str {
    text.trim()
}

#[node(output = "sum")]
fn sum(x: i64, y: Option<i64>) -> i64 {
    x + y.unwrap_or(7)
}

/// Allocations of a call for the first `rows` rows.
fn allocations(node: &Node, arrays: &[ArrayRef], rows: usize) -> u64 {
    let arrays: Vec<_> = arrays.iter().map(|array| array.slice(0, rows)).collect();
    let mut made = None;
    let counted = measure(|| made = call(node, &arrays).ok());
    assert_eq!(made.map(|array| array.len()), Some(rows));
    counted.count_total
}

/// A hundred times the rows cost at most `more` allocations more.
fn check(node: &Node, arrays: &[ArrayRef], more: u64) {
    let few = allocations(node, arrays, 1_000);
    let many = allocations(node, arrays, 100_000);
    assert!(few > 0, "the column itself is allocated");
    assert!(
        many <= few + more,
        "{node:?}: {few} for 1,000 rows, {many} for 100,000"
    );
}

#[test]
fn rows_of_numbers_cost_no_allocation() {
    let rows = 0..100_000_i64;
    let x: ArrayRef = Arc::new(Int64Array::from_iter_values(rows.clone()));
    let with_nulls = rows.clone().map(|x| (x % 3 > 0).then_some(x));
    let with_nulls: ArrayRef = Arc::new(Int64Array::from_iter(with_nulls));
    let is_odd: ArrayRef = Arc::new(BooleanArray::from_iter(rows.map(|x| Some(x % 2 == 1))));
    for x in [&x, &with_nulls] {
        let x = [Arc::clone(x)];
        check(&Node::map("y", ["x"], |x: i64| x * 2 + 1), &x, 0);
        check(&Node::map("y", ["x"], |x: i64| x as f64 / 2.0), &x, 0);
        check(&Node::map("y", ["x"], |x: i64| x % 2 == 0), &x, 0);
        let some = |x: Option<i64>| x.filter(|x| x % 5 > 0);
        check(&Node::map("y", ["x"], some), &x, 0);
        let fallible = |x: i64| i32::try_from(x).map(i64::from);
        check(&Node::map("y", ["x"], fallible), &x, 0);
    }
    for sum in nodes![sum] {
        check(&sum, &[Arc::clone(&x), Arc::clone(&with_nulls)], 0);
    }
    check(&Node::map("y", ["x"], |x: bool| i64::from(x)), &[is_odd], 0);
}

#[test]
fn rows_of_text_go_straight_into_the_column() {
    let texts = (0..100_000).map(|row| format!("  text {row} "));
    let texts: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
    let length = Node::map("length", ["text"], |text: &str| text.len() as i64);
    check(&length, &[Arc::clone(&texts)], 0);
    // The column's bytes double as it grows, seven times or so.
    for trimmed in nodes![trimmed] {
        check(&trimmed, &[Arc::clone(&texts)], 16);
    }
}
