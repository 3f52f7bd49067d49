//! A node: a user's function with the names and types of its parameters and its output.
//!
//! What belongs here: turning functions into nodes. What never does: deciding when, where or
//! how often a node is called.

pub mod expansion;
mod function;
mod settings;

use std::any::{TypeId, type_name};
use std::fmt;
use std::sync::Arc;

use arrow::datatypes::DataType;

use crate::kernel::Call;
use crate::value::{ColumnArray, FromColumn};

pub use function::{
    AsyncCall, AsyncRowFunction, BatchFunction, Opt, Own, ParameterKind, Ref, RowFunction,
};
pub use settings::Settings;

/// A parameter that is a column.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The column's name.
    pub name: String,
    /// The type the function reads; [`reads`](crate::reads) tells which columns fit.
    pub data_type: DataType,
    /// Whether the function sees nulls. If not, a null row is not called for and gives null.
    pub optional: bool,
}

impl Parameter {
    /// A parameter that reads a column as `T`.
    pub fn of<T: FromColumn<'static>>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_type: T::data_type(),
            optional: T::OPTIONAL,
        }
    }
}

impl Parameter {
    /// A parameter that is a whole array, nulls included.
    pub fn of_array<T: ColumnArray>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            data_type: T::column_type(),
            optional: true,
        }
    }
}

/// A parameter that is a resource, the same for all rows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct SharedParameter {
    /// The name it is bound by.
    pub name: String,
    /// The type it must have.
    pub type_id: TypeId,
    /// That type's name, for messages.
    pub type_name: &'static str,
}

impl SharedParameter {
    /// A resource of type `T`.
    pub fn of<T: 'static>(name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            type_id: TypeId::of::<T>(),
            type_name: type_name::<T>(),
        }
    }
}

/// The column a node makes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Output {
    /// The column's name.
    pub name: String,
    /// The column's type. Every output column may hold nulls.
    pub data_type: DataType,
}

/// A function that `#[node]` made a node of: the type that has the function's name.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a `#[node]` function",
    note = "put `#[node]` on the function, or an expression that makes a node in parentheses: `nodes![(Node::map(…))]`"
)]
pub trait NodeFunction {
    /// The node.
    fn node() -> Node;
}

/// A function with named inputs and a named output; cheap to clone.
///
/// Made by `#[node]` or by [`Node::map`], [`Node::map_async`] and [`Node::batch`].
///
/// ```
/// use hypernodes_graph::Node;
///
/// let words = Node::map("words", ["text"], |text: &str| text.split(' ').count() as i64);
/// assert_eq!(words.output().name, "words");
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
    output: Output,
    settings: Settings,
    call: Call,
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
        output: Output,
        call: Call,
    ) -> Self {
        let settings = Settings::default();
        Self(Arc::new(Definition {
            identity,
            name: name.into(),
            parameters,
            shared,
            output,
            settings,
            call,
        }))
    }

    /// The function's name; the name of the SQL function.
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// What tells this definition from any other.
    pub fn identity(&self) -> Identity {
        self.0.identity
    }

    /// The columns it reads, in the order of the function's parameters.
    pub fn parameters(&self) -> &[Parameter] {
        &self.0.parameters
    }

    /// The resources it takes, in the order of the function's parameters.
    pub fn shared(&self) -> &[SharedParameter] {
        &self.0.shared
    }

    /// The column it makes.
    pub fn output(&self) -> &Output {
        &self.0.output
    }

    /// How it is to be run.
    pub fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// How it is called.
    pub fn call(&self) -> &Call {
        &self.0.call
    }

    /// The same function, run as `settings` say.
    #[must_use]
    pub fn with_settings(mut self, settings: Settings) -> Self {
        Arc::make_mut(&mut self.0).settings = settings;
        self
    }

    /// The same function with its output column called `output`.
    #[must_use]
    pub fn with_output(mut self, output: impl Into<String>) -> Self {
        Arc::make_mut(&mut self.0).output.name = output.into();
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

impl fmt::Debug for Node {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let inputs: Vec<&str> = self
            .parameters()
            .iter()
            .map(|parameter| parameter.name.as_str())
            .collect();
        write!(
            f,
            "Node({}: {inputs:?} -> {:?})",
            self.name(),
            self.output().name
        )
    }
}
