//! Pipelines: edges, names, binding, and what a run gives.

use hypernodes::prelude::*;

use crate::both::{Calls, CountingEngine, chain, columns, engines, message};

/// The names of what is still to be given.
fn needs(pipeline: &Pipeline) -> Vec<&str> {
    pipeline.unfulfilled_args().collect()
}

/// The names of what is bound.
fn bound(pipeline: &Pipeline) -> Vec<&str> {
    pipeline
        .bound_inputs()
        .iter()
        .map(|(name, _)| name)
        .collect()
}

#[tokio::test]
async fn p01_the_order_of_listing_is_irrelevant() -> Result<()> {
    let first = Node::map("first", ["x"], |x: i64| x + 1);
    let second = Node::map("second", ["first"], |first: i64| 10 * first);
    for nodes in [[first.clone(), second.clone()], [second, first]] {
        let pipeline = Pipeline::new(nodes)?;
        for engine in engines()? {
            let made = pipeline.run(inputs! { x: 1_i64 }).on(&*engine).await?;
            assert_eq!(made.get::<i64>("second")?, 20);
        }
        let made = pipeline.run(inputs! { x: 1_i64 }).await?;
        assert_eq!(made.get::<i64>("second")?, 20, "on the default engine");
    }
    Ok(())
}

#[tokio::test]
async fn p04_p05_a_run_gives_every_output_and_no_input_and_calls_each_node_once() -> Result<()> {
    let calls = Calls::default();
    let seen = calls.clone();
    let base = Node::map("base", ["x"], move |x: i64| {
        seen.tick();
        x + 1
    });
    let nodes = [
        base,
        Node::map("triple", ["base"], |base: i64| 3 * base),
        Node::map("double", ["base"], |base: i64| 2 * base),
        Node::map("add", ["double", "triple"], |double: i64, triple: i64| {
            double + triple
        }),
    ];
    let pipeline = Pipeline::new(nodes)?;
    for engine in engines()? {
        let made = pipeline.run(inputs! { x: 1_i64 }).on(&*engine).await?;
        assert_eq!(columns(&made), ["base", "double", "triple", "add"]);
        assert_eq!((made.get::<i64>("add")?, calls.take()), (10, 1));
    }
    Ok(())
}

#[tokio::test]
async fn p06_an_empty_pipeline_gives_nothing() -> Result<()> {
    let pipeline = Pipeline::new(Vec::<Node>::new())?;
    for engine in engines()? {
        let made = pipeline.run(inputs! {}).on(&*engine).await?;
        assert_eq!(columns(&made), Vec::<String>::new());
    }
    Ok(())
}

#[tokio::test]
async fn p10_m11_every_missing_input_is_named_before_any_call() -> Result<()> {
    let (pipeline, [first, second]) = chain()?;
    for engine in engines()? {
        let run = pipeline.run(inputs! {}).on(&*engine).await;
        assert_eq!(
            message(run),
            "input \"k\" is missing; input \"x\" is missing"
        );
        let mapped = pipeline
            .map(inputs! { k: 1_i64, x: [1_i64] })
            .over("kk")
            .on(&*engine)
            .await;
        let text = message(mapped);
        assert!(
            text.contains("no input \"kk\" to map over; did you mean \"k\"?"),
            "{text}"
        );
        assert_eq!((first.take(), second.take()), (0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn p11_an_unknown_output_is_named_before_missing_inputs() -> Result<()> {
    let (pipeline, _) = chain()?;
    for engine in engines()? {
        let run = pipeline
            .run(inputs! {})
            .select(["plus", "zz"])
            .on(&*engine)
            .await;
        let text = message(run);
        assert_eq!(
            text,
            "there is no output \"zz\"; available: [\"doubled\", \"plus\"]"
        );
    }
    Ok(())
}

#[tokio::test]
async fn p12_an_unknown_input_is_refused_with_the_nearest_name() -> Result<()> {
    let (pipeline, [first, _]) = chain()?;
    let pipeline = pipeline.rename_input("x", "passage")?;
    for engine in engines()? {
        let given = inputs! { pasage: 1_i64, k: 1_i64 };
        let text = message(pipeline.run(given).on(&*engine).await);
        assert!(text.contains("input \"passage\" is missing"), "{text}");
        assert!(
            text.contains("no input \"pasage\"; did you mean \"passage\"?"),
            "{text}"
        );
        assert_eq!(first.take(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn p13_an_input_named_like_an_output_is_refused() -> Result<()> {
    let (pipeline, _) = chain()?;
    for engine in engines()? {
        let given = inputs! { x: 1_i64, k: 1_i64, doubled: 50_i64 };
        let text = message(pipeline.run(given).on(&*engine).await);
        assert_eq!(
            text,
            "\"doubled\" is an output of the pipeline, and cannot be given"
        );
        let given = inputs! { k: 1_i64, doubled: 50_i64 };
        let text = message(pipeline.run(given).select("plus").on(&*engine).await);
        assert!(text.contains("\"doubled\" is an output"), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn p14_m13_a_failing_row_stops_the_map_and_its_error_is_kept() -> Result<()> {
    let later = Calls::default();
    let seen = later.clone();
    let parsed = Node::map("parsed", ["text"], |text: &str| text.parse::<i64>());
    let next = Node::map("next", ["parsed"], move |parsed: i64| {
        seen.tick();
        parsed
    });
    let pipeline = Pipeline::new([parsed, next])?.with_name("reading");
    for engine in engines()? {
        let given = inputs! { text: ["one", "2"] };
        let error = pipeline
            .map(given)
            .over("text")
            .on(&*engine)
            .await
            .expect_err("no number");
        assert_eq!(error.kind(), ErrorKind::NodeFailed);
        assert!(
            error.user_error::<std::num::ParseIntError>().is_some(),
            "{error:?}"
        );
        let place = (
            error.context("pipeline"),
            error.context("node"),
            error.row(),
        );
        assert_eq!(place, (Some("reading"), Some("parsed"), Some(0)));
        assert_eq!(later.take(), 0);
    }
    Ok(())
}

#[tokio::test]
async fn p15_p23_a_pipeline_has_a_name_and_an_engine_that_a_call_overrides() -> Result<()> {
    let (pipeline, _) = chain()?;
    assert_eq!(pipeline.name(), "pipeline");
    let own = CountingEngine::default();
    let pipeline = pipeline
        .with_engine(own.clone())
        .with_name("mine")
        .bind(inputs! { k: 1_i64 })?;
    assert_eq!(pipeline.name(), "mine");
    assert!(pipeline.engine().is_some());
    pipeline.run(inputs! { x: 1_i64 }).await?;
    pipeline.map(inputs! { x: [1_i64, 2] }).over("x").await?;
    assert_eq!(own.maps.take(), 2);
    let other = CountingEngine::default();
    pipeline.run(inputs! { x: 1_i64 }).on(&other).await?;
    pipeline
        .map(inputs! { x: [1_i64, 2] })
        .over("x")
        .on(&other)
        .await?;
    assert_eq!((own.maps.take(), other.maps.take()), (0, 2));
    Ok(())
}

#[tokio::test]
async fn p16_bound_inputs_stay_and_are_overridden_by_what_is_given() -> Result<()> {
    let (pipeline, _) = chain()?;
    for engine in engines()? {
        let once = pipeline.clone().bind(inputs! { k: 1_i64 })?;
        let merged = once.clone().bind(inputs! { x: 10_i64 })?;
        let later = merged.clone().bind(inputs! { k: 2_i64 })?;
        let same = later.clone().bind(inputs! {})?;
        for (pipeline, expected) in [(&merged, 21), (&later, 22), (&same, 22)] {
            for _ in 0..2 {
                let made = pipeline.run(inputs! {}).on(&*engine).await?;
                assert_eq!(made.get::<i64>("plus")?, expected, "bound for every run");
            }
        }
        let made = later.run(inputs! { k: 5_i64 }).on(&*engine).await?;
        assert_eq!(made.get::<i64>("plus")?, 25);
        let none = once.bind(inputs! { k: None::<i64> })?;
        let made = none.run(inputs! { x: 1_i64 }).on(&*engine).await?;
        assert_eq!(made.get::<Option<i64>>("plus")?, None, "null is a value");
    }
    Ok(())
}

#[test]
fn p17_an_unknown_name_or_another_type_cannot_be_bound() -> Result<()> {
    let (pipeline, _) = chain()?;
    let text = message(pipeline.clone().bind(inputs! { kk: 1_i64, x: "one" }));
    assert!(
        text.contains("no input \"kk\"; did you mean \"k\"?"),
        "{text}"
    );
    assert!(
        text.contains("\"x\" is Utf8, and the pipeline reads it as Int64"),
        "{text}"
    );
    Ok(())
}

#[test]
fn p18_p19_what_is_bound_is_told_and_can_be_unbound() -> Result<()> {
    let (pipeline, _) = chain()?;
    assert_eq!(
        (bound(&pipeline), needs(&pipeline)),
        (vec![], vec!["k", "x"])
    );
    let both = pipeline.clone().bind(inputs! { k: 1_i64, x: 2_i64 })?;
    assert_eq!((bound(&both), needs(&both)), (vec!["k", "x"], vec![]));
    assert_eq!(
        bound(&pipeline),
        Vec::<&str>::new(),
        "the first is as it was"
    );
    let one = both.clone().unbind(["k", "no such name"]);
    assert_eq!((bound(&one), needs(&one)), (vec!["x"], vec!["k"]));
    assert_eq!(needs(&both.clone().unbind(["k", "x"])), ["k", "x"]);
    let copied = both.bound_inputs().clone().with("k", 9_i64);
    assert_eq!(copied.iter().count(), 2);
    assert_eq!(needs(&both.unbind_all().bind(inputs! { k: 3_i64 })?), ["x"]);
    Ok(())
}

#[test]
fn p20_a_pipeline_shows_its_name_and_what_it_needs() -> Result<()> {
    let (pipeline, _) = chain()?;
    let pipeline = pipeline.with_name("chain").bind(inputs! { k: 1_i64 })?;
    let expected =
        r#"Pipeline("chain", 2 nodes, bound=["k"], needs=["x"], outputs=["doubled", "plus"])"#;
    assert_eq!(format!("{pipeline:?}"), expected);
    Ok(())
}

#[tokio::test]
async fn p21_bound_items_are_broadcast_and_bound_columns_mapped_over() -> Result<()> {
    let (pipeline, _) = chain()?;
    for engine in engines()? {
        let broadcast = pipeline.clone().bind(inputs! { k: 10_i64 })?;
        let made = broadcast
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<i64>("plus")?, [12, 14]);
        let given = inputs! { x: [1_i64, 2], k: 1_i64 };
        let made = broadcast.map(given).over("x").on(&*engine).await?;
        assert_eq!(
            made.column::<i64>("plus")?,
            [3, 5],
            "what is given goes first"
        );
        let lists = pipeline
            .clone()
            .bind(inputs! { x: vec![1_i64, 2], k: [5_i64, 6] })?;
        let made = lists.map(inputs! {}).over(["x", "k"]).on(&*engine).await?;
        assert_eq!(made.column::<i64>("plus")?, [7, 10]);
        let product = lists
            .map(inputs! {})
            .over(["x", "k"])
            .mode(MapMode::Product);
        let made = product.on(&*engine).await?;
        assert_eq!(made.column::<i64>("plus")?, [7, 8, 9, 10]);
    }
    Ok(())
}

#[tokio::test]
async fn p21_a_bound_column_is_no_item_for_the_rows_of_a_table() -> Result<()> {
    let (pipeline, calls) = chain()?;
    let pipeline = pipeline.bind(inputs! { k: [5_i64, 6] })?;
    let session = Session::new()?;
    let table = session.sql("SELECT 1 AS x, 2 AS k").await?;
    let error = table.apply(&pipeline).expect_err("two items for each row");
    assert!(
        error.message().contains("\"k\" is bound to a column"),
        "{error}"
    );
    assert!(calls.iter().all(|calls| calls.take() == 0));
    Ok(())
}
