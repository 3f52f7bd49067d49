//! How far past what a limit needs its calls go, and which rows it gives.

use std::ops::RangeInclusive;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use hypernodes::prelude::*;

use super::fixture::{Calls, Data, Row, Setting, f, ours, parquet, plain};
use super::matrix::rows;

/// The most rows that a stream of calls is ahead of what its reader turned out to need.
const WINDOW: usize = 1024;

/// The rows of each partition of `t`.
fn parts(data: &Data, partitions: usize) -> Vec<Vec<Row>> {
    let mut parts = vec![Vec::new(); partitions];
    for (place, rows) in data.t.chunks(data.t.len().div_ceil(10)).enumerate() {
        parts[place % partitions].extend_from_slice(rows);
    }
    parts
}

/// The calls for the first `limit` rows that pass: with one partition, all up to the last of them,
/// and a window more; with several, none looks further than it would if it were alone.
fn bound(parts: &[Vec<Row>], limit: usize, passes: impl Fn(&Row) -> bool) -> RangeInclusive<usize> {
    let needed = parts.iter().map(|rows| {
        let mut hits = rows.iter().enumerate().filter(|(_, row)| passes(row));
        let last = hits.nth(limit - 1).map(|(place, _)| place + 1);
        (last, rows.len())
    });
    let needed: Vec<_> = needed.collect();
    let most = needed.iter().map(|(last, rows)| match last {
        Some(last) => (last + WINDOW).min(*rows),
        None => *rows,
    });
    let least = match needed[..] {
        [(Some(last), _)] => last,
        _ => limit,
    };
    least..=most.sum()
}

/// All settings with both kinds of nodes, without those that differ by passes alone.
fn settings() -> impl Iterator<Item = Setting> {
    let each = Setting::all().into_iter();
    let each = each.filter(|setting| setting.batch_size > 1);
    each.flat_map(|setting| {
        [false, true].map(|is_async| Setting {
            is_async,
            ..setting
        })
    })
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_over_a_filter_calls_for_one_window_past_its_last_hit() {
    type Passes = fn(&Row, &Data) -> bool;
    let queries: [(&str, &str, usize, Passes); 4] = [
        (
            "select x, f(x) a from t where f(x) > 1",
            "limit 10",
            10,
            |row, _| f(row.x) > Some(1),
        ),
        // The tenth hit comes soon after 10 + 20 + 40 .. rows, if steps doubled for ever.
        (
            "select x, f(x) a from t where f(x) > {104}",
            "limit 10",
            10,
            |row, data| f(row.x) > Some(data.percent(104)),
        ),
        (
            "select x, a from pv where a > {190}",
            "limit 10",
            10,
            |row, data| f(row.x) > Some(data.percent(190)),
        ),
        (
            "select x from t where f(x) between {20} and {40}",
            "limit 10 offset 5",
            15,
            |row, data| {
                let between = data.percent(20)..=data.percent(40);
                f(row.x).is_some_and(|a| between.contains(&a))
            },
        ),
    ];
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(10_000);
    let file = parquet(&data, folder.path());
    let plain = plain(&data, &file).await;
    let mut faults = Vec::new();
    for (query, limit, hits, passes) in queries {
        let query = data.sql(query);
        let all = rows(&plain, &query).await.expect("its rows");
        let all: std::collections::HashSet<String> = all.into_iter().collect();
        for setting in settings() {
            // A call that runs when the limit is reached still ends, and is counted.
            let calls = Calls::default();
            let context = ours(&data, setting, &file, &calls).await;
            let found = rows(&context, &format!("{query} {limit}")).await;
            let found = found.expect("some rows");
            let counted = calls.take()[0];
            let parts = parts(&data, setting.partitions);
            let wanted = bound(&parts, hits, |row| passes(row, &data));
            let is_right = found.len() == 10 && found.iter().all(|row| all.contains(row));
            if !is_right || !wanted.contains(&counted) {
                faults.push(format!(
                    "{query} {limit}: {counted} calls of {wanted:?}, {found:?}, {setting:?}"
                ));
            }
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Calls that all wait are issued as far as the window lets them, whatever the node allows.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_that_wait_are_one_window_ahead_of_a_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(10_000);
    let file = parquet(&data, folder.path());
    // The tenth hit comes soon after 10 + 20 + 40 .. rows, if steps doubled for ever.
    let query = data.sql("select x from t where slow(x) > {104} limit 10");
    let passes = |row: &Row| 2 * row.x > data.percent(104);
    for setting in settings().filter(|setting| setting.is_async) {
        let context = ours(&data, setting, &file, &Calls::default()).await;
        let count = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&count);
        let slow = Node::map_async("slow", ["x"], move |x: i64| {
            counted.fetch_add(1, Ordering::Relaxed);
            async move {
                for _ in 0..100 {
                    tokio::task::yield_now().await;
                }
                2 * x
            }
        });
        let allowed = Settings {
            max_in_flight: Some(10_000),
            ..Settings::default()
        };
        let registered = context.register_nodes([slow.with_settings(allowed)]);
        registered.expect("a free name");
        let found = rows(&context, &query).await.expect("ten rows");
        assert_eq!(found.len(), 10, "{setting:?}");
        let counted = count.load(Ordering::Relaxed);
        let wanted = bound(&parts(&data, setting.partitions), 10, passes);
        assert!(
            wanted.contains(&counted),
            "{counted} calls of {wanted:?} at {setting:?}"
        );
    }
}

/// Whichever ten rows are taken: how many of them pass, they tell.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_filter_above_a_limit_calls_for_the_rows_of_the_limit() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(200);
    let file = parquet(&data, folder.path());
    for setting in settings() {
        let calls = Calls::default();
        let context = ours(&data, setting, &file, &calls).await;
        let query = "select x from (select * from t limit 10) where f(x) > 1";
        let found = rows(&context, query).await.expect("some rows");
        assert_eq!(calls.take(), [10, 0, 0, 0], "{setting:?}");
        let passing = data.t.iter().filter(|row| f(row.x) > Some(1));
        let passing: Vec<String> = passing.map(|row| format!("|{}|", row.x)).collect();
        assert!(found.iter().all(|row| passing.contains(row)), "{found:?}");
        // Of ten rows in a row, one is null under f and one may be 0.
        assert!((8..=10).contains(&found.len()), "{found:?} at {setting:?}");
    }
}

/// The arms do not know of each other how many rows they give: each has the whole goal.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_limit_over_a_union_calls_for_as_many_rows_in_each_arm_at_most() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(200);
    let file = parquet(&data, folder.path());
    for (query, limit) in [
        (
            "select * from (select f(x) u from t union all select f(y) from t) limit 10",
            10,
        ),
        (
            "select * from (select x, f(x) a from t union all select x, g(x) from s) limit 5",
            5,
        ),
        (
            "select x, f(x) a from t union all select y, g(y) from s order by 1 limit 7",
            7,
        ),
    ] {
        for setting in settings() {
            let calls = Calls::default();
            let context = ours(&data, setting, &file, &calls).await;
            let found = rows(&context, query).await.expect("some rows");
            assert_eq!(found.len(), limit, "{query} at {setting:?}");
            let [f, g, ..] = calls.take();
            // A merge that has its rows does not wait for the rest of an arm.
            let wanted = limit..=2 * limit;
            assert!(
                wanted.contains(&(f + g)),
                "{} calls of {wanted:?}: {query} at {setting:?}",
                f + g
            );
        }
    }
}
