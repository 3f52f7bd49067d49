//! Nullable values.

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use super::{FromColumn, IntoColumn, Unreadable, Unwritable};

impl<'a, T: FromColumn<'a>> FromColumn<'a> for Option<T> {
    type Column = (Option<&'a NullBuffer>, T::Column);

    const OPTIONAL: bool = true;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        Some((array.nulls(), T::column(array)?))
    }

    #[inline]
    fn get((nulls, column): &Self::Column, row: usize) -> Result<Self, Unreadable> {
        match nulls {
            Some(nulls) if nulls.is_null(row) => Ok(None),
            _ => T::get(column, row).map(Some),
        }
    }
}

impl<T: IntoColumn> IntoColumn for Option<T> {
    type Builder = T::Builder;

    fn data_type() -> DataType {
        T::data_type()
    }

    fn builder(rows: usize) -> Self::Builder {
        T::builder(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        match self {
            Some(value) => value.append(builder),
            None => {
                T::append_null(builder);
                Ok(())
            }
        }
    }

    #[inline]
    fn held_bytes(&self) -> usize {
        let elsewhere = |value: &T| value.held_bytes().saturating_sub(size_of_val(value));
        size_of_val(self) + self.as_ref().map_or(0, elsewhere)
    }

    #[inline]
    fn append_null(builder: &mut Self::Builder) {
        T::append_null(builder);
    }

    fn reserve(builder: &mut Self::Builder, rows: usize) {
        T::reserve(builder, rows);
    }

    fn finish(builder: Self::Builder) -> ArrayRef {
        T::finish(builder)
    }
}
