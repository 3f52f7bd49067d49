//! Nodes: names, outputs, defaults, async functions.

use std::hash::{BuildHasher, RandomState};

use hypernodes::prelude::*;

use crate::both::{Calls, columns, engines, message, query};

#[node(output = "length")]
fn measure(text: &str, _scale: i64) -> i64 {
    text.len() as i64
}

#[node]
fn plain(x: i64) -> i64 {
    x + 1
}

#[node(outputs = ["half", "rest"])]
fn divided(x: i64) -> (i64, i64) {
    (x / 2, x % 2)
}

#[node]
fn scaled(x: i64, #[default(3)] k: i64, note: Option<&str>) -> String {
    format!("{}{}", x * k, note.unwrap_or("!"))
}

#[node]
async fn fetched(x: i64) -> Result<i64, std::num::ParseIntError> {
    tokio::task::yield_now().await;
    if x == 3 { "three".parse() } else { Ok(10 * x) }
}

fn only(pipeline: &Pipeline) -> &Node {
    &pipeline.nodes()[0]
}

#[test]
fn n01_n02_n03_a_node_has_the_functions_name_and_parameters() -> Result<()> {
    let pipeline = Pipeline::new(nodes![measure])?;
    let node = only(&pipeline);
    assert_eq!(node.name(), "measure");
    assert_eq!(node.outputs()[0].name, "length");
    let read = node.parameters().iter().map(|read| read.name.as_str());
    assert_eq!(read.collect::<Vec<_>>(), ["text", "_scale"]);
    let pipeline = Pipeline::new(nodes![plain])?;
    assert_eq!(only(&pipeline).outputs()[0].name, "plain");
    Ok(())
}

#[test]
fn n14_nodes_are_equal_by_definition_and_names() -> Result<()> {
    let [first, again] = [Pipeline::new(nodes![plain])?, Pipeline::new(nodes![plain])?];
    assert_eq!(only(&first), only(&again));
    let renamed = only(&first).clone().with_output_renamed("plain", "other");
    assert_ne!(only(&first), &renamed);
    let closure = || Node::map("plain", ["x"], |x: i64| x + 1);
    assert_ne!(closure(), closure(), "two closures are two definitions");
    let hashes = RandomState::new();
    let hash = |node: &Node| hashes.hash_one(node);
    assert_eq!(hash(only(&first)), hash(only(&again)));
    assert_ne!(hash(only(&first)), hash(&renamed));
    let shown = format!("{:?}", only(&first));
    assert_eq!(shown, r#"Node(plain: ["x"] -> ["plain"])"#);
    Ok(())
}

#[tokio::test]
async fn n07_d10_a_tuple_is_several_outputs() -> Result<()> {
    let sum = Node::map("sum", ["rest", "half"], |rest: i64, half: i64| rest + half);
    let pipeline = Pipeline::new(nodes![divided, (sum)])?;
    for engine in engines()? {
        let one = pipeline.run(inputs! { x: 7_i64 }).on(&*engine).await?;
        assert_eq!(columns(&one), ["half", "rest", "sum"]);
        let many = pipeline
            .map(inputs! { x: [7_i64, 8] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<i64>("half")?, [3, 4]);
        assert_eq!(many.column::<i64>("rest")?, [1, 0]);
        assert_eq!(many.column::<i64>("sum")?, [4, 4]);
        let one = pipeline
            .run(inputs! { x: 7_i64 })
            .select("rest")
            .on(&*engine)
            .await?;
        assert_eq!(
            (columns(&one), one.get::<i64>("rest")?),
            (vec!["rest".into()], 1)
        );
    }
    Ok(())
}

#[test]
fn n08_a_tuple_of_another_length_is_refused_when_built() {
    let pair = |x: i64| (x, x);
    let error = Pipeline::new([Node::map(["a", "b", "c"], ["x"], pair)]);
    let text = message(error);
    assert!(
        text.contains("node \"a_b_c\": 3 outputs are named"),
        "{text}"
    );
    let text = message(Pipeline::new([Node::map(["a", "b"], ["x"], |x: i64| x)]));
    assert!(
        text.contains("2 outputs are named, and it returns Int64"),
        "{text}"
    );
}

#[tokio::test]
async fn n09_a_default_stands_where_nothing_is_given() -> Result<()> {
    let pipeline = Pipeline::new(nodes![scaled])?;
    let by_hand = Node::map(
        "scaled",
        ["x", "k", "note"],
        |x: i64, k: i64, note: Option<&str>| format!("{}{}", x * k, note.unwrap_or("!")),
    );
    let by_hand = Pipeline::new([by_hand.with_default("k", 3_i64)])?;
    for pipeline in [pipeline, by_hand] {
        let input = |name| pipeline.inputs().iter().find(|input| input.name == name);
        assert!(
            input("k").is_some_and(|input| input.default.is_some()),
            "it shows in the inputs"
        );
        for engine in engines()? {
            let given = inputs! { x: 2_i64, note: "?" };
            let made = pipeline.run(given).on(&*engine).await?;
            assert_eq!(made.get::<&str>("scaled")?, "6?");
            let given = inputs! { x: [2_i64, 3], k: 10_i64, note: None::<String> };
            let made = pipeline.map(given).over("x").on(&*engine).await?;
            assert_eq!(made.column::<&str>("scaled")?, ["20!", "30!"]);
            let bound = pipeline.clone().bind(inputs! { k: 5_i64 })?;
            let given = inputs! { x: [2_i64], note: "" };
            let made = bound.map(given).over("x").on(&*engine).await?;
            assert_eq!(made.get::<&str>("scaled")?, "10");
        }
    }
    Ok(())
}

#[tokio::test]
async fn n09_a_default_stands_where_a_table_has_no_column() -> Result<()> {
    let session = Session::new()?;
    let pipeline = Pipeline::new(nodes![scaled])?;
    query(&session, "CREATE TABLE bare AS SELECT 2 AS x, 'a' AS note").await?;
    query(
        &session,
        "CREATE TABLE full AS SELECT 2 AS x, 7 AS k, 'a' AS note",
    )
    .await?;
    for (table, expected) in [("bare", "6a"), ("full", "14a")] {
        let view = format!("{table}_scaled");
        session.register_pipeline(&view, &pipeline, table).await?;
        let text = format!("SELECT count(*) AS n FROM {view} WHERE scaled = '{expected}'");
        let made = query(&session, &text).await?;
        assert_eq!(made.get::<i64>("n")?, 1, "{table}");
    }
    Ok(())
}

#[test]
fn n09_a_default_of_another_type_or_parameter_is_refused() {
    let node = || Node::map("y", ["count"], |count: i64| count);
    let text = message(Pipeline::new([node().with_default("count", "three")]));
    assert!(
        text.contains("the default of \"count\" is Utf8, and the pipeline reads it as Int64"),
        "{text}"
    );
    let text = message(Pipeline::new([node().with_default("cuont", 3_i64)]));
    assert!(text.contains("did you mean \"count\"?"), "{text}");
}

#[tokio::test]
async fn n10_n11_n13_sync_and_async_nodes_mix_in_a_running_event_loop() -> Result<()> {
    let calls = Calls::default();
    let seen = calls.clone();
    let last = Node::map_async(
        "last",
        ["fetched", "plain"],
        move |fetched: i64, plain: i64| {
            seen.tick();
            async move { fetched + plain }
        },
    );
    let pipeline = Pipeline::new(nodes![fetched, plain, (last)])?;
    for engine in engines()? {
        let made = pipeline.run(inputs! { x: 2_i64 }).on(&*engine).await?;
        assert_eq!(made.get::<i64>("last")?, 23);
        let made = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<i64>("last")?, [12, 23]);
        assert_eq!(calls.take(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn n12_the_error_of_an_async_node_comes_back_as_itself() -> Result<()> {
    let pipeline = Pipeline::new(nodes![fetched])?;
    for engine in engines()? {
        let run = pipeline.run(inputs! { x: 3_i64 }).on(&*engine).await;
        let error = run.expect_err("three is no number");
        assert!(
            error.user_error::<std::num::ParseIntError>().is_some(),
            "{error:?}"
        );
        assert_eq!(error.context("node"), Some("fetched"));
    }
    Ok(())
}

/// A pipeline all of whose parts are this function's own.
fn of_locals(added: i64, weight: i64) -> Result<Pipeline> {
    #[derive(Column)]
    struct Word {
        text: String,
        length: i64,
    }

    struct Model {
        weight: i64,
    }

    #[node]
    fn word(text: &str) -> Word {
        let (text, length) = (text.trim().to_owned(), text.len() as i64);
        Word { text, length }
    }

    #[node]
    async fn weighed(word: Word, #[shared] model: &Model) -> i64 {
        word.text.len() as i64 * model.weight + word.length
    }

    let sum = Node::map("sum", ["weighed"], move |weighed: i64| weighed + added);
    let load = move || Ok::<_, std::io::Error>(Model { weight });
    Pipeline::new(nodes![word, weighed, (sum)])?.bind_shared_with("model", load)
}

#[tokio::test]
async fn d13_a_pipeline_outlives_the_function_of_its_nodes_types_and_captures() -> Result<()> {
    let [first, second] = [of_locals(0, 10)?, of_locals(100, 1000)?];
    for engine in engines()? {
        let texts = || inputs! { text: ["a ", "bc"] };
        let made = first.map(texts()).over("text").on(&*engine).await?;
        assert_eq!(made.column::<i64>("sum")?, [12, 22], "{engine:?}");
        let made = second.map(texts()).over("text").on(&*engine).await?;
        assert_eq!(made.column::<i64>("sum")?, [1102, 2102], "{engine:?}");
    }
    Ok(())
}
