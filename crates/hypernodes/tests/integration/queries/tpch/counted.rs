//! Every query at two settings.

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::prelude::{SessionConfig, SessionContext};
use hypernodes::prelude::*;

use super::super::fixture::Setting;
use super::super::matrix::rows;
use super::cases::{CASES, Case};
use super::functions::{Calls, NAMES, nodes, udfs};
use super::tables::register;

async fn number(context: &SessionContext, sql: &str) -> Result<usize, String> {
    let frame = context.sql(sql).await.map_err(|error| error.to_string())?;
    let batches = frame.collect().await.map_err(|error| error.to_string())?;
    let counts = batches[0].column(0).as_primitive_opt::<Int64Type>();
    Ok(counts.ok_or("the optimum is not a count")?.value(0) as usize)
}

pub(super) fn plain() -> SessionContext {
    let context = SessionContext::new_with_config(SessionConfig::new().with_target_partitions(1));
    for udf in udfs() {
        context.register_udf(udf);
    }
    register(&context, 1);
    context
}

pub(super) fn ours(setting: Setting, calls: &Calls) -> SessionContext {
    let context = setting.context();
    let nodes = nodes(calls, setting.is_async);
    context.register_nodes(nodes).expect("free names");
    register(&context, setting.partitions);
    context
}

/// What is wrong with a query, if anything is.
async fn check(
    case: &Case,
    plain: &SessionContext,
    context: &SessionContext,
    calls: &Calls,
) -> Result<(), String> {
    let expected = rows(plain, case.query).await?;
    if expected.is_empty() || expected.iter().all(|row| row.trim_matches('|').is_empty()) {
        return Err("no rows".to_owned());
    }
    let mut optimum = [0; NAMES.len()];
    for (name, count) in case.calls {
        let place = NAMES.iter().position(|known| known == name);
        let count = number(plain, count).await?;
        if count == 0 {
            return Err(format!("{name} is not needed"));
        }
        optimum[place.ok_or("no such function")?] = count;
    }
    calls.take();
    let found = rows(context, case.query).await?;
    let counted = calls.take();
    if found != expected {
        return Err(format!("rows {found:#?}\n    instead of {expected:#?}"));
    }
    match counted == optimum {
        true => Ok(()),
        false => Err(format!(
            "calls of {NAMES:?}: {counted:?} instead of {optimum:?}"
        )),
    }
}

async fn check_all(setting: Setting) {
    let plain = plain();
    let calls = Calls::default();
    let context = ours(setting, &calls);
    let mut faults = Vec::new();
    for case in CASES {
        if let Err(fault) = check(case, &plain, &context, &calls).await {
            faults.push(format!("{}: {fault}", case.name));
        }
    }
    assert!(faults.is_empty(), "{setting:?}\n{}", faults.join("\n"));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_calls_async_nodes_for_the_rows_that_need_them() {
    let setting = Setting {
        batch_size: 7,
        partitions: 2,
        is_async: true,
        max_passes: 3,
    };
    check_all(setting).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn tpch_calls_sync_nodes_for_the_rows_that_need_them() {
    let setting = Setting {
        batch_size: 8192,
        partitions: 1,
        is_async: false,
        max_passes: 3,
    };
    check_all(setting).await;
}
