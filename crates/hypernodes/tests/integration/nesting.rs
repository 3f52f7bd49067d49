//! Pipelines in pipelines, on every engine.

use datafusion::arrow::array::Int64Array;
use datafusion::arrow::datatypes::Int64Type;
use hypernodes::prelude::*;

use crate::both::{Calls, CountingEngine, chain, columns, engines, message, query};

fn doubled() -> Result<Pipeline> {
    Pipeline::new([
        Node::map("doubled", ["x"], |x: i64| 2 * x),
        Node::map("shifted", ["doubled", "by"], |doubled: i64, by: i64| {
            doubled + by
        }),
    ])
    .map(|pipeline| pipeline.with_name("inner"))
}

#[tokio::test]
async fn x01_x05_x06_x07_mappings_rename_and_filter() -> Result<()> {
    let inner = doubled()?
        .as_node()
        .input_mapping([("n", "x")])
        .output_mapping([("shifted", "moved")]);
    let outer = Pipeline::new([inner])?;
    assert_eq!(outer.unfulfilled_args().collect::<Vec<_>>(), ["by", "n"]);
    for engine in engines()? {
        let made = outer
            .map(inputs! { n: [1_i64, 2], by: 10_i64 })
            .over("n")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<i64>("moved")?, [12, 14], "{engine:?}");
        assert_eq!(made.batch().num_columns(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn x12_x15_x16_lists_are_mapped_over_and_reduced() -> Result<()> {
    let mapped = doubled()?
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let total = Node::map("total", ["shifted"], |all: Vec<Option<i64>>| {
        all.iter().flatten().sum::<i64>()
    });
    let outer = Pipeline::new(nodes![(mapped), (total)])?;
    let xs = vec![Some(vec![1_i64, 2, 3]), None, Some(vec![]), Some(vec![4])];
    for engine in engines()? {
        let made = outer
            .map(inputs! { xs: xs.clone(), by: 1_i64 })
            .over("xs")
            .on(&*engine)
            .await?;
        let shifted = made.column::<Option<Vec<i64>>>("shifted")?;
        let expected = [Some(vec![3, 5, 7]), None, Some(vec![]), Some(vec![9])];
        assert_eq!(shifted, expected, "{engine:?}");
        assert_eq!(
            made.column::<Option<i64>>("total")?,
            [Some(15), None, Some(0), Some(9)]
        );
        assert!(made.batch().column_by_name("doubled").is_none(), "pruned");
    }
    Ok(())
}

fn names(pipeline: &Pipeline) -> Vec<&str> {
    pipeline
        .outputs()
        .map(|output| output.name.as_str())
        .collect()
}

fn total() -> Node {
    Node::map("total", ["results"], |results: &[i64]| {
        results.iter().sum::<i64>()
    })
}

#[test]
fn x01_x02_a_nested_node_is_named_by_itself_or_its_pipeline() -> Result<()> {
    let inner = doubled()?;
    let outer = Pipeline::new([inner.as_node()])?;
    assert_eq!(outer.nodes()[0].name(), "inner");
    let parameters = outer.nodes()[0]
        .parameters()
        .iter()
        .map(|read| read.name.as_str());
    assert_eq!(parameters.collect::<Vec<_>>(), ["by", "x"]);
    let made = outer.nodes()[0]
        .outputs()
        .iter()
        .map(|made| made.name.as_str());
    assert_eq!(made.collect::<Vec<_>>(), ["doubled", "shifted"]);
    let outer = Pipeline::new([inner.as_node().with_name("mine")])?;
    assert_eq!(outer.nodes()[0].name(), "mine");
    Ok(())
}

#[tokio::test]
async fn x03_x04_outputs_that_are_read_surface_and_the_others_can_be_asked_for() -> Result<()> {
    let used = Node::map("used", ["shifted"], |shifted: i64| shifted + 1);
    let outer = Pipeline::new(nodes![(doubled()?), (used)])?;
    assert_eq!(names(&outer), ["shifted", "used"]);
    let whole = Pipeline::new([doubled()?])?;
    assert_eq!(
        names(&whole),
        ["doubled", "shifted"],
        "none is read: all surface"
    );
    let two_levels = Pipeline::new([outer.clone().with_name("outer")])?;
    assert_eq!(names(&two_levels), ["shifted", "used"]);
    for engine in engines()? {
        let given = || inputs! { x: 4_i64, by: 1_i64 };
        let made = outer.run(given()).on(&*engine).await?;
        assert_eq!(
            (columns(&made), made.get::<i64>("used")?),
            (vec!["shifted".into(), "used".into()], 10)
        );
        let made = outer
            .run(inputs! { x: 4_i64 })
            .select("doubled")
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<i64>("doubled")?, 8);
    }
    Ok(())
}

#[tokio::test]
async fn x05_x07_inner_names_are_not_seen_outside() -> Result<()> {
    let mapped = doubled()?
        .as_node()
        .input_mapping([("n", "x"), ("n", "by")])
        .output_mapping([("shifted", "moved")]);
    let outer = Pipeline::new([mapped])?;
    for engine in engines()? {
        let made = outer.run(inputs! { n: 3_i64 }).on(&*engine).await?;
        assert_eq!(
            (columns(&made), made.get::<i64>("moved")?),
            (vec!["moved".into()], 9)
        );
        let text = message(outer.run(inputs! { x: 3_i64, n: 1_i64 }).on(&*engine).await);
        assert!(text.contains("no input \"x\""), "{text}");
        let text = message(
            outer
                .run(inputs! { n: 3_i64 })
                .select("shifted")
                .on(&*engine)
                .await,
        );
        assert!(text.contains("no output \"shifted\""), "{text}");
    }
    Ok(())
}

#[tokio::test]
async fn x08_only_the_inner_nodes_that_mapped_outputs_need_are_run() -> Result<()> {
    let (inner, [first, second]) = chain()?;
    let mapped = inner.as_node().output_mapping([("doubled", "result")]);
    let outer = Pipeline::new([mapped])?;
    let over = inner
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let over = Pipeline::new(nodes![
        (over.output_mapping([("doubled", "results")])),
        (total())
    ])?;
    for engine in engines()? {
        let made = outer.run(inputs! { x: 3_i64 }).on(&*engine).await?;
        assert_eq!(
            (made.get::<i64>("result")?, first.take(), second.take()),
            (6, 1, 0)
        );
        let made = over
            .run(inputs! { xs: vec![3_i64, 4] })
            .on(&*engine)
            .await?;
        assert_eq!(
            (made.get::<i64>("total")?, first.take(), second.take()),
            (14, 2, 0)
        );
    }
    Ok(())
}

#[test]
fn x09_every_mistake_of_a_mapping_is_told_when_the_outer_pipeline_is_built() -> Result<()> {
    let inner = doubled()?.bind(inputs! { by: 1_i64 })?;
    let mapped = inner
        .as_node()
        .input_mapping([("a", "x"), ("b", "x"), ("c", "xx"), ("d", "by")])
        .output_mapping([("shfited", "moved")])
        .map_over(["aa", "a", "a"]);
    let text = message(Pipeline::new([mapped]));
    for fault in [
        "\"a\" and \"b\" are both mapped to input \"x\"",
        "there is no input \"xx\" to map \"c\" to; did you mean \"x\"?",
        "input \"by\" is bound, and \"d\" cannot be mapped to it",
        "there is no output \"shfited\" to call \"moved\"; did you mean \"shifted\"?",
        "there is no input \"aa\" to map over; did you mean \"a\"?",
        "\"a\" is mapped over twice",
    ] {
        assert!(text.contains(fault), "{fault} is not in {text}");
    }
    let text = message(Pipeline::new([inner.as_node().map_over([])]));
    assert!(text.contains("`map_over` names no input"), "{text}");
    let text = message(Pipeline::new([inner.as_node().map_mode(MapMode::Product)]));
    assert!(
        text.contains("`map_mode` does nothing without `map_over`"),
        "{text}"
    );
    Ok(())
}

#[test]
fn x10_two_outputs_of_one_outer_name_are_a_fault() -> Result<()> {
    let mapped = doubled()?
        .as_node()
        .output_mapping([("doubled", "same"), ("shifted", "same")]);
    let text = message(Pipeline::new([mapped]));
    assert!(text.contains("both make output \"same\""), "{text}");
    let taken = Node::map("doubled", ["y"], |y: i64| y);
    let text = message(Pipeline::new(nodes![(doubled()?), (taken)]));
    assert_eq!(
        text,
        "nodes \"inner\" and \"doubled\" both make output \"doubled\""
    );
    Ok(())
}

#[tokio::test]
async fn x11_one_pipeline_nested_twice_keeps_its_names_apart() -> Result<()> {
    let one = doubled()?.as_node().with_name("one");
    let one = one
        .input_mapping([("a", "x")])
        .output_mapping([("shifted", "from_a")]);
    let two = doubled()?.as_node().with_name("two");
    let two = two
        .input_mapping([("b", "x")])
        .output_mapping([("shifted", "from_b")]);
    let both = Node::map("both", ["from_a", "from_b"], |a: i64, b: i64| 100 * a + b);
    let outer = Pipeline::new(nodes![(one), (two), (both)])?;
    for engine in engines()? {
        let made = outer
            .run(inputs! { a: 5_i64, b: 7_i64, by: 1_i64 })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<i64>("both")?, 1115);
    }
    Ok(())
}

#[tokio::test]
async fn x12_x14_d08_several_lists_are_zipped_or_each_with_each() -> Result<()> {
    let sum = Node::map("sum", ["x", "y", "z"], |x: i64, y: i64, z: i64| {
        100 * x + 10 * y + z
    });
    let inner = Pipeline::new([sum])?;
    let mapped = inner
        .as_node()
        .input_mapping([("ys", "y"), ("xs", "x")])
        .output_mapping([("sum", "results")]);
    let zipped = Pipeline::new([mapped.clone().map_over(["xs", "ys"])])?;
    let product = mapped
        .clone()
        .map_over(["xs", "ys"])
        .map_mode(MapMode::Product);
    let product = Pipeline::new(nodes![(product), (total())])?;
    let other_way = Pipeline::new([mapped.map_over(["ys", "xs"]).map_mode(MapMode::Product)])?;
    for engine in engines()? {
        let given = || inputs! { xs: vec![1_i64, 2], ys: vec![3_i64, 4], z: 5_i64 };
        let made = zipped.run(given()).on(&*engine).await?;
        assert_eq!(made.get::<Vec<i64>>("results")?, [135, 245]);
        let made = product.run(given()).on(&*engine).await?;
        assert_eq!(made.get::<Vec<i64>>("results")?, [135, 145, 235, 245]);
        assert_eq!(made.get::<i64>("total")?, 760);
        let made = other_way.run(given()).on(&*engine).await?;
        assert_eq!(made.get::<Vec<i64>>("results")?, [135, 235, 145, 245]);
        let uneven = inputs! { xs: vec![1_i64, 2], ys: vec![3_i64], z: 5_i64 };
        let error = zipped
            .run(uneven)
            .on(&*engine)
            .await
            .expect_err("of two lengths");
        let text = error.message();
        assert!(
            text.contains("lists that are zipped must be of one length"),
            "{text}"
        );
        assert!(
            text.contains("\"xs\" has 2") && text.contains("\"ys\" has 1"),
            "{text}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn x13_an_empty_list_gives_empty_lists_and_calls_nothing() -> Result<()> {
    let (inner, [first, second]) = chain()?;
    let mapped = inner
        .as_node()
        .input_mapping([("xs", "x")])
        .output_mapping([("plus", "results")]);
    let outer = Pipeline::new(nodes![(mapped.map_over(["xs"])), (total())])?;
    for engine in engines()? {
        let made = outer
            .run(inputs! { xs: Vec::<i64>::new(), k: 1_i64 })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<Vec<i64>>("results")?, Vec::<i64>::new());
        assert_eq!(made.get::<i64>("total")?, 0);
        assert_eq!((first.take(), second.take()), (0, 0));
    }
    Ok(())
}

#[tokio::test]
async fn x15_lists_of_lists_are_mapped_at_two_levels() -> Result<()> {
    let (inner, [first, _]) = chain()?;
    let row = inner
        .as_node()
        .input_mapping([("row", "x")])
        .output_mapping([("plus", "results")]);
    let row = Pipeline::new(nodes![(row.map_over(["row"])), (total())])?.with_name("row");
    let table = row.as_node().input_mapping([("table", "row")]);
    let table = table.output_mapping([("results", "tables"), ("total", "totals")]);
    let outer = Pipeline::new([table.map_over(["table"])])?;
    for engine in engines()? {
        let tables = vec![
            Some(vec![Some(vec![1_i64, 2]), Some(vec![])]),
            None,
            Some(vec![None, Some(vec![3])]),
        ];
        let given = inputs! { table: tables, k: 1_i64 };
        let made = outer.map(given).over("table").on(&*engine).await?;
        let tables = made.column::<Option<Vec<Option<Vec<i64>>>>>("tables")?;
        let expected = [
            Some(vec![Some(vec![3, 5]), Some(vec![])]),
            None,
            Some(vec![None, Some(vec![7])]),
        ];
        assert_eq!(tables, expected, "{engine:?}");
        let totals = made.column::<Option<Vec<Option<i64>>>>("totals")?;
        assert_eq!(
            totals,
            [
                Some(vec![Some(8), Some(0)]),
                None,
                Some(vec![None, Some(7)])
            ]
        );
        assert_eq!(first.take(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn x17_what_is_bound_inside_is_not_asked_for_and_not_overridden() -> Result<()> {
    let (inner, _) = chain()?;
    let partly = inner.clone().bind(inputs! { k: 10_i64 })?;
    let outer = Pipeline::new([partly.clone()])?;
    assert_eq!(outer.unfulfilled_args().collect::<Vec<_>>(), ["x"]);
    let mapped = partly
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let mapped = Pipeline::new([mapped])?;
    assert_eq!(mapped.unfulfilled_args().collect::<Vec<_>>(), ["xs"]);
    let wholly = Pipeline::new([partly.bind(inputs! { x: 1_i64 })?])?;
    assert_eq!(wholly.unfulfilled_args().count(), 0);
    for engine in engines()? {
        let made = outer.run(inputs! { x: 2_i64 }).on(&*engine).await?;
        assert_eq!(made.get::<i64>("plus")?, 14);
        let text = message(outer.run(inputs! { x: 2_i64, k: 1_i64 }).on(&*engine).await);
        assert!(text.contains("no input \"k\""), "{text}");
        let made = mapped
            .run(inputs! { xs: vec![2_i64, 3] })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<Vec<i64>>("plus")?, [14, 16]);
        let made = wholly.run(inputs! {}).on(&*engine).await?;
        assert_eq!(made.get::<i64>("plus")?, 12);
    }
    Ok(())
}

#[tokio::test]
async fn x17_an_inner_column_that_is_bound_is_not_one_item() -> Result<()> {
    let (inner, _) = chain()?;
    let listed = inner.bind(inputs! { k: [1_i64, 2] })?;
    let text = message(Pipeline::new([listed]));
    assert!(text.contains("input \"k\" is bound to a column"), "{text}");
    Ok(())
}

#[tokio::test]
async fn x18_an_outer_pipeline_keeps_the_inner_one_it_was_given() -> Result<()> {
    let (inner, _) = chain()?;
    let outer = Pipeline::new([inner.clone()])?;
    let later = inner.bind(inputs! { k: 1_i64 })?;
    assert_eq!(outer.unfulfilled_args().collect::<Vec<_>>(), ["k", "x"]);
    assert_eq!(later.unfulfilled_args().collect::<Vec<_>>(), ["x"]);
    Ok(())
}

#[tokio::test]
async fn x19_a_nested_pipeline_runs_on_its_own_engine_or_that_of_the_outer_one() -> Result<()> {
    let (inner, [first, _]) = chain()?;
    let (own, outside) = (CountingEngine::default(), CountingEngine::default());
    let named = Pipeline::new([inner.clone().with_engine(own.clone())])?;
    let inherits = Pipeline::new([inner])?;
    let given = || inputs! { x: [1_i64, 2], k: 1_i64 };
    for engine in engines()? {
        let made = named.map(given()).over("x").on(&*engine).await?;
        assert_eq!(made.column::<i64>("plus")?, [3, 5]);
        assert!(own.maps.take() > 0, "{engine:?} hands the rows over");
        inherits.map(given()).over("x").on(&*engine).await?;
        assert_eq!((own.maps.take(), first.take()), (0, 4));
    }
    inherits.map(given()).over("x").on(&outside).await?;
    assert_eq!((own.maps.take(), outside.maps.take()), (0, 1));
    Ok(())
}

#[tokio::test]
async fn x21_a_pipeline_among_nodes_is_its_node() -> Result<()> {
    let (inner, _) = chain()?;
    let direct = Pipeline::new([inner.clone()])?;
    let through = Pipeline::new([inner.as_node()])?;
    for engine in engines()? {
        let given = || inputs! { x: 3_i64, k: 1_i64 };
        let made = direct.run(given()).on(&*engine).await?;
        assert_eq!(made, through.run(given()).on(&*engine).await?);
        assert_eq!(made.get::<i64>("plus")?, 7);
    }
    Ok(())
}

#[tokio::test]
async fn x03_d08_a_nested_pipeline_is_a_view_that_keeps_the_tables_columns() -> Result<()> {
    let session = Session::new()?;
    let (inner, _) = chain()?;
    let mapped = inner
        .as_node()
        .input_mapping([("xs", "x")])
        .output_mapping([("plus", "results")]);
    let outer = Pipeline::new(nodes![(mapped.map_over(["xs"])), (total())])?;
    query(
        &session,
        "CREATE TABLE t AS SELECT 7 AS id, 1 AS k, make_array(1, 2) AS xs",
    )
    .await?;
    session.register_pipeline("v", &outer, "t").await?;
    let made = query(&session, "SELECT * FROM v").await?;
    assert_eq!(columns(&made), ["id", "k", "xs", "results", "total"]);
    assert_eq!(
        (made.get::<i64>("id")?, made.get::<Vec<i64>>("xs")?),
        (7, vec![1, 2])
    );
    assert_eq!(
        (made.get::<Vec<i64>>("results")?, made.get::<i64>("total")?),
        (vec![3, 5], 8)
    );
    Ok(())
}

#[tokio::test]
async fn x05_dual_and_shared_nodes_run_inside_nested_maps() -> Result<()> {
    use datafusion::arrow::array::Int64Array;
    let (one, many) = (Calls::default(), Calls::default());
    let (ticked, batched) = (one.clone(), many.clone());
    let single = Node::map("y", ["x"], move |x: i64| {
        ticked.tick();
        2 * x
    });
    let batch = Node::batch("y", ["x"], move |x: &Int64Array| -> Int64Array {
        batched.tick();
        x.unary(|x| 2 * x)
    });
    let inner = Pipeline::new([single.with_batch(batch)])?;
    let mapped = inner
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let outer = Pipeline::new([mapped])?;
    let given = inputs! { xs: vec![vec![1_i64, 2], vec![3]] };
    let made = outer.map(given).over("xs").on(&Session::new()?).await?;
    assert_eq!(made.column::<Vec<i64>>("y")?, [vec![2, 4], vec![6]]);
    assert_eq!((one.take(), many.take()), (0, 1), "all items in one batch");
    Ok(())
}

#[tokio::test]
async fn x12_an_error_in_a_nested_map_names_the_outer_row_and_the_item() -> Result<()> {
    let sync = Node::map("half", ["x"], |x: i64| match x {
        13 => Err("thirteen"),
        x => Ok(x / 2),
    });
    let later = Node::map_async("half", ["x"], |x: i64| async move {
        tokio::task::yield_now().await;
        if x == 13 { Err("thirteen") } else { Ok(x / 2) }
    });
    for node in [sync, later] {
        let inner = Pipeline::new([node])?.with_name("inner");
        let mapped = inner
            .as_node()
            .input_mapping([("xs", "x")])
            .map_over(["xs"]);
        let outer = Pipeline::new([mapped])?;
        let xs = vec![vec![1_i64, 2], vec![], vec![3, 4, 13, 5]];
        for engine in engines()? {
            let mapping = outer
                .map(inputs! { xs: xs.clone() })
                .over("xs")
                .on(&*engine);
            let error = mapping.await.expect_err("13 fails");
            assert_eq!(error.context("node"), Some("half"), "{engine:?}");
            assert_eq!(error.row(), Some(2), "{engine:?}");
            assert_eq!(error.context("item"), Some("2"), "{engine:?}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn x12_a_failing_batch_of_items_names_the_outer_row_and_item_it_begins_at() -> Result<()> {
    let many = Node::batch("half", ["x"], |x: &Int64Array| {
        let odd = x.values().iter().any(|x| x % 2 == 1);
        if odd {
            Err("odd")
        } else {
            Ok(x.unary::<_, Int64Type>(|x| x / 2))
        }
    });
    let many = many.with_settings(Settings {
        batch_size: Some(2),
        ..Settings::default()
    });
    let inner = Pipeline::new([many])?;
    let mapped = inner
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let outer = Pipeline::new([mapped])?;
    let xs = vec![vec![2_i64, 4], vec![], vec![6, 8, 10, 13]];
    let mapping = outer.map(inputs! { xs: xs }).over("xs");
    let error = mapping.await.expect_err("13 is odd");
    assert_eq!(error.first_row(), Some(2), "{error}");
    assert_eq!(error.row(), None, "which row failed is not known: {error}");
    assert_eq!(error.context("item"), Some("2"), "{error}");
    Ok(())
}
