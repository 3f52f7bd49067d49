//! Random pipelines: nested ones, of nodes of every kind, over columns of lists with nulls.

use std::sync::Arc;

use datafusion::arrow::array::{ArrayRef, Int64Array, RecordBatch};
use hypernodes::prelude::*;
use hypernodes::{InputValue, Output};
use proptest::prelude::*;

/// What every pipeline may read, and how deep in lists it is.
const INPUTS: [(&str, usize); 5] = [("x", 0), ("y", 0), ("xs", 1), ("ys", 1), ("xss", 2)];
const MADE: [&str; 12] = [
    "n0", "n1", "n2", "n3", "n4", "n5", "n6", "n7", "n8", "n9", "n10", "n11",
];

/// A pipeline to be built; numbers are choices among what there is.
#[derive(Debug, Clone)]
pub(super) struct Level {
    steps: Vec<Step>,
    /// The outputs that are selected; all if none.
    selected: Vec<usize>,
    /// The value that `y` is bound to.
    bound: Option<i64>,
}

#[derive(Debug, Clone)]
enum Step {
    /// Two numbers to one, or to two by one node.
    Row {
        kind: u8,
        inputs: [usize; 2],
        fails: bool,
    },
    /// A number to a list.
    Spread {
        is_async: bool,
        input: usize,
    },
    /// A list to a number.
    Reduce {
        kind: u8,
        input: usize,
    },
    Nested(Nest),
}

#[derive(Debug, Clone)]
struct Nest {
    level: Level,
    /// For each of the inner inputs, the column it is given, and whether it is mapped over.
    inputs: [(usize, bool); 5],
    mode: MapMode,
    /// The outputs that get names.
    outputs: Vec<usize>,
    engine: Option<usize>,
}

/// Pipelines that nest `depth` deep at most.
pub(super) fn level(depth: usize) -> BoxedStrategy<Level> {
    let steps = prop::collection::vec(step(depth), 1..4);
    let selected = prop_oneof![Just(vec![]), prop::collection::vec(0usize..8, 1..3)];
    let bound = prop::option::weighted(0.2, -9i64..9);
    (steps, selected, bound)
        .prop_map(|(steps, selected, bound)| Level {
            steps,
            selected,
            bound,
        })
        .boxed()
}

fn step(depth: usize) -> BoxedStrategy<Step> {
    let failing = prop::bool::weighted(0.15);
    let row = (0u8..6, [0usize..9, 0usize..9], failing);
    let row = row.prop_map(|(kind, inputs, fails)| Step::Row {
        kind,
        inputs,
        fails,
    });
    let spread = (any::<bool>(), 0usize..9);
    let spread = spread.prop_map(|(is_async, input)| Step::Spread { is_async, input });
    let reduce = (prop_oneof![9 => 0u8..2, 1 => Just(2u8)], 0usize..9);
    let reduce = reduce.prop_map(|(kind, input)| Step::Reduce { kind, input });
    if depth == 0 {
        return prop_oneof![4 => row, 1 => spread, 2 => reduce].boxed();
    }
    let input = || (0usize..9, any::<bool>());
    let nest = (
        level(depth - 1),
        [input(), input(), input(), input(), input()],
        prop_oneof![Just(MapMode::Zip), Just(MapMode::Product)],
        prop::collection::vec(0usize..8, 0..3),
        prop::option::weighted(0.3, 0usize..3),
    );
    let nest = nest.prop_map(|(level, inputs, mode, outputs, engine)| {
        Step::Nested(Nest {
            level,
            inputs,
            mode,
            outputs,
            engine,
        })
    });
    prop_oneof![4 => row, 1 => spread, 2 => reduce, 5 => nest].boxed()
}

/// The columns of a level by name and depth.
type Known = Vec<(&'static str, usize)>;

fn choose(known: &[(&'static str, usize)], depth: usize, choice: usize) -> Option<&'static str> {
    let fitting = known.iter().filter(|(_, known)| *known == depth);
    let fitting: Vec<_> = fitting.map(|(name, _)| *name).collect();
    (!fitting.is_empty()).then(|| fitting[choice % fitting.len()])
}

impl Level {
    /// The pipeline; a nested one may run on one of `engines`.
    pub(super) fn build(&self, engines: &[Arc<dyn Engine>; 3]) -> Result<Pipeline> {
        Ok(self.built(engines)?.0)
    }

    /// The pipeline, and what its nodes make.
    fn built(&self, engines: &[Arc<dyn Engine>; 3]) -> Result<(Pipeline, Known)> {
        let mut known = INPUTS.to_vec();
        let mut nodes = Vec::new();
        for step in &self.steps {
            let next = known.len() - INPUTS.len();
            let number = |choice| choose(&known, 0, choice).expect("x is a number");
            let list = |choice| choose(&known, 1, choice).expect("xs is a list");
            match step {
                Step::Row {
                    kind,
                    inputs,
                    fails,
                } => {
                    let inputs = inputs.map(number);
                    if *kind == 5 {
                        nodes.push(pair([MADE[next], MADE[next + 1]], inputs, *fails));
                        known.extend([(MADE[next], 0), (MADE[next + 1], 0)]);
                    } else {
                        nodes.push(row(MADE[next], *kind, inputs, *fails));
                        known.push((MADE[next], 0));
                    }
                }
                Step::Spread { is_async, input } => {
                    nodes.push(spread(MADE[next], *is_async, number(*input)));
                    known.push((MADE[next], 1));
                }
                Step::Reduce { kind, input } => {
                    nodes.push(reduce(MADE[next], *kind, list(*input)));
                    known.push((MADE[next], 0));
                }
                Step::Nested(nest) => {
                    let (node, made) = nest.node(&known, &MADE[next..], engines)?;
                    nodes.push(node);
                    known.extend(made);
                }
            }
        }
        let mut pipeline = Pipeline::new(nodes)?;
        let reads_y = pipeline.unfulfilled_args().any(|name| name == "y");
        if let Some(y) = self.bound.filter(|_| reads_y) {
            pipeline = pipeline.bind(inputs! { y: y })?;
        }
        let available: Vec<String> = pipeline
            .available_outputs()
            .map(|output| output.name.clone())
            .collect();
        if !self.selected.is_empty() {
            let selected = self.selected.iter();
            let selected = selected.map(|choice| available[choice % available.len()].as_str());
            pipeline = pipeline.select(selected.collect::<Vec<_>>())?;
        }
        let made = known.into_iter().skip(INPUTS.len());
        Ok((pipeline, made.collect()))
    }
}

impl Nest {
    /// The node, and the columns it makes under the first of `names`.
    fn node(
        &self,
        known: &[(&'static str, usize)],
        names: &[&'static str],
        engines: &[Arc<dyn Engine>; 3],
    ) -> Result<(Node, Known)> {
        let (mut inner, made) = self.level.built(engines)?;
        if let Some(engine) = self.engine {
            inner = inner.with_engine(Arc::clone(&engines[engine]));
        }
        let free = |name: &str| inner.unfulfilled_args().any(|free| free == name);
        let inputs = std::iter::zip(INPUTS, self.inputs).filter(|((name, _), _)| free(name));
        let inputs: Vec<_> = inputs.collect();
        // If each list is mapped over, there is none for an input that is not.
        let (mapping, over) = mapping(known, &inputs, true)
            .or_else(|| mapping(known, &inputs, false))
            .expect("the inputs are there");
        let available: Vec<&Output> = inner.outputs().collect();
        let mut outputs: Vec<&str> = Vec::new();
        for choice in &self.outputs {
            let name = available[choice % available.len()].name.as_str();
            if !outputs.contains(&name) {
                outputs.push(name);
            }
        }
        if outputs.is_empty() {
            outputs.push(&available[0].name);
        }
        let named = std::iter::zip(outputs, names);
        let (named, mut columns): (Vec<_>, Known) = named
            .map(|(inner, outer)| {
                let depth = made.iter().find(|(name, _)| *name == inner);
                let depth = depth.map_or(0, |(_, depth)| *depth);
                ((inner.to_owned(), *outer), (*outer, depth))
            })
            .unzip();
        let named = named.iter().map(|(inner, outer)| (inner.as_str(), *outer));
        let mut node = inner.as_node().input_mapping(mapping).output_mapping(named);
        if !over.is_empty() {
            columns.iter_mut().for_each(|(_, depth)| *depth += 1);
            node = node.map_over(over).map_mode(self.mode);
        }
        Ok((node.into(), columns))
    }
}

/// An inner input with its depth, the column chosen for it, and whether that is mapped over.
type Wanted = ((&'static str, usize), (usize, bool));
/// The outer and inner names, and the outer ones that are mapped over.
type Mapping = (Vec<(&'static str, &'static str)>, Vec<&'static str>);

/// The column for each inner input, and those that are mapped over, if any may be.
fn mapping(known: &[(&'static str, usize)], inputs: &[Wanted], may_map: bool) -> Option<Mapping> {
    let (mut mapping, mut over) = (Vec::new(), Vec::new());
    let mut left = Vec::new();
    for &((inner, depth), (choice, mapped)) in inputs {
        match choose(known, depth + 1, choice) {
            Some(outer) if mapped && may_map => {
                mapping.push((outer, inner));
                if !over.contains(&outer) {
                    over.push(outer);
                }
            }
            _ => left.push((inner, depth, choice)),
        }
    }
    // A column is mapped over for every input that is given it.
    let whole = known.iter().filter(|(name, _)| !over.contains(name));
    let whole: Known = whole.copied().collect();
    for (inner, depth, choice) in left {
        mapping.push((choose(&whole, depth, choice)?, inner));
    }
    Some((mapping, over))
}

fn combine(left: i64, right: i64, fails: bool) -> Result<i64, std::fmt::Error> {
    let sum = left.wrapping_mul(3).wrapping_add(right);
    match fails && sum % 17 == 5 {
        true => Err(std::fmt::Error),
        false => Ok(sum),
    }
}

fn row(output: &'static str, kind: u8, inputs: [&'static str; 2], fails: bool) -> Node {
    let single = move |a: i64, b: i64| combine(a, b, fails);
    let batch = move |a: &Int64Array, b: &Int64Array| {
        let pairs = std::iter::zip(a, b);
        let sums = pairs.map(|(a, b)| match (a, b) {
            (Some(a), Some(b)) => combine(a, b, fails).map(Some),
            _ => Ok(None),
        });
        sums.collect::<Result<Int64Array, _>>()
    };
    match kind {
        0 => Node::map(output, inputs, single),
        1 => Node::map(output, inputs, move |a: Option<i64>, b: i64| {
            combine(a.unwrap_or(7), b, fails)
        }),
        2 => Node::map_async(output, inputs, move |a: i64, b: i64| async move {
            if a % 2 == 0 {
                tokio::task::yield_now().await;
            }
            combine(a, b, fails)
        }),
        3 => Node::batch(output, inputs, batch),
        _ => {
            let many = Node::batch(output, inputs, batch);
            Node::map(output, inputs, single).with_batch(many)
        }
    }
}

fn pair(outputs: [&'static str; 2], inputs: [&'static str; 2], fails: bool) -> Node {
    Node::map(outputs, inputs, move |a: i64, b: i64| {
        let sum = combine(a, b, fails)?;
        Ok::<_, std::fmt::Error>((sum, (sum % 3 != 0).then_some(a)))
    })
}

/// Null, empty, or one or two items, of which one may be null.
fn listed(x: i64) -> Option<Vec<Option<i64>>> {
    match x.rem_euclid(6) {
        0 => None,
        1 => Some(vec![]),
        2 => Some(vec![None, Some(x)]),
        3 => Some(vec![Some(x)]),
        _ => Some(vec![Some(x), Some(x.wrapping_neg())]),
    }
}

fn spread(output: &'static str, is_async: bool, input: &'static str) -> Node {
    match is_async {
        true => Node::map_async(output, [input], |x: i64| async move { listed(x) }),
        false => Node::map(output, [input], listed),
    }
}

fn sum(items: &[Option<i64>]) -> i64 {
    let items = items.iter().flatten();
    items.fold(0, |sum, item| sum.wrapping_add(*item))
}

fn reduce(output: &'static str, kind: u8, input: &'static str) -> Node {
    match kind {
        0 => Node::map(output, [input], |items: Vec<Option<i64>>| sum(&items)),
        1 => Node::map(output, [input], |items: Option<Vec<Option<i64>>>| {
            items.map_or(-1, |items| sum(&items))
        }),
        // Cannot read a list with a null in it.
        _ => Node::map(output, [input], |items: &[i64]| items.len() as i64),
    }
}

type List = Option<Vec<Option<i64>>>;

/// A row of the inputs.
#[derive(Debug, Clone)]
pub(super) struct Row {
    x: Option<i64>,
    y: Option<i64>,
    xs: List,
    ys: List,
    xss: Option<Vec<List>>,
}

fn rows() -> impl Strategy<Value = Row> {
    let cell = || prop::option::weighted(0.8, -50i64..50);
    let list = move || prop::option::weighted(0.8, prop::collection::vec(cell(), 0..3));
    let lists = prop::option::weighted(0.8, prop::collection::vec(list(), 0..3));
    (cell(), cell(), list(), list(), lists).prop_map(|(x, y, xs, ys, xss)| Row {
        x,
        y,
        xs,
        ys,
        xss,
    })
}

/// Batches of one schema. Seldom are the lists of a row of different lengths: those cannot be
/// zipped.
pub(super) fn batches() -> impl Strategy<Value = Vec<Vec<Row>>> {
    let batches = prop::collection::vec(prop::collection::vec(rows(), 0..12), 1..4);
    (batches, prop::bool::weighted(0.1)).prop_map(|(mut batches, is_ragged)| {
        for row in batches.iter_mut().flatten().filter(|_| !is_ragged) {
            let items = row.xs.as_ref();
            row.ys = items.map(|items| items.iter().map(|item| item.map(|x| 5 - x)).collect());
        }
        batches
    })
}

/// A column of the items.
fn column(items: InputValue) -> ArrayRef {
    match items {
        InputValue::Column(column) => column,
        other => panic!("{other:?} is no column"),
    }
}

/// The rows as columns.
pub(super) fn batch(rows: &[Row]) -> RecordBatch {
    let numbers = |read: fn(&Row) -> Option<i64>| -> ArrayRef {
        Arc::new(Int64Array::from_iter(rows.iter().map(read)))
    };
    let columns = [
        ("x", numbers(|row| row.x), true),
        ("y", numbers(|row| row.y), true),
        (
            "xs",
            column(items(rows.iter().map(|row| row.xs.clone()))),
            true,
        ),
        (
            "ys",
            column(items(rows.iter().map(|row| row.ys.clone()))),
            true,
        ),
        (
            "xss",
            column(items(rows.iter().map(|row| row.xss.clone()))),
            true,
        ),
    ];
    RecordBatch::try_from_iter_with_nullable(columns).expect("columns of one length")
}
