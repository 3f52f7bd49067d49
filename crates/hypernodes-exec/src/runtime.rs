//! What all nodes of an engine share.

use std::sync::Arc;

use hypernodes_graph::{Error, ErrorKind, Result, Settings};

use crate::executor::Executor;
use crate::pool::Pool;

/// Threads at most, if nobody says otherwise.
const MAX_THREADS: usize = 256;

/// The settings of an engine and the threads on which its sync nodes run.
#[derive(Debug)]
pub struct Runtime {
    settings: Settings,
    executor: Arc<dyn Executor>,
}

impl Runtime {
    /// A runtime whose nodes run by `settings` where they have none of their own, on a pool of
    /// `max_workers` threads at most, of 256 if that is open.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn new(settings: Settings) -> Result<Arc<Self>> {
        let limit = settings.max_workers.unwrap_or(MAX_THREADS);
        Self::on_executor(settings, Arc::new(Pool::new(limit)))
    }

    /// The same, whose sync nodes run on `executor`, which others may share. How much of a node
    /// runs at once is bounded by the settings as ever, and by what the executor has room for.
    ///
    /// # Errors
    /// As for [`Runtime::new`].
    pub fn on_executor(settings: Settings, executor: Arc<dyn Executor>) -> Result<Arc<Self>> {
        let zeros: Vec<_> = settings.zeros().collect();
        if !zeros.is_empty() {
            let message = format!("`{}` must be at least 1", zeros.join("`, `"));
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        Ok(Arc::new(Self { settings, executor }))
    }

    /// The defaults of every node.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// What runs sync nodes.
    pub fn executor(&self) -> &dyn Executor {
        &*self.executor
    }
}
