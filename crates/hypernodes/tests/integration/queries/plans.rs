//! What plans look like, and that they stay so.

use datafusion::prelude::SessionContext;

use super::cases::cases;
use super::fixture::{Calls, Data, Setting, ours, parquet};
use super::pairs::pairs;
use super::reports::reports;
use super::shared::shared;
use super::sides::sides;

const SETTING: Setting = Setting {
    batch_size: 8192,
    partitions: 2,
    is_async: false,
};

async fn optimized(context: &SessionContext, sql: &str) -> Result<[String; 2], String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    let (state, plan) = frame.into_parts();
    let once = state.optimize(&plan).map_err(|error| error.to_string())?;
    let twice = state.optimize(&once).map_err(|error| error.to_string())?;
    Ok([once, twice].map(|plan| plan.display_indent().to_string()))
}

#[tokio::test]
async fn a_plan_that_is_optimized_again_stays_as_it_is() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(200);
    let file = parquet(&data, folder.path());
    let context = ours(&data, SETTING, &file, &Calls::default()).await;
    let mut faults = Vec::new();
    for case in cases()
        .into_iter()
        .chain(reports())
        .chain(sides())
        .chain(shared())
        .chain(pairs())
    {
        let sql = data.sql(case.query);

        match optimized(&context, &sql).await {
            Ok([once, twice]) if once == twice => {}
            Ok([once, twice]) => faults.push(format!("{sql}\n{once}\n--- again\n{twice}\n")),
            Err(error) => faults.push(format!("{sql}\n{error}")),
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} plans:\n{}", faults.join("\n"));
}

/// The operators of ours in the plan of a query.
async fn shown(context: &SessionContext, sql: &str) -> Vec<String> {
    let frame = context.sql(&format!("EXPLAIN FORMAT INDENT {sql}")).await;
    let text = frame.expect("a plan").to_string().await.expect("its text");
    let lines = text
        .lines()
        .filter_map(|line| line.split_once("NodeMapExec: "));
    lines
        .map(|(_, shown)| shown.trim_end_matches([' ', '|']).to_owned())
        .collect()
}

#[tokio::test]
async fn explain_shows_each_node_with_its_guard_what_it_follows_and_the_row_goal() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(200);
    let file = parquet(&data, folder.path());
    let setting = Setting {
        partitions: 1,
        ..SETTING
    };
    let context = ours(&data, setting, &file, &Calls::default()).await;
    for (sql, expected) in [
        (
            "SELECT f(x) FROM t WHERE y > 3",
            vec!["f(x@0) AS __hn_1, after=[y@1 > 3]"],
        ),
        (
            "SELECT CASE WHEN y > 3 THEN f(x) END FROM t LIMIT 4",
            vec![
                "f(x@0) AS __hn_1 WHERE ((y@1 > 3) IS NOT DISTINCT FROM true), after=[DataSourceExec of 4 rows]",
            ],
        ),
        (
            "SELECT x, b FROM pv WHERE a > 9 ORDER BY x LIMIT 4",
            vec![
                "g(__hn_1@1) AS __hn_2, after=[SortExec(TopK) of 4 rows]",
                "f(x@0) AS __hn_1",
            ],
        ),
        (
            "SELECT x FROM t WHERE f(x) > 9 LIMIT 4",
            vec!["f(x@0) AS __hn_2, row_goal=4"],
        ),
    ] {
        assert_eq!(shown(&context, sql).await, expected, "{sql}");
    }
}
