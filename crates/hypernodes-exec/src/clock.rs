//! What a thread's time went into.

use std::cell::RefCell;
use std::fs::File;
use std::io::{Read, Seek};
use std::time::{Duration, Instant};

use cpu_time::ThreadTime;

/// The time of a call.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Lap {
    /// On a core.
    pub(crate) computing: Duration,
    /// Asleep: neither on a core nor ready for one.
    pub(crate) waiting: Duration,
}

/// Measures a call from its start to its end on one thread.
#[derive(Debug)]
pub(crate) struct Clock {
    wall: Instant,
    cpu: Option<ThreadTime>,
    queued: Duration,
}

impl Clock {
    pub(crate) fn start() -> Self {
        Self {
            queued: queued(),
            cpu: ThreadTime::try_now().ok(),
            wall: Instant::now(),
        }
    }

    pub(crate) fn lap(&self) -> Lap {
        let wall = self.wall.elapsed();
        // A system that cannot tell makes every call look like one that computes.
        let computing = self.cpu.and_then(|began| began.try_elapsed().ok());
        let computing = computing.unwrap_or(wall).min(wall);
        let queued = queued().saturating_sub(self.queued);
        let waiting = (wall - computing).saturating_sub(queued);
        Lap { computing, waiting }
    }
}

/// How long this thread was ready and no core was free, as far as the system tells.
fn queued() -> Duration {
    thread_local! {
        static FILE: RefCell<Option<File>> =
            RefCell::new(File::open("/proc/thread-self/schedstat").ok());
    }
    let read = || {
        let mut text = [0; 96];
        let length = FILE.with_borrow_mut(|file| {
            let file = file.as_mut()?;
            file.rewind().ok()?;
            file.read(&mut text).ok()
        })?;
        let text = std::str::from_utf8(&text[..length]).ok()?;
        let nanoseconds = text.split_ascii_whitespace().nth(1)?.parse().ok()?;
        Some(Duration::from_nanos(nanoseconds))
    };
    read().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn computing_is_told_from_waiting() {
        let clock = Clock::start();
        while clock.lap().computing < Duration::from_millis(20) {
            std::hint::spin_loop();
        }
        let lap = clock.lap();
        assert!(lap.computing >= Duration::from_millis(20));
        assert!(lap.waiting < lap.computing, "{lap:?}");

        let clock = Clock::start();
        let (_sender, receiver) = channel::<()>();
        let waited = receiver.recv_timeout(Duration::from_millis(20));
        assert!(waited.is_err());
        let lap = clock.lap();
        assert!(lap.waiting > lap.computing, "{lap:?}");
    }
}
