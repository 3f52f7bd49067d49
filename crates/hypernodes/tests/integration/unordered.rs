//! Rows that need not keep their order.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use futures::StreamExt;
use hypernodes::prelude::*;
use tokio::sync::Notify;

const ROWS: i64 = 300;

fn ordered(ordered: bool) -> Settings {
    Settings {
        ordered: Some(ordered),
        ..Settings::default()
    }
}

/// y is x; row 0 ends after all others have run.
fn last_is_first(is_async: bool) -> Node {
    let done = Arc::new(AtomicUsize::new(0));
    if is_async {
        let all = Arc::new(Notify::new());
        return Node::map_async("y", ["x"], move |x: i64| {
            let (done, all) = (Arc::clone(&done), Arc::clone(&all));
            async move {
                if x == 0 {
                    all.notified().await;
                } else if done.fetch_add(1, Ordering::SeqCst) + 2 == ROWS as usize {
                    all.notify_one();
                }
                x
            }
        });
    }
    Node::map("y", ["x"], move |x: i64| {
        if x == 0 {
            while done.load(Ordering::SeqCst) + 1 < ROWS as usize {
                std::thread::yield_now();
            }
        } else {
            done.fetch_add(1, Ordering::SeqCst);
        }
        x
    })
}

/// What the node makes of a table's rows.
async fn of_a_table(node: Node, engine: Settings) -> Result<Vec<i64>> {
    let session = Session::with_settings(engine)?;
    let table = format!("SELECT value AS x FROM generate_series(0, {})", ROWS - 1);
    let frame = session.sql(&table).await?.apply(&Pipeline::new([node])?)?;
    let batches = frame.collect().await.expect("rows").into_iter();
    let made = batches.map(|batch| Outputs::from(batch).column::<i64>("y"));
    Ok(made.collect::<Result<Vec<_>>>()?.concat())
}

/// y is x, the sooner done the later the row.
fn backwards() -> Node {
    Node::map_async("y", ["x"], |x: i64| async move {
        for _ in x..10 {
            tokio::task::yield_now().await;
        }
        x
    })
}

#[tokio::test]
async fn a_slow_row_holds_up_none_where_no_order_is_asked_for() -> Result<()> {
    let all: Vec<i64> = (0..ROWS).collect();
    for is_async in [true, false] {
        let node = last_is_first(is_async).with_settings(ordered(false));
        let mut made = of_a_table(node, Settings::default()).await?;
        assert_ne!(made.first(), Some(&0), "async: {is_async}");
        made.sort_unstable();
        assert_eq!(made, all);
        let made = of_a_table(last_is_first(is_async), ordered(false)).await?;
        assert_ne!(made.first(), Some(&0), "the engine's, async: {is_async}");
        let node = last_is_first(is_async).with_settings(ordered(true));
        assert_eq!(
            of_a_table(node, ordered(false)).await?,
            all,
            "the node's first"
        );
        assert_eq!(
            of_a_table(last_is_first(is_async), ordered(true)).await?,
            all
        );
    }
    Ok(())
}

#[tokio::test]
async fn later_batches_are_read_while_a_row_of_the_first_waits() -> Result<()> {
    let read = Arc::new(Notify::new());
    let waiting = Arc::clone(&read);
    let node = Node::map_async("y", ["value"], move |value: i64| {
        let waiting = Arc::clone(&waiting);
        async move {
            if value == 0 {
                waiting.notified().await;
            }
            value
        }
    });
    let session = Session::with_settings(ordered(false))?;
    session.register_nodes([node])?;
    let query = "SELECT y(value) AS y FROM generate_series(0, 99999)";
    let frame = session.sql(query).await?;
    let mut stream = frame.execute_stream().await.expect("a stream");
    let mut rows = 0;
    while let Some(batch) = stream.next().await {
        rows += batch.expect("rows").num_rows();
        if rows == 99_999 {
            read.notify_one();
        }
    }
    assert_eq!(rows, 100_000);
    Ok(())
}

#[tokio::test]
async fn what_is_ordered_by_comes_in_order_all_the_same() -> Result<()> {
    let later = Node::map_async("y", ["x"], |x: i64| async move {
        for _ in 0..x % 7 {
            tokio::task::yield_now().await;
        }
        2 * x
    });
    let odd = Node::map_async("odd", ["x"], |x: i64| async move {
        for _ in 0..x % 3 {
            tokio::task::yield_now().await;
        }
        x % 2
    });
    let session = Session::with_settings(ordered(false))?;
    session.register_nodes([later, odd])?;
    let table = "CREATE TABLE t AS SELECT value AS x FROM generate_series(0, 999)";
    session.sql(table).await?.collect().await.expect("a table");
    for (query, first, step) in [
        ("SELECT x, y(x) AS y FROM t ORDER BY x LIMIT 40", 0, 1),
        (
            "SELECT x, y(x) AS y FROM t ORDER BY x DESC LIMIT 40",
            999,
            -1,
        ),
        ("SELECT x, y(x) AS y FROM t ORDER BY x", 0, 1),
        ("SELECT x, y(x) AS y FROM t ORDER BY y(x) LIMIT 40", 0, 1),
        (
            "SELECT x, y(x) AS y FROM (SELECT x FROM t ORDER BY x LIMIT 500) ORDER BY x",
            0,
            1,
        ),
        (
            "SELECT x, y(x) + 0 AS y FROM t ORDER BY x LIMIT 40 OFFSET 10",
            10,
            1,
        ),
        (
            "SELECT x, y(x) AS y FROM t WHERE odd(x) = 1 ORDER BY x LIMIT 40",
            1,
            2,
        ),
        (
            "SELECT x, max(y(x)) AS y FROM t GROUP BY x ORDER BY x LIMIT 40",
            0,
            1,
        ),
    ] {
        let batches = session.sql(query).await?.collect().await.expect(query);
        let batches = batches.into_iter().map(Outputs::from);
        let rows = batches.map(|batch| batch.rows_as::<(i64, i64)>());
        let rows = rows.collect::<Result<Vec<_>>>()?.concat();
        let expected = (0..rows.len() as i64).map(|row| first + step * row);
        let expected: Vec<(i64, i64)> = expected.map(|x| (x, 2 * x)).collect();
        assert_eq!(rows, expected, "{query}");
        assert!(rows.len() >= 40, "{query}");
    }
    Ok(())
}

#[tokio::test]
async fn the_items_of_a_list_keep_their_order() -> Result<()> {
    let inner = Pipeline::new([backwards().with_settings(ordered(false))])?;
    let elsewhere = inner
        .clone()
        .with_engine(Session::with_settings(ordered(false))?);
    let xs: Vec<Vec<i64>> = (0..50).map(|row| (row % 5..8).collect()).collect();
    for inner in [inner, elsewhere] {
        let mapped = inner.as_node().input_mapping([("xs", "x")]).map_over("xs");
        let outer = Pipeline::new(nodes![(mapped)])?;
        let session = Session::with_settings(ordered(false))?;
        let made = outer
            .map(inputs! { xs: xs.clone() })
            .over("xs")
            .on(&session);
        assert_eq!(made.await?.column::<Vec<i64>>("y")?, xs);
    }
    Ok(())
}

#[tokio::test]
async fn what_map_gives_stands_beside_what_it_was_given() -> Result<()> {
    let session = Session::with_settings(ordered(false))?;
    let node = backwards().with_settings(ordered(false));
    let pipeline = Pipeline::new([node])?;
    let made = pipeline.map(inputs! { x: 0..10 }).over("x").on(&session);
    assert_eq!(made.await?.column::<i64>("y")?, (0..10).collect::<Vec<_>>());
    Ok(())
}
