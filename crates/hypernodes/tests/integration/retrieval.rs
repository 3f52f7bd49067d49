//! A retrieval pipeline as the Python original writes it: a corpus and its questions are each
//! encoded one by one, indexes are built of the whole corpus, every question is searched for in
//! both, and what is found is measured against the truth.

use std::collections::{BTreeMap, HashMap};
use std::iter::zip;

use hypernodes::prelude::*;

use crate::both::engines;

#[derive(Column, Debug, PartialEq)]
struct Passage {
    uuid: String,
    text: String,
}

#[derive(Column)]
struct Query {
    uuid: String,
    text: String,
}

#[derive(Column)]
struct Encoded {
    uuid: String,
    text: String,
    embedding: Vec<f32>,
}

#[derive(Column)]
struct VectorIndex {
    uuids: Vec<String>,
    embeddings: Vec<Vec<f32>>,
}

#[derive(Column, Clone)]
struct Hit {
    passage: String,
    score: f64,
}

#[derive(Column)]
struct Truth {
    query: String,
    passage: String,
}

#[derive(Column)]
struct Prediction {
    query: String,
    passage: String,
}

/// A model: how often each letter comes in a text.
struct Encoder {
    letters: &'static str,
}

impl Encoder {
    fn encode(&self, text: &str) -> Vec<f32> {
        let count = |letter| text.matches(letter).count() as f32;
        self.letters.chars().map(count).collect()
    }
}

fn best(mut hits: Vec<Hit>, top_k: usize) -> Vec<Hit> {
    hits.sort_by(|a, b| b.score.total_cmp(&a.score).then(a.passage.cmp(&b.passage)));
    hits.truncate(top_k);
    hits
}

#[node]
fn passages(corpus: &str, #[default(0)] limit: usize) -> Vec<Passage> {
    let lines = corpus.lines().enumerate();
    let lines = lines.take(if limit > 0 { limit } else { usize::MAX });
    let passage = |(line, text): (usize, &str)| Passage {
        uuid: format!("p{line}"),
        text: text.to_owned(),
    };
    lines.map(passage).collect()
}

#[node]
fn queries(examples: &BTreeMap<String, String>) -> Vec<Query> {
    let query = |uuid: &String| Query {
        uuid: format!("q:{uuid}"),
        text: uuid.clone(),
    };
    examples.keys().map(query).collect()
}

#[node]
fn truths(examples: &BTreeMap<String, String>) -> Vec<Truth> {
    let truth = |(query, passage): (&String, &String)| Truth {
        query: format!("q:{query}"),
        passage: passage.clone(),
    };
    examples.iter().map(truth).collect()
}

#[node(output = "encoded_passage")]
fn encode_passage(passage: &Passage, #[shared] encoder: &Encoder) -> Encoded {
    Encoded {
        uuid: passage.uuid.clone(),
        text: passage.text.clone(),
        embedding: encoder.encode(&passage.text),
    }
}

#[node(output = "encoded_query")]
async fn encode_query(query: &Query, #[shared] encoder: &Encoder) -> Encoded {
    tokio::task::yield_now().await;
    Encoded {
        uuid: query.uuid.clone(),
        text: query.text.clone(),
        embedding: encoder.encode(&query.text),
    }
}

#[node]
fn vector_index(encoded_passages: Vec<Encoded>) -> VectorIndex {
    let parts = encoded_passages.into_iter().map(|p| (p.uuid, p.embedding));
    let (uuids, embeddings) = parts.unzip();
    VectorIndex { uuids, embeddings }
}

#[node]
fn word_index(passages: &[Passage]) -> HashMap<String, Vec<String>> {
    let mut index: HashMap<String, Vec<String>> = HashMap::new();
    for passage in passages {
        for word in passage.text.split(' ') {
            let known = index.entry(word.to_owned()).or_default();
            known.push(passage.uuid.clone());
        }
    }
    index
}

#[node]
fn vector_hits(encoded_query: &Encoded, vector_index: &VectorIndex, top_k: usize) -> Vec<Hit> {
    let hits = zip(&vector_index.uuids, &vector_index.embeddings).map(|(uuid, embedding)| {
        let score = zip(embedding, &encoded_query.embedding).map(|(a, b)| f64::from(a * b));
        Hit {
            passage: uuid.clone(),
            score: score.sum(),
        }
    });
    best(hits.collect(), top_k)
}

#[node]
fn word_hits(
    encoded_query: &Encoded,
    word_index: &HashMap<String, Vec<String>>,
    top_k: usize,
) -> Vec<Hit> {
    let found = word_index.get(&encoded_query.text).into_iter().flatten();
    let hits = found.map(|uuid| Hit {
        passage: uuid.clone(),
        score: 1.0,
    });
    best(hits.collect(), top_k)
}

#[node]
fn fused_hits(
    vector_hits: &[Hit],
    word_hits: &[Hit],
    top_k: usize,
    #[default(60)] rrf_k: usize,
) -> Vec<Hit> {
    let mut scores: BTreeMap<&str, f64> = BTreeMap::new();
    for hits in [vector_hits, word_hits] {
        for (rank, hit) in hits.iter().enumerate() {
            *scores.entry(&hit.passage).or_default() += 1.0 / (rrf_k + rank + 1) as f64;
        }
    }
    let hits = scores.into_iter().map(|(passage, score)| Hit {
        passage: passage.to_owned(),
        score,
    });
    best(hits.collect(), top_k)
}

#[node]
fn predictions(encoded_query: &Encoded, fused_hits: &[Hit]) -> Vec<Prediction> {
    let prediction = |hit: &Hit| Prediction {
        query: encoded_query.uuid.clone(),
        passage: hit.passage.clone(),
    };
    fused_hits.iter().map(prediction).collect()
}

#[node]
fn recall(
    all_predictions: &[Vec<Prediction>],
    truths: &[Truth],
    recall_ks: &[usize],
) -> BTreeMap<String, f64> {
    let recall = |k: usize| {
        let found = truths.iter().filter(|truth| {
            let ranked = all_predictions
                .iter()
                .flat_map(|ranked| ranked.iter().take(k));
            ranked
                .filter(|known| known.query == truth.query)
                .any(|known| known.passage == truth.passage)
        });
        found.count() as f64 / truths.len() as f64
    };
    let named = |k: &usize| (format!("recall@{k}"), recall(*k));
    recall_ks.iter().map(named).collect()
}

#[tokio::test]
async fn x12_x16_t02_two_mapped_stages_two_indexes_and_a_third_stage_over_both() -> Result<()> {
    let encode_passages = Pipeline::new(nodes![encode_passage])?
        .as_node()
        .input_mapping([("passages", "passage")])
        .output_mapping([("encoded_passage", "encoded_passages")])
        .map_over("passages");
    let encode_queries = Pipeline::new(nodes![encode_query])?
        .as_node()
        .input_mapping([("queries", "query")])
        .output_mapping([("encoded_query", "encoded_queries")])
        .map_over("queries");
    let retrieve = Pipeline::new(nodes![vector_hits, word_hits, fused_hits, predictions])?
        .as_node()
        .input_mapping([("encoded_queries", "encoded_query")])
        .output_mapping([("predictions", "all_predictions")])
        .map_over("encoded_queries");
    let encoder = Encoder {
        letters: "abdeglmpt",
    };
    let pipeline = Pipeline::new(nodes![
        passages,
        queries,
        truths,
        (encode_passages),
        vector_index,
        word_index,
        (encode_queries),
        (retrieve),
        recall,
    ])?
    .with_name("retrieval")
    .bind_shared("encoder", encoder)?
    .bind(inputs! { top_k: 2, recall_ks: [1, 2] })?;

    let corpus = "alpha beta\ngamma beta\ndelta epsilon";
    let examples = [("alpha", "p0"), ("beta", "p1"), ("delta", "p2")];
    let examples: HashMap<String, String> = examples
        .map(|(query, passage)| (query.to_owned(), passage.to_owned()))
        .into();
    let given = inputs! { corpus: corpus, examples: examples };
    let recalled = |one: f64, two: f64| {
        let ks = ["recall@1", "recall@2"].map(str::to_owned);
        zip(ks, [one, two]).collect::<BTreeMap<_, _>>()
    };
    for engine in engines()? {
        let run = pipeline.run(given.clone()).select("recall");
        let made = run.on(&*engine).await?;
        let of_three: BTreeMap<String, f64> = made.get("recall")?;
        assert_eq!(of_three, recalled(2.0 / 3.0, 1.0));

        let limits = given.clone().with("limit", [1, 3]);
        let map = pipeline.map(limits).over("limit").select("recall");
        let made = map.on(&*engine).await?;
        let by_limit: Vec<BTreeMap<String, f64>> = made.column("recall")?;
        assert_eq!(by_limit, [recalled(1.0 / 3.0, 1.0 / 3.0), of_three]);

        let few = given.clone().with("limit", 1);
        let made = pipeline.run(few).select("passages").on(&*engine).await?;
        let first = Passage {
            uuid: "p0".into(),
            text: "alpha beta".into(),
        };
        assert_eq!(made.get::<Vec<Passage>>("passages")?, [first]);
    }
    Ok(())
}
