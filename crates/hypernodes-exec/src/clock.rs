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

/// What it takes a thread to begin its first call.
const START: Duration = Duration::from_micros(100);

/// Measures, from another thread, a call that has not ended.
#[derive(Debug)]
pub(crate) struct Watch {
    wall: Instant,
    state: File,
    schedule: File,
    before: [Duration; 2],
}

impl Watch {
    /// Of the call that this thread begins; `None` where the system does not tell.
    pub(crate) fn start() -> Option<Self> {
        let state = File::open("/proc/thread-self/stat").ok()?;
        let mut schedule = File::open(SCHEDULE).ok()?;
        Some(Self {
            before: scheduled(&mut schedule)?,
            state,
            schedule,
            wall: Instant::now(),
        })
    }

    /// The time of the call so far, if its thread is asleep.
    pub(crate) fn asleep(&mut self) -> Option<Lap> {
        let mut text = [0; 512];
        let text = read(&mut self.state, &mut text)?;
        // After the name of the thread, which may hold anything.
        let (_, fields) = text.rsplit_once(')')?;
        let is_asleep = matches!(fields.trim_start().chars().next(), Some('S' | 'D'));
        // Of a thread that runs, these would be told at times.
        let after = scheduled(&mut self.schedule)?;
        let [computing, queued] =
            std::array::from_fn(|time| after[time].saturating_sub(self.before[time]));
        let waiting = self.wall.elapsed().saturating_sub(computing + queued);
        let computing = computing.saturating_sub(START);
        is_asleep.then_some(Lap { computing, waiting })
    }
}

/// How long this thread was ready and no core was free, as far as the system tells.
fn queued() -> Duration {
    thread_local! {
        static FILE: RefCell<Option<File>> = RefCell::new(File::open(SCHEDULE).ok());
    }
    let times = FILE.with_borrow_mut(|file| scheduled(file.as_mut()?));
    times.map_or(Duration::ZERO, |[_, queued]| queued)
}

const SCHEDULE: &str = "/proc/thread-self/schedstat";

/// How long a thread was on a core, and how long it was ready and none was free.
fn scheduled(schedule: &mut File) -> Option<[Duration; 2]> {
    let mut text = [0; 96];
    let mut fields = read(schedule, &mut text)?.split_ascii_whitespace();
    let mut next = || Some(Duration::from_nanos(fields.next()?.parse().ok()?));
    Some([next()?, next()?])
}

fn read<'a>(file: &mut File, text: &'a mut [u8]) -> Option<&'a str> {
    file.rewind().ok()?;
    let length = file.read(text).ok()?;
    std::str::from_utf8(&text[..length]).ok()
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_that_sleeps_is_told_from_one_that_computes() {
        let (sender, receiver) = channel();
        let (stop, stopped) = channel::<()>();
        let sleeper = std::thread::spawn(move || {
            sender.send(Watch::start()).expect("the test waits");
            let _ = stopped.recv();
        });
        let Some(mut sleeper_watch) = receiver.recv().expect("it starts") else {
            return;
        };
        let mut watch = Watch::start().expect("as there");
        while watch.wall.elapsed() < Duration::from_millis(20) {
            assert!(watch.asleep().is_none(), "this thread asks");
        }
        // On a busy machine, it may take a while until it has begun to wait.
        let waits = |lap: Lap| lap.waiting > lap.computing;
        while !sleeper_watch.asleep().is_some_and(waits) {
            assert!(watch.wall.elapsed() < Duration::from_secs(20), "it waits");
            std::thread::yield_now();
        }
        drop(stop);
        sleeper.join().expect("it ends");
    }

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
