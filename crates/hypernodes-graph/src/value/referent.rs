//! What a function takes by reference: text, bytes and slices of numbers lie in the array as they
//! are; any other value is read from it, held for the call, and lent.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use chrono::{DateTime, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, Utc};

use super::{Decimal, FromColumn, Json, ListItem, Owned, StructColumn};

/// The `T` of a parameter `&T`: one row of an Arrow column.
#[diagnostic::on_unimplemented(
    message = "`&{Self}` cannot be read from a column",
    label = "not a column type",
    note = "text is taken as `&str`, bytes as `&[u8]`, a list as a slice of column values; `&T` of any column type that borrows nothing",
    note = "a struct of columns is one by `#[derive(Column)]`",
    note = "a model, client or other resource is a `&T` parameter marked `#[shared]`"
)]
pub trait Referent {
    /// What is read from the array, which lives for `'a`.
    type Held<'a>: FromColumn<'a>;
    /// The argument.
    type Lent<'a: 'b, 'b>;

    /// The argument, borrowed from the array or from what is held.
    fn lend<'a: 'b, 'b>(held: &'b Self::Held<'a>) -> Self::Lent<'a, 'b>;
}

impl<T: Owned> Referent for T {
    type Held<'a> = T;
    type Lent<'a: 'b, 'b> = &'b T;

    #[inline]
    fn lend<'a: 'b, 'b>(held: &'b T) -> &'b T {
        held
    }
}

/// What lies in the array as it is.
macro_rules! in_place {
    ($($t:ty),* $(,)?) => {$(
        impl Referent for $t {
            type Held<'a> = &'a $t;
            type Lent<'a: 'b, 'b> = &'a $t;

            #[inline]
            fn lend<'a: 'b, 'b>(held: &'b &'a $t) -> &'a $t {
                held
            }
        }
    )*};
}

in_place! { str, [u8], [i8], [i16], [i32], [i64], [u16], [u32], [u64], [f32], [f64] }

/// Slices of what a `Vec` of each row holds.
macro_rules! held {
    ($([$($generics:tt)*] $item:ty),* $(,)?) => {$(
        impl<$($generics)*> Referent for [$item] {
            type Held<'a> = Vec<$item>;
            type Lent<'a: 'b, 'b> = &'b [$item];

            #[inline]
            fn lend<'a: 'b, 'b>(held: &'b Vec<$item>) -> &'b [$item] {
                held
            }
        }
    )*};
}

held! {
    [T: Owned + ListItem + StructColumn] T,
    [T: Owned + ListItem] Vec<T>,
    [V: Owned] BTreeMap<String, V>,
    [V: Owned, S: BuildHasher + Default + Send + 'static] HashMap<String, V, S>,
    [T: serde::de::DeserializeOwned + Send + 'static] Json<T>,
    [const PRECISION: u8, const SCALE: i8] Decimal<PRECISION, SCALE>,
}

macro_rules! held_and_optional {
    ($($item:ty),* $(,)?) => { held! { $([] $item, [] Option<$item>),* } };
}

held_and_optional! {
    bool, usize, isize, char, String, Vec<u8>, Arc<str>, Box<str>,
    NaiveDate, NaiveTime, NaiveDateTime, DateTime<Utc>, TimeDelta, std::time::Duration,
}

held! {
    [] Option<i8>, [] Option<i16>, [] Option<i32>, [] Option<i64>, [] Option<u16>,
    [] Option<u32>, [] Option<u64>, [] Option<f32>, [] Option<f64>,
}

/// The texts lie in the array, the slice of them does not.
impl Referent for [&'static str] {
    type Held<'a> = Vec<&'a str>;
    type Lent<'a: 'b, 'b> = &'b [&'a str];

    #[inline]
    fn lend<'a: 'b, 'b>(held: &'b Vec<&'a str>) -> &'b [&'a str] {
        held
    }
}
