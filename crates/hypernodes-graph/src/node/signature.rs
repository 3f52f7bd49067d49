//! What a node takes and makes, by names and types.

use std::any::{TypeId, type_name};

use arrow::array::ArrayRef;
use arrow::datatypes::DataType;

use crate::value::{ColumnArray, FromColumn};

/// A parameter that is a column.
#[derive(Debug, Clone, PartialEq)]
pub struct Parameter {
    /// The column's name.
    pub name: String,
    /// The type the function reads; [`reads`](crate::reads) tells which columns fit.
    pub data_type: DataType,
    /// Whether the function sees nulls. If not, a null row is not called for and gives null.
    pub optional: bool,
    /// Whether it must be the same in every row: a parameter of a batch function that is no
    /// array. It is bound, given as one item, or a literal in SQL.
    pub constant: bool,
    /// Its value where none is given: an array of one row.
    pub default: Option<ArrayRef>,
}

impl Parameter {
    /// A parameter that reads a column as `T`.
    pub fn of<T: FromColumn<'static>>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_type: T::data_type(),
            optional: T::OPTIONAL,
            constant: false,
            default: None,
        }
    }

    /// A parameter that is a whole array, nulls included.
    pub fn of_array<T: ColumnArray>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_type: T::column_type(),
            optional: true,
            constant: false,
            default: None,
        }
    }
}

/// A parameter that is a resource, the same for all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedParameter {
    /// The name it is bound by.
    pub name: String,
    /// The type it must have.
    pub type_id: TypeId,
    /// That type's name, for messages.
    pub type_name: &'static str,
}

impl SharedParameter {
    /// A resource of type `T`.
    pub fn of<T: 'static>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
        }
    }
}

/// A column that a node makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The column's name.
    pub name: String,
    /// The column's type. Every output column may hold nulls.
    pub data_type: DataType,
}

/// One name, or several: `"a"`, `["a", "b"]`, a `Vec` or slice of text, in an order that counts.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is neither a name nor several",
    note = "give `\"a\"`, `[\"a\", \"b\"]`, or a `Vec` or slice of text"
)]
pub trait Names {
    /// The names, in their order.
    fn names(&self) -> Vec<&str>;
}

impl Names for str {
    fn names(&self) -> Vec<&str> {
        vec![self]
    }
}

impl Names for String {
    fn names(&self) -> Vec<&str> {
        vec![self]
    }
}

impl<const N: usize> Names for [&str; N] {
    fn names(&self) -> Vec<&str> {
        self.to_vec()
    }
}

impl<S: AsRef<str>> Names for [S] {
    fn names(&self) -> Vec<&str> {
        self.iter().map(AsRef::as_ref).collect()
    }
}

impl<S: AsRef<str>> Names for Vec<S> {
    fn names(&self) -> Vec<&str> {
        self.as_slice().names()
    }
}

impl<T: Names + ?Sized> Names for &T {
    fn names(&self) -> Vec<&str> {
        T::names(self)
    }
}
