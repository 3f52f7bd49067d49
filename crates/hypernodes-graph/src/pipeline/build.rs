//! The checks of a pipeline, all of whose faults are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;

use super::Input;
use super::nested::narrowed;
use crate::kernel::Call;
use crate::node::{Node, Output};
use crate::value::{meet, reads};
use crate::{Error, ErrorKind, Result};

/// The node that makes each output, and as which type.
type Producers<'a> = BTreeMap<&'a str, (usize, &'a DataType)>;

/// The nodes in topological order.
pub(super) fn check(nodes: Vec<Node>) -> Result<Vec<Node>> {
    let mut faults = Vec::new();
    for node in &nodes {
        let own = node.faults().iter();
        faults.extend(own.map(|fault| format!("node {:?}: {fault}", node.name())));
    }
    let producers = producers(&nodes, &mut faults);
    check_settings(&nodes, &mut faults);
    check_types(&nodes, &producers, &mut faults);
    inputs(&nodes, &producers, &mut faults);
    let order = order(&nodes, &producers, &mut faults);
    if faults.is_empty() {
        let ordered = order.into_iter().map(|index| nodes[index].clone());
        return Ok(ordered.collect());
    }
    let message = match faults.as_slice() {
        [fault] => fault.clone(),
        faults => format!("{} faults: {}", faults.len(), faults.join("; ")),
    };
    Err(Error::new(ErrorKind::InvalidPipeline, message))
}

/// What a pipeline of these nodes shows where nothing is selected: every output, but of a nested
/// pipeline only those that some node reads, if any is.
pub(super) fn visible(nodes: &[Node]) -> Vec<Output> {
    let parameters = nodes.iter().flat_map(Node::parameters);
    let read: BTreeSet<&str> = parameters.map(|read| read.name.as_str()).collect();
    let is_read = |output: &&Output| read.contains(output.name.as_str());
    let mut outputs = Vec::new();
    for node in nodes {
        let made = node.outputs().iter();
        let nested = matches!(node.call(), Call::Nested(_));
        if nested && made.clone().any(|output| is_read(&output)) {
            outputs.extend(made.filter(is_read).cloned());
        } else {
            outputs.extend(made.cloned());
        }
    }
    outputs
}

/// The nodes of `listed` that these outputs need, and the inputs of those.
pub(super) fn needed(listed: &[Node], outputs: &[Output]) -> (Vec<Node>, Vec<Input>) {
    let names = outputs.iter().map(|output| output.name.clone());
    let mut wanted: BTreeSet<String> = names.collect();
    let mut nodes = Vec::new();
    for node in listed.iter().rev() {
        let made = node.outputs().iter().map(|output| output.name.as_str());
        let made: BTreeSet<&str> = made.filter(|name| wanted.contains(*name)).collect();
        if made.is_empty() {
            continue;
        }
        let node = narrowed(node, &made);
        let read = node.parameters().iter();
        wanted.extend(read.map(|parameter| parameter.name.clone()));
        nodes.push(node);
    }
    nodes.reverse();
    let producers = producers(&nodes, &mut Vec::new());
    let inputs = inputs(&nodes, &producers, &mut Vec::new());
    (nodes, inputs)
}

fn producers<'a>(nodes: &'a [Node], faults: &mut Vec<String>) -> Producers<'a> {
    let mut producers = Producers::new();
    for (index, node) in nodes.iter().enumerate() {
        for output in node.outputs() {
            let (name, data_type) = (output.name.as_str(), &output.data_type);
            if let Some((first, _)) = producers.insert(name, (index, data_type)) {
                let (first, second) = (nodes[first].name(), node.name());
                faults.push(format!(
                    "nodes {first:?} and {second:?} both make output {name:?}"
                ));
            }
        }
    }
    producers
}

fn check_settings(nodes: &[Node], faults: &mut Vec<String>) {
    for node in nodes {
        let zeros = node
            .settings()
            .zeros()
            .map(|name| format!("`{name}` must be at least 1"));
        let idle = idle_settings(node)
            .map(|name| format!("`{name}` does nothing on {} node", kind(node.call())));
        let merged = (node.declared().dedup && !node.declared().pure)
            .then(|| "`dedup` shares calls, which `pure = false` forbids".to_owned());
        faults.extend(
            zeros
                .chain(idle)
                .chain(merged)
                .map(|fault| format!("node {:?}: {fault}", node.name())),
        );
    }
}

/// The settings of a node that its kind of function cannot honour.
fn idle_settings(node: &Node) -> impl Iterator<Item = &'static str> {
    let (settings, call) = (node.settings(), node.call());
    let is_nested = matches!(call, Call::Nested(_));
    let is_async = matches!(call, Call::Async(_)) || is_nested;
    let is_batch = matches!(call, Call::Batch(_));
    let set = [
        ("max_workers", settings.max_workers.is_some() && is_async),
        (
            "workload_type",
            settings.workload_type.is_some() && is_async,
        ),
        ("batch_size", settings.batch_size.is_some() && is_async),
        (
            "max_in_flight",
            settings.max_in_flight.is_some() && (!is_async || is_nested),
        ),
        (
            "use_batch_udf",
            settings.use_batch_udf.is_some() && (is_async || is_batch),
        ),
        ("ordered", settings.ordered.is_some() && is_nested),
    ];
    set.into_iter()
        .filter(|(_, idle)| *idle)
        .map(|(name, _)| name)
}

fn kind(call: &Call) -> &'static str {
    match call {
        Call::Rows(_) => "a sync",
        Call::Batch(_) => "a batch",
        Call::Async(_) => "an async",
        Call::Nested(_) => "a nested pipeline's",
    }
}

fn check_types(nodes: &[Node], producers: &Producers<'_>, faults: &mut Vec<String>) {
    for node in nodes {
        for parameter in node.parameters() {
            let Some(&(producer, made)) = producers.get(parameter.name.as_str()) else {
                continue;
            };
            let (wanted, name) = (&parameter.data_type, &parameter.name);
            let (consumer, producer) = (node.name(), nodes[producer].name());
            if parameter.constant {
                faults.push(format!(
                    "node {consumer:?} takes {name:?} as one value for all rows, but node {producer:?} makes it for each; take an array"
                ));
            }
            if !reads(wanted, made) {
                faults.push(format!(
                    "node {consumer:?} reads {name:?} as {wanted}, but node {producer:?} makes it as {made}"
                ));
            }
        }
    }
}

fn inputs(nodes: &[Node], producers: &Producers<'_>, faults: &mut Vec<String>) -> Vec<Input> {
    let mut inputs: BTreeMap<&str, Input> = BTreeMap::new();
    for node in nodes {
        for parameter in node.parameters() {
            let name = parameter.name.as_str();
            if producers.contains_key(name) {
                continue;
            }
            let Some(known) = inputs.get_mut(name) else {
                let input = Input {
                    name: name.to_owned(),
                    data_type: parameter.data_type.clone(),
                    constant: parameter.constant,
                    default: parameter.default.clone(),
                };
                inputs.insert(name, input);
                continue;
            };
            match meet(&known.data_type, &parameter.data_type) {
                Some(both) => known.data_type = both,
                None => faults.push(format!(
                    "node {:?} reads input {name:?} as {}, another node as {}; no column can be read as both",
                    node.name(),
                    parameter.data_type,
                    known.data_type
                )),
            }
            known.constant |= parameter.constant;
            match (&known.default, &parameter.default) {
                (Some(one), Some(other)) if one != other => faults.push(format!(
                    "node {:?} has another default for input {name:?} than a node before it",
                    node.name()
                )),
                (Some(_), Some(_)) => {}
                // A node that has no default needs the input to be given.
                _ => known.default = None,
            }
        }
    }
    inputs.into_values().collect()
}

/// Kahn's algorithm; ready nodes come by name, so that the order never depends on how
/// the nodes were listed.
fn order(nodes: &[Node], producers: &Producers<'_>, faults: &mut Vec<String>) -> Vec<usize> {
    let needs = |node: &Node| -> BTreeSet<usize> {
        node.parameters()
            .iter()
            .filter_map(|parameter| Some(producers.get(parameter.name.as_str())?.0))
            .collect()
    };
    let mut waiting: BTreeMap<(&str, usize), BTreeSet<usize>> = nodes
        .iter()
        .enumerate()
        .map(|(index, node)| ((node.name(), index), needs(node)))
        .collect();
    let mut order = Vec::with_capacity(nodes.len());
    while let Some(&ready) = waiting
        .iter()
        .find(|(_, needs)| needs.is_empty())
        .map(|(key, _)| key)
    {
        waiting.remove(&ready);
        waiting.values_mut().for_each(|needs| {
            needs.remove(&ready.1);
        });
        order.push(ready.1);
    }
    let blocked: BTreeMap<usize, BTreeSet<usize>> = waiting
        .into_iter()
        .map(|((_, index), needs)| (index, needs))
        .collect();
    if let Some((&start, _)) = blocked.first_key_value() {
        faults.push(cycle(nodes, &blocked, start));
    }
    order
}

/// Follows unmet needs, which every blocked node has, until a node comes again.
fn cycle(nodes: &[Node], blocked: &BTreeMap<usize, BTreeSet<usize>>, start: usize) -> String {
    let mut path = vec![start];
    let next = |at: &usize| blocked.get(at).and_then(|needs| needs.first()).copied();
    while let Some(need) = path.last().and_then(next) {
        let seen = path.iter().position(|&at| at == need);
        path.push(need);
        if let Some(first) = seen {
            path.drain(..first);
            break;
        }
    }
    if let [only, _] = path[..] {
        return format!("node {:?} reads its own output", nodes[only].name());
    }
    let names: Vec<&str> = path
        .iter()
        .rev()
        .map(|&index| nodes[index].name())
        .collect();
    format!("the nodes form a cycle: {}", names.join(" -> "))
}
