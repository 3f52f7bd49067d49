//! What a run gives, and what it leaves out.

use hypernodes::prelude::*;

use super::all;
use super::calls::Calls;

#[tokio::test]
async fn d11_a_result_is_a_batch_a_data_frame_a_table_or_typed_columns() -> Result<()> {
    let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| 10 * x)])?;
    let session = Session::new()?;
    for engine in all()? {
        let made = pipeline
            .map(inputs! { x: [3_i64, 1] })
            .over("x")
            .on(&*engine)
            .await?;
        assert_eq!(
            made.batch().schema(),
            pipeline.output_schema(),
            "{engine:?}"
        );
        assert_eq!(made.column::<i64>("y")?, [30, 10]);
        let frame = session.read_batch(made.batch().clone()).expect("a table");
        let sorted = frame
            .sort(vec![col("y").sort(true, true)])
            .expect("a column");
        let sorted: Outputs = sorted.collect().await.expect("rows").remove(0).into();
        assert_eq!(sorted.column::<i64>("y")?, [10, 30]);
        session.register("made", made)?;
        let total = session.sql("SELECT sum(y) AS total FROM made").await?;
        let total: Outputs = total.collect().await.expect("a row").remove(0).into();
        assert_eq!(total.get::<i64>("total")?, 40);
        session.deregister_table("made").expect("a table");
    }
    Ok(())
}

#[derive(Column, Debug, PartialEq)]
struct Tenfold {
    y: i64,
    is_even: bool,
}

#[tokio::test]
async fn d11_a_result_is_rows_of_a_struct() -> Result<()> {
    let pipeline = Pipeline::new([
        Node::map("y", ["x"], |x: i64| 10 * x),
        Node::map("is_even", ["x"], |x: i64| x % 2 == 0),
    ])?;
    for engine in all()? {
        let made = pipeline
            .map(inputs! { x: [3_i64, 2] })
            .over("x")
            .on(&*engine)
            .await?;
        let rows = [(30, false), (20, true)].map(|(y, is_even)| Tenfold { y, is_even });
        assert_eq!(made.rows_as::<Tenfold>()?, rows, "{engine:?}");
    }
    Ok(())
}

#[tokio::test]
async fn d11_a_wrong_type_or_name_of_a_result_is_an_error() -> Result<()> {
    let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| 10 * x)])?;
    let made = pipeline.map(inputs! { x: [3_i64, 1] }).over("x").await?;
    for error in [
        made.column::<bool>("y").map(drop),
        made.column::<i64>("z").map(drop),
    ] {
        let error = error.expect_err("no such column");
        assert_eq!(error.kind(), ErrorKind::InvalidInput);
        assert!(error.message().contains("\"y\""), "{error}");
    }
    Ok(())
}

#[tokio::test]
async fn d09_e11_only_what_a_selection_needs_is_run_and_asked_for() -> Result<()> {
    for engine in all()? {
        let calls: [Calls; 3] = std::array::from_fn(|_| Calls::default());
        let [a, b, c] = calls.clone();
        let inner = Pipeline::new([
            Node::map("a", ["x"], move |x: i64| {
                drop(a.begin());
                x + 1
            }),
            Node::map("b", ["unused"], move |x: i64| {
                drop(b.begin());
                x + 1
            }),
        ])?;
        let after = Node::map("c", ["b"], move |b: i64| {
            drop(c.begin());
            b
        });
        let pipeline = Pipeline::new(nodes![(inner), (after)])?;
        let mapped = pipeline
            .map(inputs! { x: [1_i64, 2] })
            .over("x")
            .select("a");
        let made = mapped.on(&*engine).await?;
        assert_eq!(made.batch().num_columns(), 1);
        assert_eq!(made.column::<i64>("a")?, [2, 3], "{engine:?}");
        assert_eq!(calls.each_ref().map(Calls::begun), [2, 0, 0], "{engine:?}");
        let one = pipeline
            .run(inputs! { unused: 1_i64 })
            .select("c")
            .on(&*engine)
            .await?;
        assert_eq!(one.get::<i64>("c")?, 2);
        assert_eq!(calls.each_ref().map(Calls::begun), [2, 1, 1], "{engine:?}");
    }
    Ok(())
}
