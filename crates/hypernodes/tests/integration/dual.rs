//! Batch nodes, and nodes of two functions: one for an item, one for many.

use std::sync::Arc;

use datafusion::arrow::array::{Float64Array, Int64Array, StringArray};
use hypernodes::prelude::*;

use crate::both::{Calls, columns, engines, message, query};

/// `doubled` of `x`, and the calls of its two functions.
fn doubled() -> (Node, [Calls; 2]) {
    let calls = [Calls::default(), Calls::default()];
    let [one, many] = calls.clone();
    let batch = Node::batch("doubled", ["x"], move |x: &Int64Array| -> Int64Array {
        many.tick();
        x.unary(|x| 2 * x)
    });
    let single = Node::map("doubled", ["x"], move |x: i64| {
        one.tick();
        2 * x
    });
    (single.with_batch(batch), calls)
}

/// The singular function wraps the other.
#[node(output = "tripled", batch = tripled_batch)]
fn tripled(x: i64) -> i64 {
    tripled_batch(&Int64Array::from(vec![x])).value(0)
}

#[node(batch)]
fn tripled_batch(x: &Int64Array) -> Int64Array {
    x.unary(|x| 3 * x)
}

#[node(batch)]
fn scaled(x: &Float64Array, factor: f64) -> Float64Array {
    x.unary(|x| x * factor)
}

#[tokio::test]
async fn u01_u02_u03_run_takes_the_one_function_and_map_the_other() -> Result<()> {
    let (node, [one, many]) = doubled();
    let pipeline = Pipeline::new([node])?;
    assert_eq!(pipeline.nodes()[0].name(), "doubled");
    assert_eq!(pipeline.unfulfilled_args().collect::<Vec<_>>(), ["x"]);
    let engine = Session::new()?;
    let made = pipeline.run(inputs! { x: 4_i64 }).on(&engine).await?;
    assert_eq!(made.get::<i64>("doubled")?, 8);
    assert_eq!((one.take(), many.take()), (1, 0));
    for rows in [1_i64, 20] {
        let made = pipeline
            .map(inputs! { x: 0..rows })
            .over("x")
            .on(&engine)
            .await?;
        assert_eq!(
            made.column::<i64>("doubled")?,
            (0..rows).map(|x| 2 * x).collect::<Vec<_>>()
        );
        assert_eq!((one.take(), many.take()), (0, 1), "{rows} rows");
    }
    Ok(())
}

#[tokio::test]
async fn u16_a_map_keeps_every_output_of_a_dual_node_and_a_run_after_it_is_of_one() -> Result<()> {
    let calls = [Calls::default(), Calls::default()];
    let [one, many] = calls.clone();
    let single = Node::map(["low", "high"], ["x"], move |x: i64| {
        one.tick();
        (x - 1, x + 1)
    });
    let batch = Node::batch(["low", "high"], ["x"], move |x: &Int64Array| {
        many.tick();
        x.values()
            .iter()
            .map(|x| (x - 1, x + 1))
            .collect::<Vec<_>>()
    });
    let pipeline = Pipeline::new([single.with_batch(batch)])?;
    for engine in engines()? {
        let given = inputs! { x: [2_i64, 5] };
        let made = pipeline.map(given).over("x").on(&*engine).await?;
        assert_eq!(columns(&made), ["low", "high"], "{engine:?}");
        assert_eq!(
            made.rows_as::<(i64, i64)>()?,
            [(1, 3), (4, 6)],
            "{engine:?}"
        );
    }
    for calls in &calls {
        calls.take();
    }
    let session = Session::new()?;
    let given = inputs! { x: [2_i64, 5] };
    pipeline.map(given).over("x").on(&session).await?;
    assert_eq!(calls.each_ref().map(Calls::take), [0, 1]);
    let made = pipeline.run(inputs! { x: 2_i64 }).on(&session).await?;
    assert_eq!(made.rows_as::<(i64, i64)>()?, [(1, 3)]);
    assert_eq!(calls.each_ref().map(Calls::take), [1, 0]);
    Ok(())
}

#[tokio::test]
async fn u04_an_empty_map_calls_neither_function() -> Result<()> {
    let (node, [one, many]) = doubled();
    let pipeline = Pipeline::new([node])?;
    for engine in engines()? {
        let made = pipeline
            .map(inputs! { x: Vec::<i64>::new() })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!((made.rows(), columns(&made)), (0, vec!["doubled".into()]));
        assert_eq!((one.take(), many.take()), (0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn u05_every_dual_node_of_a_pipeline_is_called_for_many() -> Result<()> {
    let (first, [one, many]) = doubled();
    let (second, [later_one, later_many]) = doubled();
    let second = second
        .with_input_renamed("x", "doubled")
        .with_output_renamed("doubled", "result");
    let pipeline = Pipeline::new([first, second])?;
    let made = pipeline
        .map(inputs! { x: 0_i64..5 })
        .over("x")
        .on(&Session::new()?)
        .await?;
    assert_eq!(columns(&made), ["doubled", "result"]);
    assert_eq!(made.column::<i64>("result")?, [0, 4, 8, 12, 16]);
    let counts = [one, many, later_one, later_many].map(|calls| calls.take());
    assert_eq!(counts, [0, 1, 0, 1]);
    Ok(())
}

#[tokio::test]
async fn u06_a_batch_function_is_given_arrays_of_its_types() -> Result<()> {
    let lengths = Node::batch("lengths", ["text"], |text: &StringArray| -> Int64Array {
        text.iter()
            .map(|text| text.map(|text| text.len() as i64))
            .collect()
    });
    let pipeline = Pipeline::new([lengths])?;
    let views = datafusion::arrow::array::StringViewArray::from(vec![Some("ab"), None]);
    let views: datafusion::arrow::array::ArrayRef = Arc::new(views);
    for engine in engines()? {
        let given = inputs! { text: Arc::clone(&views) };
        let made = pipeline.map(given).over("text").on(&*engine).await?;
        assert_eq!(made.column::<Option<i64>>("lengths")?, [Some(2), None]);
    }
    Ok(())
}

#[node(batch)]
fn listed(x: &Int64Array) -> Vec<Option<String>> {
    x.iter().map(|x| Some(format!("{}", x?))).collect()
}

#[tokio::test]
async fn u07_a_batch_function_may_return_a_vec() -> Result<()> {
    let tried = Node::batch(
        "tried",
        ["x"],
        |x: &Int64Array| -> Result<Vec<i64>, std::fmt::Error> {
            let items: Option<Vec<i64>> = x.iter().collect();
            items.ok_or(std::fmt::Error)
        },
    );
    let pipeline = Pipeline::new(nodes![listed, (tried)])?;
    for engine in engines()? {
        let given = inputs! { x: vec![Some(1_i64), None] };
        let made = pipeline
            .map(given)
            .over("x")
            .select("listed")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<Option<&str>>("listed")?, [Some("1"), None]);
        let made = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<i64>("tried")?, [1, 2]);
        let given = inputs! { x: vec![Some(1_i64), None] };
        let error = pipeline
            .map(given)
            .over("x")
            .on(&*engine)
            .await
            .expect_err("a null");
        assert!(error.user_error::<std::fmt::Error>().is_some(), "{error:?}");
    }
    Ok(())
}

#[tokio::test]
async fn u08_a_batch_of_another_length_is_an_error_with_both() -> Result<()> {
    let short = Node::batch("short", ["x"], |x: &Int64Array| -> Int64Array {
        x.slice(0, x.len() - 1)
    });
    let pipeline = Pipeline::new([short])?;
    let mapped = pipeline
        .map(inputs! { x: [1_i64, 2, 3] })
        .over("x")
        .on(&Session::new()?)
        .await;
    let text = message(mapped);
    assert!(text.contains("returned 2 rows for 3"), "{text}");
    let mapped = pipeline
        .map(inputs! { x: [1_i64, 2, 3] })
        .over("x")
        .on(&SequentialEngine)
        .await;
    let text = message(mapped);
    assert!(text.contains("returned 0 rows for 1"), "{text}");
    Ok(())
}

#[tokio::test]
async fn u09_a_column_of_another_type_is_refused_by_name_before_any_call() -> Result<()> {
    let (node, [one, many]) = doubled();
    let pipeline = Pipeline::new([node])?;
    for engine in engines()? {
        let mapped = pipeline
            .map(inputs! { x: ["a", "b"] })
            .over("x")
            .on(&*engine)
            .await;
        assert_eq!(
            message(mapped),
            "\"x\" is Utf8, and the pipeline reads it as Int64"
        );
    }
    assert_eq!((one.take(), many.take()), (0, 0));
    Ok(())
}

#[tokio::test]
async fn u10_the_error_and_the_panic_of_a_batch_function_name_the_node() -> Result<()> {
    let failing = Node::batch(
        "failing",
        ["x"],
        |_: &Int64Array| -> Result<Int64Array, _> { "x".parse::<i64>().map(|x| vec![x].into()) },
    );
    let panicking = Node::batch("panicking", ["x"], |x: &Int64Array| -> Int64Array {
        assert!(x.is_empty(), "no rows wanted");
        x.clone()
    });
    let [failing, panicking] = [Pipeline::new([failing])?, Pipeline::new([panicking])?];
    for engine in engines()? {
        let mapped = failing
            .map(inputs! { x: [1_i64] })
            .over("x")
            .on(&*engine)
            .await;
        let error = mapped.expect_err("it fails");
        assert_eq!(error.context("node"), Some("failing"));
        assert!(
            error.user_error::<std::num::ParseIntError>().is_some(),
            "{error:?}"
        );
        let mapped = panicking
            .map(inputs! { x: [1_i64] })
            .over("x")
            .on(&*engine)
            .await;
        let error = mapped.expect_err("it panics");
        assert_eq!(
            (error.kind(), error.context("node")),
            (ErrorKind::NodePanicked, Some("panicking"))
        );
        assert!(error.message().contains("no rows wanted"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn u12_what_is_one_value_by_its_type_stays_one_whatever_the_values() -> Result<()> {
    let pipeline = Pipeline::new(nodes![scaled])?;
    for engine in engines()? {
        let given = inputs! { x: [5.0, 5.0, 5.0], factor: 2.0 };
        let made = pipeline.map(given).over("x").on(&*engine).await?;
        assert_eq!(made.column::<f64>("scaled")?, [10.0, 10.0, 10.0]);
        let given = inputs! { x: [1.0], factor: [2.0] };
        let mapped = pipeline.map(given).over(["x", "factor"]).on(&*engine).await;
        assert!(message(mapped).contains("\"factor\" is the same for all rows"));
        let bound = pipeline.clone().bind(inputs! { factor: 3.0 })?;
        let made = bound.run(inputs! { x: 2.0 }).on(&*engine).await?;
        assert_eq!(made.get::<f64>("scaled")?, 6.0);
    }
    let factor = Node::map("factor", ["y"], |y: f64| y);
    let text = message(Pipeline::new(nodes![scaled, (factor)]));
    assert!(
        text.contains("takes \"factor\" as one value for all rows"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn u12_in_sql_one_value_is_a_literal_or_bound() -> Result<()> {
    let session = Session::new()?;
    session.register_nodes(nodes![scaled])?;
    query(&session, "CREATE TABLE t AS VALUES (1.5), (2.5)").await?;
    let made = query(
        &session,
        "SELECT sum(s) AS s FROM (SELECT scaled(column1, 2.0) AS s FROM t)",
    )
    .await?;
    assert_eq!(made.get::<f64>("s")?, 8.0);
    let text = message(query(&session, "SELECT scaled(column1, column1) FROM t").await);
    assert!(
        text.contains("\"factor\" as one value for all rows"),
        "{text}"
    );
    Ok(())
}

#[tokio::test]
async fn u14_u15_one_function_may_wrap_the_other_and_engines_agree() -> Result<()> {
    let pipeline = Pipeline::new(nodes![tripled])?;
    assert_eq!(tripled(3), 9);
    for engine in engines()? {
        let made = pipeline.run(inputs! { x: 3_i64 }).on(&*engine).await?;
        assert_eq!(made.get::<i64>("tripled")?, 9);
        let given = inputs! { x: vec![Some(3_i64), None, Some(-1)] };
        let made = pipeline.map(given).over("x").on(&*engine).await?;
        assert_eq!(
            made.column::<Option<i64>>("tripled")?,
            [Some(9), None, Some(-3)]
        );
    }
    Ok(())
}

#[test]
fn u01_functions_that_differ_are_no_dual_node() {
    let batch = Node::batch("y", ["z"], |z: &Int64Array| -> Int64Array { z.clone() });
    let node = Node::map("y", ["x"], |x: i64| x).with_batch(batch);
    let text = message(Pipeline::new([node]));
    assert!(
        text.contains("takes [\"x\"], that for many [\"z\"]"),
        "{text}"
    );
    let batch = Node::batch("y", ["x"], |x: &Float64Array| -> Float64Array { x.clone() });
    let node = Node::map("y", ["x"], |x: i64| x).with_batch(batch);
    let text = message(Pipeline::new([node]));
    assert!(
        text.contains("[Int64, Int64], that for many [Float64, Float64]"),
        "{text}"
    );
}
