//! The way of an [`Error`] through DataFusion and back.

use std::error::Error as StdError;

use datafusion_common::DataFusionError;
use hypernodes_graph::{Error, ErrorKind};

/// The error as DataFusion passes it on.
pub fn to_datafusion(error: Error) -> DataFusionError {
    DataFusionError::External(Box::new(error))
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
    let chain = std::iter::successors(Some(&error as &(dyn StdError + 'static)), |error| {
        (*error).source()
    });
    let ours = chain
        .filter_map(|error| error.downcast_ref::<Error>())
        .next()
        .cloned();
    ours.unwrap_or_else(|| {
        let message = error.strip_backtrace();
        Error::new(ErrorKind::Query, message.replace('\n', " "))
    })
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
}
