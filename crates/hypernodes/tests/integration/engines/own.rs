//! Engines of a user's own, and which engine runs what.

use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use futures::future::BoxFuture;
use hypernodes::prelude::*;
use parking_lot::Mutex;

use super::all;

/// Notes which pipelines it runs over how many rows, and has another engine run them.
#[derive(Debug)]
struct Logging<E> {
    runs: Mutex<Vec<(String, usize)>>,
    engine: E,
}

impl<E> Logging<E> {
    fn new(engine: E) -> Arc<Self> {
        let runs = Mutex::default();
        Arc::new(Self { runs, engine })
    }

    fn take(&self) -> Vec<(String, usize)> {
        std::mem::take(&mut self.runs.lock())
    }

    /// The rows it ran, whatever the pipeline and the number of runs.
    fn rows(&self) -> usize {
        self.take().iter().map(|(_, rows)| rows).sum()
    }
}

impl<E: Engine> Engine for Logging<E> {
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        let run = (pipeline.name().to_owned(), columns.num_rows());
        self.runs.lock().push(run);
        self.engine.map(pipeline, columns)
    }
}

fn tenfold(name: &str) -> Result<Pipeline> {
    let node = Node::map("y", ["x"], |x: i64| 10 * x);
    Ok(Pipeline::new([node])?.with_name(name))
}

#[tokio::test]
async fn e01_an_engine_of_ones_own_runs_and_maps() -> Result<()> {
    let engine = Logging::new(SequentialEngine);
    let pipeline = tenfold("tenfold")?;
    let one = pipeline.run(inputs! { x: 1_i64 }).on(&engine).await?;
    assert_eq!(one.get::<i64>("y")?, 10);
    let many = pipeline
        .map(inputs! { x: [1_i64, 2] })
        .over("x")
        .on(&engine)
        .await?;
    assert_eq!(many.column::<i64>("y")?, [10, 20]);
    assert_eq!(
        engine.take(),
        [("tenfold".into(), 1), ("tenfold".into(), 2)]
    );
    Ok(())
}

#[tokio::test]
async fn p23_the_calls_engine_goes_before_the_pipelines_own() -> Result<()> {
    let (own, given) = (
        Logging::new(SequentialEngine),
        Logging::new(SequentialEngine),
    );
    let pipeline = tenfold("p")?.with_engine(Arc::clone(&own));
    pipeline.run(inputs! { x: 1_i64 }).await?;
    pipeline.map(inputs! { x: [1_i64, 2] }).over("x").await?;
    assert_eq!((own.rows(), given.rows()), (3, 0));
    pipeline.run(inputs! { x: 1_i64 }).on(&given).await?;
    pipeline
        .map(inputs! { x: [1_i64, 2] })
        .over("x")
        .on(&given)
        .await?;
    assert_eq!((own.rows(), given.rows()), (0, 3));
    Ok(())
}

#[tokio::test]
async fn x19_a_nested_pipeline_runs_on_its_own_engine_whatever_runs_the_outer() -> Result<()> {
    for outer in all()? {
        let engine = Logging::new(SequentialEngine);
        let inner = tenfold("inner")?.with_engine(Arc::clone(&engine)).as_node();
        let plain = Pipeline::new([inner.clone()])?.with_name("outer");
        let x = [1_i64, 2, 3];
        let made = plain.map(inputs! { x: x }).over("x").on(&*outer).await?;
        assert_eq!(made.column::<i64>("y")?, [10, 20, 30], "{outer:?}");
        assert!(engine.runs.lock().iter().all(|(name, _)| name == "inner"));
        assert_eq!(engine.rows(), 3, "{outer:?}");

        let listed = Pipeline::new([inner.input_mapping([("xs", "x")]).map_over(["xs"])])?;
        let xs = vec![
            Some(vec![Some(1_i64), None]),
            None,
            Some(vec![]),
            Some(vec![Some(4)]),
        ];
        let made = listed
            .map(inputs! { xs: xs })
            .over("xs")
            .on(&*outer)
            .await?;
        let expected = vec![
            Some(vec![Some(10), None]),
            None,
            Some(vec![]),
            Some(vec![Some(40)]),
        ];
        assert_eq!(
            made.column::<Option<Vec<Option<i64>>>>("y")?,
            expected,
            "{outer:?}"
        );
        assert_eq!(engine.rows(), 3, "{outer:?}: the items, null ones included");
    }
    Ok(())
}

#[tokio::test]
async fn x19_a_nested_pipeline_without_an_engine_runs_on_the_outer_one() -> Result<()> {
    for outer in all()? {
        let outer = Logging::new(Arc::<dyn Engine>::from(outer));
        let middle = Pipeline::new([tenfold("inner")?])?.with_name("middle");
        let pipeline = Pipeline::new([middle])?.with_name("outer");
        let made = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&outer)
            .await?;
        assert_eq!(made.column::<i64>("y")?, [10, 20]);
        assert_eq!(
            outer.take(),
            [("outer".into(), 2)],
            "one plan for all levels"
        );
    }
    Ok(())
}

#[tokio::test]
async fn stages_run_on_an_engine_each() -> Result<()> {
    let stages = [
        Logging::new(Arc::new(Session::new()?) as Arc<dyn Engine>),
        Logging::new(Arc::new(ParallelEngine::default()) as Arc<dyn Engine>),
        Logging::new(Arc::new(SequentialEngine) as Arc<dyn Engine>),
    ];
    let names = ["a", "b", "c", "d"];
    let nested = stages.iter().enumerate().map(|(stage, engine)| {
        let inner = tenfold(names[stage])?.with_engine(Arc::clone(engine));
        let node = inner.as_node().input_mapping([(names[stage], "x")]);
        Ok(node.output_mapping([("y", names[stage + 1])]))
    });
    let pipeline = Pipeline::new(nested.collect::<Result<Vec<_>>>()?)?;
    for outer in all()? {
        let made = pipeline
            .map(inputs! { a: [1_i64, 2] })
            .over("a")
            .on(&*outer)
            .await?;
        assert_eq!(made.column::<i64>("d")?, [1000, 2000], "{outer:?}");
        let rows: Vec<usize> = stages.iter().map(|stage| stage.rows()).collect();
        assert_eq!(rows, [2, 2, 2], "{outer:?}");
    }
    Ok(())
}

#[derive(Debug)]
struct Panicking;

impl Engine for Panicking {
    fn map<'a>(&'a self, _: &'a Pipeline, _: RecordBatch) -> BoxFuture<'a, Result<RecordBatch>> {
        panic!("out of order")
    }
}

#[tokio::test]
async fn a_nested_engine_that_panics_is_an_error_that_names_the_pipeline() -> Result<()> {
    for outer in all()? {
        let inner = tenfold("inner")?.with_engine(Panicking);
        let pipeline = Pipeline::new([inner])?;
        let mapped = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*outer)
            .await;
        let error = mapped.expect_err("no engine");
        assert_eq!(error.kind(), ErrorKind::NodePanicked, "{outer:?}");
        assert_eq!(error.context("pipeline"), Some("inner"), "{outer:?}");
        assert!(error.message().contains("out of order"), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn e02_the_sequential_engine_runs_a_row_through_all_nodes_before_the_next() -> Result<()> {
    let log = Arc::new(Mutex::new(Vec::new()));
    let noting = |name: &'static str| {
        let log = Arc::clone(&log);
        move |x: i64| {
            log.lock().push((name, x));
            x
        }
    };
    let (first, second) = (noting("b"), noting("c"));
    let (third, last) = (Arc::clone(&log), Arc::clone(&log));
    let pipeline = Pipeline::new([
        Node::map("e", ["d", "c"], move |d: i64, _: i64| {
            last.lock().push(("e", d));
            d
        }),
        Node::map_async("d", ["b"], move |b: i64| {
            let log = Arc::clone(&third);
            async move {
                tokio::task::yield_now().await;
                log.lock().push(("d", b));
                b
            }
        }),
        Node::map("c", ["x"], second),
        Node::map("b", ["x"], first),
    ])?;
    let mapping = pipeline.map(inputs! { x: [1_i64, 2] }).over("x");
    mapping.on(&SequentialEngine).await?;
    let expected = [1, 2].map(|row| ["b", "c", "d", "e"].map(|node| (node, row)));
    assert_eq!(*log.lock(), expected.concat());
    Ok(())
}
