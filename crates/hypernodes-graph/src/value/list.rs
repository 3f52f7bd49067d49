//! Lists: `Vec<T>` of any column type, and slices of numbers borrowed from the array.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, NullBufferBuilder};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{
    DataType, Field, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type,
    UInt16Type, UInt32Type, UInt64Type,
};

use super::{FromColumn, IntoColumn, Unreadable};

const NULL_ITEM: Unreadable = "a list holds a null item; take `Vec<Option<T>>` to see it";

/// A List column and the typed view of its flattened items.
#[derive(Debug)]
pub struct ListColumn<'a, C> {
    list: &'a ListArray,
    items: C,
}

impl<C> ListColumn<'_, C> {
    /// The bounds of the row's items, which hold no null unless nulls are `allowed`.
    #[inline]
    fn bounds(&self, row: usize, allowed: bool) -> Result<std::ops::Range<usize>, Unreadable> {
        let offsets = self.list.value_offsets();
        let bounds = offsets[row] as usize..offsets[row + 1] as usize;
        match self.list.values().nulls() {
            Some(nulls) if !allowed && bounds.clone().any(|item| nulls.is_null(item)) => {
                Err(NULL_ITEM)
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
        Some(ListColumn {
            list,
            items: T::column(list.values())?,
        })
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
    label = "not an item of a list column"
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

impl<T: IntoColumn + ListItem> IntoColumn for Vec<T> {
    type Builder = ListBuilder<T::Builder>;

    fn data_type() -> DataType {
        list_of(T::data_type())
    }

    fn builder(rows: usize) -> Self::Builder {
        ListBuilder {
            items: T::builder(rows),
            ends: Vec::with_capacity(rows),
            valid: NullBufferBuilder::new(rows),
        }
    }

    fn append(self, builder: &mut Self::Builder) {
        let start = builder.ends.last().copied().unwrap_or(0);
        // More than 2^31 items in one batch wrap to a negative end, which `finish` refuses.
        builder.ends.push(start.wrapping_add(self.len() as i32));
        builder.valid.append_non_null();
        self.into_iter()
            .for_each(|item| item.append(&mut builder.items));
    }

    fn append_null(builder: &mut Self::Builder) {
        builder.ends.push(builder.ends.last().copied().unwrap_or(0));
        builder.valid.append_null();
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        let items = T::finish(builder.items);
        let offsets: Vec<i32> = std::iter::once(0).chain(builder.ends).collect();
        let offsets = OffsetBuffer::new(ScalarBuffer::from(offsets));
        let field = Arc::new(Field::new_list_field(T::data_type(), true));
        Arc::new(ListArray::new(
            field,
            offsets,
            items,
            builder.valid.finish(),
        ))
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
                Some(ListColumn { list, items })
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
