//! Rust values read from Arrow columns and written to them.
//!
//! A parameter type implements [`FromColumn`], a return type [`IntoColumn`]. Both know their
//! Arrow type, so a pipeline is checked before its first call. What belongs here: one file a
//! family of types. What never does: anything about nodes, rows in flight or DataFusion.

mod array;
mod conform;
mod decimal;
mod input;
mod json;
mod list;
mod map;
mod option;
mod primitive;
mod referent;
mod structure;
mod temporal;
#[cfg(test)]
mod tests;
mod text;
mod wrapped;

use std::borrow::Cow;

use arrow::array::ArrayRef;
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::columns::Failure;

pub(crate) use array::downcast;
pub use array::{BatchOutput, ColumnArray, UtcTimestampArray};
pub(crate) use conform::fit;
pub use conform::{conform, meet, reads};
pub use decimal::{Decimal, DecimalArray};
pub use input::{InputValue, Inputs, IntoInput, items};
pub use json::Json;
pub use list::{ListColumn, ListItem};
pub use map::MapColumn;
pub use referent::Referent;
pub use structure::{FieldColumn, StructBuilder, StructColumn, field_written, struct_type};
pub use temporal::{DateColumn, TicksColumn};
pub use text::{BytesColumn, TextColumn};

/// Why one row of a column cannot be read as the type a function asks for.
pub type Unreadable = Cow<'static, str>;

/// Why a column cannot hold exactly what a function returned.
pub type Unwritable = Cow<'static, str>;

/// A type that a function may take as a parameter: one row of an Arrow column.
///
/// `'a` is the life of the array: `&'a str` and `&'a [f64]` borrow from it, nothing is copied.
/// A null row of a type that is not `Option` is never read: the function is not called and its
/// output is null. A null within a row, an item of a list or a field of a struct, is an error of
/// that row where it is no `Option`.
///
/// | type | column |
/// |---|---|
/// | `bool` | Boolean |
/// | `i8` to `i64`, `u8` to `u64`, `f32`, `f64` | Int8 to Int64, UInt8 to UInt64, Float32, Float64 |
/// | `isize`, `usize` | Int64, UInt64 |
/// | `&str`, `String`, `Cow<str>`, `Box<str>`, `Arc<str>`, `char` | Utf8 |
/// | `&[u8]`, `Vec<u8>` | Binary |
/// | `chrono::NaiveDate` | Date32, days since 1970 |
/// | `chrono::NaiveTime` | Time64, microseconds since midnight |
/// | `chrono::NaiveDateTime` | Timestamp, microseconds since 1970, without a zone |
/// | `chrono::DateTime<Utc>` | Timestamp, microseconds since 1970, UTC |
/// | `chrono::TimeDelta`, `std::time::Duration` | Duration, microseconds |
/// | [`Decimal<P, S>`](Decimal) | Decimal128 of `P` digits, `S` after the point |
/// | [`Json<T>`](Json) | Utf8 |
/// | `Vec<T>`, slices such as `&[f64]` | List, in its order |
/// | a tuple of two to eight, a struct with `#[derive(Column)]` | Struct |
/// | `BTreeMap<String, T>`, `HashMap<String, T>` | Map, written in the order of its keys |
/// | `Option<T>`, `Box<T>` | that of `T` |
///
/// Times are read in the unit that the column has, and written in microseconds: what has no exact
/// count of them is an error of its row.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "not a column type",
    note = "a number or bool is taken by value, text as `&str` or `String`, bytes as `&[u8]`, a list as a slice of numbers or a `Vec`; `Option` of any sees nulls",
    note = "a struct of columns is one by `#[derive(Column)]`",
    note = "a model, client or other resource is a `&T` parameter marked `#[shared]`"
)]
pub trait FromColumn<'a>: Sized {
    /// The typed view of a whole array, made once per batch.
    type Column;

    /// Whether the function wants to see nulls (as `None`).
    const OPTIONAL: bool = false;

    /// The Arrow type that columns are brought to before [`FromColumn::column`] sees them;
    /// [`reads`] tells which others can be.
    fn data_type() -> DataType;

    /// The view of an array that [`conform`] returned for [`FromColumn::data_type`]; `None`
    /// for any other array.
    fn column(array: &'a ArrayRef) -> Option<Self::Column>;

    /// The value at `row`, which is in bounds and, unless `OPTIONAL`, not null.
    ///
    /// # Errors
    /// If the row holds what the type cannot, such as a null item under `Vec<i64>`.
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable>;
}

/// A parameter type that borrows nothing from its array.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be read from a column",
    label = "not a column type that borrows nothing",
    note = "a number or bool is taken by value, text as `String`, bytes as `Vec<u8>`, a list as a `Vec`; `Option` of any sees nulls",
    note = "a struct of columns is one by `#[derive(Column)]`",
    note = "a model, client or other resource is a `&T` parameter marked `#[shared]`"
)]
pub trait Owned: for<'a> FromColumn<'a> + Send + 'static {}

impl<T: Owned> Owned for Option<T> {}
impl Owned for bool {}
impl Owned for String {}
impl Owned for Vec<u8> {}
impl<T: Owned + ListItem> Owned for Vec<T> {}

/// Rows that tell how long the others are.
const SAMPLE: usize = 64;
/// How many rows are done between two looks at whether to go on.
pub(crate) const STRIDE: usize = 16;

/// A type that a function may return: it becomes one row of an Arrow column, of the type that
/// [`FromColumn`] lists for it. `None` is a null; every column that a node makes may have some.
#[diagnostic::on_unimplemented(
    message = "`{Self}` cannot be written to a column",
    label = "not a column type",
    note = "a function returns a bool, an integer, a float, `String`, `&str`, `Vec<u8>`, a `Vec` of these, an `Option` of one, a tuple or a struct with `#[derive(Column)]`, or a `Result` of one"
)]
pub trait IntoColumn: Sized {
    /// Collects values row by row.
    type Builder: Send;

    /// The Arrow type of the column.
    fn data_type() -> DataType;

    /// An empty builder with room for `rows` rows.
    fn builder(rows: usize) -> Self::Builder;

    /// Appends one row: the value or, if that cannot be held exactly, a null.
    ///
    /// # Errors
    /// If the column cannot hold the value exactly. Nothing is ever rounded or cut.
    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable>;

    /// The memory that the value takes while its row waits to be emitted, in bytes, what it owns
    /// elsewhere included; as near as can be told cheaply.
    #[inline]
    fn held_bytes(&self) -> usize {
        size_of_val(self)
    }

    /// Appends a null row.
    fn append_null(builder: &mut Self::Builder);

    /// The column of all rows appended.
    fn finish(builder: Self::Builder) -> ArrayRef;

    /// Makes room for `rows` rows in all, if the others are like those appended.
    #[inline]
    fn reserve(_: &mut Self::Builder, _rows: usize) {}

    /// The column of `rows` rows: what `value` gives for each in turn, null where `skipped` is; of
    /// the first ones only, where `is_stopped` comes true meanwhile, which is asked every 16 rows.
    ///
    /// # Errors
    /// The first that `value` gives, and a value that the column cannot hold.
    #[inline]
    fn gather(
        rows: usize,
        skipped: Option<&NullBuffer>,
        is_stopped: impl Fn() -> bool,
        mut value: impl FnMut(usize) -> Result<Self, Failure>,
    ) -> Result<ArrayRef, Failure> {
        let mut builder = Self::builder(rows);
        for row in 0..rows {
            if row % STRIDE == 0 && row > 0 && is_stopped() {
                break;
            }
            if row == SAMPLE {
                Self::reserve(&mut builder, rows);
            }
            if skipped.is_some_and(|skipped| skipped.is_null(row)) {
                Self::append_null(&mut builder);
            } else {
                let written = value(row)?.append(&mut builder);
                written.map_err(|why| Failure::unwritable(row, &why))?;
            }
        }
        Ok(Self::finish(builder))
    }
}

/// What a function may return: a column value, or a `Result` of one with any error type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a node may return",
    label = "not a column type, nor a `Result` of one",
    note = "a function returns a bool, an integer, a float, `String`, `&str`, `Vec<u8>`, a `Vec` of these, an `Option` of one, a tuple or a struct with `#[derive(Column)]`, or a `Result` of one",
    note = "the error of a `Result` is `Send`, `Sync` and a `std::error::Error`, or converts into a box of one, as `String` does"
)]
pub trait NodeOutput {
    /// The column value.
    type Value: IntoColumn;

    /// The value, or the user's error as it is.
    fn into_output(self) -> Result<Self::Value, crate::BoxError>;
}

impl<T: IntoColumn> NodeOutput for T {
    type Value = T;

    #[inline]
    fn into_output(self) -> Result<T, crate::BoxError> {
        Ok(self)
    }
}

impl<T: IntoColumn, E: Into<crate::BoxError>> NodeOutput for Result<T, E> {
    type Value = T;

    #[inline]
    fn into_output(self) -> Result<T, crate::BoxError> {
        self.map_err(Into::into)
    }
}
