//! Files that are read, written, broken or missing.

use std::error::Error as StdError;
use std::fmt::Error as Failed;
use std::path::Path;

use datafusion::dataframe::DataFrame;
use datafusion::prelude::{CsvReadOptions, JsonReadOptions};
use hypernodes::prelude::*;

type Checked = Result<(), Box<dyn StdError>>;

const FORMATS: [&str; 3] = ["parquet", "csv", "json"];

async fn save(frame: DataFrame, format: &str, path: &Path) -> Result<u64> {
    match format {
        "parquet" => frame.save_parquet(path).await,
        "csv" => frame.save_csv(path).await,
        _ => frame.save_json(path).await,
    }
}

async fn read(session: &Session, format: &str, path: &Path) -> Result<DataFrame> {
    let path = path.to_string_lossy().into_owned();
    let read = match format {
        "parquet" => session.read_parquet(&path).await?,
        "csv" => {
            let options = CsvReadOptions::new();
            let read = session.read_csv(&path, options).await;
            read.map_err(hypernodes::from_datafusion)?
        }
        _ => {
            let options = JsonReadOptions::default();
            let read = session.read_json(&path, options).await;
            read.map_err(hypernodes::from_datafusion)?
        }
    };
    Ok(read)
}

fn doubling() -> Result<Pipeline> {
    let failing = |x: i64| if x == 777 { Err(Failed) } else { Ok(x * 2) };
    Pipeline::new([Node::map("y", ["x"], failing)])
}

async fn numbers(session: &Session, query: &str) -> Result<DataFrame> {
    session.sql(query).await?.apply(&doubling()?)
}

#[tokio::test]
async fn a_table_is_saved_and_read_again_in_every_format() -> Checked {
    let folder = tempfile::tempdir()?;
    let session = Session::new()?;
    let query = "SELECT NULLIF(value, 3) AS x, 'a,\"' || value AS t FROM generate_series(1, 5)";
    for format in FORMATS {
        let path = folder.path().join(format!("rows.{format}"));
        let frame = numbers(&session, query).await?;
        assert_eq!(save(frame, format, &path).await?, 5, "{format}");
        let frame = read(&session, format, &path).await?;
        let frame = frame.select_columns(&["x", "t", "y"])?;
        let expected = numbers(&session, query).await?.collect().await?;
        let made = frame.collect().await?;
        let text = |batches: &[_]| {
            hypernodes::arrow::util::pretty::pretty_format_batches(batches)
                .map(|table| table.to_string())
        };
        assert_eq!(text(&made)?, text(&expected)?, "{format}");
    }
    Ok(())
}

#[tokio::test]
async fn a_failed_write_leaves_what_was_there() -> Checked {
    let folder = tempfile::tempdir()?;
    let session = Session::new()?;
    for format in FORMATS {
        let path = folder.path().join(format!("rows.{format}"));
        std::fs::write(&path, "before")?;
        let query = "SELECT value AS x FROM generate_series(1, 50000)";
        let failed = save(numbers(&session, query).await?, format, &path).await;
        let error = failed.expect_err("777 fails");
        assert_eq!(error.user_error::<Failed>(), Some(&Failed), "{format}");
        assert_eq!(error.row(), Some(776));
        assert_eq!(std::fs::read_to_string(&path)?, "before", "{format}");
        let frame = numbers(&session, "SELECT 1 AS x").await?;
        let nowhere = folder.path().join("no/such/folder");
        assert!(save(frame.clone(), format, &nowhere).await.is_err());
        let error = save(frame, format, folder.path()).await;
        let error = error.expect_err("a folder");
        assert!(error.message().contains("cannot write"), "{error}");
    }
    let left = std::fs::read_dir(folder.path())?.count();
    assert_eq!(left, FORMATS.len(), "no partial file is left");
    Ok(())
}

#[tokio::test]
async fn an_empty_table_is_a_table() -> Checked {
    let folder = tempfile::tempdir()?;
    let session = Session::new()?;
    for format in FORMATS {
        let path = folder.path().join(format!("rows.{format}"));
        let frame = numbers(&session, "SELECT CAST(1 AS BIGINT) AS x WHERE false").await?;
        assert_eq!(save(frame, format, &path).await?, 0, "{format}");
        let text = std::fs::read(&path)?;
        match format {
            "csv" => assert_eq!(text, b"x,y\n"),
            "json" => assert_eq!(text, b""),
            _ => {
                let frame = read(&session, format, &path).await?;
                let frame = frame.select_columns(&["x"])?.apply(&doubling()?)?;
                assert_eq!(frame.schema().fields().len(), 2);
                assert_eq!(frame.count().await?, 0);
            }
        }
    }
    Ok(())
}

#[tokio::test]
async fn parquet_that_cannot_be_read_is_told_with_its_path() -> Checked {
    let folder = tempfile::tempdir()?;
    let session = Session::new()?;
    let passages = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/passages.parquet"
    );
    let whole = std::fs::read(passages)?;
    let file = |name: &str| folder.path().join(name);
    std::fs::write(file("cut.parquet"), &whole[..whole.len() / 2])?;
    std::fs::write(file("head.parquet"), &whole[..2])?;
    std::fs::write(file("none.parquet"), b"")?;
    std::fs::create_dir(file("empty"))?;
    std::fs::create_dir(file("text"))?;
    std::fs::write(file("text/a.txt"), b"a")?;
    let bad = [
        "cut.parquet",
        "head.parquet",
        "none.parquet",
        "empty",
        "text",
        "missing",
    ];
    for name in bad {
        let path = file(name).to_string_lossy().into_owned();
        let read = async {
            let frame = session.read_parquet(&path).await?;
            frame.collect().await.map_err(hypernodes::from_datafusion)
        };
        let error = read.await.expect_err(name);
        assert_eq!(error.kind(), ErrorKind::Query, "{error}");
        assert!(error.message().contains(name), "{name}: {error}");
        assert!(!error.message().contains('\n'), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn a_folder_of_compressed_row_groups_is_read_by_path() -> Checked {
    let folder = tempfile::tempdir()?;
    let session = Session::new()?;
    let passages = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../../testdata/passages.parquet"
    );
    for name in ["b.parquet", "a.parquet", "c.parquet"] {
        std::fs::copy(passages, folder.path().join(name))?;
    }
    let text = |frame: DataFrame| async {
        let frame = frame.select_columns(&["text"])?;
        let words = Node::map("length", ["text"], |text: &str| text.len() as i64);
        let batches = frame.apply(&Pipeline::new([words])?)?.collect().await?;
        let schema = batches[0].schema();
        Ok::<_, Box<dyn StdError>>(hypernodes::arrow::compute::concat_batches(
            &schema, &batches,
        )?)
    };
    let one = text(session.read_parquet(passages).await?).await?;
    let three = session
        .read_parquet(&folder.path().to_string_lossy())
        .await?;
    let three = text(three).await?;
    assert_eq!(three.num_rows(), 3 * one.num_rows());
    for part in 0..3 {
        assert_eq!(three.slice(part * one.num_rows(), one.num_rows()), one);
    }
    Ok(())
}
