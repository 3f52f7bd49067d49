//! Pipelines of the Python original's documentation, as a Rust user writes them.

use std::collections::HashMap;

use datafusion::arrow::array::{Array, StringArray};
use hypernodes::prelude::*;

use crate::both::engines;

/// Structured data: a passage, its vector, and an index of all.
#[derive(Column, Clone)]
struct Passage {
    pid: String,
    text: String,
}

#[derive(Column, Clone)]
struct EncodedPassage {
    pid: String,
    embedding: Vec<f32>,
}

#[derive(Column, Debug, PartialEq)]
struct Index {
    count: usize,
    ids: Vec<String>,
}

/// Dependency injection: a model that the pipeline is given.
struct Encoder {
    dim: usize,
}

impl Encoder {
    fn encode(&self, texts: &[&str]) -> Vec<Vec<f32>> {
        let embedding = |text: &&str| vec![text.len() as f32; self.dim];
        texts.iter().map(embedding).collect()
    }
}

#[node]
fn cleaned(passage: &Passage) -> String {
    passage.text.trim().to_lowercase()
}

/// Encodes one text by the function for many.
#[node(output = "embedding", batch = encode_all)]
fn encode(cleaned: &str, #[shared] encoder: &Encoder) -> Vec<f32> {
    encoder.encode(&[cleaned]).remove(0)
}

#[node(batch)]
fn encode_all(cleaned: &StringArray, #[shared] encoder: &Encoder) -> Vec<Vec<f32>> {
    assert_eq!(cleaned.null_count(), 0);
    encoder.encode(&cleaned.iter().flatten().collect::<Vec<_>>())
}

#[node]
fn packed(passage: &Passage, embedding: &[f32]) -> EncodedPassage {
    EncodedPassage {
        pid: passage.pid.clone(),
        embedding: embedding.to_vec(),
    }
}

#[node]
fn index(corpus_encoded: &[EncodedPassage]) -> Index {
    let long = corpus_encoded
        .iter()
        .filter(|known| known.embedding[0] > 3.0);
    Index {
        count: corpus_encoded.len(),
        ids: long.map(|known| known.pid.clone()).collect(),
    }
}

#[tokio::test]
async fn x16_u14_s11_a_corpus_is_encoded_by_a_shared_model_and_indexed() -> Result<()> {
    let one = Pipeline::new(nodes![cleaned, encode, packed])?;
    let corpus_to_index = Pipeline::new(nodes![
        one.as_node()
            .input_mapping([("corpus", "passage")])
            .output_mapping([("packed", "corpus_encoded")])
            .map_over("corpus"),
        index,
    ])?
    .bind_shared("encoder", Encoder { dim: 3 })?;
    let passage = |(pid, text): (&str, &str)| Passage {
        pid: pid.to_owned(),
        text: text.to_owned(),
    };
    let corpus = [("p1", " Hi "), ("p2", "Hello World")].map(passage);
    for engine in engines()? {
        let made = corpus_to_index
            .run(inputs! { corpus: &corpus })
            .on(&*engine)
            .await?;
        let expected = Index {
            count: 2,
            ids: vec!["p2".into()],
        };
        assert_eq!(made.get::<Index>("index")?, expected);

        let corpora = [corpus[..1].to_vec(), vec![], corpus.to_vec()];
        let map = corpus_to_index
            .map(inputs! { corpus: &corpora })
            .over("corpus");
        let indexes: Vec<Index> = map.on(&*engine).await?.column("index")?;
        let counts: Vec<_> = indexes.iter().map(|index| index.count).collect();
        assert_eq!(counts, [1, 0, 2]);
    }
    Ok(())
}

#[node]
fn length(word: &str) -> usize {
    word.len()
}

#[node]
fn longest(lengths: &[usize]) -> Option<usize> {
    lengths.iter().copied().max()
}

#[node]
fn total(sentence_lengths: &[Option<usize>]) -> usize {
    sentence_lengths.iter().flatten().sum()
}

#[tokio::test]
async fn x12_x15_words_of_sentences_of_documents() -> Result<()> {
    let word = Pipeline::new(nodes![length])?;
    let sentence = Pipeline::new(nodes![
        word.as_node()
            .input_mapping([("words", "word")])
            .output_mapping([("length", "lengths")])
            .map_over("words"),
        longest,
    ])?;
    let document = Pipeline::new(nodes![
        sentence
            .as_node()
            .input_mapping([("sentences", "words")])
            .output_mapping([("longest", "sentence_lengths")])
            .map_over("sentences"),
        total,
    ])?;
    for engine in engines()? {
        let sentences = [vec!["a", "bbb"], vec![], vec!["cc"]];
        let made = document
            .run(inputs! { sentences: sentences })
            .on(&*engine)
            .await?;
        assert_eq!(made.get::<usize>("total")?, 5);
        let documents = [
            vec![vec!["a", "bbb"]],
            vec![],
            vec![vec!["cc"], vec!["dddd"]],
        ];
        let map = document
            .map(inputs! { sentences: documents })
            .over("sentences");
        assert_eq!(map.on(&*engine).await?.column::<usize>("total")?, [3, 0, 6]);
    }
    Ok(())
}

#[node]
fn positions(items: &[String]) -> HashMap<String, usize> {
    let positions = items.iter().enumerate();
    positions
        .map(|(place, item)| (item.clone(), place))
        .collect()
}

#[node]
fn shouted(item: &str) -> String {
    item.to_uppercase()
}

#[node]
fn found(shouted: &str, positions: &HashMap<String, usize>) -> Option<usize> {
    positions.get(&shouted.to_lowercase()).copied()
}

#[tokio::test]
async fn d08_what_is_made_before_a_map_is_read_in_each_of_its_items() -> Result<()> {
    let single = Pipeline::new(nodes![shouted, found])?.with_name("process_single");
    let full = Pipeline::new(nodes![
        positions,
        single
            .as_node()
            .input_mapping([("more_items", "item")])
            .output_mapping([("found", "results")])
            .map_over("more_items"),
    ])?;
    let given = inputs! { items: ["a", "b", "c"], more_items: ["x", "b", "a"] };
    for engine in engines()? {
        let made = full
            .run(given.clone())
            .select("results")
            .on(&*engine)
            .await?;
        let results: Vec<Option<usize>> = made.get("results")?;
        assert_eq!(results, [None, Some(1), Some(0)]);
    }
    Ok(())
}
