//! Every case at every setting.

use datafusion::arrow::error::ArrowError;
use datafusion::arrow::util::display::{ArrayFormatter, FormatOptions};
use datafusion::prelude::SessionContext;

use super::cases::{Case, cases};
use super::fixture::{Calls, Data, NAMES, Setting, m, ours, parquet, plain};
use super::pairs::pairs;
use super::reports::reports;
use super::shared::shared;
use super::sides::sides;

/// The rows as text, in their order.
pub(super) async fn rows(context: &SessionContext, sql: &str) -> Result<Vec<String>, String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let mut rows = Vec::new();
    for batch in &batches {
        let options = FormatOptions::default();
        let columns = batch.columns().iter();
        let cells = columns.map(|column| ArrayFormatter::try_new(column.as_ref(), &options));
        let cells: Result<Vec<ArrayFormatter>, ArrowError> = cells.collect();
        let cells = cells.map_err(|error| error.to_string())?;
        rows.extend((0..batch.num_rows()).map(|row| {
            let mut text = String::from("|");
            for cell in &cells {
                text += &cell.value(row).to_string().replace(' ', "");
                text.push('|');
            }
            text
        }));
    }
    Ok(rows)
}

pub(super) fn all_cases() -> impl Iterator<Item = Case> {
    let cases = cases().into_iter().chain(reports()).chain(sides());
    cases.chain(shared()).chain(pairs())
}

/// What plain DataFusion gives: the rows, or those that a limited query may choose from.
struct Expected {
    rows: Vec<String>,
    count: usize,
}

async fn expected(case: &Case, data: &Data, context: &SessionContext) -> Result<Expected, String> {
    let limited = rows(context, &data.sql(case.query)).await?;
    let count = limited.len();
    let rows = match case.chosen_from {
        None => limited,
        Some(all) => rows(context, &data.sql(all)).await?,
    };
    Ok(Expected { rows, count })
}

/// What is wrong with a case, if anything is.
async fn check(
    case: &Case,
    data: &Data,
    expected: &Expected,
    context: &SessionContext,
    calls: &Calls,
) -> Result<(), String> {
    calls.take();
    let mut found = rows(context, &data.sql(case.query)).await?;
    let counted = calls.take();
    let wanted = (case.calls)(data);
    for (place, name) in NAMES.iter().enumerate() {
        if !wanted.0[place].contains(&counted[place]) {
            let (counted, wanted) = (counted[place], &wanted.0[place]);
            return Err(format!("{counted} calls of {name} instead of {wanted:?}"));
        }
    }
    let mut rows = expected.rows.clone();
    if case.chosen_from.is_some() || !case.is_ordered() {
        found.sort_unstable();
        rows.sort_unstable();
    }
    let right = match case.chosen_from {
        None => found == rows,
        Some(_) => {
            let mut left = rows.into_iter();
            found.len() == expected.count && found.iter().all(|row| left.any(|known| known == *row))
        }
    };
    match right {
        true => Ok(()),
        false => Err(format!(
            "other rows: {:?}",
            found.iter().take(5).collect::<Vec<_>>()
        )),
    }
}

async fn check_all(n: i64, settings: &[Setting]) {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(n);
    let file = parquet(&data, folder.path());
    let plain = plain(&data, &file).await;
    let (mut all, mut faults) = (Vec::new(), Vec::new());
    for case in all_cases() {
        match expected(&case, &data, &plain).await {
            Ok(expected) => all.push((case, expected)),
            Err(error) => faults.push(format!("{}\n    plain DataFusion: {error}", case.query)),
        }
    }
    for setting in settings {
        let calls = Calls::default();
        let context = ours(&data, *setting, &file, &calls).await;
        for (case, expected) in &all {
            let outcome = match case.chosen_from {
                None => check(case, &data, expected, &context, &calls).await,
                // A call that runs when a limit is reached still ends, and is counted.
                Some(_) => {
                    let calls = Calls::default();
                    let context = ours(&data, *setting, &file, &calls).await;
                    check(case, &data, expected, &context, &calls).await
                }
            };
            if let Err(fault) = outcome {
                faults.push(format!("{}\n    {fault}\n    {setting:?}", case.query));
            }
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} faults:\n{}", faults.join("\n"));
}

/// All settings of one kind of nodes; with eight partitions, every batch size has both kinds.
fn settings(is_async: bool) -> Vec<Setting> {
    let all = Setting::all().into_iter();
    let others = Setting::all().into_iter();
    let others = others.filter(|setting| setting.partitions == 8);
    let others = others.map(|setting| Setting {
        is_async: !setting.is_async,
        ..setting
    });
    let each = all.chain(others);
    each.filter(|setting| setting.is_async == is_async)
        .collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn sync_calls_and_rows_are_right_at_every_batch_size_and_partition_count() {
    check_all(200, &settings(false)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn async_calls_and_rows_are_right_at_every_batch_size_and_partition_count() {
    check_all(200, &settings(true)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn calls_and_rows_are_right_on_ten_thousand_rows() {
    let setting = Setting {
        batch_size: 1024,
        partitions: 2,
        is_async: false,
        max_passes: 3,
    };
    check_all(10_000, &[setting]).await;
}

/// Sorted first, then tested in order: at most one step of the window past the last hit, and a step
/// is as long as all before it.
#[tokio::test]
async fn a_dear_predicate_is_tested_in_the_order_that_is_asked_for() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(2000);
    let file = parquet(&data, folder.path());
    let plain = plain(&data, &file).await;
    let cases = [
        (
            "select x, f(x) from t where m(y) = 3 order by z, x limit 10",
            3,
            data.until(
                10,
                |row| m(row.y) == 3,
                data.sorted(|row| (row.z, row.x)),
                |_| true,
            ),
        ),
        (
            "select x, a from v where b > {10} order by y desc limit 5 offset 3",
            1,
            8,
        ),
    ];
    for partitions in [1, 3, 8] {
        for batch_size in [7, 8192] {
            let setting = Setting {
                batch_size,
                partitions,
                is_async: true,
                max_passes: 3,
            };
            let calls = Calls::default();
            let context = ours(&data, setting, &file, &calls).await;
            for (query, node, first) in &cases {
                let query = data.sql(query);
                let found = rows(&context, &query).await.expect("rows");
                assert_eq!(found, rows(&plain, &query).await.expect("rows"), "{query}");
                let called = calls.take()[*node];
                let bound = *first..=2 * first + 10;
                assert!(
                    bound.contains(&called),
                    "{query}: {called} calls, not {bound:?}, {setting:?}"
                );
            }
        }
    }
}
