//! What planning costs: of a query without nodes, beside plain DataFusion, and of one with
//! twenty.

use std::error::Error;
use std::hint::black_box;

use criterion::{Criterion, criterion_group, criterion_main};
use hypernodes::datafusion::prelude::{SessionConfig, SessionContext};
use hypernodes::prelude::*;
use tokio::runtime::Runtime;

const TABLE: &str = "CREATE TABLE t AS SELECT column1 AS x, column2 AS y, column3 AS z \
                     FROM (VALUES (1, 2, 3), (4, 5, 6))";
const WITHOUT: &str = "SELECT t.z, count(*), sum(u.y) FROM t JOIN t u ON t.x = u.x \
                       WHERE t.y > 1 AND u.z < 100 GROUP BY t.z HAVING count(*) > 1 \
                       ORDER BY t.z LIMIT 10";
const WITH: &str = "SELECT x, c19 FROM v WHERE c0 > 1 AND c9 > 2 AND y > 3 ORDER BY x LIMIT 10";

async fn plan(context: &SessionContext, query: &str) -> Result<(), Box<dyn Error>> {
    let frame = context.sql(query).await?;
    black_box(frame.create_physical_plan().await?);
    Ok(())
}

/// A chain of twenty nodes on `t`.
fn chain() -> Result<Pipeline, hypernodes::Error> {
    let name = |place: usize| match place {
        0 => "x".to_owned(),
        place => format!("c{}", place - 1),
    };
    let node = |place: usize| Node::map(name(place + 1), [name(place).as_str()], |x: i64| x + 1);
    Pipeline::new((0..20).map(node))
}

fn planning(criterion: &mut Criterion) {
    let outcome = (|| -> Result<(), Box<dyn Error>> {
        let runtime = Runtime::new()?;
        let config = || SessionConfig::new().with_target_partitions(2);
        let plain = SessionContext::new_with_config(config());
        let ours = SessionContext::new_with_config(config()).with_hypernodes()?;
        runtime.block_on(async {
            plain.sql(TABLE).await?.collect().await?;
            ours.sql(TABLE).await?.collect().await?;
            ours.register_pipeline("v", &chain()?, "t").await?;
            plan(&ours, WITH).await
        })?;
        let mut group = criterion.benchmark_group("planning");
        for (name, context, query) in [
            ("no nodes, plain DataFusion", &plain, WITHOUT),
            ("no nodes, hypernodes", &ours, WITHOUT),
            ("twenty nodes, hypernodes", &ours, WITH),
        ] {
            group.bench_function(name, |bencher| {
                bencher.iter(|| runtime.block_on(plan(context, query)).is_ok());
            });
        }
        group.finish();
        Ok(())
    })();
    assert!(outcome.is_ok(), "{outcome:?}");
}

criterion_group!(benches, planning);
criterion_main!(benches);
