//! What a pipeline is given to run on.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch, RecordBatchOptions, UInt64Array};
use arrow::compute::take;
use arrow::datatypes::{Field, Schema};
use arrow::error::ArrowError;

use super::{IntoColumn, reads};
use crate::{Error, ErrorKind, Pipeline, Result, hint};

/// One input: an item, or a column of items.
#[derive(Debug, Clone)]
pub enum InputValue {
    /// One row.
    Item(ArrayRef),
    /// Any number of rows.
    Column(ArrayRef),
}

/// What can be given as an input: an item of any column type, a fixed-size array of items, or
/// an Arrow array.
///
/// A `Vec` is an item, a list; mapped over, it is a column.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an item nor a column",
    note = "give a number, text, bytes, a `Vec` or array of them, or an Arrow `ArrayRef`"
)]
pub trait IntoInput {
    /// The input.
    fn into_input(self) -> InputValue;
}

fn column<T: IntoColumn>(items: impl ExactSizeIterator<Item = T>) -> ArrayRef {
    let mut builder = T::builder(items.len());
    items.for_each(|item| item.append(&mut builder));
    T::finish(builder)
}

impl<T: IntoColumn> IntoInput for T {
    fn into_input(self) -> InputValue {
        InputValue::Item(column(std::iter::once(self)))
    }
}

impl<T: IntoColumn, const N: usize> IntoInput for [T; N] {
    fn into_input(self) -> InputValue {
        InputValue::Column(column(self.into_iter()))
    }
}

impl IntoInput for ArrayRef {
    fn into_input(self) -> InputValue {
        InputValue::Column(self)
    }
}

/// The inputs of a pipeline by name; made by [`inputs!`](crate::inputs).
#[derive(Debug, Clone, Default)]
pub struct Inputs(BTreeMap<String, InputValue>);

impl Inputs {
    /// These and one more; a later value replaces an earlier one.
    #[must_use]
    pub fn with(mut self, name: impl Into<String>, value: impl IntoInput) -> Self {
        self.0.insert(name.into(), value.into_input());
        self
    }

    /// The columns that `pipeline` reads: those of `over` row by row, the others the same in
    /// every row.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with every fault at once: an input that is missing or
    /// unknown, one of another type, columns of different lengths, a column that is not mapped
    /// over, a name in `over` that is no column.
    pub fn columns(&self, pipeline: &Pipeline, over: &[String]) -> Result<RecordBatch> {
        let mut faults = self.names(pipeline, over);
        let mut columns = BTreeMap::new();
        for (name, value) in &self.0 {
            let mapped = over.contains(name);
            match (value, mapped) {
                (InputValue::Item(item), true) => match item.as_list_opt::<i32>() {
                    Some(list) if list.is_null(0) => {
                        faults.push(format!("{name:?} is null, and cannot be mapped over"));
                    }
                    Some(list) => drop(columns.insert(name, (list.value(0), true))),
                    None => faults.push(format!("{name:?} is one item, and cannot be mapped over")),
                },
                (InputValue::Column(column), true) => {
                    columns.insert(name, (Arc::clone(column), true));
                }
                (InputValue::Item(item), false) => {
                    columns.insert(name, (Arc::clone(item), false));
                }
                (InputValue::Column(_), false) => {
                    faults.push(format!("{name:?} is a column; map over it"));
                }
            }
        }
        let mut lengths = columns.iter().filter(|(_, (_, mapped))| *mapped);
        let first = lengths
            .next()
            .map(|(name, (column, _))| (*name, column.len()));
        let rows = first.map_or(1, |(_, rows)| rows);
        for (name, (column, _)) in lengths {
            if column.len() != rows {
                let (first, other) = (first.map(|(name, _)| name), column.len());
                faults.push(format!("{first:?} has {rows} items, {name:?} has {other}"));
            }
        }
        for input in pipeline.inputs() {
            let Some((column, _)) = columns.get(&input.name) else {
                continue;
            };
            if !reads(&input.data_type, column.data_type()) {
                let (name, given) = (&input.name, column.data_type());
                let wanted = &input.data_type;
                faults.push(format!(
                    "{name:?} is {given}, and the pipeline reads it as {wanted}"
                ));
            }
        }
        if !faults.is_empty() {
            let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
            return Err(error.with_context("pipeline", pipeline.name()));
        }
        batch(&columns, rows).map_err(|error| {
            Error::new(ErrorKind::Internal, "the inputs cannot be put together").with_source(error)
        })
    }

    fn names(&self, pipeline: &Pipeline, over: &[String]) -> Vec<String> {
        let wanted = || pipeline.inputs().iter().map(|input| input.name.as_str());
        let given = || self.0.keys().map(String::as_str);
        let missing = wanted().filter(|name| !self.0.contains_key(*name));
        let missing = missing.map(|name| format!("input {name:?} is missing"));
        let unknown = given().filter(|given| wanted().all(|name| name != *given));
        let unknown = unknown.map(|name| {
            let hint = hint(name, wanted());
            format!("the pipeline has no input {name:?}{hint}")
        });
        let stray = over.iter().filter(|name| !self.0.contains_key(*name));
        let stray = stray.map(|name| {
            let hint = hint(name, given());
            format!("there is no input {name:?} to map over{hint}")
        });
        missing.chain(unknown).chain(stray).collect()
    }
}

fn batch(
    columns: &BTreeMap<&String, (ArrayRef, bool)>,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    for (name, (column, mapped)) in columns {
        let column = match mapped {
            true => Arc::clone(column),
            false => take(column, &UInt64Array::from_value(0, rows), None)?,
        };
        fields.push(Field::new(*name, column.data_type().clone(), true));
        arrays.push(column);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
}

/// Inputs by name: `inputs! { text: "Hello", factor: 2.0 }`.
///
/// ```
/// use hypernodes_graph::{Node, Pipeline, inputs};
///
/// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| x + 1)])?;
/// let columns = inputs! { x: [1_i64, 2] }.columns(&pipeline, &["x".into()])?;
/// assert_eq!(columns.num_rows(), 2);
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
#[macro_export]
macro_rules! inputs {
    ($($name:ident : $value:expr),* $(,)?) => {
        $crate::Inputs::default()$(.with(::core::stringify!($name), $value))*
    };
}
