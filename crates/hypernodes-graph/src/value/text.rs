//! Text and bytes, borrowed from the array in any of Arrow's three layouts.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayBuilder, ArrayRef, AsArray, BinaryArray, BinaryBuilder, BinaryViewArray,
    LargeBinaryArray, LargeStringArray, StringArray, StringBuilder, StringViewArray,
};
use arrow::datatypes::DataType;

use super::{FromColumn, IntoColumn, Unreadable, Unwritable};

const TOO_LONG: &str = "more than 2 GiB of text or bytes in one batch";

/// How much longer the rows to come may be than those before, where room is made for them.
const SPARE: f64 = 1.125;
/// The most bytes that room is made for.
const ROOM: usize = 1 << 22;

/// A column of text: Utf8, LargeUtf8 or Utf8View.
#[derive(Debug, Clone, Copy)]
pub enum TextColumn<'a> {
    /// 32-bit offsets.
    Utf8(&'a StringArray),
    /// 64-bit offsets.
    Large(&'a LargeStringArray),
    /// Views; what DataFusion reads from Parquet.
    View(&'a StringViewArray),
}

/// A column of bytes: Binary, LargeBinary or BinaryView.
#[derive(Debug, Clone, Copy)]
pub enum BytesColumn<'a> {
    /// 32-bit offsets.
    Binary(&'a BinaryArray),
    /// 64-bit offsets.
    Large(&'a LargeBinaryArray),
    /// Views; what DataFusion reads from Parquet.
    View(&'a BinaryViewArray),
}

impl<'a> FromColumn<'a> for &'a str {
    type Column = TextColumn<'a>;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        match array.data_type() {
            DataType::Utf8 => array.as_string_opt::<i32>().map(TextColumn::Utf8),
            DataType::LargeUtf8 => array.as_string_opt::<i64>().map(TextColumn::Large),
            DataType::Utf8View => array.as_string_view_opt().map(TextColumn::View),
            _ => None,
        }
    }

    #[inline]
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        Ok(match column {
            TextColumn::Utf8(array) => array.value(row),
            TextColumn::Large(array) => array.value(row),
            TextColumn::View(array) => array.value(row),
        })
    }
}

impl<'a> FromColumn<'a> for &'a [u8] {
    type Column = BytesColumn<'a>;

    fn data_type() -> DataType {
        DataType::Binary
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        match array.data_type() {
            DataType::Binary => array.as_binary_opt::<i32>().map(BytesColumn::Binary),
            DataType::LargeBinary => array.as_binary_opt::<i64>().map(BytesColumn::Large),
            DataType::BinaryView => array.as_binary_view_opt().map(BytesColumn::View),
            _ => None,
        }
    }

    #[inline]
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        Ok(match column {
            BytesColumn::Binary(array) => array.value(row),
            BytesColumn::Large(array) => array.value(row),
            BytesColumn::View(array) => array.value(row),
        })
    }
}

/// Whether 32-bit offsets reach the end of `more` bytes or items after `held`.
#[inline]
pub(super) fn fits(held: usize, more: usize) -> bool {
    held.checked_add(more)
        .is_some_and(|end| i32::try_from(end).is_ok())
}

macro_rules! owned {
    ($($owned:ty, $borrowed:ty, $column:ident, $builder:ty);* $(;)?) => {$(
        impl<'a> FromColumn<'a> for $owned {
            type Column = $column<'a>;

            fn data_type() -> DataType {
                <&$borrowed as FromColumn>::data_type()
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                <&$borrowed>::column(array)
            }

            #[inline]
            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                <&$borrowed>::get(column, row).map(Into::into)
            }
        }

        impl IntoColumn for &$borrowed {
            type Builder = $builder;

            fn data_type() -> DataType {
                <&$borrowed as FromColumn>::data_type()
            }

            fn builder(rows: usize) -> Self::Builder {
                <$builder>::with_capacity(rows, 0)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                if !fits(builder.values_slice().len(), self.len()) {
                    builder.append_null();
                    return Err(TOO_LONG.into());
                }
                builder.append_value(self);
                Ok(())
            }

            #[inline]
            fn append_null(builder: &mut Self::Builder) {
                builder.append_null();
            }

            fn reserve(builder: &mut Self::Builder, rows: usize) {
                let appended = builder.len().max(1) as f64;
                let bytes = builder.values_slice().len() as f64 / appended * rows as f64;
                let mut roomy = <$builder>::with_capacity(rows, ((bytes * SPARE) as usize).min(ROOM));
                if roomy.append_array(&builder.finish_cloned()).is_ok() {
                    *builder = roomy;
                }
            }

            fn finish(mut builder: Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }
        }

        impl IntoColumn for $owned {
            type Builder = $builder;

            fn data_type() -> DataType {
                <&$borrowed as IntoColumn>::data_type()
            }

            fn builder(rows: usize) -> Self::Builder {
                <&$borrowed as IntoColumn>::builder(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                <&$borrowed>::append(&self, builder)
            }

            #[inline]
            fn held_bytes(&self) -> usize {
                size_of_val(self) + self.capacity()
            }

            #[inline]
            fn append_null(builder: &mut Self::Builder) {
                builder.append_null();
            }

            fn reserve(builder: &mut Self::Builder, rows: usize) {
                <&$borrowed as IntoColumn>::reserve(builder, rows);
            }

            fn finish(builder: Self::Builder) -> ArrayRef {
                <&$borrowed as IntoColumn>::finish(builder)
            }
        }
    )*};
}

owned! {
    String, str, TextColumn, StringBuilder;
    Vec<u8>, [u8], BytesColumn, BinaryBuilder;
}
