//! How many calls of a node run at once, found while they run.

use std::time::Duration;

use crate::clock::Lap;

/// Finds a number of calls between two bounds.
#[derive(Debug)]
pub(super) enum Limiter {
    /// What was asked for.
    Fixed,
    Latency(Gradient),
    Threads(Threads),
}

/// For async calls: more at once as long as that does not make each of them slower.
///
/// The limit doubles with each round of calls as in TCP's slow start, and with each millisecond in
/// which all of them wait, until the first round that took longer than the first calls; from then
/// on it follows the Gradient2 algorithm of Netflix's
/// concurrency-limits: the limit is scaled by the long-term latency over the last round's, and
/// the square root of the limit is left to queue. A call that fails lowers it as in AIMD of the
/// same library, and its latency is not believed: a refusal is quick.
#[derive(Debug)]
pub(super) struct Gradient {
    limit: f64,
    /// The calls of the first round.
    first: usize,
    bounds: (f64, f64),
    /// Seconds of a call, over many rounds; 0 at first.
    usual: f64,
    /// The rounds there were.
    rounds: f64,
    /// Seconds and calls of this round.
    round: (f64, usize),
    is_starting: bool,
}

/// How much longer a round may take than usual before the limit shrinks.
const TOLERANCE: f64 = 1.5;
/// The weight of a step in the limit.
const WEIGHT: f64 = 0.2;
/// The least weight of a round in the usual latency, which is the mean of the first ones: a
/// service that becomes slower is given less until it has been so for a while.
const LASTING: f64 = 0.05;
/// What a call that fails leaves of the limit.
const BACKOFF: f64 = 0.9;

impl Gradient {
    pub(super) fn new(first: usize, least: usize, most: usize) -> Self {
        Self {
            limit: first as f64,
            first,
            bounds: (least as f64, most as f64),
            usual: 0.0,
            rounds: 0.0,
            round: (0.0, 0),
            is_starting: true,
        }
    }

    /// Learns that a call took this long while `in_flight` ran.
    fn learn(&mut self, took: Duration, in_flight: usize) {
        self.round.0 += took.as_secs_f64();
        self.round.1 += 1;
        let enough = match self.usual == 0.0 {
            true => self.first,
            false => self.limit as usize,
        };
        if self.round.1 < enough {
            return;
        }
        let (seconds, calls) = std::mem::take(&mut self.round);
        let last = (seconds / calls as f64).max(1e-6);
        if self.usual == 0.0 {
            self.usual = last;
        }
        let gradient = (TOLERANCE * self.usual / last).clamp(0.5, 1.0);
        self.rounds += 1.0;
        self.usual += (1.0 / self.rounds).max(LASTING) * (last - self.usual);
        self.is_starting &= gradient == 1.0;
        // A limit that is not reached says nothing about a higher one.
        let is_reached = in_flight as f64 * 2.0 >= self.limit;
        let next = match (self.is_starting, is_reached) {
            (_, false) if gradient == 1.0 => self.limit,
            (true, _) => self.limit * 2.0,
            (false, _) => {
                let wished = self.limit * gradient + self.limit.sqrt();
                self.limit + WEIGHT * (wished - self.limit)
            }
        };
        self.limit = next.clamp(self.bounds.0, self.bounds.1);
    }

    /// Learns that a call failed.
    fn back_off(&mut self) {
        self.is_starting = false;
        self.round = (0.0, 0);
        self.limit = (self.limit * BACKOFF).max(self.bounds.0);
    }
}

/// For blocking calls: as many threads as keep every core computing.
///
/// A call that computes for a share of its time, and waits for the rest, leaves room for that
/// many more on its core. Time that a thread was ready and no core was free is no waiting, so
/// that neither other programs nor too many threads of our own look like a reason for more.
#[derive(Debug)]
pub(super) struct Threads {
    cores: usize,
    most: usize,
    computing: f64,
    waiting: f64,
    /// Whether a call was measured to its end.
    has_ended: bool,
}

impl Threads {
    pub(super) fn new(cores: usize, most: usize) -> Self {
        Self {
            cores,
            most,
            computing: 0.0,
            waiting: 0.0,
            has_ended: false,
        }
    }

    fn learn(&mut self, lap: Lap) {
        // The latest calls count most, so that a node may change its nature.
        const KEPT: f64 = 0.75;
        self.computing = self.computing * KEPT + lap.computing.as_secs_f64();
        self.waiting = self.waiting * KEPT + lap.waiting.as_secs_f64();
    }

    fn limit(&self) -> usize {
        let busy = self.computing.max(1e-6);
        let wished = self.cores as f64 * (busy + self.waiting) / busy;
        (wished.round() as usize).clamp(self.cores, self.most)
    }
}

impl Limiter {
    /// How many may run at once where all calls that may run wait; `asleep` are the times of sync
    /// ones so far.
    ///
    /// Calls that wait leave the cores to others, so that more of them pay; what they do to the
    /// latency is learned from those that end.
    pub(super) fn ramp(&mut self, asleep: &[Lap]) -> Option<usize> {
        match self {
            Self::Fixed => None,
            Self::Latency(gradient) => {
                gradient.limit = (gradient.limit * 2.0).min(gradient.bounds.1);
                Some(gradient.limit as usize)
            }
            Self::Threads(threads) => {
                asleep.iter().for_each(|lap| threads.learn(*lap));
                Some(threads.limit())
            }
        }
    }

    /// Whether nothing is known of the calls yet.
    pub(super) fn is_starting(&self) -> bool {
        match self {
            Self::Fixed => false,
            Self::Latency(gradient) => gradient.is_starting && gradient.limit < gradient.bounds.1,
            Self::Threads(threads) => !threads.has_ended,
        }
    }

    /// Whether calls were measured to compute all of the time.
    pub(super) fn computes(&self) -> bool {
        match self {
            Self::Fixed | Self::Latency(_) => false,
            Self::Threads(threads) => threads.has_ended && threads.limit() == threads.cores,
        }
    }

    /// How many may run at once after a call took `lap` while `in_flight` ran; `None` for as
    /// many as before.
    pub(super) fn learn(&mut self, lap: Lap, in_flight: usize) -> Option<usize> {
        match self {
            Self::Fixed => None,
            Self::Latency(gradient) => {
                gradient.learn(lap.waiting + lap.computing, in_flight);
                Some(gradient.limit as usize)
            }
            Self::Threads(threads) => {
                threads.has_ended = true;
                threads.learn(lap);
                Some(threads.limit())
            }
        }
    }

    /// How many may run at once after a call failed, as from [`Limiter::learn`].
    ///
    /// A sync call says as much of its thread whether it fails or not.
    pub(super) fn failed(&mut self) -> Option<usize> {
        match self {
            Self::Fixed | Self::Threads(_) => None,
            Self::Latency(gradient) => {
                gradient.back_off();
                Some(gradient.limit as usize)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lap(computing: u64, waiting: u64) -> Lap {
        Lap {
            computing: Duration::from_millis(computing),
            waiting: Duration::from_millis(waiting),
        }
    }

    #[test]
    fn waiting_calls_get_threads_and_computing_ones_give_them_back() {
        let mut limiter = Limiter::Threads(Threads::new(2, 64));
        assert_eq!(limiter.learn(lap(10, 0), 2), Some(2));
        assert_eq!(limiter.learn(lap(10, 1), 2), Some(2), "noise is no waiting");
        assert!(limiter.computes());
        let limits = (0..20).map(|_| limiter.learn(lap(0, 10), 2));
        assert_eq!(limits.last(), Some(Some(64)));
        assert!(!limiter.computes());
        let limits = (0..20).map(|_| limiter.learn(lap(10, 0), 64));
        assert_eq!(limits.last(), Some(Some(2)));
        let halves = (0..20).map(|_| limiter.learn(lap(5, 5), 2));
        assert_eq!(halves.last(), Some(Some(4)), "half of the time is left");
    }

    /// The limit after so many calls whose latency follows from those in flight, `most` of them.
    fn settle(
        limiter: &mut Limiter,
        calls: usize,
        latency: impl Fn(usize) -> u64,
        most: usize,
    ) -> usize {
        let Limiter::Latency(Gradient { limit, .. }) = limiter else {
            panic!("it learns from latency");
        };
        let mut limit = *limit as usize;
        for _ in 0..calls {
            let running = most.min(limit);
            let learned = limiter.learn(lap(0, latency(running)), running);
            limit = learned.expect("it learns");
        }
        limit
    }

    fn gradient() -> Limiter {
        Limiter::Latency(Gradient::new(256, 16, 1024))
    }

    #[test]
    fn async_calls_are_more_at_once_while_that_pays() {
        assert_eq!(settle(&mut gradient(), 60_000, |_| 10, 1024), 1024);
        let few = settle(&mut gradient(), 60_000, |_| 10, 8);
        assert_eq!(few, 256, "no more are needed");
        // A service that answers 100 at a time, and lets the others queue.
        let queue = |running: usize| 10 * (running as u64).div_ceil(100);
        let crowded = settle(&mut gradient(), 10_000, queue, 1024);
        assert!(crowded < 600, "{crowded}");
    }

    #[test]
    fn async_calls_are_fewer_at_once_while_each_takes_longer() {
        let mut limiter = gradient();
        assert_eq!(settle(&mut limiter, 60_000, |_| 10, 1024), 1024);
        let slower = settle(&mut limiter, 10_000, |_| 100, 1024);
        assert!(slower < 512, "{slower}");
        assert_eq!(settle(&mut limiter, 500_000, |_| 10, 1024), 1024);
    }

    #[test]
    fn async_calls_are_fewer_at_once_after_one_that_failed() {
        let mut limiter = gradient();
        assert_eq!(settle(&mut limiter, 60_000, |_| 10, 1024), 1024);
        assert_eq!(limiter.failed(), Some(921));
        assert_eq!((0..100).map(|_| limiter.failed()).last(), Some(Some(16)));
        assert_eq!(settle(&mut limiter, 500_000, |_| 10, 1024), 1024);
        let mut starting = gradient();
        starting.failed();
        assert!(!starting.is_starting(), "it is not doubled any more");
        let mut blocking = Limiter::Threads(Threads::new(2, 64));
        assert_eq!(blocking.failed(), None);
    }
}
