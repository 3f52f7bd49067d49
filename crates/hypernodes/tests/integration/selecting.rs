//! Some of the outputs: only what they need is run and asked for.

use hypernodes::prelude::*;

use crate::both::{Calls, chain, columns, engines, message, query};

/// A diamond from `x` by `left` and `right` to `merged`, and `apart` of `z`; their calls.
fn diamond() -> Result<(Pipeline, [Calls; 5])> {
    let calls: [Calls; 5] = Default::default();
    let [base, left, right, merged, apart] = calls.clone();
    let node = |output: &'static str, input, calls: Calls| {
        Node::map(output, [input], move |value: i64| {
            calls.tick();
            value + 1
        })
    };
    let merge = Node::map("merged", ["left", "right"], move |left: i64, right: i64| {
        merged.tick();
        left * right
    });
    let nodes = [
        node("base", "x", base),
        node("left", "base", left),
        node("right", "base", right),
        merge,
        node("apart", "z", apart),
    ];
    Ok((Pipeline::new(nodes)?, calls))
}

fn counts(calls: &[Calls; 5]) -> [usize; 5] {
    std::array::from_fn(|node| calls[node].take())
}

#[tokio::test]
async fn r01_r04_r05_one_output_runs_and_asks_for_what_it_needs() -> Result<()> {
    let (pipeline, calls) = diamond()?;
    for engine in engines()? {
        for (output, expected) in [
            ("base", [1, 0, 0, 0, 0]),
            ("left", [1, 1, 0, 0, 0]),
            ("merged", [1, 1, 1, 1, 0]),
        ] {
            let made = pipeline
                .run(inputs! { x: 1_i64 })
                .select(output)
                .on(&*engine)
                .await?;
            assert_eq!(columns(&made), [output]);
            assert_eq!(counts(&calls), expected, "{output} on {engine:?}");
        }
        let made = pipeline
            .run(inputs! { z: 1_i64 })
            .select("apart")
            .on(&*engine)
            .await?;
        assert_eq!(
            (made.get::<i64>("apart")?, counts(&calls)),
            (2, [0, 0, 0, 0, 1])
        );
        let run = pipeline
            .run(inputs! { x: 1_i64 })
            .select(["left", "apart"])
            .on(&*engine)
            .await;
        assert_eq!(message(run), "input \"z\" is missing");
        assert_eq!(counts(&calls), [0; 5]);
    }
    Ok(())
}

#[tokio::test]
async fn r02_several_outputs_come_in_the_order_asked_for() -> Result<()> {
    let (pipeline, calls) = diamond()?;
    for engine in engines()? {
        let asked = ["right", "base", "right", "left"];
        let made = pipeline
            .run(inputs! { x: 1_i64 })
            .select(asked)
            .on(&*engine)
            .await?;
        assert_eq!(columns(&made), ["right", "base", "left"]);
        assert_eq!(counts(&calls), [1, 1, 1, 0, 0], "what they share runs once");
    }
    Ok(())
}

#[tokio::test]
async fn r03_no_selection_is_all_and_an_empty_one_nothing() -> Result<()> {
    let (pipeline, calls) = diamond()?;
    for engine in engines()? {
        let given = inputs! { x: 1_i64, z: 1_i64 };
        let made = pipeline.run(given).on(&*engine).await?;
        assert_eq!(columns(&made), ["apart", "base", "left", "right", "merged"]);
        assert_eq!(counts(&calls), [1; 5]);
        let none = pipeline.run(inputs! {}).select([]).on(&*engine).await?;
        assert_eq!(columns(&none), Vec::<String>::new());
        assert_eq!(counts(&calls), [0; 5]);
    }
    Ok(())
}

#[tokio::test]
async fn r06_p22_map_and_bound_pipelines_are_pruned_alike() -> Result<()> {
    let (pipeline, [first, second]) = chain()?;
    let bound = pipeline.bind(inputs! { k: 3_i64 })?;
    for engine in engines()? {
        let made = bound
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .select("doubled")
            .on(&*engine)
            .await?;
        assert_eq!(
            (columns(&made), first.take(), second.take()),
            (vec!["doubled".into()], 2, 0)
        );
        let selected = bound.clone().select(["plus"])?;
        let made = selected.run(inputs! { x: 1_i64 }).on(&*engine).await?;
        assert_eq!(
            (columns(&made), made.get::<i64>("plus")?),
            (vec!["plus".into()], 5)
        );
        assert_eq!((first.take(), second.take()), (1, 1));
    }
    Ok(())
}

#[tokio::test]
async fn r05_an_input_that_the_selection_does_not_need_may_be_given() -> Result<()> {
    let (pipeline, calls) = diamond()?;
    for engine in engines()? {
        let given = inputs! { x: 1_i64, z: 5_i64 };
        let made = pipeline.run(given).select("left").on(&*engine).await?;
        assert_eq!(made.get::<i64>("left")?, 3);
        assert_eq!(counts(&calls), [1, 1, 0, 0, 0]);
    }
    Ok(())
}

#[tokio::test]
async fn r08_d09_a_selection_goes_through_nested_pipelines() -> Result<()> {
    let (inner, calls) = diamond()?;
    let middle = Pipeline::new([inner.with_name("inner")])?.with_name("middle");
    let used = Node::map("used", ["left"], |left: i64| 10 * left);
    let outer = Pipeline::new(nodes![(middle), (used)])?;
    for engine in engines()? {
        let made = outer
            .run(inputs! { x: 1_i64 })
            .select("used")
            .on(&*engine)
            .await?;
        assert_eq!(
            (columns(&made), made.get::<i64>("used")?),
            (vec!["used".into()], 30)
        );
        assert_eq!(counts(&calls), [1, 1, 0, 0, 0], "{engine:?}");
        let made = outer
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .select("right")
            .on(&*engine)
            .await?;
        assert_eq!(
            made.column::<i64>("right")?,
            [3, 4],
            "an output that no node reads"
        );
        assert_eq!(counts(&calls), [2, 0, 2, 0, 0]);
    }
    Ok(())
}

#[tokio::test]
async fn r08_d09_a_query_of_a_view_runs_the_inner_nodes_it_needs() -> Result<()> {
    let session = Session::new()?;
    let (inner, calls) = diamond()?;
    let outer = Pipeline::new([inner.with_name("inner")])?;
    query(
        &session,
        "CREATE TABLE t AS SELECT value AS x, value AS z FROM generate_series(1, 4)",
    )
    .await?;
    session.register_pipeline("v", &outer, "t").await?;
    let made = query(&session, "SELECT \"left\" FROM v").await?;
    assert_eq!(made.column::<i64>("left")?, [3, 4, 5, 6]);
    assert_eq!(counts(&calls), [4, 4, 0, 0, 0]);
    let made = query(&session, "SELECT x FROM v WHERE apart > 4").await?;
    assert_eq!(made.column::<i64>("x")?, [4]);
    assert_eq!(counts(&calls), [0, 0, 0, 0, 4]);
    Ok(())
}

#[tokio::test]
async fn x08_d09_a_query_of_a_nested_map_runs_the_inner_nodes_it_needs() -> Result<()> {
    let session = Session::new()?;
    let (inner, calls) = diamond()?;
    let mapped = inner
        .as_node()
        .input_mapping([("xs", "x"), ("zs", "z")])
        .map_over(["xs", "zs"]);
    let outer = Pipeline::new([mapped])?;
    let lists = "CREATE TABLE lists AS SELECT make_array(1, 2, 3) AS xs, make_array(1, 2, 3) AS zs";
    query(&session, lists).await?;
    session.register_pipeline("listed", &outer, "lists").await?;
    let made = query(&session, "SELECT \"left\" FROM listed").await?;
    assert_eq!(made.get::<Vec<i64>>("left")?, [3, 4, 5]);
    assert_eq!(counts(&calls), [3, 3, 0, 0, 0]);
    Ok(())
}

#[test]
fn p11_an_unknown_output_names_the_nearest() -> Result<()> {
    let (pipeline, _) = chain()?;
    let text = message(pipeline.select(["duobled"]));
    let expected = "there is no output \"duobled\"; did you mean \"doubled\"? available: [\"doubled\", \"plus\"]";
    assert_eq!(text, expected);
    Ok(())
}
