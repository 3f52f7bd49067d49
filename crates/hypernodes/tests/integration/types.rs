//! Types between nodes, structured values, and what results can become.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion::arrow::datatypes::DataType;
use hypernodes::prelude::*;
use tokio::sync::Barrier;

use crate::both::{engines, message, query};

#[derive(Column, Debug, Clone, PartialEq)]
struct Document {
    id: i64,
    text: String,
    pages: Vec<Option<i64>>,
}

#[derive(Column, Debug, Clone, PartialEq)]
struct Scored {
    document: Document,
    score: Option<f64>,
}

#[node]
fn document(id: i64, text: &str) -> Document {
    Document {
        id,
        text: text.to_owned(),
        pages: vec![Some(id), None],
    }
}

#[node]
fn scored(document: Document) -> Scored {
    let score = (!document.text.is_empty()).then_some(document.text.len() as f64);
    Scored { document, score }
}

#[node]
fn best(all: Vec<Scored>) -> Option<Scored> {
    all.into_iter().max_by(|a, b| {
        a.score
            .partial_cmp(&b.score)
            .unwrap_or(std::cmp::Ordering::Equal)
    })
}

#[node]
fn counts(text: &str) -> BTreeMap<String, i64> {
    let mut counts = BTreeMap::new();
    for word in text.split_whitespace() {
        *counts.entry(word.to_owned()).or_default() += 1;
    }
    counts
}

#[node]
fn nested_lists(id: i64) -> Vec<Vec<String>> {
    vec![vec![id.to_string()], vec![]]
}

#[node]
fn title(document: &Document) -> String {
    let title = document.text.split(' ').next();
    title.unwrap_or_default().to_owned()
}

#[node]
async fn page(document: &Document, pages: &[Option<i64>], number: &usize) -> Option<i64> {
    tokio::task::yield_now().await;
    assert_eq!(document.pages, pages);
    pages.get(*number).copied().flatten()
}

#[node]
fn mentioned(documents: &[Document], words: &[&str], stops: &[String]) -> usize {
    let texts = documents.iter().flat_map(|known| known.text.split(' '));
    let mentioned = texts.filter(|word| words.contains(word));
    mentioned
        .filter(|word| !stops.iter().any(|stop| stop == word))
        .count()
}

#[node]
fn known(counts: &BTreeMap<String, i64>, words: &[String], text: &str) -> bool {
    words
        .iter()
        .any(|word| counts.contains_key(word) && text.contains(word))
}

#[tokio::test]
async fn t02_arguments_are_taken_by_reference() -> Result<()> {
    let pipeline = Pipeline::new(nodes![title, page, mentioned, counts, known])?;
    let text = |text: &str| document(7, text);
    for engine in engines()? {
        let given = inputs! {
            document: [Some(text("a title")), None, Some(text(""))],
            documents: [vec![text("a b"), text("c")], vec![], vec![text("stop a")]],
            pages: vec![Some(7), None], number: 0, words: ["a", "stop"], stops: ["stop"],
            text: &String::from("a b"),
        };
        let made = pipeline.map(given).over(["document", "documents"]);
        let made = made.on(&*engine).await?;
        let titles: Vec<Option<&str>> = made.column("title")?;
        assert_eq!(titles, [Some("a"), None, Some("")]);
        let pages: Vec<Option<i64>> = made.column("page")?;
        assert_eq!(pages, [Some(7), None, Some(7)]);
        assert_eq!(made.column::<usize>("mentioned")?, [1, 0, 1]);
        assert_eq!(made.column::<bool>("known")?, [true; 3]);
    }
    Ok(())
}

#[tokio::test]
async fn t02_d07_structs_and_lists_of_them_pass_between_nodes_and_nested_maps() -> Result<()> {
    let each = Pipeline::new(nodes![document, scored])?.as_node();
    let each = each
        .input_mapping([("ids", "id"), ("texts", "text")])
        .output_mapping([("scored", "all")])
        .map_over(["ids", "texts"]);
    let pipeline = Pipeline::new(nodes![(each), best])?;
    for engine in engines()? {
        let texts = vec![String::new(), "long".into(), "mid".into()];
        let given = inputs! { ids: vec![1_i64, 2, 3], texts: texts };
        let made = pipeline.run(given).on(&*engine).await?;
        let document = document(2, "long");
        let expected = Scored {
            document,
            score: Some(4.0),
        };
        assert_eq!(
            made.get::<Option<Scored>>("best")?,
            Some(expected),
            "{engine:?}"
        );
        assert_eq!(made.get::<Vec<Scored>>("all")?.len(), 3);
    }
    Ok(())
}

#[tokio::test]
async fn d02_d07_maps_and_nested_lists_are_ordinary_results_in_run_and_map() -> Result<()> {
    let pipeline = Pipeline::new(nodes![counts, nested_lists])?;
    for engine in engines()? {
        let given = inputs! { text: "a b a", id: 1_i64..200 };
        let made = pipeline.map(given).over("id").on(&*engine).await?;
        let last = &made.column::<Vec<Vec<String>>>("nested_lists")?[198];
        assert_eq!(*last, [vec!["199".to_owned()], vec![]]);
        let one = pipeline
            .run(inputs! { text: "a b a", id: 1_i64 })
            .on(&*engine)
            .await?;
        let counts = one.get::<BTreeMap<String, i64>>("counts")?;
        assert_eq!(
            counts.into_iter().collect::<Vec<_>>(),
            [("a".into(), 2), ("b".into(), 1)]
        );
    }
    Ok(())
}

#[test]
fn d04_column_types_come_from_the_functions() -> Result<()> {
    let pipeline = Pipeline::new(nodes![counts, nested_lists, document])?;
    let schema = pipeline.output_schema();
    let data_type = |name: &str| {
        schema
            .field_with_name(name)
            .map(|field| field.data_type().clone())
    };
    assert!(matches!(data_type("counts"), Ok(DataType::Map(..))));
    let Ok(DataType::List(lists)) = data_type("nested_lists") else {
        panic!("{schema:?}");
    };
    assert!(
        matches!(lists.data_type(), DataType::List(text) if *text.data_type() == DataType::Utf8)
    );
    let Ok(DataType::Struct(fields)) = data_type("document") else {
        panic!("{schema:?}");
    };
    let names = fields.iter().map(|field| field.name().as_str());
    assert_eq!(names.collect::<Vec<_>>(), ["id", "text", "pages"]);
    Ok(())
}

#[test]
fn t01_types_are_checked_when_the_pipeline_is_built() {
    let fake = Node::map("scored", ["id"], |id: i64| id.to_string());
    let all = Node::map("all", ["scored"], |scored: i64| scored);
    let text = message(Pipeline::new(nodes![(fake), (all)]));
    let expected = "node \"all\" reads \"scored\" as Int64, but node \"scored\" makes it as Utf8";
    assert_eq!(text, expected);
}

#[tokio::test]
async fn d05_the_rows_of_an_async_node_wait_together() -> Result<()> {
    let rows = 30_i64;
    let all = Arc::new(Barrier::new(rows as usize));
    let met = Node::map_async("met", ["x"], move |x: i64| {
        let all = Arc::clone(&all);
        async move {
            // Nobody passes before the last row has come.
            all.wait().await;
            x
        }
    });
    let pipeline = Pipeline::new([met])?;
    let made = pipeline
        .map(inputs! { x: 0..rows })
        .over("x")
        .on(&Session::new()?)
        .await?;
    assert_eq!(made.column::<i64>("met")?, (0..rows).collect::<Vec<_>>());
    Ok(())
}

#[tokio::test]
async fn d11_t04_outputs_become_a_batch_a_table_or_parquet() -> Result<()> {
    let pipeline = Pipeline::new(nodes![document])?;
    let session = Session::new()?;
    let given = inputs! { id: [1_i64, 2], text: "page" };
    let made = pipeline.map(given).over("id").on(&session).await?;
    assert_eq!(
        (made.batch().num_rows(), made.batch().num_columns()),
        (2, 1)
    );
    session.register("made", made)?;
    let rows = query(
        &session,
        "SELECT document['id'] AS id FROM made ORDER BY id DESC",
    )
    .await?;
    assert_eq!(rows.column::<i64>("id")?, [2, 1]);
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("made.parquet");
    let written = session
        .sql("SELECT * FROM made")
        .await?
        .save_parquet(&path)
        .await?;
    assert_eq!(written, 2);
    let text = message(query(&session, "SELECT * FROM no_such_table").await);
    assert!(text.contains("no_such_table"), "{text}");
    Ok(())
}
