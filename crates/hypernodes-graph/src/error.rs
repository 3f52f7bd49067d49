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
/// `Display` prints the message and the context, not the source: print the chain of
/// [`source`](StdError::source) to see all, or ask for it by [`Error::with_sources_told`]. The
/// user's own error is found by [`Error::user_error`].
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
    tells_sources: bool,
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
            tells_sources: false,
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

    /// The same error, whose `Display` also tells its sources, each once.
    ///
    /// So DataFusion carries it: of an error of a query, people print the outermost alone.
    ///
    /// ```
    /// use hypernodes_graph::{Error, ErrorKind};
    ///
    /// let error = Error::new(ErrorKind::NodeFailed, "it failed").with_source("no 3").with_row(7);
    /// assert_eq!(error.with_sources_told().to_string(), "it failed (row: 7): no 3");
    /// ```
    #[must_use]
    pub fn with_sources_told(mut self) -> Self {
        Arc::make_mut(&mut self.0).tells_sources = true;
        self
    }

    /// The same error, whose `Display` leaves the sources to the chain.
    #[must_use]
    pub fn with_sources_untold(mut self) -> Self {
        Arc::make_mut(&mut self.0).tells_sources = false;
        self
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
        self.causes().find_map(|error| error.downcast_ref::<E>())
    }
}

impl Error {
    /// The message and the context.
    fn text(&self) -> String {
        let facts = self.0.context.iter();
        let facts: Vec<String> = facts
            .map(|(key, value)| format!("{key}: {value}"))
            .collect();
        match facts.is_empty() {
            true => self.0.message.clone(),
            false => format!("{} ({})", self.0.message, facts.join(", ")),
        }
    }

    fn causes(&self) -> impl Iterator<Item = &(dyn StdError + 'static)> {
        std::iter::successors(self.source(), |error| (*error).source())
    }
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = self.text();
        if self.0.tells_sources {
            for cause in self.causes().map(ToString::to_string) {
                // Many errors end with what their own source says.
                if !text.ends_with(&cause) {
                    text = format!("{text}: {cause}");
                }
            }
        }
        f.write_str(&text)
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}: {}", self.0.kind, self.text())?;
        self.causes()
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
    #[test]
    fn an_error_that_tells_its_sources_tells_each_once() {
        let inner = Error::new(ErrorKind::InvalidInput, "no 3")
            .with_source(std::io::Error::other("of the disk"))
            .with_sources_told();
        let error = Error::new(ErrorKind::NodeFailed, "it failed").with_source(inner);
        assert_eq!(error.to_string(), "it failed");
        let told = error.with_sources_told();
        assert_eq!(told.to_string(), "it failed: no 3: of the disk");
        assert!(told.user_error::<std::io::Error>().is_some());
        assert_eq!(told.with_sources_untold().to_string(), "it failed");
    }
}
