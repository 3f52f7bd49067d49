//! Items, columns and files.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use hypernodes::prelude::*;

#[node]
fn cleaned(passage: &str) -> String {
    passage.trim().to_lowercase()
}

#[node(output = "words")]
async fn count_words(cleaned: &str, #[shared] stop: &String) -> i64 {
    cleaned.split(' ').filter(|word| word != stop).count() as i64
}

fn pipeline() -> Result<Pipeline> {
    Pipeline::new(nodes![cleaned, count_words])?.bind_shared("stop", "the".to_owned())
}

#[tokio::test]
async fn one_pipeline_runs_on_one_item_and_maps_over_many() -> Result<()> {
    let one = pipeline()?.run(inputs! { passage: " The Cat " }).await?;
    assert_eq!(one.get::<&str>("cleaned")?, "the cat");
    assert_eq!(one.get::<i64>("words")?, 1);
    let passages = vec![Some("A"), None, Some("the b c")];
    let many = pipeline()?
        .map(inputs! { passage: passages })
        .over("passage")
        .await?;
    assert_eq!(
        many.column::<Option<i64>>("words")?,
        [Some(1), None, Some(2)]
    );
    assert!(many.column::<i64>("words").is_err(), "a null is no i64");
    Ok(())
}

#[tokio::test]
async fn m02_m04_columns_are_zipped_and_items_broadcast() -> Result<()> {
    let sum = Node::map("sum", ["a", "b", "c"], |a: i64, b: i64, c: i64| {
        a + 10 * b + 100 * c
    });
    let pipeline = Pipeline::new([sum])?;
    let columns = inputs! { a: [1_i64, 2], b: vec![3_i64, 4], c: 5_i64 };
    let sums = pipeline.map(columns).over("a").over("b").await?;
    assert_eq!(sums.column::<i64>("sum")?, [531, 542]);
    Ok(())
}

#[tokio::test]
async fn m08_a_map_over_nothing_calls_nothing_and_has_the_outputs() -> Result<()> {
    let never = Node::map("y", ["x"], |x: i64| -> Result<i64, String> {
        Err(format!("called for {x}"))
    });
    let pipeline = Pipeline::new([never])?;
    for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
        let empty = inputs! { x: Vec::<i64>::new() };
        let none = pipeline.map(empty).over("x").on(engine).await?;
        assert_eq!(none.column::<i64>("y")?, Vec::<i64>::new());
    }
    Ok(())
}

#[tokio::test]
async fn m05_every_fault_of_the_inputs_comes_at_once_and_nothing_is_called() -> Result<()> {
    let never = Node::map("y", ["a", "b", "c"], |_: i64, _: i64, _: i64| {
        Err::<i64, _>("called".to_owned())
    });
    let uneven = inputs! { a: [1_i64], b: [1_i64, 2], d: 1_i64 };
    let mapped = Pipeline::new([never])?
        .map(uneven)
        .over("a")
        .over("b")
        .await;
    let error = mapped.expect_err("three faults");
    assert_eq!(error.kind(), ErrorKind::InvalidInput);
    for fault in ["\"c\" is missing", "no input \"d\"", "\"b\" has 2"] {
        assert!(error.message().contains(fault), "{error}");
    }
    let null = inputs! { a: None::<Vec<i64>> };
    let one = Pipeline::new([Node::map("y", ["a"], |a: i64| a)])?;
    let error = one.map(null).over("a").await.expect_err("no list");
    assert!(error.message().contains("is null"), "{error}");
    Ok(())
}

#[tokio::test]
async fn files_are_read_by_path_and_written_whole_or_not_at_all()
-> Result<(), Box<dyn std::error::Error>> {
    let folder = tempfile::tempdir()?;
    let file = |name: &str| folder.path().join(name);
    let session = Session::new()?;
    std::fs::create_dir(file("in"))?;
    for part in 0..3 {
        let rows = format!(
            "SELECT value + {} AS x FROM generate_series(0, 9)",
            part * 10
        );
        let written = session
            .sql(&rows)
            .await?
            .save_parquet(file(&format!("in/{part}.parquet")))
            .await?;
        assert_eq!(written, 10);
    }
    let failing = |x: i64| {
        if x != 25 {
            Ok(x * 2)
        } else {
            Err(std::fmt::Error)
        }
    };
    let doubled = Pipeline::new([Node::map("y", ["x"], |x: i64| x * 2)])?;
    let input = file("in").to_string_lossy().into_owned();
    let frame = session.read_parquet(&input).await?.apply(&doubled)?;
    let out = file("out.parquet");
    assert_eq!(frame.save_parquet(&out).await?, 30);
    let batches = session
        .read_parquet(&out.to_string_lossy())
        .await?
        .collect()
        .await?;
    let y = batches.iter().flat_map(|batch| {
        batch
            .column(1)
            .as_primitive::<Int64Type>()
            .values()
            .to_vec()
    });
    assert_eq!(
        y.collect::<Vec<_>>(),
        (0..30).map(|x| x * 2).collect::<Vec<_>>()
    );

    let failing = Pipeline::new([Node::map("y", ["x"], failing)])?;
    let bad = file("bad.parquet");
    let written = session
        .read_parquet(&input)
        .await?
        .apply(&failing)?
        .save_parquet(&bad)
        .await;
    let error = written.expect_err("25 fails");
    assert_eq!(error.row(), Some(25));
    let left: Vec<_> = std::fs::read_dir(folder.path())?
        .map(|entry| entry.map(|entry| entry.file_name()))
        .collect::<Result<_, _>>()?;
    assert_eq!(left.len(), 2, "{left:?}");
    assert!(session.read_parquet("no/such.parquet").await.is_err());
    Ok(())
}

#[derive(Column, Clone, Debug, PartialEq)]
struct Counted {
    words: Option<i64>,
    cleaned: Option<String>,
}

#[tokio::test]
async fn d11_outputs_are_a_batch_columns_or_rows_of_a_struct() -> Result<()> {
    let passages = vec![Some(" A b "), None];
    let made = pipeline()?
        .map(inputs! { passage: passages })
        .over("passage")
        .await?;
    assert_eq!(made.batch().num_columns(), 2);
    let rows: Vec<Counted> = made.rows_as()?;
    let first = Counted {
        words: Some(2),
        cleaned: Some("a b".into()),
    };
    let second = Counted {
        words: None,
        cleaned: None,
    };
    assert_eq!(rows, [first, second]);
    let tuples = made.rows_as::<(Option<String>, Option<i64>)>()?;
    assert_eq!(tuples, [(Some("a b".into()), Some(2)), (None, None)]);
    let strict = made
        .rows_as::<(String, i64)>()
        .expect_err("a null is no text");
    assert_eq!(strict.row(), Some(1), "{strict}");
    let three = made.rows_as::<(Option<String>, Option<i64>, i64)>();
    assert!(three.is_err(), "of two");
    Ok(())
}
