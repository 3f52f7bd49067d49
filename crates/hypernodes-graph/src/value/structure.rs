//! Structs by `#[derive(Column)]`, and tuples: a field is a column of its own.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, NullBufferBuilder, StructArray};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field, Fields};

use super::{FromColumn, IntoColumn, ListItem, Owned, Unreadable, Unwritable};

/// A type that becomes a Struct column: a struct by `#[derive(Column)]`, a tuple of two to eight
/// columns, whose fields are called `0`, `1` and so on, or an `Option` of one.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not several columns",
    label = "neither a tuple of columns nor a struct that derives `Column`",
    note = "for several outputs return a tuple such as `(i64, String)`, or a struct with `#[derive(Column)]`"
)]
pub trait StructColumn: IntoColumn {
    /// The number of fields.
    const ARITY: usize;

    /// The fields in their order, by name and type.
    fn fields() -> Vec<(&'static str, DataType)>;
}

impl<T: StructColumn> StructColumn for Option<T> {
    const ARITY: usize = T::ARITY;

    fn fields() -> Vec<(&'static str, DataType)> {
        T::fields()
    }
}

/// The Struct of these fields, each of which may be null.
pub fn struct_type(fields: Vec<(&'static str, DataType)>) -> DataType {
    DataType::Struct(arrow_fields(fields))
}

fn arrow_fields(fields: Vec<(&'static str, DataType)>) -> Fields {
    let fields = fields.into_iter();
    fields
        .map(|(name, data_type)| Field::new(name, data_type, true))
        .collect()
}

/// The typed view of one field of a Struct column.
pub struct FieldColumn<'a, T: FromColumn<'a>> {
    /// Of a field that is no `Option`.
    nulls: Option<&'a NullBuffer>,
    column: T::Column,
}

impl<'a, T: FromColumn<'a>> FieldColumn<'a, T> {
    /// The field at `index` of a Struct array; `None` if it is of another type.
    pub fn of(array: &'a ArrayRef, index: usize) -> Option<Self> {
        Self::new(array.as_struct_opt()?.columns().get(index)?)
    }

    /// A column that stands beside others; `None` if it is of another type.
    pub(super) fn new(field: &'a ArrayRef) -> Option<Self> {
        Some(Self {
            nulls: field.nulls().filter(|_| !T::OPTIONAL),
            column: T::column(field)?,
        })
    }

    /// The field's value at `row`; `name` is what errors call it.
    ///
    /// # Errors
    /// If it is null and no `Option`, or cannot be read.
    #[inline]
    pub fn get(&self, row: usize, name: &str) -> Result<T, Unreadable> {
        if self.nulls.is_some_and(|nulls| nulls.is_null(row)) {
            return Err(format!("field {name:?} is null; make it an `Option` to see it").into());
        }
        T::get(&self.column, row).map_err(|why| format!("field {name:?}: {why}").into())
    }
}

/// Collects structs: a tuple of the fields' builders, and which rows are not null.
#[derive(Debug)]
pub struct StructBuilder<B> {
    /// The builders of the fields.
    pub fields: B,
    valid: NullBufferBuilder,
}

impl<B> StructBuilder<B> {
    /// With the fields' builders, all empty.
    pub fn new(rows: usize, fields: B) -> Self {
        Self {
            fields,
            valid: NullBufferBuilder::new(rows),
        }
    }

    /// Ends a row to which each field has appended its own; what a field refused makes it null.
    ///
    /// # Errors
    /// `written`.
    #[inline]
    pub fn end_row(&mut self, written: Result<(), Unwritable>) -> Result<(), Unwritable> {
        self.valid.append(written.is_ok());
        written
    }

    /// Ends a row to which each field has appended a null.
    pub fn end_null(&mut self) {
        self.valid.append_null();
    }

    /// The column, of the fields' columns that `finish` makes of their builders.
    pub fn finish(
        mut self,
        fields: Vec<(&'static str, DataType)>,
        finish: impl FnOnce(B) -> Vec<ArrayRef>,
    ) -> ArrayRef {
        let nulls = self.valid.finish();
        Arc::new(StructArray::new(
            arrow_fields(fields),
            finish(self.fields),
            nulls,
        ))
    }
}

/// What a field wrote, its error with the field's name.
///
/// # Errors
/// The field's.
#[inline]
pub fn field_written(name: &str, written: Result<(), Unwritable>) -> Result<(), Unwritable> {
    written.map_err(|why| format!("field {name:?}: {why}").into())
}

macro_rules! tuples {
    ($(($($t:ident $i:tt)+) $arity:literal;)*) => {$(
        impl<'a, $($t: FromColumn<'a>),+> FromColumn<'a> for ($($t,)+) {
            type Column = ($(FieldColumn<'a, $t>,)+);

            fn data_type() -> DataType {
                struct_type(vec![$((stringify!($i), $t::data_type())),+])
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                Some(($(FieldColumn::<$t>::of(array, $i)?,)+))
            }

            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                Ok(($(column.$i.get(row, stringify!($i))?,)+))
            }
        }

        impl<$($t: Owned),+> Owned for ($($t,)+) {}
        impl<$($t),+> ListItem for ($($t,)+) {}

        impl<$($t: IntoColumn),+> StructColumn for ($($t,)+) {
            const ARITY: usize = $arity;

            fn fields() -> Vec<(&'static str, DataType)> {
                vec![$((stringify!($i), $t::data_type())),+]
            }
        }

        impl<$($t: IntoColumn),+> IntoColumn for ($($t,)+) {
            type Builder = StructBuilder<($($t::Builder,)+)>;

            fn data_type() -> DataType {
                struct_type(Self::fields())
            }

            fn builder(rows: usize) -> Self::Builder {
                StructBuilder::new(rows, ($($t::builder(rows),)+))
            }

            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                let fields = &mut builder.fields;
                let written = Ok(())
                    $(.and(field_written(stringify!($i), self.$i.append(&mut fields.$i))))+;
                builder.end_row(written)
            }

            fn held_bytes(&self) -> usize {
                0 $(+ self.$i.held_bytes())+
            }

            fn append_null(builder: &mut Self::Builder) {
                $($t::append_null(&mut builder.fields.$i);)+
                builder.end_null();
            }

            fn finish(builder: Self::Builder) -> ArrayRef {
                builder.finish(Self::fields(), |fields| vec![$($t::finish(fields.$i)),+])
            }
        }
    )*};
}

tuples! {
    (A 0 B 1) 2;
    (A 0 B 1 C 2) 3;
    (A 0 B 1 C 2 D 3) 4;
    (A 0 B 1 C 2 D 3 E 4) 5;
    (A 0 B 1 C 2 D 3 E 4 F 5) 6;
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6) 7;
    (A 0 B 1 C 2 D 3 E 4 F 5 G 6 H 7) 8;
}
