//! The one error type of every crate, and what its kinds tell a caller to do.

use std::error::Error as StdError;
use std::fmt;
use std::sync::Arc;

/// Any error a user's function may return.
pub type BoxError = Box<dyn StdError + Send + Sync>;

/// The result of every fallible public function.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// What a caller can do about an [`Error`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A node or pipeline is put together wrongly: change the program.
    InvalidPipeline,
    /// The values or columns handed in do not fit: change the input.
    InvalidInput,
    /// A setting cannot be honoured: change or remove it.
    InvalidSetting,
    /// A user's function returned an error: look at its `source`.
    NodeFailed,
    /// A user's function panicked: the message holds the panic's text.
    NodePanicked,
    /// A shared value could not be made: look at its `source`.
    SharedFailed,
    /// The query or file cannot be planned or read: the `source` says why.
    Query,
    /// What was asked for is not supported here: the message says what is.
    Unsupported,
    /// The run was stopped before it ended.
    Cancelled,
    /// A fault of this library: please report it.
    Internal,
}

/// What went wrong, where, and what caused it.
///
/// `Display` prints the message and the context, never the source: print the chain of
/// [`source`](StdError::source) to see all. The user's own error is found by
/// [`Error::user_error`].
///
/// ```
/// use hypernodes_graph::{Error, ErrorKind};
///
/// let cause = std::fmt::Error;
/// let error = Error::new(ErrorKind::NodeFailed, "it failed").with_source(cause).with_row(3);
/// assert_eq!((error.kind(), error.row()), (ErrorKind::NodeFailed, Some(3)));
/// assert_eq!(error.to_string(), "it failed (row: 3)");
/// assert_eq!(error.user_error::<std::fmt::Error>(), Some(&cause));
/// ```
#[derive(Clone)]
pub struct Error(Arc<Inner>);

#[derive(Clone)]
struct Inner {
    kind: ErrorKind,
    message: String,
    context: Vec<(&'static str, String)>,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// The key of the row that failed.
const ROW: &str = "row";
/// The key of a failing batch's first row.
const FIRST_OF_BATCH: &str = "first row of the batch";

impl Error {
    /// An error of `kind`; the message is lowercase and quotes values with `{:?}`.
    pub fn new(kind: ErrorKind, message: impl Into<String>) -> Self {
        Self(Arc::new(Inner {
            kind,
            message: message.into(),
            context: Vec::new(),
            source: None,
        }))
    }

    /// The same error, caused by `source`.
    #[must_use]
    pub fn with_source(mut self, source: impl Into<BoxError>) -> Self {
        Arc::make_mut(&mut self.0).source = Some(Arc::from(source.into()));
        self
    }

    /// The same error with one more fact about where it happened, such as `("row", "17")`.
    #[must_use]
    pub fn with_context(mut self, key: &'static str, value: impl fmt::Display) -> Self {
        Arc::make_mut(&mut self.0)
            .context
            .push((key, value.to_string()));
        self
    }

    /// The same error, its message beginning with what it is about.
    #[must_use]
    pub fn about(mut self, what: &str) -> Self {
        let inner = Arc::make_mut(&mut self.0);
        inner.message = format!("{what}: {}", inner.message);
        self
    }

    /// The same error at another row: of a batch, one that begins there.
    #[must_use]
    pub fn with_row(mut self, row: u64) -> Self {
        let context = &mut Arc::make_mut(&mut self.0).context;
        let is_of_batch = context.iter().any(|(key, _)| *key == FIRST_OF_BATCH);
        let key = if is_of_batch { FIRST_OF_BATCH } else { ROW };
        context.retain(|(known, _)| *known != key);
        context.push((key, row.to_string()));
        self
    }

    /// The same error of a batch that begins at `row`, where it is not known which row failed.
    #[must_use]
    pub fn with_batch_at(self, row: u64) -> Self {
        self.with_context(FIRST_OF_BATCH, row)
    }

    /// What the caller can do.
    pub fn kind(&self) -> ErrorKind {
        self.0.kind
    }

    /// The message without context or source.
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// A fact about where it happened, as text: `"pipeline"`, `"node"`, `"row"`, of a nested
    /// pipeline that is mapped `"item"`, and `"first row of the batch"`; `None` if it is not known.
    pub fn context(&self, key: &str) -> Option<&str> {
        let found = self.0.context.iter().find(|(name, _)| *name == key);
        found.map(|(_, value)| value.as_str())
    }

    /// The ordinal of the failing row in its node's input, counted from 0; in `map`, the
    /// item's index. `None` where no one row is to blame, as of a batch function or a query.
    pub fn row(&self) -> Option<u64> {
        self.context(ROW).and_then(|row| row.parse().ok())
    }

    /// The same, or where that is not known, as of a batch function, the first row of its batch.
    pub fn first_row(&self) -> Option<u64> {
        let row = self.context(ROW).or_else(|| self.context(FIRST_OF_BATCH));
        row.and_then(|row| row.parse().ok())
    }

    /// The first error of type `E` in the chain of sources: the user's own error as it was;
    /// `None` if there is none.
    pub fn user_error<E: StdError + 'static>(&self) -> Option<&E> {
        std::iter::successors(self.source(), |error| (*error).source())
            .find_map(|error| error.downcast_ref::<E>())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.message)?;
        for (position, (key, value)) in self.0.context.iter().enumerate() {
            let open = if position == 0 { " (" } else { ", " };
            write!(f, "{open}{key}: {value}")?;
        }
        if !self.0.context.is_empty() {
            f.write_str(")")?;
        }
        Ok(())
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {self}", self.0.kind)?;
        let causes = std::iter::successors(self.source(), |error| (*error).source());
        causes
            .into_iter()
            .try_for_each(|cause| write!(f, "\n  caused by: {cause}"))
    }
}

impl StdError for Error {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.0
            .source
            .as_ref()
            .map(|source| source.as_ref() as &(dyn StdError + 'static))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_error_is_one_pointer_wide() {
        assert_eq!(size_of::<Error>(), size_of::<usize>());
    }

    #[test]
    fn display_has_context_and_leaves_the_source_to_the_chain() {
        let cause = std::io::Error::other("cause");
        let error = Error::new(ErrorKind::NodeFailed, "node \"f\" failed")
            .with_context("node", "f")
            .with_context("row", 3)
            .with_source(cause);
        assert_eq!(error.to_string(), "node \"f\" failed (node: f, row: 3)");
        assert_eq!(error.row(), Some(3));
        assert!(error.user_error::<std::io::Error>().is_some());
        assert!(error.user_error::<fmt::Error>().is_none());
    }
}
