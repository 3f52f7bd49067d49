//! A pipeline: nodes joined by the names of their parameters and outputs.
//!
//! What belongs here: pure data and its checks. What never does: running anything.

mod bind;
mod build;
mod nested;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};

use crate::engine::Engine;
use crate::node::{Names, Node, Output};
use crate::shared::SharedValue;
use crate::value::Inputs;
use crate::{Error, ErrorKind, Result, hint};

pub(crate) use nested::narrowed;
pub use nested::{AsNode, MapMode, Nested};

/// A column or item that a pipeline needs from outside, by the name of one or more parameters.
#[derive(Debug, Clone, PartialEq)]
pub struct Input {
    /// Its name.
    pub name: String,
    /// The widest type that every node that takes it can read.
    pub data_type: DataType,
    /// Whether it must be the same in every row, as a batch function wants it.
    pub constant: bool,
    /// Its value where none is given: an array of one row. `None` if a node that reads it has no
    /// default for it: then it must be given.
    pub default: Option<ArrayRef>,
}

/// A checked, acyclic graph of nodes; immutable and cheap to clone.
///
/// An edge leads from the node whose output has a name to each node with a parameter of that
/// name, in whatever order the nodes are listed. Parameters that no node makes are the
/// pipeline's inputs. A pipeline is a node too: nest it by [`Pipeline::as_node`], or list it
/// among the nodes as it is.
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
    /// All nodes, in topological order.
    listed: Vec<Node>,
    /// The nodes that the outputs need, nested ones narrowed to what is needed of them.
    nodes: Vec<Node>,
    inputs: Vec<Input>,
    outputs: Vec<Output>,
    bound: Inputs,
    shared: BTreeMap<String, SharedValue>,
    engine: Option<Arc<dyn Engine>>,
}

impl Pipeline {
    /// A pipeline of these nodes; of none, one that gives nothing. Nothing is called.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`], with every fault in one message: two nodes with one
    /// output, a cycle, a node that reads its own output, a parameter that cannot read the type
    /// its producer makes, two parameters that no one input can serve, a wrong name in a nested
    /// pipeline's mapping, a setting that is zero or does nothing.
    pub fn new<I>(nodes: I) -> Result<Self>
    where
        I: IntoIterator<Item: Into<Node>>,
    {
        let nodes = nodes.into_iter().map(Into::into).collect();
        let listed = build::check(nodes)?;
        let outputs = build::visible(&listed);
        let (nodes, inputs) = build::needed(&listed, &outputs);
        Ok(Self(Arc::new(Graph {
            name: "pipeline".into(),
            listed,
            nodes,
            inputs,
            outputs,
            bound: Inputs::default(),
            shared: BTreeMap::new(),
            engine: None,
        })))
    }

    /// The same pipeline under a name, which errors and `{:?}` show, and which a node made of it
    /// has.
    #[must_use]
    pub fn with_name(mut self, name: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).name = name.into();
        self
    }

    /// The same pipeline run by `engine`, unless a call names another. Nested in one that runs
    /// elsewhere, it still runs here: whole batches of its rows are handed over. Where none is
    /// named, `run` and `map` use one session of the process, and a nested pipeline is a part of the
    /// outer one. On a table, the nodes of the outermost pipeline run on the table's session.
    #[must_use]
    pub fn with_engine(mut self, engine: impl Engine + 'static) -> Self {
        Arc::make_mut(&mut self.0).engine = Some(Arc::new(engine));
        self
    }

    /// The engine that was named for it; `None` for that of whoever runs it.
    pub fn engine(&self) -> Option<&Arc<dyn Engine>> {
        self.0.engine.as_ref()
    }

    /// Its name; `"pipeline"` if it was given none.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The nodes that the outputs need, each after those whose outputs it reads; of several that
    /// could come next, the first by name.
    pub fn nodes(&self) -> &[Node] {
        &self.0.nodes
    }

    /// The inputs that the outputs need, in the order of their names, the bound ones included.
    pub fn inputs(&self) -> &[Input] {
        &self.0.inputs
    }

    /// What a run gives: the selected outputs in the order of the selection, else those of all
    /// nodes in their order. Of a nested pipeline's outputs, these are the ones that some node
    /// reads, if any is.
    pub fn outputs(&self) -> impl ExactSizeIterator<Item = &Output> {
        self.0.outputs.iter()
    }

    /// The columns of a run's result, all of which may hold nulls.
    pub fn output_schema(&self) -> SchemaRef {
        let fields = self.outputs();
        let fields = fields.map(|output| Field::new(&output.name, output.data_type.clone(), true));
        Arc::new(Schema::new(fields.collect::<Vec<_>>()))
    }

    /// Every output that can be selected, in the order of the nodes.
    pub fn available_outputs(&self) -> impl Iterator<Item = &Output> {
        self.0.listed.iter().flat_map(Node::outputs)
    }

    /// The same pipeline giving only these outputs, in this order: `.select("a")` or
    /// `.select(["a", "b"])`. Only what they need is run and asked for. A name that comes twice
    /// counts once, and of no name nothing is given and nothing run. It replaces an earlier
    /// selection.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline};
    ///
    /// let pipeline = Pipeline::new([
    ///     Node::map("doubled", ["x"], |x: i64| 2 * x),
    ///     Node::map("length", ["text"], |text: &str| text.len() as i64),
    /// ])?;
    /// let doubled = pipeline.select("doubled")?;
    /// assert_eq!(doubled.inputs().len(), 1);
    /// assert_eq!(doubled.inputs()[0].name, "x");
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] for each name that is no output, with all that are.
    pub fn select(mut self, names: impl Names) -> Result<Self> {
        let mut outputs: Vec<Output> = Vec::new();
        let mut faults = Vec::new();
        for name in names.names() {
            let found = self.available_outputs().find(|output| output.name == name);
            match found {
                Some(output) if !outputs.contains(output) => outputs.push(output.clone()),
                Some(_) => {}
                None => {
                    let names = self.available_outputs().map(|output| output.name.as_str());
                    faults.push(format!("there is no output {name:?}{}", hint(name, names)));
                }
            }
        }
        if !faults.is_empty() {
            let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
            return Err(error.with_context("pipeline", self.name()));
        }
        let graph = Arc::make_mut(&mut self.0);
        (graph.nodes, graph.inputs) = build::needed(&graph.listed, &outputs);
        graph.outputs = outputs;
        Ok(self)
    }

    /// The same pipeline with nothing selected.
    pub(crate) fn whole(mut self) -> Self {
        let graph = Arc::make_mut(&mut self.0);
        graph.outputs = graph
            .listed
            .iter()
            .flat_map(Node::outputs)
            .cloned()
            .collect();
        (graph.nodes, graph.inputs) = build::needed(&graph.listed, &graph.outputs);
        self
    }

    /// The same pipeline as it runs on one item: dual nodes by their singular functions.
    #[must_use]
    pub fn singular(mut self) -> Self {
        let graph = Arc::make_mut(&mut self.0);
        for node in graph.listed.iter_mut().chain(&mut graph.nodes) {
            *node = node.singular();
            node.change_nested(|pipeline| *pipeline = pipeline.clone().singular());
        }
        self
    }

    /// The same pipeline for one run: of its nodes, those of nested pipelines too, each that reads
    /// no column is called once, as by [`Node::once`].
    #[must_use]
    pub fn once(mut self) -> Self {
        let graph = Arc::make_mut(&mut self.0);
        for node in &mut graph.nodes {
            *node = node.once();
            node.change_nested(|pipeline| *pipeline = pipeline.clone().once());
        }
        self
    }

    /// The same pipeline reading input `to` where it read `from`, whose bound value it keeps. Where
    /// `to` is an input already, the two become one.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`] if there is no input `from`, if `to` is an output, or if no
    /// column can be read as both inputs.
    pub fn rename_input(mut self, from: &str, to: &str) -> Result<Self> {
        let names = || self.inputs().iter().map(|input| input.name.as_str());
        if !names().any(|name| name == from) {
            let hint = hint(from, names());
            let message = format!("there is no input {from:?} to rename{hint}");
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        if self.available_outputs().any(|output| output.name == to) {
            let message =
                format!("input {from:?} cannot be called {to:?}: an output has that name");
            return Err(Error::new(ErrorKind::InvalidPipeline, message));
        }
        let renamed = self.0.listed.iter();
        let renamed = renamed.map(|node| node.clone().with_input_renamed(from, to));
        let listed = build::check(renamed.collect())?;
        let graph = Arc::make_mut(&mut self.0);
        (graph.nodes, graph.inputs) = build::needed(&listed, &graph.outputs);
        graph.listed = listed;
        graph.bound.rename(from, to);
        Ok(self)
    }
}

impl fmt::Debug for Pipeline {
    /// Name, number of nodes, bound and needed inputs, and outputs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (name, count) = (self.name(), self.nodes().len());
        let bound: Vec<&str> = self.bound_inputs().iter().map(|(name, _)| name).collect();
        let needs: Vec<&str> = self.unfulfilled_args().collect();
        let outputs: Vec<&str> = self.outputs().map(|output| output.name.as_str()).collect();
        write!(
            f,
            "Pipeline({name:?}, {count} nodes, bound={bound:?}, needs={needs:?}, outputs={outputs:?})"
        )
    }
}
