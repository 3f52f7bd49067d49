//! Pipelines as a user of the Python original writes them.

use std::sync::Arc;

use datafusion::arrow::array::Float64Array;
use hypernodes::prelude::*;

use crate::both::engines;

/// An index of passages, and a model: what Python calls stateful.
struct Index(Vec<(&'static str, f64)>);

struct Model {
    name: String,
}

impl Model {
    async fn answer(&self, question: &str, context: &[String]) -> String {
        tokio::task::yield_now().await;
        format!("{}: {question} {}", self.name, context.join("+"))
    }
}

#[node]
fn query(question: &str) -> String {
    question.trim().to_lowercase()
}

#[node]
fn retrieved(query: &str, top_k: i64, #[shared] index: &Index) -> Vec<String> {
    let found = index
        .0
        .iter()
        .filter(|(text, _)| query.contains(&text[..1]));
    found
        .take(top_k as usize)
        .map(|(text, _)| text.to_string())
        .collect()
}

#[node]
fn relevance(passage: &str, query: &str, #[shared] index: &Index) -> f64 {
    let known = index.0.iter().find(|(text, _)| *text == passage);
    known.map_or(0.0, |(_, weight)| weight / query.len() as f64)
}

#[node]
fn reranked(retrieved: Vec<String>, relevances: &[f64]) -> Vec<String> {
    let mut ranked: Vec<_> = std::iter::zip(relevances, retrieved).collect();
    ranked.sort_by(|a, b| b.0.total_cmp(a.0));
    ranked
        .into_iter()
        .map(|(_, passage)| passage)
        .take(2)
        .collect()
}

#[node]
async fn answer(question: &str, reranked: Vec<String>, #[shared] model: &Model) -> String {
    model.answer(question, &reranked).await
}

fn rag() -> Result<Pipeline> {
    let scoring = Pipeline::new(nodes![relevance])?.with_name("scoring");
    let scoring = scoring
        .as_node()
        .input_mapping([("retrieved", "passage")])
        .output_mapping([("relevance", "relevances")])
        .map_over(["retrieved"]);
    Pipeline::new(nodes![query, retrieved, (scoring), reranked, answer])?
        .bind(inputs! { top_k: 3_i64 })?
        .bind_shared(
            "index",
            Index(vec![("ant", 1.0), ("bee", 3.0), ("cat", 2.0), ("ape", 9.0)]),
        )?
        .bind_shared_with("model", || {
            Ok::<_, std::io::Error>(Model { name: "m".into() })
        })
}

#[tokio::test]
async fn x16_p21_retrieval_reranking_and_answering_over_many_questions() -> Result<()> {
    let rag = rag()?;
    for engine in engines()? {
        let one = rag.run(inputs! { question: " ABC" }).on(&*engine).await?;
        assert_eq!(one.get::<&str>("answer")?, "m:  ABC bee+cat");
        let questions = ["a", "b", "xyz"];
        let many = rag
            .map(inputs! { question: questions })
            .over("question")
            .on(&*engine)
            .await?;
        assert_eq!(
            many.column::<&str>("answer")?,
            ["m: a ape+ant", "m: b bee", "m: xyz "]
        );
        let ranked = rag
            .run(inputs! { question: "abc" })
            .select("reranked")
            .on(&*engine)
            .await?;
        assert_eq!(ranked.get::<Vec<String>>("reranked")?, ["bee", "cat"]);
    }
    Ok(())
}

#[node]
fn cleaned(text: &str) -> String {
    text.trim().to_owned()
}

#[node(outputs = ["words", "longest"])]
fn measured(cleaned: &str) -> (i64, Option<String>) {
    let words = cleaned.split_whitespace();
    let longest = words
        .clone()
        .max_by_key(|word| word.len())
        .map(str::to_owned);
    (words.count() as i64, longest)
}

#[node]
fn corpus_size(all_words: &[i64]) -> i64 {
    all_words.iter().sum()
}

#[tokio::test]
async fn x12_n07_each_text_of_a_corpus_then_the_corpus() -> Result<()> {
    let each = Pipeline::new(nodes![cleaned, measured])?;
    let corpus = each
        .as_node()
        .input_mapping([("texts", "text")])
        .output_mapping([("words", "all_words"), ("longest", "longest_words")])
        .map_over(["texts"]);
    let corpus = Pipeline::new(nodes![(corpus), corpus_size])?;
    for engine in engines()? {
        let made = corpus
            .run(inputs! { texts: vec![" a bb", "", "ccc"] })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<i64>("corpus_size")?, 3);
        let one = each.run(inputs! { text: "a bb" }).on(&*engine).await?;
        assert_eq!(one.get::<&str>("longest")?, "bb");
    }
    Ok(())
}

#[node(output = "embedding", batch = embed_many)]
fn embed(text: &str, scale: f64) -> f64 {
    text.len() as f64 * scale
}

#[node(batch)]
fn embed_many(text: &datafusion::arrow::array::StringArray, scale: f64) -> Float64Array {
    text.iter()
        .map(|text| Some(text?.len() as f64 * scale))
        .collect()
}

#[tokio::test]
async fn u12_p16_a_dual_node_with_a_bound_constant() -> Result<()> {
    let pipeline = Pipeline::new(nodes![embed])?.bind(inputs! { scale: 2.0 })?;
    for engine in engines()? {
        let one = pipeline.run(inputs! { text: "abc" }).on(&*engine).await?;
        assert_eq!(one.get::<f64>("embedding")?, 6.0);
        let many = pipeline
            .map(inputs! { text: ["a", "bb"] })
            .over("text")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<f64>("embedding")?, [2.0, 4.0]);
    }
    Ok(())
}

#[node]
fn grid(learning_rate: f64, depth: i64, #[default(1)] seed: i64) -> f64 {
    learning_rate * depth as f64 + seed as f64
}

#[tokio::test]
async fn m06_n09_a_grid_of_parameters() -> Result<()> {
    let pipeline = Pipeline::new(nodes![grid])?;
    for engine in engines()? {
        let given = inputs! { learning_rate: [0.5, 1.0], depth: 1_i64..=3 };
        let all = pipeline
            .map(given)
            .over(["learning_rate", "depth"])
            .mode(MapMode::Product);
        let all = all.on(&*engine).await?;
        assert_eq!(all.column::<f64>("grid")?, [1.5, 2.0, 2.5, 2.0, 3.0, 4.0]);
    }
    Ok(())
}

#[node]
fn passed(score: f64, threshold: f64) -> bool {
    score >= threshold
}

#[node]
fn report(passed_a: bool, passed_b: bool) -> String {
    format!("a={passed_a} b={passed_b}")
}

#[tokio::test]
async fn x11_x17_one_pipeline_in_two_places_with_two_bindings() -> Result<()> {
    let check = Pipeline::new(nodes![passed])?;
    let place = |threshold: f64, score, output| -> Result<_> {
        let bound = check.clone().bind(inputs! { threshold: threshold })?;
        Ok(bound
            .as_node()
            .input_mapping([(score, "score")])
            .output_mapping([("passed", output)]))
    };
    let a = place(0.5, "score_a", "passed_a")?;
    let b = place(0.9, "score_b", "passed_b")?;
    let both = Pipeline::new(nodes![(a), (b), report])?;
    for engine in engines()? {
        let made = both
            .run(inputs! { score_a: 0.6, score_b: 0.6 })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<&str>("report")?, "a=true b=false");
    }
    Ok(())
}

#[node]
async fn page(url: &str, #[shared] client: &Arc<str>) -> Result<String, std::io::Error> {
    match url {
        "bad" => Err(std::io::Error::other("not found")),
        _ => Ok(format!("{client} {url}")),
    }
}

#[tokio::test]
async fn s07_n12_fetching_pages_with_one_client() -> Result<()> {
    let fetching = Pipeline::new(nodes![page])?.bind_shared_async("client", || async {
        Ok::<Arc<str>, std::io::Error>("GET".into())
    })?;
    for engine in engines()? {
        let urls = inputs! { url: ["a", "b"] };
        let pages = fetching.map(urls).over("url").on(&*engine).await?;
        assert_eq!(pages.column::<&str>("page")?, ["GET a", "GET b"]);
        let run = fetching.run(inputs! { url: "bad" }).on(&*engine).await;
        let error = run.expect_err("a bad page");
        assert!(error.user_error::<std::io::Error>().is_some());
    }
    Ok(())
}
