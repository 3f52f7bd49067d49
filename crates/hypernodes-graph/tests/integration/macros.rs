use std::error::Error;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int64Array, ListArray, StringArray};
use arrow::datatypes::{DataType, Int64Type};
use hypernodes_graph::{Call, Columns, Node, Pipeline, SharedValue};
use hypernodes_macros::{node, nodes};

#[node]
fn cleaned(passage: &str) -> String {
    passage.trim().to_lowercase()
}

#[node(output = "words")]
fn count_words(cleaned: &str) -> i64 {
    cleaned.split_whitespace().count() as i64
}

#[node]
fn first_word(passage: &str) -> &str {
    passage.split(' ').next().unwrap_or_default()
}

#[node]
fn summed(items: &[i64], extra: Option<i64>) -> Result<i64, std::num::TryFromIntError> {
    u32::try_from(items.iter().sum::<i64>()).map(|sum| i64::from(sum) + extra.unwrap_or(100))
}

#[node(batch, batch_size = 2)]
fn doubled(x: &Int64Array) -> Int64Array {
    x.unary(|x| x * 2)
}

#[node(max_in_flight = 3)]
async fn scaled(x: i64, #[shared] factor: &i64) -> i64 {
    x * factor
}

#[node]
async fn shouted(passage: &str) -> Result<String, std::fmt::Error> {
    Ok(passage.to_uppercase())
}

pub(crate) fn call(
    node: &Node,
    arrays: &[ArrayRef],
) -> Result<ArrayRef, Box<dyn Error + Send + Sync>> {
    let rows = arrays[0].len();
    match node.call() {
        Call::Rows(kernel) | Call::Batch(kernel) => kernel
            .call(&Columns::new(arrays, &[], rows, None))
            .map_err(|failure| failure.error),
        other => Err(format!("{other:?} is no sync function").into()),
    }
}

/// The rows of an async node whose futures are ready at once.
fn call_async(node: &Node, arrays: Vec<ArrayRef>, shared: &[SharedValue]) -> ArrayRef {
    use std::task::{Context, Poll, Waker};
    let Call::Async(kernel) = node.call() else {
        panic!("{node:?} is not async");
    };
    let count = arrays[0].len();
    let rows = kernel.batch(arrays, shared, count);
    for row in 0..count {
        let mut call = Arc::clone(&rows).call(row);
        let poll = call.as_mut().poll(&mut Context::from_waker(Waker::noop()));
        assert!(matches!(poll, Poll::Ready(Ok(_))));
    }
    match rows.take(0..count) {
        Ok(made) => made,
        Err(failure) => panic!("{failure:?}"),
    }
}

fn texts(values: &[Option<&str>]) -> ArrayRef {
    Arc::new(StringArray::from(values.to_vec()))
}

#[test]
fn n06_the_annotated_function_stays_callable() {
    assert_eq!(cleaned(" A "), "a");
    assert_eq!(count_words("a b"), 2);
}

#[test]
fn a_row_function_is_called_for_each_row() -> Result<(), Box<dyn Error + Send + Sync>> {
    let [node, first] = &nodes![cleaned, first_word][..] else {
        return Err("two nodes".into());
    };
    let input = texts(&[Some(" Über "), Some("a b")]);
    let made = call(node, std::slice::from_ref(&input))?;
    assert_eq!(made.as_string::<i32>().value(0), "über");
    let made = call(first, &[input])?;
    assert_eq!(made.as_string::<i32>().value(1), "a");
    Ok(())
}

#[test]
fn slices_options_and_results_are_read_and_returned() -> Result<(), Box<dyn Error + Send + Sync>> {
    let node = &nodes![summed][0];
    assert!(node.parameters()[1].optional);
    let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([
        Some(vec![Some(1), Some(2)]),
        Some(vec![]),
    ]);
    let extra = Int64Array::from(vec![Some(1), None]);
    let made = call(node, &[Arc::new(lists), Arc::new(extra.clone())])?;
    assert_eq!(made.as_primitive::<Int64Type>().values(), &[4, 100]);
    let bad = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(-1)])]);
    let error = call(
        node,
        &[Arc::new(bad), extra.slice(0, 1).slice(0, 1).into_arc()],
    );
    let error = error.expect_err("a negative sum");
    assert!(error.is::<std::num::TryFromIntError>());
    Ok(())
}

trait IntoArc {
    fn into_arc(self) -> ArrayRef;
}

impl<A: Array + 'static> IntoArc for A {
    fn into_arc(self) -> ArrayRef {
        Arc::new(self)
    }
}

#[test]
fn a_batch_function_gets_whole_arrays() -> Result<(), Box<dyn Error + Send + Sync>> {
    let node = &nodes![doubled][0];
    assert_eq!(node.settings().batch_size, Some(2));
    let made = call(
        node,
        &[Int64Array::from(vec![Some(1), None, Some(3)]).into_arc()],
    )?;
    let expected = Int64Array::from(vec![Some(2), None, Some(6)]);
    assert_eq!(made.as_primitive::<Int64Type>(), &expected);
    Ok(())
}

#[test]
fn async_functions_borrow_columns_and_shared_values() {
    let [scaled, shouted] = &nodes![scaled, shouted][..] else {
        panic!("two nodes");
    };
    let made = call_async(
        scaled,
        vec![Int64Array::from(vec![1, 2]).into_arc()],
        &[SharedValue::new(10_i64)],
    );
    assert_eq!(made.as_primitive::<Int64Type>().values(), &[10, 20]);
    assert_eq!(scaled.shared()[0].name, "factor");
    let made = call_async(shouted, vec![texts(&[Some("a")])], &[]);
    assert_eq!(made.as_string::<i32>().value(0), "A");
}

#[test]
fn a_function_is_one_definition_however_often_it_is_named() {
    let again = || nodes![cleaned].remove(0).identity();
    assert_eq!(again(), again());
    let closure = || nodes![Node::map("y", ["x"], |x: i64| x)].remove(0);
    assert_ne!(closure().identity(), closure().identity());
}

#[test]
fn nodes_are_joined_by_their_names() -> Result<(), Box<dyn Error>> {
    let pipeline = Pipeline::new(nodes![count_words, cleaned])?;
    let outputs: Vec<_> = pipeline
        .outputs()
        .map(|output| output.name.as_str())
        .collect();
    assert_eq!(outputs, ["cleaned", "words"]);
    assert_eq!(pipeline.inputs()[0].data_type, DataType::Utf8);
    Ok(())
}
