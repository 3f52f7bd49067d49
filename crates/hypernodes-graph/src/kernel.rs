//! What a node does to arrays, with the user's types erased.

use std::any::Any;
use std::fmt;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;

use arrow::array::ArrayRef;

use crate::columns::{Columns, Failure};
use crate::pipeline::Nested;
use crate::shared::SharedValue;

/// A future in a box, as `std` alone can name it.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// A synchronous function over the rows of some columns.
///
/// Called from any thread, any number of times at once, with any non-empty slice of the
/// input's rows; it must return as many rows as it was given, in the same order, or at least the first
/// of them if it is stopped ([`Columns::until`]). It may block and it may panic: engines call it where
/// that harms nobody. It is *not* allowed to keep the columns. It is `Any`, so that whoever made it knows it again.
pub trait Kernel: Any + Send + Sync {
    /// One output row for each input row, or for the first ones.
    ///
    /// # Errors
    /// The user's error, with its row where one row is to blame.
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure>;
}

/// An asynchronous function of one row.
pub trait AsyncKernel: Send + Sync {
    /// Takes hold of a batch of `rows` rows; nothing is called yet.
    fn batch(
        &self,
        arrays: Vec<ArrayRef>,
        shared: &[SharedValue],
        rows: usize,
    ) -> Arc<dyn AsyncRows>;
}

/// The rows of a batch, each of which can be called for once and is then kept until taken.
pub trait AsyncRows: Send + Sync {
    /// The call for `row`; its result stays here, and takes so many bytes until it is taken. Nothing of the user's runs before the future is
    /// polled. Dropping it cancels the call.
    fn call(self: Arc<Self>, row: usize) -> BoxFuture<'static, Result<usize, Failure>>;

    /// The results of `rows`, removed from here; null where none was called for.
    ///
    /// # Errors
    /// The first row whose result the column cannot hold.
    fn take(&self, rows: std::ops::Range<usize>) -> Result<ArrayRef, Failure>;
}

/// How a node is called.
#[derive(Clone)]
pub enum Call {
    /// A function of one row, called in slices of any length.
    Rows(Arc<dyn Kernel>),
    /// A function of whole arrays, called with up to `batch_size` rows.
    Batch(Arc<dyn Kernel>),
    /// An async function of one row.
    Async(Arc<dyn AsyncKernel>),
    /// A pipeline.
    Nested(Arc<Nested>),
}

impl fmt::Debug for Call {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Rows(_) => "Rows",
            Self::Batch(_) => "Batch",
            Self::Async(_) => "Async",
            Self::Nested(_) => "Nested",
        })
    }
}
