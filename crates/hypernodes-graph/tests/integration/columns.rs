//! Structs and tuples as columns.

use std::error::Error;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, Int32Array, StringViewArray, StructArray};
use arrow::datatypes::{DataType, Field, Int64Type};
use hypernodes_graph::{
    FromColumn, IntoColumn, NodeOutput, Pipeline, StructColumn, conform, reads,
};
use hypernodes_macros::{Column, node, nodes};

use crate::macros::call;

type Result<T = (), E = Box<dyn Error + Send + Sync>> = std::result::Result<T, E>;

#[derive(Column, Debug, Clone, PartialEq)]
struct Point {
    x: f64,
    y: Option<f64>,
}

#[derive(Column, Debug, Clone, PartialEq)]
struct Place {
    #[column(name = "label")]
    name: String,
    r#type: Vec<String>,
    at: Point,
    path: Vec<Point>,
    next: Option<Point>,
    pair: (i64, Option<bool>),
}

/// Borrows its text from the column.
#[derive(Column, Debug, Clone, Copy, PartialEq)]
struct Word<'a> {
    text: &'a str,
    start: i64,
}

#[test]
fn a_struct_tells_the_memory_of_its_fields() {
    let point = || Point { x: 1.0, y: None };
    let place = Place {
        name: "x".repeat(1000),
        r#type: vec!["y".repeat(1000)],
        at: point(),
        path: vec![point(); 100],
        next: None,
        pair: (1, None),
    };
    assert!(place.held_bytes() >= 2000 + 100 * size_of::<Point>());
}

fn written<T: IntoColumn>(values: Vec<T>) -> Result<ArrayRef> {
    let mut builder = T::builder(values.len());
    for value in values {
        value.append(&mut builder)?;
    }
    Ok(T::finish(builder))
}

fn read<'a, T: FromColumn<'a>>(array: &'a ArrayRef) -> Result<Vec<T>> {
    let view = T::column(array).ok_or("no view")?;
    let rows = 0..array.len();
    Ok(rows
        .map(|row| T::get(&view, row))
        .collect::<Result<_, _>>()?)
}

fn place(name: &str) -> Place {
    let point = Point { x: 1.0, y: None };
    Place {
        name: name.into(),
        r#type: vec![String::new()],
        at: point.clone(),
        path: vec![
            point.clone(),
            Point {
                x: 2.0,
                y: Some(3.0),
            },
        ],
        next: Some(point),
        pair: (i64::MIN, None),
    }
}

#[test]
fn structs_round_trip_nested_in_lists_and_with_nulls() -> Result {
    let places = vec![
        Some(place("Köln")),
        None,
        Some(Place {
            next: None,
            path: vec![],
            ..place("")
        }),
    ];
    let column = written(places.clone())?;
    assert_eq!(column.data_type(), &<Place as IntoColumn>::data_type());
    assert_eq!(read::<Option<Place>>(&column)?, places);
    assert_eq!(read::<Option<Place>>(&column.slice(1, 2))?, places[1..]);
    let names: Vec<_> = Place::fields().into_iter().map(|(name, _)| name).collect();
    assert_eq!(names, ["label", "type", "at", "path", "next", "pair"]);
    let lists = vec![vec![place("a"), place("b")], vec![]];
    assert_eq!(read::<Vec<Place>>(&written(lists.clone())?)?, lists);
    let words = vec![Word {
        text: "naïve",
        start: 3,
    }];
    assert_eq!(read::<Word<'_>>(&written(words.clone())?)?, words);
    Ok(())
}

#[test]
fn a_null_struct_is_null_in_its_fields_too() -> Result {
    let column = written(vec![None, Some((1_i64, "a")), None])?;
    let fields = column.as_struct();
    assert_eq!(fields.column_names(), ["0", "1"]);
    assert!(fields.columns().iter().all(|field| field.null_count() == 2));
    Ok(())
}

#[test]
fn tuples_of_two_to_eight_round_trip() -> Result {
    let eight = (
        1_i8,
        2_i16,
        3_i32,
        4_i64,
        5_u8,
        6.5_f32,
        "7".to_owned(),
        vec![Some(8_i64), None],
    );
    let column = written(vec![eight.clone()])?;
    assert_eq!(
        read::<(i8, i16, i32, i64, u8, f32, String, Vec<Option<i64>>)>(&column)?,
        [eight]
    );
    assert_eq!(<(i64, bool)>::ARITY, 2);
    assert_eq!(<Option<Place> as StructColumn>::ARITY, 6);
    Ok(())
}

fn points(x: Vec<Option<i32>>) -> ArrayRef {
    let rows = x.len();
    Arc::new(StructArray::from(vec![
        (
            Arc::new(Field::new("more", DataType::Utf8View, true)),
            Arc::new(StringViewArray::new_null(rows)) as ArrayRef,
        ),
        (
            Arc::new(Field::new("y", DataType::Int32, true)),
            Arc::new(Int32Array::from(x.clone())),
        ),
        (
            Arc::new(Field::new("x", DataType::Int32, true)),
            Arc::new(Int32Array::from(x)),
        ),
    ]))
}

#[test]
fn a_struct_column_may_have_more_fields_in_another_order() -> Result {
    let wanted = <Point as FromColumn>::data_type();
    let column = conform(&points(vec![Some(7)]), &wanted)?;
    assert_eq!(
        read::<Point>(&column)?,
        [Point {
            x: 7.0,
            y: Some(7.0)
        }]
    );
    assert!(!reads(
        &<Word<'_> as FromColumn>::data_type(),
        column.data_type()
    ));
    Ok(())
}

#[test]
fn a_null_under_a_field_that_is_no_option_is_an_error_that_names_it() -> Result {
    let column = conform(&points(vec![None]), &<Point as FromColumn>::data_type())?;
    let why = read::<Point>(&column).expect_err("x is null").to_string();
    assert!(why.contains("\"x\"") && why.contains("`Option`"), "{why}");
    let fine = (chrono::TimeDelta::nanoseconds(1), 1_i64);
    let why = written(vec![(0_i64, fine)])
        .expect_err("a nanosecond")
        .to_string();
    assert!(why.starts_with("field \"1\": field \"0\": "), "{why}");
    Ok(())
}

#[node(outputs = ["low", "high"])]
fn bounds(xs: &[i64]) -> Option<(i64, i64)> {
    Some((*xs.iter().min()?, *xs.iter().max()?))
}

#[node]
fn moved(point: Point, word: Word<'_>) -> Point {
    Point {
        x: point.x + word.start as f64,
        ..point
    }
}

#[node]
fn first_word(text: &str) -> Word<'_> {
    let end = text.find(' ').unwrap_or(text.len());
    Word {
        text: &text[..end],
        start: 0,
    }
}

#[test]
fn nodes_take_and_return_structs_and_tuples() -> Result {
    let [bounds, moved, first] = &nodes![bounds, moved, first_word][..] else {
        return Err("three nodes".into());
    };
    let made = call(bounds, &[written(vec![vec![3_i64, 1], vec![]])?])?;
    let columns = bounds.columns(&made);
    let names: Vec<_> = bounds.outputs().iter().map(|output| &output.name).collect();
    assert_eq!(names, ["low", "high"]);
    assert_eq!(
        columns[1]
            .as_primitive::<Int64Type>()
            .iter()
            .collect::<Vec<_>>(),
        [Some(3), None]
    );
    let point = Point { x: 1.0, y: None };
    let words = call(first, &[written(vec!["naïve text"])?])?;
    assert_eq!(
        read::<Word<'_>>(&words)?,
        [Word {
            text: "naïve",
            start: 0
        }]
    );
    let made = call(moved, &[written(vec![point.clone()])?, words])?;
    assert_eq!(read::<Point>(&made)?, [point]);
    Pipeline::new(nodes![first_word, bounds])?;
    Ok(())
}

#[test]
fn a_closure_takes_structs_and_tuples_without_a_turbofish() -> Result {
    use hypernodes_graph::Node;
    let node = Node::map(
        "far",
        ["point", "pair"],
        |point: Point, pair: (i64, i64)| (point.x, pair.0),
    );
    let made = call(
        &node,
        &[
            written(vec![Point { x: 1.5, y: None }])?,
            written(vec![(1_i64, 2_i64)])?,
        ],
    )?;
    assert_eq!(read::<(f64, i64)>(&made)?, [(1.5, 1)]);
    fn output<T: NodeOutput>(_: impl Fn() -> T) -> DataType {
        T::Value::data_type()
    }
    assert_eq!(
        output(|| (1_i64, 2.0)),
        <(i64, f64) as IntoColumn>::data_type()
    );
    Ok(())
}
