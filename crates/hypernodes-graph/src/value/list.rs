//! Lists: `Vec<T>` of any column type, and slices of numbers borrowed from the array.

use std::ops::Range;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, NullBufferBuilder};
use arrow::buffer::{NullBuffer, OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::text::fits;
use super::{FromColumn, IntoColumn, Unreadable, Unwritable};

const TOO_MANY: &str = "more than 2^31 - 1 items of lists in one batch";
const NULL_ITEM: &str = "a list holds a null item; take `Vec<Option<T>>` to see it";

/// A List column, or another of the same layout, and the typed view of its flattened items.
#[derive(Debug)]
pub struct ListColumn<'a, C> {
    offsets: &'a [i32],
    /// Of the items.
    nulls: Option<&'a NullBuffer>,
    items: C,
}

impl<'a, C> ListColumn<'a, C> {
    pub(super) fn new(offsets: &'a [i32], nulls: Option<&'a NullBuffer>, items: C) -> Self {
        Self {
            offsets,
            nulls,
            items,
        }
    }

    pub(super) fn items(&self) -> &C {
        &self.items
    }

    /// The bounds of the row's items, which hold no null unless nulls are `allowed`.
    #[inline]
    pub(super) fn bounds(&self, row: usize, allowed: bool) -> Result<Range<usize>, Unreadable> {
        let bounds = self.offsets[row] as usize..self.offsets[row + 1] as usize;
        match self.nulls {
            Some(nulls) if !allowed && bounds.clone().any(|item| nulls.is_null(item)) => {
                Err(NULL_ITEM.into())
            }
            _ => Ok(bounds),
        }
    }
}

fn list_of(item: DataType) -> DataType {
    DataType::List(Arc::new(Field::new_list_field(item, true)))
}

impl<'a, T: FromColumn<'a> + ListItem> FromColumn<'a> for Vec<T> {
    type Column = ListColumn<'a, T::Column>;

    fn data_type() -> DataType {
        list_of(T::data_type())
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        let list = array.as_list_opt::<i32>()?;
        let items = T::column(list.values())?;
        Some(ListColumn::new(
            list.value_offsets(),
            list.values().nulls(),
            items,
        ))
    }

    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        column
            .bounds(row, T::OPTIONAL)?
            .map(|item| T::get(&column.items, item))
            .collect()
    }
}

/// A type that `Vec<T>` reads and writes as a List: every column type but `u8`, as `Vec<u8>`
/// is Binary.
#[diagnostic::on_unimplemented(
    message = "a `Vec` of `{Self}` is not a column type",
    label = "not an item of a list column",
    note = "an item is any column type but `u8`; a struct becomes one by `#[derive(Column)]`"
)]
pub trait ListItem {}

impl ListItem for bool {}
impl ListItem for String {}
impl ListItem for &str {}
impl<T: ListItem> ListItem for Vec<T> {}
impl ListItem for Vec<u8> {}
impl<T: ListItem> ListItem for Option<T> {}

/// Collects lists: the items' builder, the end of each row, and which rows are not null.
#[derive(Debug)]
pub struct ListBuilder<B> {
    items: B,
    ends: Vec<i32>,
    valid: NullBufferBuilder,
}

impl<B> ListBuilder<B> {
    pub(super) fn new(rows: usize, items: B) -> Self {
        Self {
            items,
            ends: Vec::with_capacity(rows),
            valid: NullBufferBuilder::new(rows),
        }
    }

    fn end(&self) -> i32 {
        self.ends.last().copied().unwrap_or(0)
    }

    pub(super) fn append<T: IntoColumn<Builder = B>>(
        &mut self,
        items: impl ExactSizeIterator<Item = T>,
    ) -> Result<(), Unwritable> {
        let start = self.end();
        if !fits(start as usize, items.len()) {
            self.append_null();
            return Err(TOO_MANY.into());
        }
        self.ends.push(start + items.len() as i32);
        let mut written = Ok(());
        for item in items {
            written = written.and(item.append(&mut self.items));
        }
        self.valid.append(written.is_ok());
        written
    }

    pub(super) fn append_null(&mut self) {
        self.ends.push(self.end());
        self.valid.append_null();
    }

    /// The items' builder, where each row begins and ends, and which rows are null.
    pub(super) fn into_parts(mut self) -> (B, OffsetBuffer<i32>, Option<NullBuffer>) {
        let offsets: Vec<i32> = std::iter::once(0).chain(self.ends).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        (self.items, offsets, self.valid.finish())
    }
}

impl<T: IntoColumn + ListItem> IntoColumn for Vec<T> {
    type Builder = ListBuilder<T::Builder>;

    fn data_type() -> DataType {
        list_of(T::data_type())
    }

    fn builder(rows: usize) -> Self::Builder {
        ListBuilder::new(rows, T::builder(rows))
    }

    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        builder.append(self.into_iter())
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self) + self.iter().map(T::held_bytes).sum::<usize>()
    }

    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(builder: Self::Builder) -> ArrayRef {
        let (items, offsets, nulls) = builder.into_parts();
        let field = Arc::new(Field::new_list_field(T::data_type(), true));
        Arc::new(ListArray::new(field, offsets, T::finish(items), nulls))
    }
}

macro_rules! slices {
    ($($native:ty => $arrow:ty),* $(,)?) => {$(
        impl ListItem for $native {}

        impl<'a> FromColumn<'a> for &'a [$native] {
            type Column = ListColumn<'a, &'a [$native]>;

            fn data_type() -> DataType {
                <Vec<$native> as FromColumn>::data_type()
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                let list = array.as_list_opt::<i32>()?;
                let items = list.values().as_primitive_opt::<$arrow>()?.values();
                Some(ListColumn::new(list.value_offsets(), list.values().nulls(), items))
            }

            #[inline]
            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                Ok(&column.items[column.bounds(row, false)?])
            }
        }
    )*};
}

slices! {
    i8 => Int8Type,
    i16 => Int16Type,
    i32 => Int32Type,
    i64 => Int64Type,
    u16 => UInt16Type,
    u32 => UInt32Type,
    u64 => UInt64Type,
    f32 => Float32Type,
    f64 => Float64Type,
}

#[cfg(test)]
mod tests {
    use super::*;

    /// An item without size, so that lists beyond all offsets cost nothing.
    #[derive(Clone, Copy)]
    struct Nothing;

    impl ListItem for Nothing {}

    impl IntoColumn for Nothing {
        type Builder = Vec<Option<bool>>;

        fn data_type() -> DataType {
            DataType::Boolean
        }

        fn builder(_: usize) -> Self::Builder {
            Vec::new()
        }

        fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
            builder.push(None);
            Err("nothing cannot be held".into())
        }

        fn append_null(builder: &mut Self::Builder) {
            builder.push(None);
        }

        fn finish(builder: Self::Builder) -> ArrayRef {
            Arc::new(arrow::array::BooleanArray::from(builder))
        }
    }

    #[test]
    fn a_row_that_cannot_be_held_is_an_error_and_a_null() {
        const BEYOND: usize = 1 << 31;
        let mut builder = Vec::<Nothing>::builder(3);
        let beyond: Box<[Nothing]> = Box::new([Nothing; BEYOND]);
        let refused = beyond.into_vec().append(&mut builder);
        assert_eq!(refused, Err(Unwritable::from(TOO_MANY)));
        assert!(vec![Nothing, Nothing].append(&mut builder).is_err());
        assert!(Vec::<Nothing>::new().append(&mut builder).is_ok());
        let column = Vec::<Nothing>::finish(builder);
        assert_eq!(column.len(), 3);
        assert!(column.is_null(0) && column.is_null(1) && column.is_valid(2));
    }

    #[test]
    fn bytes_beyond_the_offsets_are_refused() {
        // Never touched, so never more than an address.
        let beyond = vec![0_u8; 1 << 31];
        let mut builder = <&[u8] as IntoColumn>::builder(2);
        assert!(beyond.as_slice().append(&mut builder).is_err());
        assert!(b"held".as_slice().append(&mut builder).is_ok());
        let column = <&[u8] as IntoColumn>::finish(builder);
        assert!(column.is_null(0) && column.is_valid(1));
    }
}
