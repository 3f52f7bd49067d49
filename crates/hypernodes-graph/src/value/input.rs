//! What a pipeline is given to run on.

use std::collections::BTreeMap;
use std::ops::{Range, RangeInclusive};
use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, AsArray, ListArray, RecordBatch, RecordBatchOptions, UInt64Array,
    new_empty_array,
};
use arrow::buffer::OffsetBuffer;
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field, Schema};
use arrow::error::ArrowError;

use super::{IntoColumn, ListItem, Unwritable, fit};
use crate::{Error, ErrorKind, MapMode, Pipeline, Result, hint};

/// One input: an item, or a column of items.
#[derive(Debug, Clone)]
pub enum InputValue {
    /// One row; it may be null.
    Item(ArrayRef),
    /// Any number of rows, none too, in their order.
    Column(ArrayRef),
    /// A value that no column can hold exactly, and why; a run that reads it is refused.
    Unwritable(Unwritable),
}

impl InputValue {
    /// The type of the item, or of the column's items.
    pub fn data_type(&self) -> &DataType {
        match self {
            Self::Item(array) | Self::Column(array) => array.data_type(),
            Self::Unwritable(_) => &DataType::Null,
        }
    }

    /// The same as `wanted` reads it, or one list as a list of what `wanted` reads.
    pub(crate) fn fitted(&self, wanted: &DataType) -> Result<Self, String> {
        match self {
            Self::Item(item) => {
                let list = || DataType::List(Arc::new(Field::new_list_field(wanted.clone(), true)));
                let fitted = fit(item, wanted);
                let fitted = fitted.or_else(|why| fit(item, &list()).map_err(|_| why));
                fitted.map(Self::Item)
            }
            Self::Column(column) => match (fit(column, wanted), one_list(column, wanted)) {
                (Err(_), Some(list)) => Ok(Self::Item(list)),
                (fitted, _) => fitted.map(Self::Column),
            },
            Self::Unwritable(_) => Ok(self.clone()),
        }
    }
}

/// The items of a column as one list, if that is what `wanted` reads.
fn one_list(items: &ArrayRef, wanted: &DataType) -> Option<ArrayRef> {
    let DataType::List(item) = wanted else {
        return None;
    };
    let items = fit(items, item.data_type()).ok()?;
    let field = Arc::new(Field::new_list_field(items.data_type().clone(), true));
    let list = ListArray::try_new(
        field,
        OffsetBuffer::from_lengths([items.len()]),
        items,
        None,
    );
    list.ok().map(|list| Arc::new(list) as ArrayRef)
}

/// What can be given as an input: an item of any column type, or a column: an array, a slice or
/// a range of items, what [`items`] makes of an iterator, an Arrow array, or an Arrow column in
/// chunks.
///
/// A `Vec` is an item, a list; mapped over, it is a column. Any other column is one list where
/// it is not mapped over and the pipeline reads a list. `None` is a null. Integers may be of another
/// type than the pipeline reads, if it holds each of them: `inputs! { x: 3 }` for a `u8` or an `f64`.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither an item nor a column",
    note = "give a number, text, bytes, a struct with `#[derive(Column)]`, a `Vec`, array, slice or range of them, `items(…)` of an iterator, or an Arrow array",
    note = "a model, client or other resource is given by `Pipeline::bind_shared`"
)]
pub trait IntoInput {
    /// The input.
    fn into_input(self) -> InputValue;
}

fn column<T: IntoColumn>(mut items: impl Iterator<Item = T>) -> Result<ArrayRef, Unwritable> {
    let mut builder = T::builder(items.size_hint().0);
    items.try_for_each(|item| item.append(&mut builder))?;
    Ok(T::finish(builder))
}

impl<T: IntoColumn> IntoInput for T {
    fn into_input(self) -> InputValue {
        let item = column(std::iter::once(self));
        item.map_or_else(InputValue::Unwritable, InputValue::Item)
    }
}

impl<T: IntoColumn, const N: usize> IntoInput for [T; N] {
    fn into_input(self) -> InputValue {
        items(self)
    }
}

impl<T: IntoColumn + Clone, const N: usize> IntoInput for &[T; N] {
    fn into_input(self) -> InputValue {
        items(self.iter().cloned())
    }
}

/// Of all items but bytes: a slice of bytes is an item.
impl<T: IntoColumn + ListItem + Clone> IntoInput for &[T] {
    fn into_input(self) -> InputValue {
        items(self.iter().cloned())
    }
}

impl IntoInput for &String {
    fn into_input(self) -> InputValue {
        self.as_str().into_input()
    }
}

impl<T> IntoInput for &Vec<T>
where
    T: Clone,
    Vec<T>: IntoColumn,
{
    fn into_input(self) -> InputValue {
        self.clone().into_input()
    }
}

impl<T> IntoInput for Range<T>
where
    T: IntoColumn,
    Self: Iterator<Item = T>,
{
    fn into_input(self) -> InputValue {
        items(self)
    }
}

impl<T> IntoInput for RangeInclusive<T>
where
    T: IntoColumn,
    Self: Iterator<Item = T>,
{
    fn into_input(self) -> InputValue {
        items(self)
    }
}

/// The items of an iterator as a column, in their order: `inputs! { x: items(list.iter().copied()) }`.
pub fn items<T: IntoColumn>(items: impl IntoIterator<Item = T>) -> InputValue {
    column(items.into_iter()).map_or_else(InputValue::Unwritable, InputValue::Column)
}

impl IntoInput for InputValue {
    fn into_input(self) -> InputValue {
        self
    }
}

impl IntoInput for ArrayRef {
    fn into_input(self) -> InputValue {
        InputValue::Column(self)
    }
}

/// A column in chunks of one type, in their order; of none, it is empty and can be read as any
/// type.
impl IntoInput for &[ArrayRef] {
    fn into_input(self) -> InputValue {
        let chunks: Vec<&dyn Array> = self.iter().map(AsRef::as_ref).collect();
        if chunks.is_empty() {
            return InputValue::Column(new_empty_array(&DataType::Null));
        }
        let refused = |error: ArrowError| InputValue::Unwritable(error.to_string().into());
        concat(&chunks).map_or_else(refused, InputValue::Column)
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

    /// The value of this name, if one is given.
    pub fn get(&self, name: &str) -> Option<&InputValue> {
        self.0.get(name)
    }

    /// The names in alphabetic order, and their values.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &InputValue)> {
        self.0.iter().map(|(name, value)| (name.as_str(), value))
    }

    /// These, and those of `later` in the place of the ones that have their names.
    #[must_use]
    pub fn merged(mut self, later: Self) -> Self {
        self.0.extend(later.0);
        self
    }

    pub(crate) fn remove(&mut self, name: &str) {
        self.0.remove(name);
    }

    pub(crate) fn rename(&mut self, from: &str, to: &str) {
        if let Some(value) = self.0.remove(from) {
            self.0.insert(to.to_owned(), value);
        }
    }

    /// What an engine runs: the pipeline with everything bound that is the same in every row,
    /// and its other inputs as columns.
    ///
    /// Without `over` there is one row, of the items given; a given item that a batch function
    /// takes as one value is bound. With `over`, those inputs are columns, zipped or each with
    /// each, and the others are bound. Values are also taken from what is bound and from
    /// defaults. An input that only outputs which are not selected need is ignored.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with every fault at once: an input that is missing or
    /// unknown or named like an output, one of another type, a value that no column can hold,
    /// columns of different lengths, a column that is not mapped over, a name in `over` that is
    /// no column or comes twice.
    pub fn prepare(
        &self,
        pipeline: &Pipeline,
        over: &[String],
        mode: MapMode,
    ) -> Result<(Pipeline, RecordBatch)> {
        let mut faults = self.names(pipeline, over);
        let all = pipeline.bound_inputs().clone().merged(self.clone());
        let mut constants = Self::default();
        let mut columns: Vec<(&str, ArrayRef)> = Vec::new();
        for input in pipeline.inputs() {
            let name = input.name.as_str();
            let mapped = over.iter().any(|over| over == name);
            let default = || input.default.clone().map(InputValue::Item);
            let Some(value) = all.0.get(name).cloned().or_else(default) else {
                continue;
            };
            let given = match (&value, mapped) {
                (InputValue::Unwritable(why), _) => {
                    faults.push(format!("{name:?} cannot be held by a column: {why}"));
                    continue;
                }
                (InputValue::Item(item), true) => match item.as_list_opt::<i32>() {
                    Some(list) if list.is_null(0) => {
                        faults.push(format!("{name:?} is null, and cannot be mapped over"));
                        continue;
                    }
                    Some(list) => list.value(0),
                    None => {
                        faults.push(format!("{name:?} is one item, and cannot be mapped over"));
                        continue;
                    }
                },
                (InputValue::Column(column), true) => Arc::clone(column),
                (InputValue::Item(item), false) => Arc::clone(item),
                (InputValue::Column(column), false) => match one_list(column, &input.data_type) {
                    Some(list) => list,
                    None => {
                        faults.push(format!("{name:?} is a column; map over it"));
                        continue;
                    }
                },
            };
            let given = match fit(&given, &input.data_type) {
                Ok(given) => given,
                Err(why) => {
                    faults.push(format!("{name:?} is {why}"));
                    continue;
                }
            };
            let is_own = self.0.contains_key(name);
            match mapped || (over.is_empty() && is_own && !input.constant) {
                true if mapped && input.constant => faults.push(format!(
                    "{name:?} is the same for all rows of a batch function, and cannot be mapped over"
                )),
                true => columns.push((name, given)),
                false => drop(constants.0.insert(name.to_owned(), InputValue::Item(given))),
            }
        }
        let place = |name: &str| over.iter().position(|over| over == name);
        columns.sort_by_key(|(name, _)| place(name));
        let rows = rows(&columns, mode, &mut faults);
        if !faults.is_empty() {
            let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
            return Err(error.with_context("pipeline", pipeline.name()));
        }
        let free = pipeline.clone().unbind_all().bind(constants)?;
        let batch = batch(columns, mode, rows).map_err(|error| {
            Error::new(ErrorKind::Internal, "the inputs cannot be put together").with_source(error)
        })?;
        Ok((free, batch))
    }

    fn names(&self, pipeline: &Pipeline, over: &[String]) -> Vec<String> {
        let mut faults = Vec::new();
        let whole = pipeline.clone().whole();
        let known = |name: &str| whole.inputs().iter().any(|input| input.name == name);
        let bound = pipeline.bound_inputs();
        for input in pipeline.inputs() {
            let name = input.name.as_str();
            let given = self.0.contains_key(name) || bound.get(name).is_some();
            if !given && input.default.is_none() {
                faults.push(format!("input {name:?} is missing"));
            }
        }
        for name in self.0.keys().filter(|name| !known(name)) {
            let made = whole.available_outputs().any(|output| output.name == *name);
            faults.push(match made {
                true => format!("{name:?} is an output of the pipeline, and cannot be given"),
                false => pipeline.no_input(name),
            });
        }
        for (position, name) in over.iter().enumerate() {
            if over[..position].contains(name) {
                faults.push(format!("{name:?} is mapped over twice"));
            }
            if !self.0.contains_key(name) && bound.get(name).is_none() {
                let given = self.0.keys().map(String::as_str);
                let given = given.chain(bound.iter().map(|(name, _)| name));
                let hint = hint(name, given);
                faults.push(format!("there is no input {name:?} to map over{hint}"));
            }
        }
        faults
    }
}

/// The number of rows of all columns together.
fn rows(columns: &[(&str, ArrayRef)], mode: MapMode, faults: &mut Vec<String>) -> usize {
    let lengths = columns.iter().map(|(_, column)| column.len());
    let Some((first, rest)) = columns.split_first() else {
        return 1;
    };
    match mode {
        MapMode::Product => lengths.fold(1, |rows: usize, length| {
            rows.checked_mul(length).unwrap_or_else(|| {
                faults.push("the product has more rows than can be counted".into());
                0
            })
        }),
        MapMode::Zip => {
            let rows = first.1.len();
            if rest.iter().any(|(_, column)| column.len() != rows) {
                let lengths = columns.iter();
                let lengths =
                    lengths.map(|(name, column)| format!("{name:?} has {}", column.len()));
                let lengths = lengths.collect::<Vec<_>>().join(", ");
                faults.push(format!(
                    "columns that are zipped must be of one length: {lengths}"
                ));
            }
            rows
        }
    }
}

fn batch(
    columns: Vec<(&str, ArrayRef)>,
    mode: MapMode,
    rows: usize,
) -> Result<RecordBatch, ArrowError> {
    let (mut fields, mut arrays) = (Vec::new(), Vec::new());
    // How many rows in a row have the same item, in a product.
    let mut repeat = rows;
    for (name, column) in columns {
        fields.push(Field::new(name, column.data_type().clone(), true));
        arrays.push(match (mode, column.len()) {
            (MapMode::Zip, _) | (_, 0) => column,
            (MapMode::Product, length) => {
                repeat /= length;
                let step = repeat.max(1);
                let indices = (0..rows).map(|row| (row / step % length) as u64);
                take(&column, &UInt64Array::from_iter_values(indices), None)?
            }
        });
    }
    let arrays = arrays.into_iter().map(|array| array.slice(0, rows));
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays.collect(), &options)
}

/// Inputs by name: `inputs! { text: "Hello", factor: 2.0 }`; of a name that comes twice, the last.
///
/// ```
/// use hypernodes_graph::{MapMode, Node, Pipeline, inputs};
///
/// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| x + 1)])?;
/// let given = inputs! { x: [1_i64, 2] };
/// let (_, columns) = given.prepare(&pipeline, &["x".into()], MapMode::Zip)?;
/// assert_eq!(columns.num_rows(), 2);
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
#[macro_export]
macro_rules! inputs {
    ($($name:ident : $value:expr),* $(,)?) => {
        $crate::Inputs::default()$(.with(::core::stringify!($name), $value))*
    };
}
