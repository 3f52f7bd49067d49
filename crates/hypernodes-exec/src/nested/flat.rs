//! Lists to items and back.

use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, ListArray, UInt64Array};
use arrow::buffer::{NullBuffer, OffsetBuffer};
use arrow::compute::take;
use arrow::datatypes::Field;
use arrow::error::ArrowError;
use hypernodes_graph::{Error, ErrorKind, Failure, MapMode, Nested};

/// The inner rows of some outer rows.
#[derive(Debug)]
pub(crate) struct Flat {
    /// The inputs of the inner pipeline, in the order of the node's parameters.
    pub(crate) columns: Vec<ArrayRef>,
    /// How many inner rows each outer row has; `None` where it has no result.
    pub(crate) lengths: Vec<Option<usize>>,
    /// The number of inner rows.
    pub(crate) rows: usize,
}

/// How many inner rows each outer row has.
///
/// A row that is null in `wanted`, or in one of the lists that are mapped over, has none and no
/// result.
///
/// # Errors
/// At a row whose lists are zipped and of different lengths.
pub(crate) fn lengths(
    nested: &Nested,
    names: &[&str],
    arrays: &[ArrayRef],
    rows: usize,
    wanted: Option<&NullBuffer>,
) -> Result<Vec<Option<usize>>, Failure> {
    let Some(mode) = nested.mode else {
        let is_wanted = |row| wanted.is_none_or(|wanted| wanted.is_valid(row));
        return Ok((0..rows).map(|row| is_wanted(row).then_some(1)).collect());
    };
    let lists = mapped(nested, arrays)?;
    let length = |row: usize| {
        let unwanted = wanted.is_some_and(|wanted| wanted.is_null(row));
        if unwanted || lists.iter().any(|(_, list)| list.is_null(row)) {
            return Ok(None);
        }
        let mut lengths = lists
            .iter()
            .map(|(_, list)| list.value_length(row) as usize);
        match mode {
            MapMode::Product => Ok(Some(lengths.product())),
            MapMode::Zip => {
                let first = lengths.next().unwrap_or(0);
                if lengths.all(|length| length == first) {
                    return Ok(Some(first));
                }
                let lengths = lists.iter().map(|(input, list)| {
                    format!("{:?} has {}", names[*input], list.value_length(row))
                });
                let lengths = lengths.collect::<Vec<_>>().join(", ");
                let message = format!("lists that are zipped must be of one length: {lengths}");
                Err(Failure {
                    row: Some(row),
                    error: Error::new(ErrorKind::InvalidInput, message).into(),
                })
            }
        }
    };
    (0..rows).map(length).collect()
}

/// The lists that are mapped over, by the position of their parameter.
fn mapped<'a>(
    nested: &Nested,
    arrays: &'a [ArrayRef],
) -> Result<Vec<(usize, &'a ListArray)>, Failure> {
    let inputs = std::iter::zip(&nested.inputs, arrays).enumerate();
    let mapped = inputs.filter(|(_, ((_, mapped), _))| *mapped);
    mapped
        .map(|(position, ((name, _), array))| {
            let list = array.as_list_opt::<i32>();
            let list = list.ok_or_else(|| {
                let given = array.data_type();
                let message = format!("{name:?} came as {given} instead of a list");
                Failure {
                    row: None,
                    error: Error::new(ErrorKind::Internal, message).into(),
                }
            });
            list.map(|list| (position, list))
        })
        .collect()
}

/// The inner rows of outer rows with these lengths.
///
/// # Errors
/// If there are more inner rows than a list can have.
pub(crate) fn flatten(
    nested: &Nested,
    arrays: &[ArrayRef],
    lengths: Vec<Option<usize>>,
) -> Result<Flat, Failure> {
    let lists = mapped(nested, arrays)?;
    let rows = lengths.iter().flatten().sum::<usize>();
    let failed = |error: ArrowError| Failure {
        row: None,
        error: error.into(),
    };
    if i32::try_from(rows).is_err() {
        let message = format!("{rows} items are more than a list can have");
        return Err(Failure {
            row: None,
            error: Error::new(ErrorKind::InvalidInput, message).into(),
        });
    }
    let owners = || {
        let lengths = lengths.iter().enumerate();
        lengths.flat_map(|(row, length)| std::iter::repeat_n(row, length.unwrap_or(0)))
    };
    let repeated = UInt64Array::from_iter_values(owners().map(|row| row as u64));
    let mut columns = Vec::with_capacity(arrays.len());
    for (position, array) in arrays.iter().enumerate() {
        let place = lists.iter().position(|(input, _)| *input == position);
        let column = match place {
            None => take(array, &repeated, None),
            Some(place) => items(nested.mode, &lists, place, &lengths, rows),
        };
        columns.push(column.map_err(failed)?);
    }
    Ok(Flat {
        columns,
        lengths,
        rows,
    })
}

/// The items of list `place` for each inner row.
fn items(
    mode: Option<MapMode>,
    lists: &[(usize, &ListArray)],
    place: usize,
    lengths: &[Option<usize>],
    rows: usize,
) -> Result<ArrayRef, ArrowError> {
    let (_, list) = lists[place];
    let offsets = list.value_offsets();
    let (first, last) = (offsets[0] as usize, offsets[offsets.len() - 1] as usize);
    let is_product = mode == Some(MapMode::Product) && lists.len() > 1;
    if !is_product && last - first == rows {
        return Ok(list.values().slice(first, rows));
    }
    let mut indices = Vec::with_capacity(rows);
    for (row, length) in lengths.iter().enumerate() {
        let start = offsets[row] as u64;
        let length = length.unwrap_or(0) as u64;
        if is_product {
            let later = lists[place + 1..].iter();
            let repeat: u64 = later
                .map(|(_, list)| list.value_length(row) as u64)
                .product();
            let own = list.value_length(row) as u64;
            indices.extend((0..length).map(|item| start + item / repeat % own));
        } else {
            indices.extend(start..start + length);
        }
    }
    take(list.values(), &UInt64Array::from(indices), None)
}

/// The inner pipeline's output, one array of all inner rows, as the outer node's: lists, or as
/// it is where nothing was mapped over.
pub(crate) fn regroup(
    is_mapped: bool,
    lengths: &[Option<usize>],
    made: ArrayRef,
) -> Result<ArrayRef, ArrowError> {
    if !is_mapped {
        if lengths.iter().all(Option::is_some) {
            return Ok(made);
        }
        let mut next = 0;
        let indices = lengths.iter().map(|length| {
            length.map(|_| {
                next += 1;
                next - 1
            })
        });
        return take(&made, &indices.collect::<UInt64Array>(), None);
    }
    let offsets = OffsetBuffer::from_lengths(lengths.iter().map(|length| length.unwrap_or(0)));
    let valid = lengths.iter().map(Option::is_some).collect::<NullBuffer>();
    let valid = (valid.null_count() > 0).then_some(valid);
    let field = Arc::new(Field::new_list_field(made.data_type().clone(), true));
    Ok(Arc::new(ListArray::try_new(field, offsets, made, valid)?))
}
