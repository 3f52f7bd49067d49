//! What runs pipelines, and what they give.

use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, RecordBatch, StructArray};
use arrow::datatypes::{DataType, Fields};

use crate::kernel::BoxFuture;
use crate::value::{FromColumn, Owned, conform};
use crate::{Error, ErrorKind, Pipeline, Result, hint};

/// What runs a pipeline over columns.
///
/// The columns are the pipeline's inputs by name, of types that it reads. The result has one
/// column for each output, in the pipeline's order, and one row for each row given, in the same
/// order, whatever settings say. What `run` and `map` hand over is [`Pipeline::once`], so that a
/// node without columns costs one call whatever the engine. Dropping the future stops the run. An
/// engine decides when and where functions are called, and is *not* allowed to call one twice for
/// a row.
///
/// What [`Pipeline::bound_item`] has is the same for each row and is not among the columns; an
/// input that has neither is its default, and a pipeline of no inputs is given the number of rows
/// alone. A row that is null in a parameter which is no `Option` is not called for and gives null.
pub trait Engine: fmt::Debug + Send + Sync {
    /// The outputs, of [`Pipeline::output_schema`].
    ///
    /// # Errors
    /// [`ErrorKind::NodeFailed`] and [`ErrorKind::NodePanicked`], with pipeline, node and row,
    /// [`ErrorKind::SharedFailed`], or that the columns do not fit. There is no part of a result:
    /// one row that fails fails the run.
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>>;
}

/// An engine that several pipelines share.
impl<E: Engine + ?Sized> Engine for Arc<E> {
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        E::map(self, pipeline, columns)
    }
}

/// The outputs of a pipeline for some rows: one column for each output, in the pipeline's order,
/// and a row for each row given, in their order. After `run` there is one row.
///
/// ```
/// use std::sync::Arc;
/// use arrow::array::{ArrayRef, Int64Array, RecordBatch, StringArray};
/// use hypernodes_graph::Outputs;
///
/// let words: ArrayRef = Arc::new(Int64Array::from(vec![Some(2), None]));
/// let text: ArrayRef = Arc::new(StringArray::from(vec!["a b", "c"]));
/// let outputs = Outputs::from(RecordBatch::try_from_iter([("words", words), ("text", text)])?);
/// assert_eq!(outputs.get::<i64>("words")?, 2);
/// assert_eq!(outputs.column::<Option<i64>>("words")?, [Some(2), None]);
/// assert_eq!(outputs.column::<&str>("text")?, ["a b", "c"]);
/// let rows = outputs.rows_as::<(Option<i64>, String)>()?;
/// assert_eq!(rows[1], (None, "c".to_owned()));
/// assert!(outputs.column::<i64>("words").is_err()); // a null, and no `Option`
/// # Ok::<(), Box<dyn std::error::Error>>(())
/// ```
#[derive(Debug, Clone, PartialEq)]
pub struct Outputs(RecordBatch);

impl From<RecordBatch> for Outputs {
    fn from(batch: RecordBatch) -> Self {
        Self(batch)
    }
}

impl Outputs {
    /// The rows, one column for each output.
    pub fn batch(&self) -> &RecordBatch {
        &self.0
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.0.num_rows()
    }

    /// An output of every row, in their order; text and bytes may be borrowed. It is read as it
    /// was made: a column of Int32 as `i32`, not as `i64`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if there is no such output, if it is of another type, or if
    /// it holds a null and `T` is no `Option`.
    pub fn column<'a, T: FromColumn<'a>>(&'a self, name: &str) -> Result<Vec<T>> {
        let view = self.view::<T>(name)?;
        (0..self.rows())
            .map(|row| get::<T>(name, &view, row))
            .collect()
    }

    /// An output of the first row, which is the only one after `run`.
    ///
    /// # Errors
    /// As for [`Outputs::column`], and if there is no row.
    pub fn get<'a, T: FromColumn<'a>>(&'a self, name: &str) -> Result<T> {
        let view = self.view::<T>(name)?;
        if self.rows() == 0 {
            return Err(Error::new(ErrorKind::InvalidInput, "there is no row"));
        }
        get::<T>(name, &view, 0)
    }

    /// The rows as values of a struct that derives `Column`, whose fields are read from the
    /// outputs of their names; or of a tuple, whose fields are all outputs in their order. An
    /// output is read as a wider type too: one of Int32 as `i64`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if an output is missing or of another type, or holds a null
    /// where the field is no `Option`.
    pub fn rows_as<T: Owned>(&self) -> Result<Vec<T>> {
        let wanted = T::data_type();
        let given = StructArray::from(self.0.clone());
        let given = match &wanted {
            DataType::Struct(fields) if is_tuple(fields) && fields.len() == given.num_columns() => {
                let named = std::iter::zip(fields, given.fields());
                let named =
                    named.map(|(name, field)| field.as_ref().clone().with_name(name.name()));
                let named: Fields = named.collect();
                let (_, columns, nulls) = given.into_parts();
                StructArray::new(named, columns, nulls)
            }
            _ => given,
        };
        let given: ArrayRef = Arc::new(given);
        let unfit = || {
            let message = format!(
                "the outputs are {}, and were asked for as {wanted}",
                given.data_type()
            );
            Error::new(ErrorKind::InvalidInput, message)
        };
        let read = conform(&given, &wanted).map_err(|_| unfit())?;
        let view = T::column(&read).ok_or_else(unfit)?;
        let rows = (0..self.rows()).map(|row| {
            T::get(&view, row)
                .map_err(|why| Error::new(ErrorKind::InvalidInput, why).with_context("row", row))
        });
        rows.collect()
    }

    fn view<'a, T: FromColumn<'a>>(&'a self, name: &str) -> Result<(&'a ArrayRef, T::Column)> {
        let Some(array) = self.0.column_by_name(name) else {
            let schema = self.0.schema();
            let names = schema.fields().iter().map(|field| field.name().as_str());
            let message = format!("there is no output {name:?}{}", hint(name, names));
            return Err(Error::new(ErrorKind::InvalidInput, message));
        };
        let view = T::column(array).ok_or_else(|| {
            let (made, wanted) = (array.data_type(), T::data_type());
            let message = format!("output {name:?} is {made}, and was asked for as {wanted}");
            Error::new(ErrorKind::InvalidInput, message)
        })?;
        Ok((array, view))
    }
}

/// Whether a struct is a tuple's, whose fields are named by their places.
fn is_tuple(fields: &Fields) -> bool {
    let mut fields = fields.iter().enumerate();
    fields.all(|(place, field)| field.name().parse() == Ok(place))
}

fn get<'a, T: FromColumn<'a>>(
    name: &str,
    (array, view): &(&'a ArrayRef, T::Column),
    row: usize,
) -> Result<T> {
    let unreadable = |why: &str| {
        let error = Error::new(ErrorKind::InvalidInput, format!("output {name:?}: {why}"));
        error.with_context("row", row)
    };
    if !T::OPTIONAL && array.is_null(row) {
        return Err(unreadable("is null; ask for an `Option`"));
    }
    T::get(view, row).map_err(|why| unreadable(&why))
}
