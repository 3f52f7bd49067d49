//! What plans look like, and that they stay so.

use std::sync::Arc;

use datafusion::arrow::datatypes::FieldRef;
use datafusion::common::{DFSchema, TableReference};
use datafusion::prelude::SessionContext;

use super::fixture::{Calls, Data, Setting, ours, parquet, plain};
use super::matrix::all_cases;

const SETTING: Setting = Setting {
    batch_size: 8192,
    partitions: 2,
    is_async: false,
    max_passes: 3,
};

type Columns = Vec<(Option<TableReference>, FieldRef)>;

fn columns(schema: &DFSchema) -> Columns {
    let columns = schema.iter();
    columns
        .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
        .collect()
}

/// What differs between the columns of two plans; a column may turn out to have no nulls.
fn difference(before: &Columns, after: &Columns) -> Option<String> {
    let is_same = before.len() == after.len()
        && std::iter::zip(before, after).all(|((qualifier, field), (other, made))| {
            qualifier == other
                && field.name() == made.name()
                && field.data_type() == made.data_type()
                && (field.is_nullable() || !made.is_nullable())
        });
    (!is_same).then(|| format!("{before:?}\n      is now {after:?}"))
}

/// Of each query, as ours and plain DataFusion plan it, before and after.
#[tokio::test]
async fn names_qualifiers_types_and_nulls_stay_and_are_those_of_plain_functions() {
    let folder = tempfile::tempdir().expect("a folder");
    let data = Data::new(200);
    let file = parquet(&data, folder.path());
    let context = ours(&data, SETTING, &file, &Calls::default()).await;
    let plain = plain(&data, &file).await;
    let mut faults = Vec::new();
    for case in all_cases() {
        let sql = data.sql(case.query);
        let frame = context.sql(&sql).await.expect(&sql);
        let before = columns(frame.schema());
        let theirs = plain.sql(&sql).await.expect(&sql);
        let plainly = theirs.clone().into_optimized_plan().expect(&sql);
        let (theirs, plainly) = (columns(theirs.schema()), columns(plainly.schema()));
        let after = frame.clone().into_optimized_plan().expect(&sql);
        let after = columns(after.schema());
        // Where DataFusion loses that there are no nulls, as under DISTINCT ON, so may ours.
        let kept = std::iter::zip(&before, &plainly).map(|((qualifier, field), (_, plainly))| {
            let is_nullable = field.is_nullable() || plainly.is_nullable();
            let field = field.as_ref().clone().with_nullable(is_nullable);
            (qualifier.clone(), Arc::new(field))
        });
        let physical = frame.create_physical_plan().await.expect(&sql).schema();
        let physical = physical.fields().iter().cloned();
        let physical = physical.map(|field| (None, field)).collect();
        let unqualified = after.iter().map(|(_, field)| (None, Arc::clone(field)));
        let pairs = [
            ("plain", difference(&theirs, &before)),
            ("optimised", difference(&kept.collect(), &after)),
            ("physical", difference(&unqualified.collect(), &physical)),
        ];
        for (what, difference) in pairs {
            if let Some(difference) = difference {
                faults.push(format!("{sql}\n    {what}: {difference}"));
            }
        }
    }
    let count = faults.len();
    assert!(faults.is_empty(), "{count} faults:\n{}", faults.join("\n"));
}

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
    for case in all_cases() {
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
        // Calls that run at once share an operator.
        (
            "SELECT f(x), CASE WHEN x > 7 THEN g(y) END FROM t",
            vec!["f(x@0) AS __hn_1, g(y@1) AS __hn_2 WHERE ((x@0 > 7) IS NOT DISTINCT FROM true)"],
        ),
        // Joined rows that are made of one row share a call.
        (
            "SELECT f(t.y) FROM s JOIN t ON t.z = s.z WHERE g(s.y) > 3",
            vec![
                "f(__hn_of_2@1) AS __hn_3 ONCE PER __hn_of_4@3",
                "g(y@0) AS __hn_2",
            ],
        ),
    ] {
        assert_eq!(shown(&context, sql).await, expected, "{sql}");
    }
}
