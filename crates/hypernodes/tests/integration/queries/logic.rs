//! The SQL logic tests of `testdata/`: the rows that they say are those of plain DataFusion with
//! ordinary functions, and of nodes.

use std::path::{Path, PathBuf};

use async_trait::async_trait;
use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::datatypes::DataType;
use datafusion::arrow::util::display::array_value_to_string;
use datafusion::error::DataFusionError;
use datafusion::prelude::SessionContext;
use hypernodes::prelude::*;
use sqllogictest::{AsyncDB, DBOutput, DefaultColumnType, Runner, strict_column_validator};

use super::fixture::{Calls, nodes, udfs};

struct Database(SessionContext);

#[async_trait]
impl AsyncDB for Database {
    type Error = DataFusionError;
    type ColumnType = DefaultColumnType;

    async fn run(&mut self, sql: &str) -> Result<DBOutput<DefaultColumnType>, DataFusionError> {
        let frame = self.0.sql(sql).await?;
        let fields = frame.schema().fields().clone();
        let batches = frame.collect().await?;
        if fields.is_empty() {
            return Ok(DBOutput::StatementComplete(0));
        }
        let types = fields.iter().map(|field| match field.data_type() {
            known if known.is_integer() => DefaultColumnType::Integer,
            known if known.is_floating() => DefaultColumnType::FloatingPoint,
            _ => DefaultColumnType::Text,
        });
        let types = types.collect();
        let rows = batches.iter().map(rows).collect::<Result<Vec<_>, _>>()?;
        let rows = rows.concat();
        Ok(DBOutput::Rows { types, rows })
    }

    async fn shutdown(&mut self) {}
}

fn rows(batch: &RecordBatch) -> Result<Vec<Vec<String>>, DataFusionError> {
    let row = |row: usize| {
        let cells = batch.columns().iter().map(|column| {
            if column.is_null(row) || *column.data_type() == DataType::Null {
                return Ok("NULL".to_owned());
            }
            Ok(array_value_to_string(column, row)?)
        });
        cells.collect()
    };
    (0..batch.num_rows()).map(row).collect()
}

/// Nodes in the place of functions.
fn ours(is_async: bool) -> SessionContext {
    let context = SessionContext::new().with_hypernodes().expect("a runtime");
    let nodes = nodes(&Calls::default(), is_async);
    context.register_nodes(nodes).expect("free names");
    context
}

fn plain() -> SessionContext {
    let context = SessionContext::new();
    udfs().into_iter().for_each(|udf| context.register_udf(udf));
    context
}

fn files() -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../testdata");
    let files = std::fs::read_dir(folder).expect("the folder");
    let paths = files.map(|file| file.expect("a file").path());
    let mut files: Vec<PathBuf> = paths
        .filter(|path| path.extension().is_some_and(|extension| extension == "slt"))
        .collect();
    files.sort();
    files
}

async fn check(make: fn() -> SessionContext, whose: &str) {
    let files = files();
    assert!(!files.is_empty(), "there are files");
    for file in files {
        let mut runner = Runner::new(|| async { Ok(Database(make())) });
        runner.with_column_validator(strict_column_validator);
        let ran = runner.run_file_async(&file).await;
        let fault = ran.err().map(|fault| fault.to_string());
        assert_eq!(fault, None, "{} of {whose}", file.display());
    }
}

#[tokio::test]
async fn ordinary_functions_give_the_rows_of_the_logic_tests() {
    check(plain, "plain DataFusion").await;
}

#[tokio::test]
async fn nodes_give_the_rows_of_the_logic_tests() {
    check(|| ours(false), "sync nodes").await;
    check(|| ours(true), "async nodes").await;
}
