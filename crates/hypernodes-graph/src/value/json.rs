//! JSON text, for what has no fixed shape.

use std::io;
use std::sync::Arc;

use arrow::array::{ArrayRef, StringBuilder};
use arrow::datatypes::DataType;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::{FromColumn, IntoColumn, ListItem, Owned, TextColumn, Unreadable, Unwritable};

/// A value held as JSON text: a column of text, read and written by `serde`.
///
/// `Json` alone holds any JSON; `Json<T>` what `T` is. A row whose text is no JSON of a `T` is an
/// error of that row. A null row is a null, and so is no text; the text `null` is a value. As in
/// `serde_json`, a float of a `T` that is no number is written as `null`.
///
/// ```
/// use hypernodes_graph::{Json, Node};
///
/// let kind = Node::map("kind", ["event"], |event: Json| {
///     event.0["kind"].as_str().map(str::to_owned)
/// });
/// assert_eq!(kind.parameters()[0].data_type, arrow::datatypes::DataType::Utf8);
/// ```
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub struct Json<T = serde_json::Value>(pub T);

/// Counts what is written.
struct Length(usize);

impl io::Write for Length {
    fn write(&mut self, text: &[u8]) -> io::Result<usize> {
        self.0 += text.len();
        Ok(text.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a, T: DeserializeOwned> FromColumn<'a> for Json<T> {
    type Column = TextColumn<'a>;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        <&str>::column(array)
    }

    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        let value = serde_json::from_str(<&str>::get(column, row)?);
        value.map(Self).map_err(|error| {
            let wanted = std::any::type_name::<T>();
            format!("the text is no JSON of a {wanted}: {error}").into()
        })
    }
}

impl<T: DeserializeOwned + Send + 'static> Owned for Json<T> {}
impl<T> ListItem for Json<T> {}

impl<T: Serialize> IntoColumn for Json<T> {
    type Builder = StringBuilder;

    fn data_type() -> DataType {
        DataType::Utf8
    }

    fn builder(rows: usize) -> Self::Builder {
        <&str as IntoColumn>::builder(rows)
    }

    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        match serde_json::to_string(&self.0) {
            Ok(text) => text.append(builder),
            Err(error) => {
                builder.append_null();
                Err(format!("it has no JSON: {error}").into())
            }
        }
    }

    /// As long as its text.
    fn held_bytes(&self) -> usize {
        let mut text = Length(0);
        // What has no text is an error when it is appended.
        let _ = serde_json::to_writer(&mut text, &self.0);
        text.0
    }

    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(mut builder: Self::Builder) -> ArrayRef {
        Arc::new(builder.finish())
    }
}
