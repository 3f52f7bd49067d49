//! What all nodes of an engine share.

use std::sync::Arc;

use hypernodes_graph::{Error, ErrorKind, Result, Settings};

use crate::pool::Pool;

/// Threads at most, if nobody says otherwise.
const MAX_THREADS: usize = 256;

/// The settings of an engine and the threads on which its sync nodes run.
#[derive(Debug)]
pub struct Runtime {
    settings: Settings,
    pool: Pool,
}

impl Runtime {
    /// A runtime whose nodes run by `settings` where they have none of their own.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn new(settings: Settings) -> Result<Arc<Self>> {
        let zeros: Vec<_> = settings.zeros().collect();
        if !zeros.is_empty() {
            let message = format!("`{}` must be at least 1", zeros.join("`, `"));
            return Err(Error::new(ErrorKind::InvalidSetting, message));
        }
        let pool = Pool::new(settings.max_workers.unwrap_or(MAX_THREADS));
        Ok(Arc::new(Self { settings, pool }))
    }

    /// The defaults of every node.
    pub fn settings(&self) -> Settings {
        self.settings
    }

    /// The threads.
    pub fn pool(&self) -> &Pool {
        &self.pool
    }
}
