//! A pipeline: nodes joined by the names of their parameters and outputs.
//!
//! What belongs here: pure data and its checks. What never does: running anything.

mod build;
#[cfg(test)]
mod tests;

use std::any::Any;
use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::columns::SharedValue;
use crate::node::{Node, Output};
use crate::{Error, ErrorKind, Result, hint};

/// A column or item that a pipeline needs from outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The widest type that every node that takes it can read.
    pub data_type: DataType,
}

/// A checked, acyclic graph of nodes; immutable and cheap to clone.
///
/// An edge leads from the node whose output has a name to each node with a parameter of that
/// name, in whatever order the nodes are listed. Parameters that no node makes are the
/// pipeline's inputs.
///
/// ```
/// use hypernodes_graph::{Node, Pipeline};
///
/// let pipeline = Pipeline::new([
///     Node::map("words", ["cleaned"], |cleaned: &str| cleaned.split(' ').count() as i64),
///     Node::map("cleaned", ["text"], |text: &str| text.to_lowercase()),
/// ])?;
/// let outputs: Vec<&str> = pipeline.outputs().map(|output| output.name.as_str()).collect();
/// assert_eq!(outputs, ["cleaned", "words"]);
/// assert_eq!(pipeline.inputs()[0].name, "text");
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
#[derive(Clone)]
pub struct Pipeline(Arc<Graph>);

#[derive(Clone)]
struct Graph {
    name: String,
    nodes: Vec<Node>,
    inputs: Vec<Input>,
    shared: BTreeMap<String, SharedValue>,
}

impl Pipeline {
    /// A pipeline of these nodes.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`], with every fault in one message: two nodes with one
    /// output, a cycle, a node that reads its own output, a parameter that cannot read the type
    /// its producer makes, two parameters that no one input can serve, a setting of zero.
    pub fn new<I>(nodes: I) -> Result<Self>
    where
        I: IntoIterator<Item: Into<Node>>,
    {
        let nodes = nodes.into_iter().map(Into::into).collect();
        let (nodes, inputs) = build::check(nodes)?;
        let graph = Graph {
            name: "pipeline".into(),
            nodes,
            inputs,
            shared: BTreeMap::new(),
        };
        Ok(Self(Arc::new(graph)))
    }

    /// The same pipeline under a name, which errors and pictures show.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).name = name.into();
        self
    }

    /// Its name; `"pipeline"` if it was given none.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The nodes, each after those whose outputs it reads; of several that could come next,
    /// the first by name.
    pub fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    /// The inputs by name.
    pub fn inputs(&self) -> &[Input] {
        &self.0.inputs
    }

    /// The outputs in the order of [`Pipeline::nodes`].
    pub fn outputs(&self) -> impl Iterator<Item = &Output> {
        self.0.nodes.iter().flat_map(Node::outputs)
    }

    /// The same pipeline reading input `to` where it read `from`.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`] if there is no input `from`, or if `to` is an output.
    pub fn rename_input(self, from: &str, to: &str) -> Result<Self> {
        let names = || self.inputs().iter().map(|input| input.name.as_str());
        if !names().any(|name| name == from) {
            let message = format!(
                "there is no input {from:?} to rename{}",
                hint(from, names())
            );
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        if self.outputs().any(|output| output.name == to) {
            let message =
                format!("input {from:?} cannot be called {to:?}: an output has that name");
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        let nodes = self
            .0
            .nodes
            .iter()
            .map(|node| node.clone().with_input_renamed(from, to))
            .collect();
        let (nodes, inputs) = build::check(nodes)?;
        let (name, shared) = (self.0.name.clone(), self.0.shared.clone());
        Ok(Self(Arc::new(Graph {
            name,
            nodes,
            inputs,
            shared,
        })))
    }

    /// The same pipeline with a resource for every `#[shared]` parameter called `name`; a
    /// later value replaces an earlier one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`] if no node takes such a resource, or of another type.
    pub fn bind_shared<T: Any + Send + Sync>(mut self, name: &str, value: T) -> Result<Self> {
        let takers = self.nodes().iter().flat_map(Node::shared);
        let same_name: Vec<_> = takers.clone().filter(|taker| taker.name == name).collect();
        if same_name.is_empty() {
            let message = format!(
                "no node takes a shared value {name:?}{}",
                hint(name, takers.map(|taker| taker.name.as_str()))
            );
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        if let Some(taker) = same_name
            .iter()
            .find(|taker| taker.type_id != value.type_id())
        {
            let given = std::any::type_name::<T>();
            let message = format!(
                "shared value {name:?} is a {given}, and a node takes a {}",
                taker.type_name
            );
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        Arc::make_mut(&mut self.0)
            .shared
            .insert(name.to_owned(), Arc::new(value));
        Ok(self)
    }

    /// The resources that `node` takes, in the order of its parameters.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if one was not bound.
    pub fn shared_values(&self, node: &Node) -> Result<Vec<SharedValue>> {
        let bound = |name: &String| {
            self.0.shared.get(name).cloned().ok_or_else(|| {
                let message = format!(
                    "node {:?} takes a shared value {name:?}, which was not bound; call `bind_shared({name:?}, …)`",
                    node.name()
                );
                Error::new(ErrorKind::InvalidInput, message)
            })
        };
        node.shared()
            .iter()
            .map(|parameter| bound(&parameter.name))
            .collect()
    }
}

impl fmt::Debug for Pipeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<&str> = self
            .inputs()
            .iter()
            .map(|input| input.name.as_str())
            .collect();
        let outputs: Vec<&str> = self.outputs().map(|output| output.name.as_str()).collect();
        write!(f, "Pipeline({:?}: {inputs:?} -> {outputs:?})", self.name())
    }
}
