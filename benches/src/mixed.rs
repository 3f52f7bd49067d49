//! Pipelines of several nodes that wait and compute, beside what one would write by hand.

use std::sync::Arc;
use std::time::Duration;

use hypernodes::prelude::*;
use tokio::runtime::Runtime;
use tokio::sync::{Semaphore, oneshot};

use crate::Workload;
use crate::calls::{IN_FLIGHT, WAIT, compute, mapped, with_in_flight};
use crate::measure::Run;

const PAGES: usize = 2_000;
const ROWS: usize = 1_000;

fn page(x: i64) -> String {
    format!("  Page {x} of THE Corpus  ")
}

async fn fetch(x: i64) -> String {
    tokio::time::sleep(Duration::from_millis(50)).await;
    page(x)
}

fn read(x: i64) -> String {
    std::thread::sleep(WAIT);
    page(x)
}

fn parse(page: &str) -> i64 {
    std::thread::sleep(WAIT);
    page.len() as i64
}

fn score(parsed: i64) -> i64 {
    compute(Duration::from_micros(500));
    -parsed
}

fn clean(page: &str) -> String {
    page.trim().to_lowercase()
}

/// Fetches (50 ms, async), parses (10 ms, blocking), scores (0.5 ms, computing) and cleans.
pub(crate) fn mixture() -> [Node; 4] {
    [
        Node::map_async("page", ["x"], fetch),
        Node::map("parsed", ["page"], parse),
        Node::map("score", ["parsed"], score),
        Node::map("cleaned", ["page"], clean),
    ]
}

/// The same, but that pages are read (10 ms, blocking), not fetched, so that no node is async.
pub(crate) fn all_sync() -> [Node; 3] {
    [
        Node::map("page", ["x"], read),
        Node::map("score", ["page"], |page: &str| score(page.len() as i64)),
        Node::map("cleaned", ["page"], clean),
    ]
}

/// On a thread for what blocks.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    tokio::task::spawn_blocking(work).await.unwrap()
}

/// On one of the threads for what computes, a thread a core.
async fn on_a_core<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> T {
    let (answer, answered) = oneshot::channel();
    rayon::spawn(move || {
        // Whoever asked may have stopped.
        let _ = answer.send(work());
    });
    answered.await.unwrap()
}

async fn mixture_of(x: i64, permits: Arc<Semaphore>) -> (i64, String) {
    let permit = permits.acquire().await.unwrap();
    let page = fetch(x).await;
    drop(permit);
    let cleaned = clean(&page);
    let parsed = on_a_thread(move || parse(&page)).await;
    (on_a_core(move || score(parsed)).await, cleaned)
}

async fn all_sync_of(x: i64, _: Arc<Semaphore>) -> (i64, String) {
    let page = on_a_thread(move || read(x)).await;
    let (cleaned, length) = (clean(&page), page.len() as i64);
    (on_a_core(move || score(length)).await, cleaned)
}

/// A Tokio task for each page; rayon computes.
fn by_hand<Fut>(runtime: &Arc<Runtime>, page: fn(i64, Arc<Semaphore>) -> Fut) -> Run
where
    Fut: Future<Output = (i64, String)> + Send + 'static,
{
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        let permits = Arc::new(Semaphore::new(IN_FLIGHT));
        let rows = runtime.block_on(async {
            let tasks = (0..PAGES as i64).map(|x| tokio::spawn(page(x, Arc::clone(&permits))));
            let mut rows = Vec::with_capacity(PAGES);
            for task in tasks.collect::<Vec<_>>() {
                rows.push(task.await.unwrap());
            }
            rows
        });
        assert_eq!(rows.len(), PAGES);
    })
}

async fn wait(x: i64) -> i64 {
    tokio::time::sleep(WAIT).await;
    x
}

async fn wait_for_both(f: i64, g: i64) -> i64 {
    wait(f + g).await
}

/// `f` and `g` of the same input, and `h` of both; each waits.
pub(crate) fn diamond() -> [Node; 3] {
    [
        Node::map_async("f", ["x"], wait),
        Node::map_async("g", ["x"], wait),
        Node::map_async("h", ["f", "g"], wait_for_both),
    ]
}

fn diamond_by_hand(runtime: &Arc<Runtime>) -> Run {
    let runtime = Arc::clone(runtime);
    Box::new(move || {
        runtime.block_on(async {
            let tasks = (0..ROWS as i64).map(|x| {
                tokio::spawn(async move {
                    let (f, g) = tokio::join!(wait(x), wait(x));
                    wait_for_both(f, g).await
                })
            });
            for task in tasks.collect::<Vec<_>>() {
                task.await.unwrap();
            }
        });
    })
}

/// The workloads.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let free = Settings::default();
    let all = with_in_flight(ROWS);
    vec![
        Workload {
            name: "diamond of 10 ms, 1,000 rows",
            strategy: "no settings",
            n: ROWS,
            baseline: "1,000 / 256 + 2 waits",
            target: 1.2,
            repeats: 9,
            run: mapped(runtime, diamond(), free, ROWS),
            base: Box::new(|| std::thread::sleep(WAIT.mul_f64(ROWS as f64 / 256.0 + 2.0))),
        },
        Workload {
            name: "diamond of 10 ms, 1,000 rows",
            strategy: "max_in_flight 1,000",
            n: ROWS,
            baseline: "bare Tokio",
            target: 1.5,
            repeats: 9,
            run: mapped(runtime, diamond(), all, ROWS),
            base: diamond_by_hand(runtime),
        },
        Workload {
            name: "fetch, parse, score, clean 2,000 pages",
            strategy: "no settings",
            n: PAGES,
            baseline: "Tokio and rayon by hand",
            target: 1.1,
            repeats: 5,
            run: mapped(runtime, mixture(), free, PAGES),
            base: by_hand(runtime, mixture_of),
        },
        Workload {
            name: "read, score, clean 2,000 pages, all sync",
            strategy: "no settings",
            n: PAGES,
            baseline: "Tokio and rayon by hand",
            target: 1.1,
            repeats: 5,
            run: mapped(runtime, all_sync(), free, PAGES),
            base: by_hand(runtime, all_sync_of),
        },
    ]
}
