//! What planning costs, from SQL to a physical plan.

use std::hint::black_box;
use std::sync::Arc;
use std::time::Duration;

use hypernodes::datafusion::prelude::{SessionConfig, SessionContext};
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

use crate::Workload;
use crate::fixed::allowance;
use crate::measure::Run;

/// Plans of a measurement.
const PLANS: usize = 20;
const TABLE: &str = "CREATE TABLE t AS SELECT column1 AS x, column2 AS y, column3 AS z \
                     FROM (VALUES (1, 2, 3), (4, 5, 6))";
const WITHOUT: &str = "SELECT t.z, count(*), sum(u.y) FROM t JOIN t u ON t.x = u.x \
                       WHERE t.y > 1 AND u.z < 100 GROUP BY t.z HAVING count(*) > 1 \
                       ORDER BY t.z LIMIT 10";
const WITH: &str = "SELECT x, c19 FROM v WHERE c0 > 1 AND c9 > 2 AND y > 3 ORDER BY x LIMIT 10";

/// A context of DataFusion's own with the table.
fn context(runtime: &Runtime) -> SessionContext {
    let config = SessionConfig::new().with_target_partitions(2);
    let context = SessionContext::new_with_config(config);
    runtime.block_on(async {
        let table = context.sql(TABLE).await.unwrap();
        table.collect().await.unwrap();
    });
    context
}

/// A chain of twenty nodes on `t`.
fn chain() -> Pipeline {
    let name = |place: usize| match place {
        0 => "x".to_owned(),
        place => format!("c{}", place - 1),
    };
    let node = |place: usize| Node::map(name(place + 1), [name(place).as_str()], |x: i64| x + 1);
    Pipeline::new((0..20).map(node)).unwrap()
}

fn plans(runtime: &Arc<Runtime>, context: &SessionContext, query: &'static str) -> Run {
    let (runtime, context) = (Arc::clone(runtime), context.clone());
    Box::new(move || {
        runtime.block_on(async {
            for _ in 0..PLANS {
                let frame = context.sql(query).await.unwrap();
                black_box(frame.create_physical_plan().await.unwrap());
            }
        });
    })
}

/// The workloads: without nodes beside plain DataFusion, and twenty nodes beside the time allowed.
pub fn workloads(runtime: &Arc<Runtime>) -> Vec<Workload> {
    let plain = context(runtime);
    let ours = context(runtime).with_hypernodes().unwrap();
    let chain = chain();
    let registered = ours.register_pipeline("v", &chain, "t");
    runtime.block_on(registered).unwrap();
    vec![
        Workload {
            name: "planning without nodes, 20 times",
            strategy: "no settings",
            n: PLANS,
            baseline: "plain DataFusion",
            target: 1.05,
            repeats: 31,
            run: plans(runtime, &ours, WITHOUT),
            base: plans(runtime, &plain, WITHOUT),
        },
        Workload {
            name: "planning 20 nodes, 20 times",
            strategy: "no settings",
            n: PLANS,
            baseline: "20 milliseconds a plan",
            target: 1.0,
            repeats: 9,
            run: plans(runtime, &ours, WITH),
            base: allowance(PLANS, Duration::from_millis(20)),
        },
    ]
}
