//! Users' own sessions, and what they still have after ours is added.

use std::sync::Arc;

use datafusion::arrow::array::AsArray;
use datafusion::arrow::datatypes::Int64Type;
use datafusion::common::tree_node::Transformed;
use datafusion::error::Result as DataFusionResult;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::LogicalPlan;
use datafusion::optimizer::{OptimizerConfig, OptimizerRule};
use datafusion::physical_plan::ExecutionPlan;
use datafusion::prelude::{SessionConfig, SessionContext};
use hypernodes::prelude::*;

/// A user's rule that does nothing.
#[derive(Debug)]
struct Idle;

impl OptimizerRule for Idle {
    fn name(&self) -> &str {
        "idle"
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        _: &dyn OptimizerConfig,
    ) -> DataFusionResult<Transformed<LogicalPlan>> {
        Ok(Transformed::no(plan))
    }
}

/// A user's planner.
#[derive(Debug)]
struct Other;

#[async_trait::async_trait]
impl datafusion::execution::context::QueryPlanner for Other {
    async fn create_physical_plan(
        &self,
        _: &LogicalPlan,
        _: &dyn datafusion::catalog::Session,
    ) -> DataFusionResult<Arc<dyn ExecutionPlan>> {
        datafusion::common::plan_err!("not asked")
    }
}

fn double() -> Node {
    Node::map("double", ["x"], |x: i64| x * 2)
}

fn theirs() -> SessionStateBuilder {
    SessionStateBuilder::new_with_default_features()
        .with_config(SessionConfig::new().with_batch_size(77))
        .with_optimizer_rule(Arc::new(Idle))
}

fn rules(state: &SessionState) -> Vec<String> {
    let rules = state.optimizers().iter();
    rules.map(|rule| rule.name().to_owned()).collect()
}

async fn check_runs(context: &SessionContext) -> Result<()> {
    context.register_nodes([double()])?;
    let query = "SELECT y FROM (SELECT double(value) AS y FROM generate_series(1, 3)) WHERE y > 2 ORDER BY y";
    let frame = context.sql(query).await;
    let frame = frame.map_err(hypernodes::from_datafusion)?;
    let batches = frame.collect().await.map_err(hypernodes::from_datafusion)?;
    let values = batches
        .iter()
        .flat_map(|batch| batch.column(0).as_primitive::<Int64Type>());
    assert_eq!(values.flatten().collect::<Vec<_>>(), [4, 6]);
    Ok(())
}

#[tokio::test]
async fn a_sessions_own_rules_and_settings_are_kept_and_ours_are_added_once() -> Result<()> {
    let runtime = || hypernodes::Runtime::new(Settings::default());
    let before = rules(&theirs().build());
    let built = theirs().with_hypernodes(runtime()?).build();
    let existing = SessionContext::new_with_state(theirs().build()).with_hypernodes()?;
    let twice = SessionContext::new_with_state(built.clone()).with_hypernodes()?;
    for context in [SessionContext::new_with_state(built), existing, twice] {
        let state = context.state();
        let mut expected = vec!["pin_nodes".to_owned()];
        expected.extend(before.iter().cloned());
        expected.push("extract_nodes".into());
        assert_eq!(rules(&state), expected);
        assert!(before.contains(&"idle".to_owned()));
        assert_eq!(state.config().batch_size(), 77);
        check_runs(&context).await?;
    }
    Ok(())
}

#[tokio::test]
async fn a_session_keeps_its_tables_and_functions() -> Result<()> {
    let context = SessionContext::new();
    let table = Session::new()?.sql("SELECT 20 AS x").await?;
    let batch = table.collect().await.expect("a row").remove(0);
    context.register_batch("t", batch).expect("a free name");
    let bare = Node::map("plus", ["x"], |x: i64| x + 1).to_udf()?;
    context.register_udf(bare);
    let context = context.with_hypernodes()?;
    context.register_nodes([double()])?;
    let frame = context.sql("SELECT double(plus(x)) FROM t").await;
    let batches = frame.expect("a plan").collect().await.expect("a row");
    let column = batches[0].column(0).as_primitive::<Int64Type>();
    assert_eq!(column.value(0), 42);
    Ok(())
}

#[tokio::test]
async fn a_session_that_could_not_run_nodes_is_refused() -> Result<()> {
    let runtime = || hypernodes::Runtime::new(Settings::default());
    let ours = theirs().with_hypernodes(runtime()?).build();
    let with_rules = |change: fn(&mut Vec<_>)| {
        let mut rules = ours.optimizers().to_vec();
        change(&mut rules);
        SessionStateBuilder::new_from_existing(ours.clone()).with_optimizer_rules(rules)
    };
    let broken = [
        ("none", theirs()),
        ("no first rule", with_rules(|rules| drop(rules.remove(0)))),
        ("no last rule", with_rules(|rules| drop(rules.pop()))),
        ("reordered", with_rules(|rules| rules.rotate_left(1))),
        (
            "another is last",
            with_rules(|rules| rules.push(Arc::new(Idle))),
        ),
        (
            "another planner",
            SessionStateBuilder::new_from_existing(ours.clone())
                .with_query_planner(Arc::new(Other)),
        ),
    ];
    let pipeline = Pipeline::new([double()])?;
    for (what, state) in broken {
        let context = SessionContext::new_with_state(state.build());
        let frame = context.read_empty().expect("a table");
        let frame = frame.select(vec![lit(1_i64).alias("x")]).expect("a column");
        let table = frame.clone().into_view();
        context.register_table(what, table).expect("a free name");
        let refused = [
            frame.apply(&pipeline).map(|_| ()),
            context.register_nodes([double()]),
            context
                .register_pipeline("v", &pipeline, &format!("\"{what}\""))
                .await,
        ];
        for refused in refused {
            let error = refused.expect_err(what);
            assert_eq!(error.kind(), ErrorKind::Unsupported, "{what}");
            assert!(error.message().contains("with_hypernodes"), "{error}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_plan_made_by_us_and_run_elsewhere_is_an_error_not_a_placeholder() -> Result<()> {
    let ours = Session::new()?;
    ours.register_nodes([double()])?;
    for query in [
        "SELECT double(value) FROM generate_series(1, 3)",
        "SELECT double(1)",
    ] {
        let (_, plan) = ours.sql(query).await?.into_parts();
        let elsewhere = SessionContext::new();
        let frame = elsewhere.execute_logical_plan(plan).await;
        let collected = frame.expect("a table").collect().await;
        let error = hypernodes::from_datafusion(collected.expect_err("no rules"));
        assert_eq!(error.kind(), ErrorKind::Unsupported, "{query}: {error}");
        assert!(error.message().contains("\"double\""), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn another_definition_under_a_name_that_is_taken_is_an_error() -> Result<()> {
    let session = Session::new()?;
    let node = double();
    session.register_nodes([node.clone()])?;
    session.register_nodes([node.clone()])?;
    let slower = node.with_settings(Settings {
        max_workers: Some(1),
        ..Settings::default()
    });
    let builtin = Node::map("lower", ["x"], |x: i64| x);
    for other in [double(), slower, builtin] {
        let error = session.register_nodes([other]).expect_err("taken");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
    }
    Ok(())
}
