//! Calls of a function, counted.

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::{self, ThreadId};

use parking_lot::Mutex;

/// How many calls began, how many ran at once, and where; clones count together.
#[derive(Debug, Clone, Default)]
pub(crate) struct Calls(Arc<Counts>);

#[derive(Debug, Default)]
struct Counts {
    begun: AtomicUsize,
    now: AtomicUsize,
    peak: AtomicUsize,
    threads: Mutex<HashSet<ThreadId>>,
}

/// A call that ends when this is dropped.
pub(crate) struct Call(Calls);

impl Calls {
    pub(crate) fn begin(&self) -> Call {
        let counts = &self.0;
        counts.begun.fetch_add(1, Ordering::SeqCst);
        let now = counts.now.fetch_add(1, Ordering::SeqCst) + 1;
        counts.peak.fetch_max(now, Ordering::SeqCst);
        counts.threads.lock().insert(thread::current().id());
        Call(self.clone())
    }

    pub(crate) fn begun(&self) -> usize {
        self.0.begun.load(Ordering::SeqCst)
    }

    pub(crate) fn running(&self) -> usize {
        self.0.now.load(Ordering::SeqCst)
    }

    pub(crate) fn peak(&self) -> usize {
        self.0.peak.load(Ordering::SeqCst)
    }

    pub(crate) fn threads(&self) -> HashSet<ThreadId> {
        self.0.threads.lock().clone()
    }
}

impl Drop for Call {
    fn drop(&mut self) {
        self.0.0.now.fetch_sub(1, Ordering::SeqCst);
    }
}
