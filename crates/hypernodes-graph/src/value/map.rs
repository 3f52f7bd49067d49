//! Maps of text to any column type.

use std::collections::{BTreeMap, HashMap};
use std::hash::BuildHasher;
use std::sync::Arc;

use arrow::array::{ArrayRef, AsArray, MapArray, StringArray, StructArray};
use arrow::datatypes::{DataType, Field, Fields};

use super::list::ListBuilder;
use super::{FieldColumn, FromColumn, IntoColumn, ListColumn, ListItem, Owned, TextColumn};
use super::{Unreadable, Unwritable};

/// A Map column and the typed views of its keys and values.
pub type MapColumn<'a, V> = ListColumn<'a, (TextColumn<'a>, FieldColumn<'a, V>)>;

fn map_of(value: DataType) -> DataType {
    DataType::Map(entry_field(entries(value)), false)
}

fn entry_field(entries: Fields) -> Arc<Field> {
    Arc::new(Field::new("entries", DataType::Struct(entries), false))
}

fn entries(value: DataType) -> Fields {
    let keys = Field::new("keys", DataType::Utf8, false);
    Fields::from(vec![keys, Field::new("values", value, true)])
}

impl<'a, V: FromColumn<'a>> FromColumn<'a> for BTreeMap<String, V> {
    type Column = MapColumn<'a, V>;

    fn data_type() -> DataType {
        map_of(V::data_type())
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        let map = array.as_map_opt()?;
        let keys = <&str>::column(map.keys())?;
        let values = FieldColumn::new(map.values())?;
        Some(ListColumn::new(map.value_offsets(), None, (keys, values)))
    }

    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        let mut map = Self::new();
        let (keys, values) = column.items();
        for entry in column.bounds(row, true)? {
            let key = <&str>::get(keys, entry)?;
            let value = values.get(entry, key)?;
            if map.insert(key.to_owned(), value).is_some() {
                return Err(format!("a map holds the key {key:?} twice").into());
            }
        }
        Ok(map)
    }
}

fn entry_bytes<'a, V: IntoColumn + 'a>(
    entries: impl IntoIterator<Item = (&'a String, &'a V)>,
) -> usize {
    let entries = entries.into_iter();
    entries
        .map(|(key, value)| key.held_bytes() + value.held_bytes())
        .sum()
}

impl<V: Owned> Owned for BTreeMap<String, V> {}
impl<V> ListItem for BTreeMap<String, V> {}

impl<V: IntoColumn> IntoColumn for BTreeMap<String, V> {
    type Builder = ListBuilder<<(String, V) as IntoColumn>::Builder>;

    fn data_type() -> DataType {
        map_of(V::data_type())
    }

    fn builder(rows: usize) -> Self::Builder {
        ListBuilder::new(rows, <(String, V)>::builder(rows))
    }

    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        builder.append(self.into_iter())
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self) + entry_bytes(self)
    }

    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(builder: Self::Builder) -> ArrayRef {
        let (entries_builder, offsets, nulls) = builder.into_parts();
        let made = <(String, V)>::finish(entries_builder);
        let made = made.as_struct();
        // A key that was refused is null, in a row that is null: no key has to be.
        let (offsets_of_keys, bytes, _) = made.column(0).as_string::<i32>().clone().into_parts();
        let keys = Arc::new(StringArray::new(offsets_of_keys, bytes, None));
        let fields = entries(V::data_type());
        let columns = vec![keys as ArrayRef, Arc::clone(made.column(1))];
        let entries = StructArray::new(fields.clone(), columns, None);
        let field = entry_field(fields);
        Arc::new(MapArray::new(field, offsets, entries, nulls, false))
    }
}

impl<'a, V: FromColumn<'a>, S: BuildHasher + Default> FromColumn<'a> for HashMap<String, V, S> {
    type Column = MapColumn<'a, V>;

    fn data_type() -> DataType {
        map_of(V::data_type())
    }

    fn column(array: &'a ArrayRef) -> Option<Self::Column> {
        BTreeMap::<String, V>::column(array)
    }

    fn get(column: &Self::Column, row: usize) -> Result<Self, Unreadable> {
        let map = <BTreeMap<String, V> as FromColumn>::get(column, row)?;
        Ok(map.into_iter().collect())
    }
}

impl<V: Owned, S: BuildHasher + Default + Send + 'static> Owned for HashMap<String, V, S> {}
impl<V, S> ListItem for HashMap<String, V, S> {}

/// Written in the order of the keys, so that the same map is the same column.
impl<V: IntoColumn, S: BuildHasher> IntoColumn for HashMap<String, V, S> {
    type Builder = <BTreeMap<String, V> as IntoColumn>::Builder;

    fn data_type() -> DataType {
        map_of(V::data_type())
    }

    fn builder(rows: usize) -> Self::Builder {
        BTreeMap::<String, V>::builder(rows)
    }

    fn append(self, builder: &mut Self::Builder) -> Result<(), Unwritable> {
        self.into_iter().collect::<BTreeMap<_, _>>().append(builder)
    }

    fn held_bytes(&self) -> usize {
        size_of_val(self) + entry_bytes(self)
    }

    fn append_null(builder: &mut Self::Builder) {
        builder.append_null();
    }

    fn finish(builder: Self::Builder) -> ArrayRef {
        BTreeMap::<String, V>::finish(builder)
    }
}
