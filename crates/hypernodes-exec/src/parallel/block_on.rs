//! Driving a future on a worker.

use std::cell::Cell;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::thread::{self, Thread};

thread_local! {
    static WORKS: Cell<bool> = const { Cell::new(false) };
}

/// Whether this thread is a worker in the midst of a partition, which may block.
pub(super) fn is_worker() -> bool {
    WORKS.get()
}

struct Unpark {
    thread: Thread,
    woken: AtomicBool,
}

impl Wake for Unpark {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        self.woken.store(true, Ordering::Release);
        self.thread.unpark();
    }
}

/// What the future yields; the thread sleeps while it is pending.
///
/// Unlike Tokio's and that of `futures`, it leaves a user's function free to block on a future
/// of its own.
pub(super) fn block_on<F: Future>(future: F) -> F::Output {
    let outer = WORKS.replace(true);
    let unpark = Arc::new(Unpark {
        thread: thread::current(),
        woken: AtomicBool::new(false),
    });
    let waker = Waker::from(Arc::clone(&unpark));
    let mut context = Context::from_waker(&waker);
    let mut future = pin!(future);
    let output = loop {
        if let Poll::Ready(output) = future.as_mut().poll(&mut context) {
            break output;
        }
        while !unpark.woken.swap(false, Ordering::Acquire) {
            thread::park();
        }
    };
    WORKS.set(outer);
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_future_within_a_future_takes_no_wake_of_the_outer_one() {
        let inner = || block_on(tokio::task::yield_now());
        let mut polls = 0;
        let outer = std::future::poll_fn(|context| {
            assert!(is_worker());
            polls += 1;
            if polls == 3 {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            inner();
            Poll::Pending
        });
        block_on(outer);
        assert!(!is_worker());
        assert_eq!(polls, 3);
    }
}
