//! The columns of one call, as a kernel sees them.

use std::any::Any;
use std::cell::Cell;
use std::sync::atomic::{AtomicBool, Ordering};

use arrow::array::{Array, ArrayRef};
use arrow::buffer::NullBuffer;
use arrow::datatypes::DataType;

use crate::shared::Lent;
use crate::value::{
    BatchOutput, ColumnArray, FromColumn, IntoColumn, NodeOutput, Unreadable, Unwritable, downcast,
};
use crate::{BoxError, Error, ErrorKind};

/// What a user's function did not return: its own error, or why it could not be called.
#[derive(Debug)]
pub struct Failure {
    /// The row within the call's columns, where one row is to blame.
    pub row: Option<usize>,
    /// The user's error, or an [`Error`] of ours.
    pub error: BoxError,
}

impl Failure {
    pub(crate) fn internal(message: String) -> Self {
        Self {
            row: None,
            error: Error::new(ErrorKind::Internal, message).into(),
        }
    }

    pub(crate) fn unexpected(array: &ArrayRef, index: usize, wanted: &DataType) -> Self {
        let given = array.data_type();
        Self::internal(format!(
            "argument {index} came as {given} instead of {wanted}"
        ))
    }

    fn missing(index: usize) -> Self {
        Self::internal(format!("argument {index} did not come"))
    }

    pub(crate) fn unreadable(row: usize, why: Unreadable) -> Self {
        Self {
            row: Some(row),
            error: Error::new(ErrorKind::InvalidInput, why).into(),
        }
    }

    pub(crate) fn unwritable(row: usize, why: &Unwritable) -> Self {
        let message = format!("a value cannot be held by the output column: {why}");
        Self {
            row: Some(row),
            error: Error::new(ErrorKind::NodeFailed, message).into(),
        }
    }
}

/// Equally long argument arrays, each already of the type its parameter reads.
#[derive(Debug)]
pub struct Columns<'a> {
    arrays: &'a [ArrayRef],
    shared: &'a [Lent],
    rows: usize,
    skipped: Option<NullBuffer>,
    current: Cell<usize>,
    stop: &'a AtomicBool,
}

/// For calls that nobody stops.
static NEVER: AtomicBool = AtomicBool::new(false);

impl<'a> Columns<'a> {
    /// `rows` rows of `arrays`; rows that are null in `skipped` are not called for.
    pub fn new(
        arrays: &'a [ArrayRef],
        shared: &'a [Lent],
        rows: usize,
        skipped: Option<NullBuffer>,
    ) -> Self {
        Self {
            arrays,
            shared,
            rows,
            skipped,
            current: Cell::new(0),
            stop: &NEVER,
        }
    }

    /// The same, of which a kernel may do the first rows only, once `stop` is true.
    pub fn until(self, stop: &'a AtomicBool) -> Self {
        Self { stop, ..self }
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// The argument arrays in the order of the node's parameters.
    pub fn arrays(&self) -> &'a [ArrayRef] {
        self.arrays
    }

    /// The same arguments for one row alone, of a node that reads no column.
    pub(crate) fn alone(&self) -> Self {
        Self::new(self.arrays, self.shared, 1, None)
    }

    /// The rows that are called for, where that is not all.
    pub(crate) fn wanted(&self) -> Option<&NullBuffer> {
        self.skipped.as_ref()
    }

    /// Whether no row is called for; then there are no shared values either.
    pub(crate) fn is_unwanted(&self) -> bool {
        let skipped = self.skipped.as_ref();
        self.rows == skipped.map_or(0, NullBuffer::null_count)
    }

    /// The row being computed, for the report of a panic.
    pub fn current(&self) -> usize {
        self.current.get()
    }

    /// The typed view of argument `index`.
    ///
    /// # Errors
    /// If the array was not brought to the parameter's type, a fault of the engine.
    pub fn reader<T: FromColumn<'a>>(&self, index: usize) -> Result<Reader<'a, T>, Failure> {
        reader(self.arrays, index)
    }

    /// Argument `index` of a batch function that is the same in every row.
    ///
    /// # Errors
    /// If the array was not brought to the parameter's type, or the value cannot be read.
    pub fn constant<T: FromColumn<'a>>(&self, index: usize) -> Result<T, Failure> {
        let read = self.reader::<T>(index)?.get(0);
        read.map_err(|why| Failure::unreadable(0, why))
    }

    /// Argument `index` as a whole array.
    ///
    /// # Errors
    /// The first row whose value `T` cannot hold exactly; if the array is not of that type in
    /// any layout, a fault of the engine.
    pub fn array<T: ColumnArray>(&self, index: usize) -> Result<T, Failure> {
        let array = self.arrays.get(index);
        downcast(array.ok_or_else(|| Failure::missing(index))?, index)
    }

    /// The shared value at `index`.
    ///
    /// # Errors
    /// If another type was bound, a fault of the engine.
    pub fn shared<T: Any>(&self, index: usize) -> Result<&'a T, Failure> {
        let lent = self.shared.get(index);
        lent.ok_or_else(|| Failure::internal(format!("there is no shared value {index}")))?
            .get()
    }

    /// What a batch function made of these columns, if it has one row for each of theirs.
    ///
    /// # Errors
    /// The user's error, or that the length or the type is wrong.
    pub fn whole<R: BatchOutput>(&self, output: R) -> Result<ArrayRef, Failure> {
        let array = output
            .into_output()
            .map_err(|error| Failure { row: None, error })?;
        let (made, rows) = (array.len(), self.rows);
        let (given, declared) = (array.data_type(), R::column_type());
        let message = if made != rows {
            format!(
                "the batch function returned {made} rows for {rows}; it must return one for each"
            )
        } else if *given != declared {
            format!("the batch function returned a column of {given} instead of {declared}")
        } else {
            return Ok(array);
        };
        Err(Failure {
            row: None,
            error: Error::new(ErrorKind::NodeFailed, message).into(),
        })
    }

    /// Calls `function` for each row that is not skipped and collects what it returns; a
    /// skipped row is null. Rows after a stop are left out.
    ///
    /// # Errors
    /// The first row's failure.
    pub fn collect<R: NodeOutput>(
        &self,
        mut function: impl FnMut(usize) -> Result<R, Unreadable>,
    ) -> Result<ArrayRef, Failure> {
        let mut progress = Progress {
            current: &self.current,
            row: 0,
        };
        let is_stopped = || self.stop.load(Ordering::Relaxed);
        R::Value::gather(self.rows, self.skipped.as_ref(), is_stopped, |row| {
            progress.row = row;
            let output = function(row).map_err(|why| Failure::unreadable(row, why))?;
            output.into_output().map_err(|error| Failure {
                row: Some(row),
                error,
            })
        })
    }
}

/// The row being computed; told to whoever asks only when the function has panicked or all rows
/// are done, so that it stays in a register until then.
struct Progress<'a> {
    current: &'a Cell<usize>,
    row: usize,
}

impl Drop for Progress<'_> {
    fn drop(&mut self) {
        self.current.set(self.row);
    }
}

/// The typed view of one argument.
pub struct Reader<'a, T: FromColumn<'a>>(T::Column);

impl<'a, T: FromColumn<'a>> Reader<'a, T> {
    /// The argument at `row`.
    ///
    /// # Errors
    /// If the row holds what the type cannot, such as a null item under `Vec<i64>`.
    #[inline]
    pub fn get(&self, row: usize) -> Result<T, Unreadable> {
        T::get(&self.0, row)
    }
}

pub(crate) fn reader<'a, T: FromColumn<'a>>(
    arrays: &'a [ArrayRef],
    index: usize,
) -> Result<Reader<'a, T>, Failure> {
    let array = arrays.get(index).ok_or_else(|| Failure::missing(index))?;
    let view = T::column(array).map(Reader);
    view.ok_or_else(|| Failure::unexpected(array, index, &T::data_type()))
}
