//! A pipeline as a node of another.

use std::collections::BTreeSet;
use std::sync::Arc;

use arrow::datatypes::{DataType, Field};

use super::Pipeline;
use crate::hint;
use crate::kernel::Call;
use crate::node::{Identity, Names, Node, Output, Parameter};
use crate::value::InputValue;

/// How columns that are mapped over go together.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum MapMode {
    /// Row by row; all are of one length, or it is an error that names the lengths.
    #[default]
    Zip,
    /// Each with each, as many rows as the lengths' product; the one that was named last varies
    /// fastest.
    Product,
}

/// How a node runs its pipeline. The node's parameters and outputs are those of the pipeline by
/// position, under the names of the outer one.
#[derive(Debug, Clone)]
pub struct Nested {
    /// The pipeline; its outputs are those that the node makes.
    pub pipeline: Pipeline,
    /// For each parameter of the node, the pipeline's input and whether it is mapped over.
    pub inputs: Vec<(String, bool)>,
    /// Where it is mapped over lists: how these go together.
    pub mode: Option<MapMode>,
}

/// A pipeline about to be a node; made by [`Pipeline::as_node`].
///
/// A mistake in the names is reported by the [`Pipeline::new`] that takes the node.
#[derive(Debug, Clone)]
#[must_use = "give it to `Pipeline::new`"]
pub struct AsNode {
    pipeline: Pipeline,
    name: Option<String>,
    inputs: Vec<(String, String)>,
    outputs: Vec<(String, String)>,
    /// `None` where `map_over` was not called.
    over: Option<Vec<String>>,
    mode: MapMode,
}

impl Pipeline {
    /// This pipeline as a node.
    ///
    /// Its parameters are the inputs that are not bound, its outputs those of the pipeline; of
    /// these, the outer pipeline shows the ones that its nodes read, or all if none is read.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline};
    ///
    /// let inner = Pipeline::new([Node::map("doubled", ["x"], |x: i64| 2 * x)])?;
    /// let total = Node::map("total", ["all"], |all: &[i64]| all.iter().sum::<i64>());
    /// let mapped = inner.as_node()
    ///     .input_mapping([("xs", "x")])
    ///     .output_mapping([("doubled", "all")])
    ///     .map_over("xs");
    /// let outer = Pipeline::new([mapped.into(), total])?;
    /// assert_eq!(outer.inputs()[0].name, "xs");
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    pub fn as_node(&self) -> AsNode {
        AsNode {
            pipeline: self.clone(),
            name: None,
            inputs: Vec::new(),
            outputs: Vec::new(),
            over: None,
            mode: MapMode::Zip,
        }
    }
}

impl AsNode {
    /// The node's name; that of the pipeline if none is given.
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        self.name = Some(name.into());
        self
    }

    /// Names of the outer pipeline for inputs: `(outer, inner)`; those not named here keep their
    /// names.
    pub fn input_mapping<'a>(
        mut self,
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let names = names.into_iter();
        self.inputs
            .extend(names.map(|(outer, inner)| (outer.to_owned(), inner.to_owned())));
        self
    }

    /// Names of the outer pipeline for outputs: `(inner, outer)`; those not named here are not
    /// made.
    pub fn output_mapping<'a>(
        mut self,
        names: impl IntoIterator<Item = (&'a str, &'a str)>,
    ) -> Self {
        let names = names.into_iter();
        self.outputs
            .extend(names.map(|(inner, outer)| (inner.to_owned(), outer.to_owned())));
        self
    }

    /// Runs the pipeline for each item of a list, or of several: `.map_over("xs")`,
    /// `.map_over(["xs", "ys"])`, named as the outer pipeline names them; each output becomes a
    /// list of as many items. The other inputs are the same for each item of a row. An empty list
    /// gives empty lists, a null list null ones, and neither calls anything.
    pub fn map_over(mut self, names: impl Names) -> Self {
        let over = self.over.get_or_insert_default();
        over.extend(names.names().into_iter().map(str::to_owned));
        self
    }

    /// How several lists go together; [`MapMode::Zip`] if not said. Zipped lists of one row that
    /// differ in length are an error of that row.
    pub fn map_mode(mut self, mode: MapMode) -> Self {
        self.mode = mode;
        self
    }

    /// The outer name of each input that is not bound, in the order of `input_mapping`.
    fn named_inputs(&self, faults: &mut Vec<String>) -> Vec<(String, String)> {
        let free: Vec<&str> = self.pipeline.unfulfilled_args().collect();
        let known = || {
            self.pipeline
                .inputs()
                .iter()
                .map(|input| input.name.as_str())
        };
        for (position, (outer, inner)) in self.inputs.iter().enumerate() {
            if !known().any(|name| name == inner) {
                let hint = hint(inner, known());
                faults.push(format!(
                    "there is no input {inner:?} to map {outer:?} to{hint}"
                ));
            } else if !free.contains(&inner.as_str()) {
                faults.push(format!(
                    "input {inner:?} is bound, and {outer:?} cannot be mapped to it"
                ));
            }
            if let Some((first, _)) = self.inputs[..position]
                .iter()
                .find(|(_, known)| known == inner)
            {
                faults.push(format!(
                    "{first:?} and {outer:?} are both mapped to input {inner:?}"
                ));
            }
        }
        for (name, value) in self.pipeline.bound_inputs().iter() {
            if matches!(value, InputValue::Column(_)) {
                faults.push(format!(
                    "input {name:?} is bound to a column, and a nested pipeline runs on items"
                ));
            }
        }
        let outer = |inner: &str| {
            let named = self.inputs.iter().find(|(_, known)| known == inner);
            named.map_or_else(|| inner.to_owned(), |(outer, _)| outer.clone())
        };
        let inputs = free
            .into_iter()
            .map(|inner| (outer(inner), inner.to_owned()));
        inputs.collect()
    }

    /// The inner and outer name of each output that is made.
    fn named_outputs(&self, faults: &mut Vec<String>) -> Vec<(String, String)> {
        if self.outputs.is_empty() {
            let outputs = self.pipeline.outputs();
            return outputs
                .map(|output| (output.name.clone(), output.name.clone()))
                .collect();
        }
        let known = || {
            self.pipeline
                .available_outputs()
                .map(|output| output.name.as_str())
        };
        for (inner, outer) in &self.outputs {
            if !known().any(|name| name == inner) {
                let hint = hint(inner, known());
                faults.push(format!(
                    "there is no output {inner:?} to call {outer:?}{hint}"
                ));
            }
        }
        self.outputs.clone()
    }

    fn mapped(&self, inputs: &[(String, String)], faults: &mut Vec<String>) {
        let known = || inputs.iter().map(|(outer, _)| outer.as_str());
        let Some(lists) = &self.over else {
            if self.mode == MapMode::Product {
                faults.push("`map_mode` does nothing without `map_over`".into());
            }
            return;
        };
        if lists.is_empty() {
            faults.push("`map_over` names no input".into());
        }
        for (position, over) in lists.iter().enumerate() {
            if !known().any(|name| name == over) {
                let hint = hint(over, known());
                faults.push(format!("there is no input {over:?} to map over{hint}"));
            }
            if lists[..position].contains(over) {
                faults.push(format!("{over:?} is mapped over twice"));
            }
        }
    }
}

impl From<Pipeline> for Node {
    fn from(pipeline: Pipeline) -> Self {
        pipeline.as_node().into()
    }
}

impl From<AsNode> for Node {
    fn from(as_node: AsNode) -> Self {
        let mut faults = Vec::new();
        let mut inputs = as_node.named_inputs(&mut faults);
        let outputs = as_node.named_outputs(&mut faults);
        as_node.mapped(&inputs, &mut faults);
        let mode = as_node.over.as_ref().map(|_| as_node.mode);
        let lists = as_node.over.unwrap_or_default();
        // The order of the lists is the order of the product.
        inputs.sort_by_key(|(outer, _)| lists.iter().position(|over| over == outer));
        let pipeline = match as_node.pipeline.clone().select(
            outputs
                .iter()
                .map(|(inner, _)| inner.as_str())
                .collect::<Vec<_>>(),
        ) {
            Ok(pipeline) => pipeline,
            // An unknown output, which is among the faults.
            Err(_) => as_node.pipeline.clone(),
        };
        let list = |data_type: DataType| match mode {
            Some(_) => DataType::List(Arc::new(Field::new_list_field(data_type, true))),
            None => data_type,
        };
        let (mut parameters, mut mapped) = (Vec::new(), Vec::new());
        for (outer, inner) in inputs {
            let Some(input) = pipeline.inputs().iter().find(|input| input.name == inner) else {
                continue;
            };
            let over = lists.contains(&outer);
            parameters.push(Parameter {
                name: outer,
                data_type: match over {
                    true => list(input.data_type.clone()),
                    false => input.data_type.clone(),
                },
                optional: true,
                constant: input.constant && !over,
                default: input.default.clone().filter(|_| !over),
            });
            mapped.push((inner, over));
        }
        let named = std::iter::zip(pipeline.outputs(), &outputs);
        let outputs = named.map(|(made, (_, outer))| Output {
            name: outer.clone(),
            data_type: list(made.data_type.clone()),
        });
        let outputs = outputs.collect();
        let name = as_node.name.unwrap_or_else(|| pipeline.name().to_owned());
        let shared = pipeline.unbound_shared();
        let nested = Nested {
            pipeline,
            inputs: mapped,
            mode,
        };
        let call = Call::Nested(Arc::new(nested));
        let node = Node::new(Identity::new(), name, parameters, shared, outputs, call);
        faults.into_iter().fold(node, Node::with_fault)
    }
}

/// The node making only those of its outputs that are `needed`: of a nested pipeline, only what
/// they need is run. Other nodes are as they were.
pub(crate) fn narrowed(node: &Node, needed: &BTreeSet<&str>) -> Node {
    let Call::Nested(nested) = node.call() else {
        return node.clone();
    };
    if node
        .outputs()
        .iter()
        .all(|output| needed.contains(output.name.as_str()))
    {
        return node.clone();
    }
    let made = std::iter::zip(node.outputs(), nested.pipeline.outputs());
    let kept: Vec<_> = made
        .filter(|(outer, _)| needed.contains(outer.name.as_str()))
        .collect();
    let inner: Vec<_> = kept.iter().map(|(_, inner)| inner.name.as_str()).collect();
    let Ok(pipeline) = nested.pipeline.clone().select(inner) else {
        return node.clone();
    };
    let is_read = |name: &str| pipeline.inputs().iter().any(|input| input.name == name);
    // A list that is mapped over gives the number of items, whether its items are read or not.
    let parameters = std::iter::zip(node.parameters(), &nested.inputs);
    let (parameters, inputs): (Vec<_>, Vec<_>) = parameters
        .filter(|(_, (inner, mapped))| *mapped || is_read(inner))
        .map(|(parameter, input)| (parameter.clone(), input.clone()))
        .unzip();
    let outputs = kept.iter().map(|(outer, _)| (*outer).clone()).collect();
    let shared = pipeline.unbound_shared();
    let nested = Nested {
        pipeline,
        inputs,
        mode: nested.mode,
    };
    let call = Call::Nested(Arc::new(nested));
    Node::new(
        Identity::new(),
        node.name(),
        parameters,
        shared,
        outputs,
        call,
    )
}
