//! Cleans the texts of a Parquet file, counts their words, asks SQL, writes Parquet.
//!
//! `cargo run --release --example quickstart -- FILE.parquet --column text`

#![expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "a program for a terminal"
)]

use std::error::Error;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::Parser;
use hypernodes::datafusion::arrow::util::pretty::pretty_format_batches;
use hypernodes::datafusion::dataframe::DataFrame;
use hypernodes::datafusion::error::DataFusionError;
use hypernodes::datafusion::functions::expr_fn::left;
use hypernodes::datafusion::logical_expr::Expr;
use hypernodes::prelude::*;

/// Cleans texts, counts their words, keeps rows by SQL, and writes Parquet.
#[derive(Parser)]
struct Arguments {
    /// A Parquet file or a folder of them; without one, the passages of the test data.
    file: Option<String>,
    /// The column of texts.
    #[arg(long, default_value = "text")]
    column: String,
    /// The query; its table `enriched` has the file's columns, and `cleaned` and `words`.
    #[arg(long)]
    sql: Option<String>,
    /// The Parquet file to write; without one, a file of the temporary folder.
    #[arg(long)]
    out: Option<PathBuf>,
}

#[node]
fn cleaned(passage: &str) -> String {
    passage.trim().to_lowercase()
}

#[node(output = "words")]
fn count_words(cleaned: &str) -> i64 {
    cleaned.split_whitespace().count() as i64
}

#[tokio::main]
async fn main() -> ExitCode {
    match quickstart(Arguments::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            let mut line = error.to_string();
            let mut cause = error.source();
            while let Some(error) = cause {
                line = format!("{line}: {error}");
                cause = error.source();
            }
            eprintln!("error: {}", line.replace('\n', " "));
            ExitCode::FAILURE
        }
    }
}

async fn quickstart(arguments: Arguments) -> Result<(), Box<dyn Error>> {
    let shipped = concat!(env!("CARGO_MANIFEST_DIR"), "/../testdata/passages.parquet");
    let file = arguments.file.as_deref().unwrap_or(shipped);
    let temporary = || std::env::temp_dir().join("hypernodes-quickstart.parquet");
    let out = arguments.out.unwrap_or_else(temporary);
    let column = &arguments.column;
    let query = arguments.sql.unwrap_or_else(|| {
        let column = column.replace('"', "\"\"");
        format!("SELECT \"{column}\", cleaned, words FROM enriched WHERE words > 3")
    });

    let pipeline = Pipeline::new(nodes![cleaned, count_words])?;
    let one = pipeline.run(inputs! { passage: "  Hello World " }).await?;
    assert_eq!(one.get::<i64>("words")?, 2);

    println!("reading {file}");
    let session = Session::new()?;
    let table = session.read_parquet(file).await?;
    session.register_table("docs", table.into_view())?;
    let pipeline = pipeline.rename_input("passage", column)?;
    session
        .register_pipeline("enriched", &pipeline, "docs")
        .await?;

    println!("writing {query}");
    let rows = session.sql(&query).await?.save_parquet(&out).await?;

    let written = session.read_parquet(&out.to_string_lossy()).await?;
    let shown = cut_short(written.limit(0, Some(10))?)?.collect().await?;
    println!("{}", pretty_format_batches(&shown)?);
    println!("{rows} rows written to {}", out.display());
    Ok(())
}

/// The rows with their texts cut to what a terminal can show.
fn cut_short(rows: DataFrame) -> Result<DataFrame, DataFusionError> {
    let columns = rows.schema().iter().map(|(table, field)| {
        let column = Expr::from((table, field));
        match field.data_type().is_string() {
            true => left(column, lit(40_i64)).alias(field.name()),
            false => column,
        }
    });
    let columns: Vec<Expr> = columns.collect();
    rows.select(columns)
}
