//! A node: a user's function with the names and types of its parameters and its output.
//!
//! What belongs here: turning functions into nodes. What never does: deciding when, where or
//! how often a node is called.

mod declared;
mod dual;
pub mod expansion;
mod function;
mod once;
mod settings;
mod signature;

use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};

use crate::kernel::Call;
use crate::pipeline::narrowed;
use crate::value::{IntoColumn, fit};
use crate::{Pipeline, hint};

pub use declared::Declared;
pub use function::{
    AsyncCall, AsyncRowFunction, BatchFunction, Opt, Own, ParameterKind, Ref, RowFunction,
};
pub use settings::{Settings, WorkloadType};
pub use signature::{Names, Output, Parameter, SharedParameter};

/// A function that `#[node]` made a node of: the type that has the function's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `#[node]` function",
    note = "put `#[node]` on the function; an expression that makes a node stands as it is, `nodes![inner.as_node()]`, and a variable in parentheses, `nodes![(inner)]`"
)]
pub trait NodeFunction {
    /// The node.
    fn node() -> Node;
}

/// A function with named inputs and named outputs; cheap to clone.
///
/// A node of one output makes a column of what the function returns. A node of several makes
/// a Struct array, whose fields are its outputs.
///
/// Made by `#[node]` or by [`Node::map`], [`Node::map_async`] and [`Node::batch`].
///
/// ```
/// use hypernodes_graph::Node;
///
/// let words = Node::map("words", ["text"], |text: &str| text.split(' ').count() as i64);
/// assert_eq!(words.outputs()[0].name, "words");
/// assert_eq!(words.parameters()[0].name, "text");
/// ```
#[derive(Clone)]
pub struct Node(Arc<Definition>);

#[derive(Clone)]
struct Definition {
    identity: Identity,
    name: String,
    parameters: Vec<Parameter>,
    shared: Vec<SharedParameter>,
    outputs: Vec<Output>,
    settings: Settings,
    declared: Declared,
    call: Call,
    /// Of a dual node, the call for one item; `call` is that for many.
    single: Option<Call>,
    /// What is wrong with it, for the pipeline to report.
    faults: Vec<String>,
}

/// What tells two definitions apart, whatever their names.
///
/// A `#[node]` function is one definition however often it is named; each call of
/// [`Node::map`] and its like makes a new one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Identity(u64);

impl Identity {
    /// An identity no other definition of this process has.
    pub fn new() -> Self {
        use std::sync::atomic::{AtomicU64, Ordering};
        static NEXT: AtomicU64 = AtomicU64::new(0);
        Self(NEXT.fetch_add(1, Ordering::Relaxed))
    }
}

impl Default for Identity {
    fn default() -> Self {
        Self::new()
    }
}

impl Node {
    /// A node from its parts: what the typed constructors and `#[node]` come down to.
    pub fn new(
        identity: Identity,
        name: impl Into<String>,
        parameters: Vec<Parameter>,
        shared: Vec<SharedParameter>,
        outputs: Vec<Output>,
        call: Call,
    ) -> Self {
        let settings = Settings::default();
        let declared = Declared::default();
        Self(Arc::new(Definition {
            identity,
            name: name.into(),
            parameters,
            shared,
            outputs,
            settings,
            declared,
            call,
            single: None,
            faults: Vec::new(),
        }))
    }

    /// A node whose calls make `data_type`: the one output, or a Struct of as many fields as
    /// there are `outputs`.
    pub(crate) fn made(
        identity: Identity,
        name: impl Into<String>,
        parameters: Vec<Parameter>,
        shared: Vec<SharedParameter>,
        outputs: &[&str],
        data_type: DataType,
        call: Call,
    ) -> Self {
        let output = |name: &str, data_type| Output {
            name: name.to_owned(),
            data_type,
        };
        let (outputs, fault) = match (outputs, &data_type) {
            ([only], _) => (vec![output(only, data_type)], None),
            (several, DataType::Struct(fields)) if several.len() == fields.len() => {
                let fields = std::iter::zip(several, fields);
                let outputs = fields.map(|(name, field)| output(name, field.data_type().clone()));
                (outputs.collect(), None)
            }
            (several, made) => {
                let fault = format!("{} outputs are named, and it returns {made}", several.len());
                let outputs = several.iter().map(|name| output(name, DataType::Null));
                (outputs.collect(), Some(fault))
            }
        };
        let node = Self::new(identity, name, parameters, shared, outputs, call);
        fault.into_iter().fold(node, Self::with_fault)
    }

    pub(crate) fn with_fault(mut self, fault: String) -> Self {
        Arc::make_mut(&mut self.0).faults.push(fault);
        self
    }

    /// The same node making only the outputs at these places: of a nested pipeline, only what they
    /// need is run and read. Any other node is as it was.
    #[must_use]
    pub fn narrowed(&self, outputs: &[usize]) -> Self {
        let names = outputs
            .iter()
            .filter_map(|place| self.outputs().get(*place));
        narrowed(self, &names.map(|output| output.name.as_str()).collect())
    }

    /// The same node, calling its function once for all rows if it reads no column, and every
    /// row's result is that of the one call; made anew for each run. Any other node is as it was.
    #[must_use]
    pub fn once(&self) -> Self {
        let call = match self.call() {
            _ if !self.parameters().is_empty() => None,
            Call::Rows(kernel) => Some(once::rows(kernel)),
            Call::Async(kernel) => Some(once::awaited(kernel)),
            Call::Batch(_) | Call::Nested(_) => None,
        };
        let mut node = self.clone();
        if let Some(call) = call {
            Arc::make_mut(&mut node.0).call = call;
        }
        node
    }

    /// Changes the pipeline that a nested node runs.
    pub(crate) fn change_nested(&mut self, change: impl FnOnce(&mut Pipeline)) {
        if let Call::Nested(nested) = &mut Arc::make_mut(&mut self.0).call {
            change(&mut Arc::make_mut(nested).pipeline);
        }
    }

    pub(crate) fn faults(&self) -> &[String] {
        &self.0.faults
    }

    /// The function's name; the name of the SQL function.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What tells this definition from any other.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The columns it reads, in the order of the function's parameters; of a nested pipeline, those
    /// that are not mapped over by their inner names, then the lists in the order of `map_over`.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.parameters
    }

    /// The resources it takes, in the order of the function's parameters.
    pub fn shared(&self) -> &[SharedParameter] {
        &self.0.shared
    }

    /// The columns it makes, of which there is at least one.
    pub fn outputs(&self) -> &[Output] {
        &self.0.outputs
    }

    /// The type of the array that a call makes: of the one output, or a Struct of several.
    pub fn data_type(&self) -> DataType {
        match self.outputs() {
            [only] => only.data_type.clone(),
            several => DataType::Struct(
                several
                    .iter()
                    .map(|output| Field::new(&output.name, output.data_type.clone(), true))
                    .collect(),
            ),
        }
    }

    /// The output columns in an array that a call made. A null of a Struct is one in each of
    /// its fields.
    pub fn columns(&self, made: &ArrayRef) -> Vec<ArrayRef> {
        if self.outputs().len() == 1 {
            return vec![Arc::clone(made)];
        }
        let Some(made) = made.as_struct_opt() else {
            return Vec::new();
        };
        let columns = made.columns().iter();
        match made.nulls() {
            None => columns.cloned().collect(),
            Some(nulls) => columns.map(|column| masked(column, nulls)).collect(),
        }
    }

    /// How it is to be run; all is open if nothing was set.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How it is called.
    pub fn call(&self) -> &Call {
        &self.0.call
    }

    /// The same function with a value for parameter `name` where none is given: by `run`, `map` or
    /// `bind`, or by a column of the table. A null that is given is no reason to take it.
    ///
    /// A name that is no parameter, or a value that its type does not read, is a fault that
    /// [`Pipeline::new`](crate::Pipeline::new) reports.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline};
    ///
    /// let power = Node::map("power", ["x", "k"], |x: i64, k: u32| x.pow(k));
    /// let pipeline = Pipeline::new([power.with_default("k", 2_u32)])?;
    /// assert!(pipeline.inputs()[0].default.is_some());
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    #[must_use]
    pub fn with_default<T: IntoColumn>(mut self, name: &str, value: T) -> Self {
        let mut builder = T::builder(1);
        let written = value.append(&mut builder);
        let value = T::finish(builder);
        let Definition {
            parameters, faults, ..
        } = Arc::make_mut(&mut self.0);
        if let Err(why) = written {
            let fault = format!("the default of {name:?} cannot be held by a column: {why}");
            faults.push(fault);
        }
        let names = parameters.iter().map(|known| known.name.clone());
        let names: Vec<String> = names.collect();
        match parameters.iter_mut().find(|known| known.name == name) {
            Some(known) => match fit(&value, &known.data_type) {
                Ok(value) => known.default = Some(value),
                Err(why) => faults.push(format!("the default of {name:?} is {why}")),
            },
            None => {
                let hint = hint(name, names.iter().map(String::as_str));
                faults.push(format!(
                    "there is no parameter {name:?} for a default{hint}"
                ));
            }
        }
        self
    }

    /// What its author says about it.
    pub fn declared(&self) -> &Declared {
        &self.0.declared
    }

    /// The same function, about which its author says this.
    ///
    /// ```
    /// use hypernodes_graph::{Declared, Node};
    ///
    /// let dice = Node::map("dice", ["sides"], |sides: i64| sides / 2);
    /// let dice = dice.with_declared(Declared { pure: false, ..Declared::default() });
    /// assert!(!dice.declared().pure);
    /// ```
    #[must_use]
    pub fn with_declared(mut self, declared: Declared) -> Self {
        Arc::make_mut(&mut self.0).declared = declared;
        self
    }

    /// The same function, run as `settings` say; they replace all that it had.
    ///
    /// A setting of zero, or one that its kind of function cannot honour, is a fault that
    /// [`Pipeline::new`](crate::Pipeline::new) reports.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline, Settings};
    ///
    /// let node = Node::map("y", ["x"], |x: i64| x + 1);
    /// let idle = Settings { max_in_flight: Some(8), ..Settings::default() };
    /// let refused = Pipeline::new([node.with_settings(idle)]).err();
    /// let message = refused.map(|error| error.message().to_owned());
    /// let expected = "node \"y\": `max_in_flight` does nothing on a sync node";
    /// assert_eq!(message.as_deref(), Some(expected));
    /// ```
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        Arc::make_mut(&mut self.0).settings = settings;
        self
    }

    /// The same function with its output `from` called `to`; no change if it makes none of
    /// that name.
    #[must_use]
    pub fn with_output_renamed(mut self, from: &str, to: &str) -> Self {
        let outputs = &mut Arc::make_mut(&mut self.0).outputs;
        let named = outputs.iter_mut().filter(|output| output.name == from);
        named.for_each(|output| output.name = to.to_owned());
        self
    }

    /// The same function reading column `to` where it read `from`; no change if it reads none
    /// of that name.
    #[must_use]
    pub fn with_input_renamed(mut self, from: &str, to: &str) -> Self {
        let definition = Arc::make_mut(&mut self.0);
        let named = definition
            .parameters
            .iter_mut()
            .filter(|parameter| parameter.name == from);
        named.for_each(|parameter| parameter.name = to.to_owned());
        self
    }
}

/// The column, null where `nulls` is too.
fn masked(column: &ArrayRef, nulls: &NullBuffer) -> ArrayRef {
    let nulls = NullBuffer::union(column.nulls(), Some(nulls));
    match column.to_data().into_builder().nulls(nulls).build() {
        Ok(data) => make_array(data),
        // A type that holds no nulls of its own, such as a union or a column of nulls.
        Err(_) => Arc::clone(column),
    }
}

/// The same definition under the same names, run in the same way. Two closures are two
/// definitions, whatever they do.
impl PartialEq for Node {
    fn eq(&self, other: &Self) -> bool {
        let face = |node: &Self| {
            let Definition {
                identity, settings, ..
            } = &*node.0;
            (*identity, *settings)
        };
        face(self) == face(other)
            && self.name() == other.name()
            && self.parameters() == other.parameters()
            && self.outputs() == other.outputs()
    }
}

impl Eq for Node {}

impl Hash for Node {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.identity().hash(state);
        self.outputs()
            .iter()
            .for_each(|output| output.name.hash(state));
    }
}

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<&str> = self
            .parameters()
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        let outputs: Vec<&str> = self
            .outputs()
            .iter()
            .map(|output| output.name.as_str())
            .collect();
        write!(f, "Node({}: {inputs:?} -> {outputs:?})", self.name())
    }
}
