//! Mapping over columns.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int32Array, Int64Array};
use hypernodes::prelude::*;

use crate::both::{Calls, chain, columns, engines, message};

fn tens() -> Result<(Pipeline, Calls)> {
    let calls = Calls::default();
    let seen = calls.clone();
    let node = Node::map("sum", ["x", "y"], move |x: i64, y: i64| {
        seen.tick();
        10 * x + y
    });
    Ok((Pipeline::new([node])?, calls))
}

#[tokio::test]
async fn m01_m03_d01_rows_come_in_order_with_every_output_and_run_is_one_of_them() -> Result<()> {
    let (pipeline, _) = chain()?;
    for engine in engines()? {
        let given = inputs! { x: [3_i64, 1, 2], k: 1_i64 };
        let many = pipeline.map(given).over("x").on(&*engine).await?;
        assert_eq!(columns(&many), ["doubled", "plus"]);
        assert_eq!(many.column::<i64>("doubled")?, [6, 2, 4]);
        assert_eq!(many.column::<i64>("plus")?, [7, 3, 5]);
        let one = pipeline
            .run(inputs! { x: 3_i64, k: 1_i64 })
            .on(&*engine)
            .await?;
        assert_eq!(one.batch(), &many.batch().slice(0, 1));
    }
    Ok(())
}

#[tokio::test]
async fn m02_d06_other_inputs_are_the_same_for_each_row_text_and_long_lists_too() -> Result<()> {
    let node = Node::map(
        "all",
        ["x", "text", "list"],
        |x: i64, text: &str, list: &[i64]| format!("{x} {text} {}", list.iter().sum::<i64>()),
    );
    let pipeline = Pipeline::new([node])?;
    for engine in engines()? {
        let list: Vec<i64> = (0..5_000).collect();
        let given = inputs! { x: [1_i64, 2], text: "ab", list: list };
        let made = pipeline.map(given).over("x").on(&*engine).await?;
        assert_eq!(
            made.column::<&str>("all")?,
            ["1 ab 12497500", "2 ab 12497500"]
        );
    }
    Ok(())
}

#[tokio::test]
async fn m04_m05_columns_are_zipped_and_of_one_length() -> Result<()> {
    let (pipeline, calls) = tens()?;
    for engine in engines()? {
        let given = inputs! { x: [1_i64, 2], y: [3_i64, 4] };
        let made = pipeline.map(given).over(["x", "y"]).on(&*engine).await?;
        assert_eq!(
            (made.column::<i64>("sum")?, calls.take()),
            (vec![13, 24], 2)
        );
        let given = inputs! { x: [1_i64, 2, 3], y: [3_i64, 4] };
        let mapped = pipeline.map(given).over(["x", "y"]).on(&*engine).await;
        let text = message(mapped);
        assert_eq!(
            text,
            "columns that are zipped must be of one length: \"x\" has 3, \"y\" has 2"
        );
        assert_eq!(calls.take(), 0, "nothing was called");
    }
    Ok(())
}

#[tokio::test]
async fn m06_m07_a_product_goes_in_the_order_of_over_the_last_fastest() -> Result<()> {
    let (pipeline, _) = tens()?;
    for engine in engines()? {
        let given = || inputs! { y: [1_i64, 2, 3], x: [4_i64, 5] };
        let product = pipeline
            .map(given())
            .over(["x", "y"])
            .mode(MapMode::Product);
        let made = product.on(&*engine).await?;
        assert_eq!(made.column::<i64>("sum")?, [41, 42, 43, 51, 52, 53]);
        let product = pipeline
            .map(given())
            .over(["y", "x"])
            .mode(MapMode::Product);
        let made = product.on(&*engine).await?;
        assert_eq!(made.column::<i64>("sum")?, [41, 51, 42, 52, 43, 53]);
    }
    Ok(())
}

#[tokio::test]
async fn m08_a_product_with_an_empty_column_is_empty() -> Result<()> {
    let (pipeline, calls) = tens()?;
    for engine in engines()? {
        let given = inputs! { x: [1_i64, 2], y: Vec::<i64>::new() };
        let product = pipeline.map(given).over(["x", "y"]).mode(MapMode::Product);
        let made = product.on(&*engine).await?;
        assert_eq!(
            (made.rows(), columns(&made), calls.take()),
            (0, vec!["sum".into()], 0)
        );
    }
    Ok(())
}

#[tokio::test]
async fn m09_nothing_to_map_over_is_an_error_in_each_mode() -> Result<()> {
    let (pipeline, calls) = tens()?;
    for engine in engines()? {
        for mode in [MapMode::Zip, MapMode::Product] {
            let given = || inputs! { x: 1_i64, y: 2_i64 };
            let unsaid = pipeline.map(given()).mode(mode).on(&*engine).await;
            let empty = pipeline.map(given()).over([]).mode(mode).on(&*engine).await;
            for mapped in [unsaid, empty] {
                assert!(message(mapped).contains("nothing to map over"));
            }
        }
        let given = inputs! { x: [1_i64], y: 2_i64 };
        let text = message(pipeline.map(given).over(["x", "x"]).on(&*engine).await);
        assert_eq!(text, "\"x\" is mapped over twice");
    }
    assert_eq!(calls.take(), 0);
    Ok(())
}

#[tokio::test]
async fn m10_a_column_is_anything_that_has_items() -> Result<()> {
    let node = Node::map("y", ["x"], |x: i64| 2 * x);
    let pipeline = Pipeline::new([node])?;
    let array: ArrayRef = Arc::new(Int64Array::from(vec![1, 2, 3]));
    let chunks = [array.slice(0, 1), array.slice(1, 2)];
    let listed = vec![1_i64, 2, 3];
    let set: std::collections::BTreeSet<i64> = [3, 1, 2].into();
    for engine in engines()? {
        let columns = [
            inputs! { x: [1_i64, 2, 3] },
            inputs! { x: &[1_i64, 2, 3] },
            inputs! { x: listed.clone() },
            inputs! { x: &listed },
            inputs! { x: &listed[..] },
            inputs! { x: 1_i64..4 },
            inputs! { x: 1_i64..=3 },
            inputs! { x: items(set.iter().copied()) },
            inputs! { x: Arc::clone(&array) },
            inputs! { x: &chunks[..] },
            inputs! { x: Int64Array::from(vec![1, 2, 3]) },
            inputs! { x: Int32Array::from(vec![1, 2, 3]) },
        ];
        for column in columns {
            let shown = format!("{column:?}");
            let made = pipeline.map(column).over("x").on(&*engine).await?;
            assert_eq!(made.column::<i64>("y")?, [2, 4, 6], "{shown}");
        }
        let text = message(
            pipeline
                .map(inputs! { x: 3_i64 })
                .over("x")
                .on(&*engine)
                .await,
        );
        assert_eq!(text, "\"x\" is one item, and cannot be mapped over");
        let text = message(pipeline.run(inputs! { x: [3_i64] }).on(&*engine).await);
        assert_eq!(text, "\"x\" is a column; map over it");
    }
    Ok(())
}

/// The largest `k` of a list, and how many were asked for.
#[node(outputs = ["sum", "asked"])]
fn largest(xs: &[u64], k: usize, #[default(1.0)] weight: f32) -> (f64, usize) {
    let mut sorted = xs.to_vec();
    sorted.sort_unstable_by(|left, right| right.cmp(left));
    let sum: u64 = sorted.iter().take(k).sum();
    (sum as f64 * f64::from(weight), k)
}

#[tokio::test]
async fn given_integers_are_read_as_any_number_that_holds_each_of_them() -> Result<()> {
    let pipeline = Pipeline::new(nodes![largest])?;
    for engine in engines()? {
        let given = inputs! { xs: vec![1, 3, 2], k: 2, weight: 3 };
        let made = pipeline.run(given).on(&*engine).await?;
        assert_eq!(made.get::<f64>("sum")?, 15.0);
        let given = inputs! { xs: [vec![1, 2], vec![]], k: 1..3 };
        let made = pipeline.map(given).over(["xs", "k"]).on(&*engine).await?;
        assert_eq!(made.column::<f64>("sum")?, [2.0, 0.0]);
        let bound = pipeline
            .clone()
            .bind(inputs! { k: vec![2, 1], xs: vec![7, 8] })?;
        let made = bound.map(inputs! {}).over("k").on(&*engine).await?;
        assert_eq!(made.column::<f64>("sum")?, [15.0, 8.0]);
    }
    let beyond = "which does not hold every value of it";
    for (given, expected) in [
        (inputs! { xs: vec![1], k: -1 }, beyond),
        (inputs! { xs: vec![1, -1], k: 1 }, beyond),
        (inputs! { xs: vec![1], k: 1, weight: i64::MAX }, beyond),
        (
            inputs! { xs: vec![1], k: 1.0 },
            "\"k\" is Float64, and the pipeline reads it as UInt64",
        ),
    ] {
        let text = message(pipeline.clone().bind(given.clone()));
        assert!(text.contains(expected), "{text}");
        let text = message(pipeline.run(given).await);
        assert!(text.contains(expected), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn a_column_that_is_not_mapped_over_is_one_list() -> Result<()> {
    let pipeline = Pipeline::new(nodes![largest])?;
    for engine in engines()? {
        let made = pipeline
            .run(inputs! { xs: [5, 6], k: 1 })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<f64>("sum")?, 6.0);
        let given = inputs! { xs: 1_u64..=3, k: [1, 2] };
        let made = pipeline.map(given).over("k").on(&*engine).await?;
        assert_eq!(made.column::<f64>("sum")?, [3.0, 5.0]);
        let bound = pipeline.clone().bind(inputs! { xs: [5, 6] })?;
        let made = bound.run(inputs! { k: 2 }).on(&*engine).await?;
        assert_eq!(made.get::<f64>("sum")?, 11.0);
        let text = message(pipeline.run(inputs! { xs: ["a"], k: 1 }).await);
        assert_eq!(text, "\"xs\" is a column; map over it");
    }
    Ok(())
}

#[tokio::test]
async fn m11_a_name_to_map_over_must_be_given() -> Result<()> {
    let (pipeline, calls) = tens()?;
    for engine in engines()? {
        let given = inputs! { x: [1_i64], y: 2_i64 };
        let text = message(pipeline.map(given).over("xx").on(&*engine).await);
        let expected =
            "there is no input \"xx\" to map over; did you mean \"x\"? available: [\"x\", \"y\"]";
        assert!(text.contains(expected), "{text}");
        assert_eq!(calls.take(), 0);
    }
    Ok(())
}

#[test]
fn m12_there_are_two_modes() {
    assert_eq!(MapMode::default(), MapMode::Zip);
    // A third mode would not compile here.
    match MapMode::default() {
        MapMode::Zip | MapMode::Product => {}
    }
}

#[tokio::test]
async fn m13_the_first_failing_row_is_named_whatever_runs_at_once() -> Result<()> {
    let odd = |x: i64| {
        if x % 2 == 0 {
            Ok(x)
        } else {
            Err(format!("{x} is odd"))
        }
    };
    let later = move |x: i64| async move {
        tokio::task::yield_now().await;
        odd(x)
    };
    let nodes = [
        Node::map("even", ["x"], odd),
        Node::map_async("even", ["x"], later),
    ];
    for node in nodes {
        let pipeline = Pipeline::new([node])?;
        for engine in engines()? {
            let given = inputs! { x: [0_i64, 2, 4, 5, 6] };
            let error = pipeline
                .map(given)
                .over("x")
                .on(&*engine)
                .await
                .expect_err("5 is odd");
            assert_eq!(
                (error.row(), error.context("node")),
                (Some(3), Some("even"))
            );
            assert!(format!("{error:?}").contains("5 is odd"), "{error:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn m14_inputs_are_given_by_name_alone_or_all_bound() -> Result<()> {
    let (pipeline, _) = tens()?;
    let pipeline = pipeline.bind(inputs! { x: 1_i64, y: 2_i64 })?;
    for engine in engines()? {
        let made = pipeline.run(inputs! {}).on(&*engine).await?;
        assert_eq!(made.get::<i64>("sum")?, 12);
        let given = Inputs::default().with("x", 5_i64);
        let made = pipeline.run(given).on(&*engine).await?;
        assert_eq!(made.get::<i64>("sum")?, 52);
    }
    Ok(())
}
