//! Pipelines in pipelines, on every engine.

use hypernodes::prelude::*;

fn doubled() -> Result<Pipeline> {
    Pipeline::new([
        Node::map("doubled", ["x"], |x: i64| 2 * x),
        Node::map("shifted", ["doubled", "by"], |doubled: i64, by: i64| {
            doubled + by
        }),
    ])
    .map(|pipeline| pipeline.with_name("inner"))
}

fn engines() -> Result<[Box<dyn Engine>; 2]> {
    Ok([Box::new(Session::new()?), Box::new(SequentialEngine)])
}

#[tokio::test]
async fn x01_x05_x06_x07_mappings_rename_and_filter() -> Result<()> {
    let inner = doubled()?
        .as_node()
        .input_mapping([("n", "x")])
        .output_mapping([("shifted", "moved")]);
    let outer = Pipeline::new([inner])?;
    assert_eq!(outer.unfulfilled_args().collect::<Vec<_>>(), ["by", "n"]);
    for engine in engines()? {
        let made = outer
            .map(inputs! { n: [1_i64, 2], by: 10_i64 })
            .over("n")
            .on(&*engine)
            .await?;
        assert_eq!(made.column::<i64>("moved")?, [12, 14], "{engine:?}");
        assert_eq!(made.batch().num_columns(), 1);
    }
    Ok(())
}

#[tokio::test]
async fn x12_x15_x16_lists_are_mapped_over_and_reduced() -> Result<()> {
    let mapped = doubled()?
        .as_node()
        .input_mapping([("xs", "x")])
        .map_over(["xs"]);
    let total = Node::map("total", ["shifted"], |all: Vec<Option<i64>>| {
        all.iter().flatten().sum::<i64>()
    });
    let outer = Pipeline::new(nodes![(mapped), (total)])?;
    let xs = vec![Some(vec![1_i64, 2, 3]), None, Some(vec![]), Some(vec![4])];
    for engine in engines()? {
        let made = outer
            .map(inputs! { xs: xs.clone(), by: 1_i64 })
            .over("xs")
            .on(&*engine)
            .await?;
        let shifted = made.column::<Option<Vec<i64>>>("shifted")?;
        let expected = [Some(vec![3, 5, 7]), None, Some(vec![]), Some(vec![9])];
        assert_eq!(shifted, expected, "{engine:?}");
        assert_eq!(
            made.column::<Option<i64>>("total")?,
            [Some(15), None, Some(0), Some(9)]
        );
        assert!(made.batch().column_by_name("doubled").is_none(), "pruned");
    }
    Ok(())
}
