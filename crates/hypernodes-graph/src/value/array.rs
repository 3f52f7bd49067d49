//! Whole arrays, for batch functions.

use std::sync::Arc;

use arrow::array::{
    Array, ArrayRef, BinaryArray, BooleanArray, Date32Array, Float32Array, Float64Array, Int8Array,
    Int16Array, Int32Array, Int64Array, StringArray, UInt8Array, UInt16Array, UInt32Array,
    UInt64Array,
};
use arrow::compute::cast;
use arrow::datatypes::DataType;

use super::{InputValue, IntoInput};

/// An array type that says which column it is.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not an array type that a batch function takes or returns",
    label = "not an array of a known column type",
    note = "take and return `Int64Array`, `Float64Array`, `BooleanArray`, `StringArray` and the like; a dictionary or a view is read as its plain array"
)]
pub trait ColumnArray: Array + Clone + 'static {
    /// The column's type.
    fn column_type() -> DataType;
}

macro_rules! arrays {
    ($($array:ident => $data_type:ident),* $(,)?) => {$(
        impl ColumnArray for $array {
            fn column_type() -> DataType {
                DataType::$data_type
            }
        }

        impl IntoInput for $array {
            fn into_input(self) -> InputValue {
                InputValue::Column(Arc::new(self))
            }
        }
    )*};
}

arrays! {
    BooleanArray => Boolean,
    Int8Array => Int8,
    Int16Array => Int16,
    Int32Array => Int32,
    Int64Array => Int64,
    UInt8Array => UInt8,
    UInt16Array => UInt16,
    UInt32Array => UInt32,
    UInt64Array => UInt64,
    Float32Array => Float32,
    Float64Array => Float64,
    StringArray => Utf8,
    BinaryArray => Binary,
    Date32Array => Date32,
}

/// The array as `T`, converted from another layout of the same type if need be.
pub(crate) fn downcast<T: ColumnArray>(array: &ArrayRef) -> Option<T> {
    if let Some(array) = array.as_any().downcast_ref::<T>() {
        return Some(array.clone());
    }
    let plain = cast(array, &T::column_type()).ok()?;
    plain.as_any().downcast_ref::<T>().cloned()
}

/// What a batch function may return: an array, or a `Result` of one with any error type.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not what a batch function may return",
    label = "not an array type, nor a `Result` of one"
)]
pub trait BatchOutput {
    /// The array.
    type Array: ColumnArray;

    /// The array, or the user's error as it is.
    ///
    /// # Errors
    /// The user's error.
    fn into_array(self) -> Result<ArrayRef, crate::BoxError>;
}

impl<T: ColumnArray> BatchOutput for T {
    type Array = T;

    fn into_array(self) -> Result<ArrayRef, crate::BoxError> {
        Ok(Arc::new(self))
    }
}

impl<T: ColumnArray, E: Into<crate::BoxError>> BatchOutput for Result<T, E> {
    type Array = T;

    fn into_array(self) -> Result<ArrayRef, crate::BoxError> {
        self.map(|array| Arc::new(array) as ArrayRef)
            .map_err(Into::into)
    }
}
