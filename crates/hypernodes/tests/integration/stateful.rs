//! Shared values: made when first needed, once, and dropped with the pipeline.

use std::cell::RefCell;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use datafusion::arrow::array::Int64Array;
use hypernodes::prelude::*;

use crate::both::{Calls, engines, message, query};

/// A resource that tells when it is made and dropped.
struct Model {
    weight: i64,
    made: Calls,
    dropped: Calls,
}

impl Model {
    fn new(weight: i64, made: &Calls, dropped: &Calls) -> Self {
        made.tick();
        let (made, dropped) = (made.clone(), dropped.clone());
        Self {
            weight,
            made,
            dropped,
        }
    }
}

impl Drop for Model {
    fn drop(&mut self) {
        self.dropped.tick();
    }
}

#[node]
fn weighed(x: i64, #[shared] model: &Model) -> i64 {
    x * model.weight
}

#[node]
async fn asked(x: i64, #[shared] model: &Model, #[shared] other: &Model) -> i64 {
    tokio::task::yield_now().await;
    x * model.weight + other.weight
}

#[node]
fn known(#[shared] model: &Model) -> i64 {
    model.made.tick();
    model.weight
}

#[node]
async fn known_later(#[shared] model: &Model) -> Result<i64, String> {
    tokio::task::yield_now().await;
    model.made.tick();
    if model.weight < 0 {
        Err("no weight".into())
    } else {
        Ok(model.weight)
    }
}

#[node(batch = weighed_all)]
fn weighed_dual(x: i64, #[shared] model: &Model) -> i64 {
    x * model.weight
}

#[node(batch)]
fn weighed_all(x: &Int64Array, #[shared] model: &Model) -> Int64Array {
    x.unary(|x| x * model.weight)
}

type Counted = (Pipeline, Calls, Calls);

/// The pipeline with a model of this weight, made when first needed.
fn lazy(pipeline: Pipeline, weight: i64) -> Result<Counted> {
    let (made, dropped) = (Calls::default(), Calls::default());
    let (noted, ended) = (made.clone(), dropped.clone());
    let make = move || Ok::<_, std::io::Error>(Model::new(weight, &noted, &ended));
    Ok((pipeline.bind_shared_with("model", make)?, made, dropped))
}

#[tokio::test]
async fn s01_s02_s08_d12_a_model_is_made_at_the_first_row_and_once_over_rows_and_runs() -> Result<()>
{
    for engine in engines()? {
        let (pipeline, made, _) = lazy(Pipeline::new(nodes![weighed])?, 3)?;
        let none = pipeline
            .map(inputs! { x: Vec::<i64>::new() })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!((none.rows(), made.take()), (0, 0), "no row, no model");
        let nulls = inputs! { x: vec![None::<i64>; 3] };
        pipeline.map(nulls).over("x").on(&*engine).await?;
        assert_eq!(made.take(), 0, "no row needs the model");
        for _ in 0..2 {
            let many = pipeline
                .map(inputs! { x: 0_i64..500 })
                .over("x")
                .on(&*engine)
                .await?;
            assert_eq!(many.column::<i64>("weighed")?[499], 1497);
            pipeline.run(inputs! { x: 1_i64 }).on(&*engine).await?;
        }
        assert_eq!(made.take(), 1, "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn s01_one_model_serves_engines_and_partitions() -> Result<()> {
    let (pipeline, made, _) = lazy(Pipeline::new(nodes![weighed])?, 3)?;
    for engine in engines()? {
        pipeline.run(inputs! { x: 1_i64 }).on(&*engine).await?;
    }
    let session = Session::new()?;
    query(
        &session,
        "CREATE TABLE t AS SELECT value AS x FROM generate_series(1, 20000)",
    )
    .await?;
    session.register_pipeline("v", &pipeline, "t").await?;
    let sums = "SELECT x % 7 AS k, sum(weighed) AS s FROM v GROUP BY k ORDER BY k";
    assert_eq!(query(&session, sums).await?.rows(), 7);
    assert_eq!(made.take(), 1);
    Ok(())
}

#[tokio::test]
async fn s03_a_value_that_is_there_is_shared_as_it_is() -> Result<()> {
    let (made, dropped) = (Calls::default(), Calls::default());
    let model = Model::new(2, &made, &dropped);
    let pipeline = Pipeline::new(nodes![weighed])?.bind_shared("model", model)?;
    for engine in engines()? {
        let many = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<i64>("weighed")?, [2, 4]);
    }
    assert_eq!(made.take(), 1);
    Ok(())
}

#[tokio::test]
async fn s05_s07_s11_several_models_for_several_nodes_sync_and_async() -> Result<()> {
    for engine in engines()? {
        let pipeline = Pipeline::new(nodes![weighed, asked])?;
        let (pipeline, made, _) = lazy(pipeline, 10)?;
        let (others, dropped) = (Calls::default(), Calls::default());
        let noted = others.clone();
        let pipeline = pipeline.bind_shared_async("other", move || {
            let (noted, dropped) = (noted.clone(), dropped.clone());
            async move {
                tokio::task::yield_now().await;
                Ok::<_, std::io::Error>(Model::new(7, &noted, &dropped))
            }
        })?;
        let many = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<i64>("weighed")?, [10, 20]);
        assert_eq!(
            many.column::<i64>("asked")?,
            [17, 27],
            "two of one type stay apart"
        );
        assert_eq!((made.take(), others.take()), (1, 1), "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn s07_an_async_constructor_serves_a_sync_node() -> Result<()> {
    for engine in engines()? {
        let calls = Calls::default();
        let noted = calls.clone();
        let pipeline = Pipeline::new(nodes![weighed])?.bind_shared_async("model", move || {
            let noted = noted.clone();
            async move {
                // It needs the timer of the runtime, whatever thread it is awaited on.
                tokio::time::sleep(std::time::Duration::from_millis(1)).await;
                Ok::<_, std::io::Error>(Model::new(4, &noted, &Calls::default()))
            }
        })?;
        let many = pipeline
            .map(inputs! { x: 0_i64..300 })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<i64>("weighed")?[299], 1196);
        assert_eq!(calls.take(), 1, "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn s01_a_model_that_cannot_be_made_is_one_error_and_not_tried_again() -> Result<()> {
    let panicking = || -> Result<Model, std::io::Error> { panic!("no weights") };
    for engine in engines()? {
        for pipeline in [
            Pipeline::new(nodes![weighed])?,
            Pipeline::new(nodes![known_later])?,
        ] {
            let tries = Calls::default();
            let noted = tries.clone();
            let make = move || -> Result<Model, std::io::Error> {
                noted.tick();
                Err(std::io::Error::other("no such model"))
            };
            let failing = pipeline.clone().bind_shared_with("model", make)?;
            let panicking = pipeline.bind_shared_with("model", panicking)?;
            for _ in 0..2 {
                let mapped = match failing.inputs() {
                    [] => failing.run(inputs! {}).on(&*engine).await,
                    _ => {
                        failing
                            .map(inputs! { x: 0_i64..200 })
                            .over("x")
                            .on(&*engine)
                            .await
                    }
                };
                let error = mapped.expect_err("there is no model");
                assert_eq!(
                    error.kind(),
                    ErrorKind::SharedFailed,
                    "{engine:?} {error:?}"
                );
                let cause = error.user_error::<std::io::Error>().expect("its own error");
                assert_eq!(cause.to_string(), "no such model");
            }
            assert_eq!(tries.take(), 1, "{engine:?}");
            let given = match panicking.inputs() {
                [] => inputs! {},
                _ => inputs! { x: 1_i64 },
            };
            let error = panicking
                .run(given)
                .on(&*engine)
                .await
                .expect_err("it panics");
            assert_eq!(error.kind(), ErrorKind::SharedFailed);
            let source = std::error::Error::source(&error).map(ToString::to_string);
            assert_eq!(source.as_deref(), Some("panicked: no weights"), "{error:?}");
        }
    }
    Ok(())
}

/// Not `Sync`: one thread at a time.
struct Scratch(RefCell<Vec<i64>>);

#[node(batch)]
fn summed(x: &Int64Array, #[shared] scratch: &Scratch) -> Int64Array {
    let mut held = scratch.0.borrow_mut();
    held.clear();
    held.extend(x.values());
    held.iter().map(|x| Some(x + 1)).collect()
}

#[tokio::test]
async fn s08_a_resource_per_worker_is_lent_from_call_to_call() -> Result<()> {
    let workers = 2;
    let settings = Settings {
        max_workers: Some(workers),
        batch_size: Some(10),
        ..Settings::default()
    };
    let engines: [Box<dyn Engine>; 2] = [
        Box::new(SequentialEngine),
        Box::new(Session::with_settings(settings)?),
    ];
    for engine in engines {
        let made = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&made);
        let make = move || {
            counted.fetch_add(1, Ordering::SeqCst);
            Ok::<_, std::io::Error>(Scratch(RefCell::default()))
        };
        let pipeline = Pipeline::new(nodes![summed])?.bind_shared_per_worker("scratch", make)?;
        for _ in 0..3 {
            let many = pipeline
                .map(inputs! { x: 0_i64..200 })
                .over("x")
                .on(&*engine)
                .await?;
            assert_eq!(
                many.column::<i64>("summed")?,
                (1..201).collect::<Vec<i64>>()
            );
        }
        let made = made.load(Ordering::SeqCst);
        assert!(
            (1..=workers).contains(&made),
            "{made} for {workers} workers"
        );
    }
    Ok(())
}

#[test]
fn s11_what_cannot_be_bound_is_refused_by_name() -> Result<()> {
    let pipeline = || Pipeline::new(nodes![weighed, asked]);
    let error = pipeline()?
        .bind_shared("modle", 3_i64)
        .expect_err("unknown");
    assert!(
        error.message().contains("did you mean \"model\"?"),
        "{error}"
    );
    let error = pipeline()?
        .bind_shared("model", 3_i64)
        .expect_err("another type");
    assert!(
        error
            .message()
            .contains("is a i64, and node \"asked\" takes a"),
        "{error}"
    );
    let make = || Err::<Model, _>(std::io::Error::other("never called"));
    let error = pipeline()?
        .bind_shared_per_worker("model", make)
        .expect_err("async");
    assert!(
        error.message().contains("node \"asked\" is async"),
        "{error}"
    );
    Ok(())
}

#[tokio::test]
async fn s11_a_shared_value_that_is_given_as_an_input_is_told_how_to_be_given() -> Result<()> {
    let pipeline = Pipeline::new(nodes![weighed])?;
    let told = "\"model\" is a shared value; give it by `bind_shared(\"model\", …)`";
    let given = inputs! { x: 1, model: "large" };
    let text = message(pipeline.run(given.clone()).await);
    assert!(text.contains(told), "{text}");
    let text = message(Pipeline::new(nodes![pipeline.as_node()])?.bind(given));
    assert!(text.contains(told), "{text}");
    Ok(())
}

#[tokio::test]
async fn s11_a_shared_value_that_was_not_bound_is_an_error_before_any_call() -> Result<()> {
    let pipeline = Pipeline::new(nodes![weighed])?;
    for engine in engines()? {
        let run = pipeline.run(inputs! { x: 1_i64 }).on(&*engine).await;
        let error = run.expect_err("not bound");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(
            error.message().contains("\"model\", which was not bound"),
            "{error}"
        );
    }
    Ok(())
}

#[tokio::test]
async fn s09_a_node_without_columns_is_called_once_a_run() -> Result<()> {
    let engines = engines()?;
    for pipeline in [
        Pipeline::new(nodes![known])?,
        Pipeline::new(nodes![known_later])?,
    ] {
        let output = pipeline.nodes()[0].name().to_owned();
        let plus = Node::map("plus", ["x"], |x: i64| x + 1);
        let pipeline = Pipeline::new([pipeline.nodes()[0].clone(), plus])?;
        for engine in &engines {
            let (pipeline, calls, _) = lazy(pipeline.clone(), 5)?;
            let one = pipeline.run(inputs! { x: 1_i64 }).on(&**engine).await?;
            assert_eq!(one.get::<i64>(&output)?, 5);
            assert_eq!(calls.take(), 2, "made and called");
            for rows in [1_i64, 3_000] {
                let many = pipeline
                    .map(inputs! { x: 0..rows })
                    .over("x")
                    .on(&**engine)
                    .await?;
                assert_eq!(many.column::<i64>(&output)?, vec![5; rows as usize]);
                assert_eq!(calls.take(), 1, "{engine:?}, {rows} rows");
            }
            let empty = inputs! { x: Vec::<i64>::new() };
            pipeline.map(empty).over("x").on(&**engine).await?;
            assert_eq!(calls.take(), 0, "no row, no call");
        }
    }
    Ok(())
}

#[tokio::test]
async fn s09_on_a_table_too_and_its_error_is_one_of_the_node() -> Result<()> {
    let session = Session::new()?;
    query(
        &session,
        "CREATE TABLE t AS SELECT value AS x FROM generate_series(1, 20000)",
    )
    .await?;
    for (weight, view) in [(5, "fine"), (-1, "failing")] {
        let (pipeline, calls, _) = lazy(Pipeline::new(nodes![known_later])?, weight)?;
        session.register_pipeline(view, &pipeline, "t").await?;
        let made = query(
            &session,
            &format!("SELECT sum(known_later) AS s FROM {view}"),
        )
        .await;
        match weight {
            5 => assert_eq!(made?.get::<i64>("s")?, 100_000),
            _ => {
                let error = made.expect_err("no weight");
                assert_eq!(error.context("node"), Some("known_later"));
                assert!(format!("{error:?}").contains("no weight"), "{error:?}");
            }
        }
        assert_eq!(calls.take(), 2, "made and called once over all partitions");
        let some = query(&session, &format!("SELECT x FROM {view} LIMIT 3")).await?;
        assert_eq!(
            (some.rows(), calls.take()),
            (3, 0),
            "not asked for, not called"
        );
    }
    Ok(())
}

#[tokio::test]
async fn u13_both_functions_of_a_dual_node_share_one_model() -> Result<()> {
    for engine in engines()? {
        let (pipeline, made, _) = lazy(Pipeline::new(nodes![weighed_dual])?, 6)?;
        let one = pipeline.run(inputs! { x: 2_i64 }).on(&*engine).await?;
        assert_eq!(one.get::<i64>("weighed_dual")?, 12);
        let many = pipeline
            .map(inputs! { x: [2_i64, 3] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(many.column::<i64>("weighed_dual")?, [12, 18]);
        assert_eq!(made.take(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn s08_a_model_is_dropped_with_the_last_pipeline_and_engine_that_hold_it() -> Result<()> {
    for engine in engines()? {
        let (pipeline, made, dropped) = lazy(Pipeline::new(nodes![weighed, asked])?, 2)?;
        let pipeline = pipeline.bind_shared("other", Model::new(1, &made, &dropped))?;
        let nested = Pipeline::new([pipeline.clone()])?;
        nested
            .map(inputs! { x: 0_i64..100 })
            .over("x")
            .on(&*engine)
            .await?;
        drop(pipeline);
        assert_eq!((made.take(), dropped.take()), (2, 0));
        drop(nested);
        drop(engine);
        // A thread of the engine may hold its last job for a moment after the map ended.
        let mut gone = 0;
        let all = async {
            while gone < 2 {
                gone += dropped.take();
                tokio::task::yield_now().await;
            }
        };
        let all = tokio::time::timeout(std::time::Duration::from_secs(20), all);
        assert!(all.await.is_ok(), "both are dropped");
    }
    Ok(())
}
