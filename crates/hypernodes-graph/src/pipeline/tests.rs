use super::*;

fn node(output: &'static str, input: &'static str) -> Node {
    Node::map(output, [input], |x: i64| x)
}

fn faults(nodes: Vec<Node>) -> String {
    Pipeline::new(nodes).unwrap_err().to_string()
}

#[test]
fn p01_edges_go_by_name_in_any_order_of_listing() -> Result<()> {
    let listed = Pipeline::new([node("c", "b"), node("b", "a"), node("a", "x")])?;
    let names: Vec<&str> = listed
        .outputs()
        .map(|output| output.name.as_str())
        .collect();
    assert_eq!(names, ["a", "b", "c"]);
    Ok(())
}

#[test]
fn p02_inputs_are_listed_by_name_with_the_type_all_readers_take() -> Result<()> {
    let float = Node::map("f", ["x"], |x: f64| x);
    let pipeline = Pipeline::new([node("i", "x"), float, node("j", "a")])?;
    let input = |name: &str, data_type| Input {
        name: name.into(),
        data_type,
        constant: false,
        default: None,
    };
    assert_eq!(
        pipeline.inputs(),
        [input("a", DataType::Int64), input("x", DataType::Int32)]
    );
    Ok(())
}

#[test]
fn p03_ready_nodes_are_ordered_by_name() -> Result<()> {
    let merge = Node::map("add", ["triple", "double"], |t: i64, d: i64| t + d);
    let pipeline = Pipeline::new([merge, node("triple", "x"), node("double", "x")])?;
    let names: Vec<&str> = pipeline.nodes().iter().map(Node::name).collect();
    assert_eq!(names, ["double", "triple", "add"]);
    Ok(())
}

#[test]
fn p07_two_nodes_with_one_output_are_a_fault() {
    assert_eq!(
        faults(vec![node("a", "x"), node("a", "y")]),
        "nodes \"a\" and \"a\" both make output \"a\""
    );
}

#[test]
fn p08_a_cycle_is_told_with_its_path() {
    let text = faults(vec![
        node("c1", "c2"),
        node("c2", "c3"),
        node("c3", "c1"),
        node("d", "c1"),
    ]);
    assert_eq!(text, "the nodes form a cycle: c1 -> c3 -> c2 -> c1");
}

#[test]
fn p09_a_node_that_reads_its_own_output_is_a_fault() {
    assert_eq!(
        faults(vec![node("x", "x")]),
        "node \"x\" reads its own output"
    );
}

#[test]
fn t01_a_consumer_that_cannot_read_its_producers_type_is_a_fault() {
    let text = Node::map("t", ["n"], |n: &str| n.len() as i64);
    assert_eq!(
        faults(vec![node("n", "x"), text]),
        "node \"t\" reads \"n\" as Utf8, but node \"n\" makes it as Int64"
    );
}

#[test]
fn all_faults_come_at_once() {
    let text = Node::map("t", ["a"], |a: &str| a.len() as i64);
    let zero = node("z", "y").with_settings(crate::Settings {
        batch_size: Some(0),
        ..Default::default()
    });
    let text = faults(vec![
        node("a", "x"),
        node("a", "x"),
        text,
        zero,
        node("s", "s"),
    ]);
    assert!(text.starts_with("4 faults: "), "{text}");
}

#[test]
fn one_input_read_as_two_types_that_share_no_column_is_a_fault() {
    let text = Node::map("t", ["x"], |x: &str| x.len() as i64);
    assert!(faults(vec![node("a", "x"), text]).contains("no column can be read as both"));
}

#[test]
fn an_unknown_input_to_rename_names_the_nearest() -> Result<()> {
    let pipeline = Pipeline::new([node("a", "passage")])?;
    let error = pipeline.clone().rename_input("pasage", "text").unwrap_err();
    assert!(
        error.to_string().contains("did you mean \"passage\"?"),
        "{error}"
    );
    assert!(pipeline.clone().rename_input("passage", "a").is_err());
    assert_eq!(
        pipeline.rename_input("passage", "text")?.inputs()[0].name,
        "text"
    );
    Ok(())
}

#[test]
fn p06_an_empty_pipeline_is_a_pipeline() -> Result<()> {
    assert!(Pipeline::new(Vec::<Node>::new())?.nodes().is_empty());
    Ok(())
}
