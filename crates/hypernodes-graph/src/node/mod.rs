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

use arrow::array::{Array, ArrayRef, AsArray, make_array};
use arrow::buffer::NullBuffer;
use arrow::datatypes::{DataType, Field};

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

/// A column that a node makes.
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
        outputs: Vec<Output>,
        call: Call,
    ) -> Self {
        let settings = Settings::default();
        Self(Arc::new(Definition {
            identity,
            name: name.into(),
            parameters,
            shared,
            outputs,
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
