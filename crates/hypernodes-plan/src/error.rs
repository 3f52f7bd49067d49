//! The way of an [`Error`] through DataFusion and back.

use std::error::Error as StdError;

use datafusion_common::DataFusionError;
use hypernodes_graph::{Error, ErrorKind};

/// The error as DataFusion passes it on: its text tells the sources too, as what a user's function
/// said, since a query's errors are printed without theirs.
pub fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error.with_sources_told()))
}

/// The error that [`to_datafusion`] sent, however DataFusion wrapped it on its way; DataFusion's
/// own errors come as [`ErrorKind::Query`], with their text and without a source.
///
/// ```
/// use hypernodes_graph::{Error, ErrorKind};
/// use hypernodes_plan::{from_datafusion, to_datafusion};
///
/// let sent = to_datafusion(Error::new(ErrorKind::NodeFailed, "it failed").with_row(3));
/// let error = from_datafusion(sent.context("while joining"));
/// assert_eq!((error.kind(), error.row()), (ErrorKind::NodeFailed, Some(3)));
/// ```
pub fn from_datafusion(error: DataFusionError) -> Error {
    find(&error).unwrap_or_else(|| {
        let message = error.strip_backtrace();
        Error::new(ErrorKind::Query, message.replace('\n', " "))
    })
}

/// The error of ours that DataFusion's holds.
pub(crate) fn find(error: &DataFusionError) -> Option<Error> {
    let mut chain = std::iter::successors(Some(error as &(dyn StdError + 'static)), |error| {
        (*error).source()
    });
    let ours = chain.find_map(|error| error.downcast_ref::<Error>());
    ours.cloned().map(Error::with_sources_untold)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    #[test]
    fn an_error_comes_back_as_itself_through_every_wrapping() {
        let ours = || to_datafusion(Error::new(ErrorKind::NodeFailed, "node \"f\" failed"));
        let shared = DataFusionError::Shared(Arc::new(ours()));
        let context = ours().context("while joining");
        let arrow =
            DataFusionError::from(arrow::error::ArrowError::ExternalError(Box::new(ours())));
        for wrapped in [ours(), shared, context, arrow] {
            assert_eq!(from_datafusion(wrapped).kind(), ErrorKind::NodeFailed);
        }
    }

    #[test]
    fn datafusions_text_tells_the_source_and_ours_leaves_it_to_the_chain() {
        let error = Error::new(ErrorKind::NodeFailed, "node \"f\" failed").with_source("no 3");
        let sent = to_datafusion(error);
        assert_eq!(sent.to_string(), "External error: node \"f\" failed: no 3");
        assert_eq!(from_datafusion(sent).to_string(), "node \"f\" failed");
    }
}
