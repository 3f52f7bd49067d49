//! Expressions as nodes.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, DictionaryArray, Int32Array, RecordBatch, StringArray};
use datafusion::arrow::datatypes::{DataType, Int8Type};
use datafusion::functions::expr_fn::{coalesce, lower, now, random};
use datafusion::functions_aggregate::expr_fn::sum;
use hypernodes::prelude::*;

const X: (&str, DataType) = ("x", DataType::Int64);
const TEXT: (&str, DataType) = ("text", DataType::Utf8);

/// Expressions among functions: `c` reads what a function makes, and a function reads `c`.
fn mixed() -> Result<Pipeline> {
    let a = Node::expr("a", [X], coalesce(vec![col("x") * lit(2), lit(-1_i64)]))?;
    let c = Node::expr("c", [("b", DataType::Int64), X], col("b") + col("x"))?;
    Pipeline::new([
        a,
        Node::map("b", ["a"], |a: i64| a + 1),
        c,
        Node::map("d", ["c"], |c: Option<i64>| c.unwrap_or(100)),
        Node::expr("low", [TEXT], lower(col("text")).alias("other"))?,
        Node::expr("same", [TEXT], col("text").eq(lit("B")))?,
    ])
}

fn table() -> RecordBatch {
    let x = Int32Array::from(vec![Some(1), None, Some(3)]);
    let text: DictionaryArray<Int8Type> = [Some("A"), Some("B"), None].into_iter().collect();
    let columns: [(&str, ArrayRef); 2] = [("x", Arc::new(x)), ("text", Arc::new(text))];
    RecordBatch::try_from_iter(columns).expect("two columns")
}

#[tokio::test]
async fn every_engine_computes_an_expression_alike() -> Result<()> {
    let pipeline = mixed()?;
    let sequential = SequentialEngine.map(&pipeline, table()).await?;
    let planned = Session::new()?.map(&pipeline, table()).await?;
    assert_eq!(planned, sequential);
    let made = Outputs::from(planned);
    assert_eq!(made.column::<i64>("a")?, [2, -1, 6]);
    assert_eq!(made.column::<i64>("d")?, [4, 100, 10]);
    assert_eq!(
        made.column::<Option<&str>>("low")?,
        [Some("a"), Some("b"), None]
    );
    assert_eq!(
        made.column::<Option<bool>>("same")?,
        [Some(false), Some(true), None]
    );
    let views = StringArray::from(vec!["A"]);
    let views = datafusion::arrow::compute::cast(&views, &DataType::Utf8View).expect("a view");
    let low = Pipeline::new([Node::expr("low", [TEXT], lower(col("text")))?])?;
    let views = RecordBatch::try_from_iter([("text", views)]).expect("a column");
    for engine in [&Session::new()? as &dyn Engine, &SequentialEngine] {
        let made = Outputs::from(engine.map(&low, views.clone()).await?);
        assert_eq!(made.get::<&str>("low")?, "a", "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn in_a_plan_it_is_a_plain_expression() -> Result<()> {
    let doubled = Pipeline::new([Node::expr("doubled", [X], col("x") * lit(2_i64))?])?;
    let session = Session::new()?;
    let frame = session.read_batch(table()).expect("a table");
    let frame = frame.apply(&doubled)?.filter(col("doubled").gt(lit(3)));
    let plan = frame.expect("a filter").explain(false, false);
    let plan = plan.expect("a plan").to_string().await.expect("a text");
    assert!(plan.contains("CAST("), "{plan}");
    assert!(plan.contains("* Int64(2) AS doubled"), "{plan}");
    assert!(!plan.contains("NodeMap"), "{plan}");
    let settings = Settings {
        batch_size: Some(2),
        ..Settings::default()
    };
    let by_twos = Node::expr("doubled", [X], col("x") * lit(2_i64))?.with_settings(settings);
    let frame = session.read_batch(table()).expect("a table");
    let frame = frame.apply(&Pipeline::new([by_twos])?)?;
    let plan = frame.explain(false, false).expect("a plan");
    let plan = plan.to_string().await.expect("a text");
    assert!(plan.contains("NodeMap"), "settings ask for calls: {plan}");
    Ok(())
}

#[tokio::test]
async fn in_sql_it_is_a_function_like_any_node() -> Result<()> {
    let session = Session::new()?;
    session.register_nodes([Node::expr("doubled", [X], col("x") * lit(2_i64))?])?;
    let made = session
        .sql("SELECT doubled(21) AS y")
        .await?
        .collect()
        .await;
    let made = made.map_err(hypernodes::from_datafusion)?.remove(0);
    assert_eq!(Outputs::from(made).get::<i64>("y")?, 42);
    Ok(())
}

#[test]
fn what_is_no_function_of_the_declared_columns_is_refused_with_every_fault() {
    let double = Node::map("double", ["x"], |x: i64| x);
    let double = Pipeline::new([double]).expect("a pipeline");
    let bound = call_of(&double);
    let cases = [
        (
            col("passag") + col("t.y"),
            &["did you mean \"passage\"?", "t.y names a table"][..],
        ),
        (col("passage") + random(), &["\"random\" may give another"]),
        (col("passage").eq(now()), &["\"now\" may give another"]),
        (sum(col("passage")), &["is no value of one row"]),
        (
            datafusion::logical_expr::placeholder("$1").eq(col("passage")),
            &["has no value in a node"],
        ),
        (bound, &["\"double\" is a node"]),
        (col("passage") + lit("a").is_true(), &[""]),
    ];
    for (expr, parts) in cases {
        let text = expr.to_string();
        let made = Node::expr("n", [("passage", DataType::Int64)], expr);
        let error = made.expect_err(&text);
        assert_eq!(error.kind(), ErrorKind::InvalidPipeline, "{text}");
        for part in parts {
            assert!(error.message().contains(part), "{text}: {error}");
        }
    }
    let twice = Node::expr("n", [X, X, TEXT], col("x")).expect_err("x twice");
    assert!(twice.message().contains("\"x\" is declared twice"));
    assert!(
        twice
            .message()
            .contains("\"text\" is declared and not used")
    );
}

/// The call that `apply` makes of the only node.
fn call_of(pipeline: &Pipeline) -> datafusion::logical_expr::Expr {
    let session = Session::new().expect("a session");
    let frame = session.read_batch(table()).expect("a table");
    let frame = frame.apply(pipeline).expect("a plan");
    let exprs = frame.logical_plan().inputs()[0].expressions();
    let call = exprs.last().cloned().expect("a call");
    call.unalias().clone()
}
