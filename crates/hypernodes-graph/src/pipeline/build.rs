//! The checks of a pipeline, all of whose faults are reported at once.

use std::collections::{BTreeMap, BTreeSet};

use arrow::datatypes::DataType;

use super::Input;
use crate::kernel::Call;
use crate::node::Node;
use crate::value::{meet, reads};
use crate::{Error, ErrorKind, Result};

/// The node that makes each output, and as which type.
type Producers<'a> = BTreeMap<&'a str, (usize, &'a DataType)>;

/// The nodes in topological order, and the inputs they need from outside.
pub(super) fn check(nodes: Vec<Node>) -> Result<(Vec<Node>, Vec<Input>)> {
    let mut faults = Vec::new();
    let producers = producers(&nodes, &mut faults);
    check_settings(&nodes, &mut faults);
    check_types(&nodes, &producers, &mut faults);
    let inputs = inputs(&nodes, &producers, &mut faults);
    let order = order(&nodes, &producers, &mut faults);
    if faults.is_empty() {
        return Ok((
            order
                .into_iter()
                .map(|index| nodes[index].clone())
                .collect(),
            inputs,
        ));
    }
    let message = match faults.as_slice() {
        [fault] => fault.clone(),
        faults => format!("{} faults: {}", faults.len(), faults.join("; ")),
    };
    Err(Error::new(ErrorKind::InvalidPipeline, message))
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
        faults.extend(
            zeros
                .chain(idle)
                .map(|fault| format!("node {:?}: {fault}", node.name())),
        );
    }
}

/// The settings of a node that its kind of function cannot honour.
fn idle_settings(node: &Node) -> impl Iterator<Item = &'static str> {
    let (settings, call) = (node.settings(), node.call());
    let is_async = matches!(call, Call::Async(_));
    let is_batch = matches!(call, Call::Batch(_));
    let set = [
        ("max_workers", settings.max_workers.is_some() && is_async),
        ("batch_size", settings.batch_size.is_some() && is_async),
        (
            "max_in_flight",
            settings.max_in_flight.is_some() && !is_async,
        ),
        (
            "use_batch_udf",
            settings.use_batch_udf.is_some() && (is_async || is_batch),
        ),
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
    }
}

fn check_types(nodes: &[Node], producers: &Producers<'_>, faults: &mut Vec<String>) {
    for node in nodes {
        for parameter in node.parameters() {
            let Some(&(producer, made)) = producers.get(parameter.name.as_str()) else {
                continue;
            };
            let wanted = &parameter.data_type;
            if !reads(wanted, made) {
                let (consumer, producer) = (node.name(), nodes[producer].name());
                let name = &parameter.name;
                faults.push(format!(
                    "node {consumer:?} reads {name:?} as {wanted}, but node {producer:?} makes it as {made}"
                ));
            }
        }
    }
}

fn inputs(nodes: &[Node], producers: &Producers<'_>, faults: &mut Vec<String>) -> Vec<Input> {
    let mut inputs = BTreeMap::new();
    for node in nodes {
        for parameter in node.parameters() {
            if producers.contains_key(parameter.name.as_str()) {
                continue;
            }
            let known = inputs
                .entry(parameter.name.clone())
                .or_insert_with(|| parameter.data_type.clone());
            match meet(known, &parameter.data_type) {
                Some(both) => *known = both,
                None => faults.push(format!(
                    "node {:?} reads input {:?} as {}, another node as {known}; no column can be read as both",
                    node.name(),
                    parameter.name,
                    parameter.data_type
                )),
            }
        }
    }
    inputs
        .into_iter()
        .map(|(name, data_type)| Input { name, data_type })
        .collect()
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
