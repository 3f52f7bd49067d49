//! Stops calls of many rows whose rows take longer than was believed.
//!
//! A function whose rows took nanoseconds is called in place, for thousands of rows at a time. If it
//! begins to wait in the midst of them, the call is to end early, so that the rest is done by many
//! threads. A look at the clock would cost as much as a row; so another thread looks.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use parking_lot::Mutex;

/// How long a call of many rows may take: four times as long as any was believed to.
const PATIENCE: Duration = Duration::from_millis(32);
/// The time between two looks.
const TICK: Duration = Duration::from_millis(16);
/// How long the thread looks on while there is no call.
const IDLE: Duration = Duration::from_secs(5);

/// A call that is watched as long as this lives.
#[derive(Debug)]
pub(crate) struct Watched {
    began: Instant,
    stop: AtomicBool,
}

impl Watched {
    /// Whether the call has taken too long.
    pub(crate) fn stop(&self) -> &AtomicBool {
        &self.stop
    }
}

/// The calls of all engines.
static CALLS: Mutex<Calls> = Mutex::new(Calls {
    running: Vec::new(),
    is_watched: false,
});

struct Calls {
    /// Those that have ended are held here alone.
    running: Vec<Arc<Watched>>,
    is_watched: bool,
}

/// Watches a call that begins. If the system has no thread for that, none is stopped.
pub(crate) fn watch() -> Arc<Watched> {
    let watched = Arc::new(Watched {
        began: Instant::now(),
        stop: AtomicBool::new(false),
    });
    let mut calls = CALLS.lock();
    calls.running.push(Arc::clone(&watched));
    if !calls.is_watched {
        let thread = thread::Builder::new().name("hypernodes-watchdog".to_owned());
        calls.is_watched = thread.spawn(look).is_ok();
    }
    watched
}

fn look() {
    let mut last = Instant::now();
    loop {
        thread::sleep(TICK);
        let mut calls = CALLS.lock();
        if !calls.running.is_empty() {
            last = Instant::now();
        } else if last.elapsed() > IDLE {
            calls.is_watched = false;
            return;
        }
        calls.running.retain(|call| Arc::strong_count(call) > 1);
        for call in &calls.running {
            if call.began.elapsed() > PATIENCE {
                call.stop.store(true, Ordering::Relaxed);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_call_that_goes_on_is_stopped() {
        let watched = watch();
        let begun = Instant::now();
        while !watched.stop().load(Ordering::Relaxed) {
            assert!(begun.elapsed() < Duration::from_secs(20));
            thread::yield_now();
        }
        assert!(begun.elapsed() > PATIENCE);
    }
}
