//! Booleans, integers and floats.

use std::sync::Arc;

use arrow::array::{
    ArrayRef, AsArray, BooleanArray, BooleanBuilder, PrimitiveArray, PrimitiveBuilder,
};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{
    ArrowPrimitiveType, DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type,
    Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};

use super::{FromColumn, IntoColumn, Owned, STRIDE, Unreadable, Unwritable};
use crate::columns::Failure;

macro_rules! primitives {
    ($($native:ty => $arrow:ty),* $(,)?) => {$(
        impl<'a> FromColumn<'a> for $native {
            type Column = &'a [$native];

            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn column(array: &'a ArrayRef) -> Option<Self::Column> {
                Some(array.as_primitive_opt::<$arrow>()?.values())
            }

            #[inline]
            fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
                Ok(column[row])
            }
        }

        impl Owned for $native {}

        impl IntoColumn for $native {
            type Builder = PrimitiveBuilder<$arrow>;

            fn data_type() -> DataType {
                <$arrow>::DATA_TYPE
            }

            fn builder(rows: usize) -> Self::Builder {
                PrimitiveBuilder::with_capacity(rows)
            }

            #[inline]
            fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
                builder.append_value(self);
                Ok(())
            }

            #[inline]
            fn append_null(builder: &mut Self::Builder) {
                builder.append_null();
            }

            fn finish(mut builder: Self::Builder) -> ArrayRef {
                Arc::new(builder.finish())
            }

            /// Written in place, with the nulls as they are: a loop without branches of ours.
            #[inline]
            fn gather(
                rows: usize,
                skipped: Option<&NullBuffer>,
                is_stopped: impl Fn() -> bool,
                mut value: impl FnMut(usize) -> Result<Self, Failure>,
            ) -> Result<ArrayRef, Failure> {
                let mut values = vec![Self::default(); rows];
                let mut done = 0;
                for stride in values.chunks_mut(STRIDE) {
                    if done > 0 && is_stopped() {
                        break;
                    }
                    match skipped {
                        None => {
                            for (row, slot) in (done..).zip(&mut *stride) {
                                *slot = value(row)?;
                            }
                        }
                        Some(skipped) => {
                            for (row, slot) in (done..).zip(&mut *stride) {
                                if skipped.is_valid(row) {
                                    *slot = value(row)?;
                                }
                            }
                        }
                    }
                    done += stride.len();
                }
                values.truncate(done);
                let nulls = skipped.map(|skipped| skipped.slice(0, done));
                let nulls = nulls.filter(|nulls| nulls.null_count() > 0);
                Ok(Arc::new(PrimitiveArray::<$arrow>::new(values.into(), nulls)))
            }
        }
    )*};
}

primitives! {
    i8 => Int8Type,
    i16 => Int16Type,
    i32 => Int32Type,
    i64 => Int64Type,
    u8 => UInt8Type,
    u16 => UInt16Type,
    u32 => UInt32Type,
    u64 => UInt64Type,
    f32 => Float32Type,
    f64 => Float64Type,
}

impl<'a> FromColumn<'a> for bool {
    type Column = &'a BooleanArray;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        array.as_boolean_opt()
    }

    #[inline]
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        Ok(column.value(row))
    }
}

impl IntoColumn for bool {
    type Builder = BooleanBuilder;

    fn data_type() -> DataType {
        DataType::Boolean
    }

    fn builder(rows: usize) -> Self::Builder {
        BooleanBuilder::with_capacity(rows)
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        builder.append_value(self);
        Ok(())
    }

    #[inline]
    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
