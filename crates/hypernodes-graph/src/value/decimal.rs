//! Decimal numbers of a declared precision and scale.

use std::fmt;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, Decimal128Array, Decimal128Builder};
use arrow::datatypes::{DataType, Decimal128Type, DecimalType};

use super::{
    ColumnArray, FromColumn, InputValue, IntoColumn, IntoInput, ListItem, Owned, Unreadable,
    Unwritable,
};
use crate::{Error, ErrorKind};

const TOO_LARGE: &str = "the column holds a decimal of more digits than its type says";

/// A decimal number of at most `PRECISION` digits, `SCALE` of them after the point: a column of
/// Decimal128.
///
/// It is what a column holds, exactly; calculate in [`rust_decimal::Decimal`], which converts
/// both ways and is never rounded. A column of fewer digits, before and after the point, is
/// read too. `PRECISION` is 1 to 38, `SCALE` 0 to `PRECISION`; others do not compile.
///
/// ```
/// use hypernodes_graph::{Decimal, Node};
/// use rust_decimal::Decimal as Number;
///
/// let taxed = Node::map("taxed", ["price"], |price: Decimal<10, 2>| {
///     Decimal::<14, 4>::try_from(Number::try_from(price)? * Number::new(119, 2))
/// });
/// let price = Decimal::<10, 2>::try_from(Number::new(99, 1))?;
/// assert_eq!(price.unscaled(), 990);
/// assert_eq!(price.to_string(), "9.90");
/// assert!(Decimal::<10, 2>::try_from(Number::new(1, 3)).is_err());
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Decimal<const PRECISION: u8, const SCALE: i8>(i128);

impl<const PRECISION: u8, const SCALE: i8> Decimal<PRECISION, SCALE> {
    /// The number that is `unscaled` times 10 to the power of minus `SCALE`; `None` if it has
    /// more than `PRECISION` digits.
    #[inline]
    pub fn from_unscaled(unscaled: i128) -> Option<Self> {
        Decimal128Type::is_valid_decimal_precision(unscaled, PRECISION).then_some(Self(unscaled))
    }

    /// The number times 10 to the power of `SCALE`.
    pub fn unscaled(self) -> i128 {
        self.0
    }

    fn column_type() -> DataType {
        const {
            assert!(
                PRECISION >= 1 && PRECISION <= 38 && SCALE >= 0 && SCALE as u8 <= PRECISION,
                "a decimal has a precision of 1 to 38 and a scale of 0 to its precision"
            );
        }
        DataType::Decimal128(PRECISION, SCALE)
    }
}

impl<const PRECISION: u8, const SCALE: i8> fmt::Display for Decimal<PRECISION, SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&Decimal128Type::format_decimal(self.0, PRECISION, SCALE))
    }
}

impl<const PRECISION: u8, const SCALE: i8> fmt::Debug for Decimal<PRECISION, SCALE> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Exact: a number that has more digits, before or after the point, is an error.
impl<const PRECISION: u8, const SCALE: i8> TryFrom<rust_decimal::Decimal>
    for Decimal<PRECISION, SCALE>
{
    type Error = Error;

    fn try_from(number: rust_decimal::Decimal) -> Result<Self, Error> {
        let (mantissa, places) = (number.mantissa(), number.scale());
        let unscaled = match (SCALE as u32).checked_sub(places) {
            Some(more) => 10_i128
                .checked_pow(more)
                .and_then(|power| mantissa.checked_mul(power)),
            None => {
                let power = 10_i128.checked_pow(places - SCALE as u32);
                power
                    .filter(|power| mantissa % power == 0)
                    .map(|power| mantissa / power)
            }
        };
        unscaled.and_then(Self::from_unscaled).ok_or_else(|| {
            let message = format!(
                "{number} is no decimal of {PRECISION} digits, {SCALE} of them after the point"
            );
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

/// Exact: `rust_decimal` holds 28 digits, and a number of more is an error.
impl<const PRECISION: u8, const SCALE: i8> TryFrom<Decimal<PRECISION, SCALE>>
    for rust_decimal::Decimal
{
    type Error = Error;

    fn try_from(number: Decimal<PRECISION, SCALE>) -> Result<Self, Error> {
        Self::try_from_i128_with_scale(number.0, SCALE as u32).map_err(|_| {
            let message = format!("{number} has too many digits to calculate with");
            Error::new(ErrorKind::InvalidInput, message)
        })
    }
}

impl<'a, const PRECISION: u8, const SCALE: i8> FromColumn<'a> for Decimal<PRECISION, SCALE> {
    type Column = &'a Decimal128Array;

    fn data_type() -> DataType {
        Self::column_type()
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        let typed = *array.data_type() == Self::column_type();
        typed.then(|| array.as_primitive())
    }

    #[inline]
    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        Self::from_unscaled(column.values()[row]).ok_or(TOO_LARGE.into())
    }
}

impl<const PRECISION: u8, const SCALE: i8> Owned for Decimal<PRECISION, SCALE> {}
impl<const PRECISION: u8, const SCALE: i8> ListItem for Decimal<PRECISION, SCALE> {}

impl<const PRECISION: u8, const SCALE: i8> IntoColumn for Decimal<PRECISION, SCALE> {
    type Builder = Decimal128Builder;

    fn data_type() -> DataType {
        Self::column_type()
    }

    fn builder(rows: usize) -> Self::Builder {
        Decimal128Builder::with_capacity(rows).with_data_type(Self::column_type())
    }

    #[inline]
    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        builder.append_value(self.0);
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

/// Decimals of a declared precision and scale, for batch functions; one that is returned with
/// another precision or scale is an error.
#[derive(Debug, Clone)]
pub struct DecimalArray<const PRECISION: u8, const SCALE: i8>(pub Decimal128Array);

impl<const PRECISION: u8, const SCALE: i8> std::ops::Deref for DecimalArray<PRECISION, SCALE> {
    type Target = Decimal128Array;

    fn deref(&self) -> &Self::Target {
        &self.0
    }
}

impl<const PRECISION: u8, const SCALE: i8> ColumnArray for DecimalArray<PRECISION, SCALE> {
    fn column_type() -> DataType {
        Decimal::<PRECISION, SCALE>::column_type()
    }

    fn from_array(array: &ArrayRef) -> Option<Self> {
        array.as_primitive_opt().cloned().map(Self)
    }

    fn into_array(self) -> ArrayRef {
        Arc::new(self.0)
    }
}

impl<const PRECISION: u8, const SCALE: i8> IntoInput for DecimalArray<PRECISION, SCALE> {
    fn into_input(self) -> InputValue {
        InputValue::Column(self.into_array())
    }
}
