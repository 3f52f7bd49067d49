//! Types that are read and written as another: sizes as 64-bit integers, characters and shared
//! text as text, a box as what is in it.

use std::borrow::Cow;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::DataType;

use super::{FromColumn, IntoColumn, ListItem, Owned, Unreadable, Unwritable};

/// How `$t` is read from and written to the column of another type.
macro_rules! wrapped {
    ($($t:ty, $read:ty, $write:ty, $from:expr, $into:expr, $elsewhere:expr;)*) => {$(
        wrapped! { @read [] $t, $read, $from }
        wrapped! { @write [] $t, $write, $into, $elsewhere }
        impl Owned for $t {}
    )*};
    (@read [$($generics:tt)*] $t:ty, $read:ty, $from:expr) => {
        impl<'a, $($generics)*> FromColumn<'a> for $t {
            type Column = <$read as FromColumn<'a>>::Column;

            const OPTIONAL: bool = <$read as FromColumn<'a>>::OPTIONAL;

            fn data_type() -> DataType {
                <$read as FromColumn<'a>>::data_type()
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                <$read as FromColumn<'a>>::column(array)
            }

            #[inline]
            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                <$read as FromColumn<'a>>::get(column, row).and_then($from)
            }
        }
    };
    (@write [$($generics:tt)*] $t:ty, $write:ty, $into:expr, $elsewhere:expr) => {
        impl<$($generics)*> ListItem for $t {}

        impl<$($generics)*> IntoColumn for $t {
            type Builder = <$write as IntoColumn>::Builder;

            fn data_type() -> DataType {
                <$write as IntoColumn>::data_type()
            }

            fn builder(rows: usize) -> Self::Builder {
                <$write as IntoColumn>::builder(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                $into(self, builder)
            }

            #[inline]
            fn held_bytes(&self) -> usize {
                size_of_val(self) + $elsewhere(self)
            }

            #[inline]
            fn append_null(builder: &mut Self::Builder) {
                <$write as IntoColumn>::append_null(builder);
            }

            fn reserve(builder: &mut Self::Builder, rows: usize) {
                <$write as IntoColumn>::reserve(builder, rows);
            }

            fn finish(builder: Self::Builder) -> ArrayRef {
                <$write as IntoColumn>::finish(builder)
            }
        }
    };
}

fn one_character(text: &str) -> Result<char, Unreadable> {
    let mut characters = text.chars();
    match (characters.next(), characters.next()) {
        (Some(only), None) => Ok(only),
        _ => Err("the text is not one character, which `char` is".into()),
    }
}

fn size<T, U: TryFrom<T>>(size: T) -> Result<U, Unreadable> {
    size.try_into()
        .map_err(|_| "the size is beyond those of this machine".into())
}

fn text(text: impl AsRef<str>, builder: &mut StringBuilder) -> Result<(), Unwritable> {
    text.as_ref().append(builder)
}

fn str_bytes(text: impl AsRef<str>) -> usize {
    text.as_ref().len()
}

// Sizes are written as they are: no machine that Rust runs on has more than 64 bits.
wrapped! {
    usize, u64, u64, size, |size, builder| (size as u64).append(builder), |_| 0;
    isize, i64, i64, size, |size, builder| (size as i64).append(builder), |_| 0;
    char, &'a str, &'static str, one_character,
        |character: char, builder| text(character.encode_utf8(&mut [0; 4]), builder), |_| 0;
    Arc<str>, &'a str, &'static str, |text| Ok(text.into()), text, str_bytes;
    Box<str>, &'a str, &'static str, |text| Ok(text.into()), text, str_bytes;
}

wrapped! { @read [] Cow<'a, str>, &'a str, |text| Ok(Cow::Borrowed(text)) }
wrapped! { @write ['a] Cow<'a, str>, &'static str, text, str_bytes }

wrapped! { @read [T: FromColumn<'a>] Box<T>, T, |value| Ok(Box::new(value)) }
wrapped! { @write [T: IntoColumn] Box<T>, T, |value: Self, builder| T::append(*value, builder), |value: &Self| T::held_bytes(value) }
impl<T: Owned> Owned for Box<T> {}
