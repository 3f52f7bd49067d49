//! What the expansion of `#[node]` calls. Not for use by hand: it changes without notice.

use std::any::Any;
use std::sync::{Arc, OnceLock};

use arrow::array::new_null_array;

use super::function::slots;
use crate::columns::{Columns, Failure};
use crate::kernel::{AsyncKernel, AsyncRows, Call, Kernel};
use crate::value::{BatchOutput, ColumnArray};
use crate::{Identity, Parameter, SharedParameter, SharedValue};

pub use super::function::{argument, settle};
pub use crate::value::{FieldColumn, Referent, StructBuilder, field_written, struct_type};
pub use crate::{
    Declared, FromColumn, IntoColumn, ListItem, Node, NodeFunction, NodeOutput, Owned, Settings,
    StructColumn, Unreadable, Unwritable, WorkloadType,
};
pub use arrow::array::ArrayRef;
pub use arrow::datatypes::DataType;

/// The identity of one `#[node]` function, made when first asked for.
#[derive(Debug, Default)]
pub struct OnceIdentity(OnceLock<Identity>);

impl OnceIdentity {
    /// Not made yet.
    pub const fn new() -> Self {
        Self(OnceLock::new())
    }

    /// The identity.
    pub fn get(&self) -> Identity {
        *self.0.get_or_init(Identity::new)
    }
}

/// What a node shows to others.
#[derive(Debug)]
pub struct Face {
    /// Of the function.
    pub identity: Identity,
    /// The function's name.
    pub name: &'static str,
    /// The output columns' names.
    pub outputs: &'static [&'static str],
    /// The columns it reads.
    pub parameters: Vec<Parameter>,
    /// The resources it takes.
    pub shared: Vec<SharedParameter>,
}

impl Face {
    fn node(self, data_type: DataType, call: Call) -> Node {
        Node::made(
            self.identity,
            self.name,
            self.parameters,
            self.shared,
            self.outputs,
            data_type,
            call,
        )
    }
}

/// A column parameter.
pub fn parameter<T: FromColumn<'static>>(name: &str) -> Parameter {
    Parameter::of::<T>(name)
}

/// A whole-array parameter.
pub fn array_parameter<T: ColumnArray>(name: &str) -> Parameter {
    Parameter::of_array::<T>(name)
}

/// A parameter of a batch function that is the same in every row.
pub fn constant_parameter<T: FromColumn<'static>>(name: &str) -> Parameter {
    Parameter {
        constant: true,
        ..Parameter::of::<T>(name)
    }
}

/// The default of a parameter, of the parameter's own type where that can be written to a column.
pub fn default_value<T: IntoColumn>(value: T) -> T {
    value
}

/// A shared parameter.
pub fn shared_parameter<T: Any>(name: &str) -> SharedParameter {
    SharedParameter::of::<T>(name)
}

/// The shared value at `index`, made if it is not there yet.
///
/// # Errors
/// If it cannot be made.
pub async fn resource(
    shared: &[SharedValue],
    index: usize,
) -> Result<Arc<dyn Any + Send + Sync>, Failure> {
    let Some(value) = shared.get(index) else {
        return Err(Failure::internal(format!(
            "there is no shared value {index}"
        )));
    };
    value.get().await.map_err(|error| Failure {
        row: None,
        error: error.into(),
    })
}

/// A shared value as a `T`.
///
/// # Errors
/// If another type was bound, a fault of the engine.
pub fn resource_as<T: Any>(value: &(dyn Any + Send + Sync)) -> Result<&T, Failure> {
    value.downcast_ref().ok_or_else(|| {
        let wanted = std::any::type_name::<T>();
        Failure::internal(format!("a shared value is no {wanted}"))
    })
}

struct Body<F> {
    function: F,
    data_type: DataType,
}

impl<F> Kernel for Body<F>
where
    F: Fn(&Columns<'_>) -> Result<ArrayRef, Failure> + Send + Sync + 'static,
{
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
        // Where no row is called for, no resource was made.
        if columns.is_unwanted() {
            return Ok(new_null_array(&self.data_type, columns.rows()));
        }
        (self.function)(columns)
    }
}

/// A node of a sync function of one row that returns `R`.
pub fn row_node<R, F>(face: Face, body: F) -> Node
where
    R: NodeOutput,
    F: Fn(&Columns<'_>) -> Result<ArrayRef, Failure> + Send + Sync + 'static,
{
    let (function, data_type) = (body, R::Value::data_type());
    let kernel = Arc::new(Body {
        function,
        data_type: data_type.clone(),
    });
    face.node(data_type, Call::Rows(kernel))
}

/// A node of a function over arrays that returns `R`.
pub fn batch_node<R, F>(face: Face, body: F) -> Node
where
    R: BatchOutput,
    F: Fn(&Columns<'_>) -> Result<ArrayRef, Failure> + Send + Sync + 'static,
{
    let (function, data_type) = (body, R::column_type());
    let kernel = Arc::new(Body {
        function,
        data_type: data_type.clone(),
    });
    face.node(data_type, Call::Batch(kernel))
}

struct AsyncBody<F>(Arc<F>);

impl<V, F, Fut> AsyncKernel for AsyncBody<F>
where
    V: IntoColumn + Send + 'static,
    F: Fn(Arc<[ArrayRef]>, Arc<[SharedValue]>, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<V, Failure>> + Send + 'static,
{
    fn batch(
        &self,
        arrays: Vec<ArrayRef>,
        shared: &[SharedValue],
        rows: usize,
    ) -> Arc<dyn AsyncRows> {
        let (body, arrays, shared) = (
            Arc::clone(&self.0),
            Arc::<[ArrayRef]>::from(arrays),
            Arc::<[SharedValue]>::from(shared),
        );
        slots(rows, move |row| {
            body(Arc::clone(&arrays), Arc::clone(&shared), row)
        })
    }
}

/// A node of an async function of one row whose future yields `R`.
pub fn async_node<R, F, Fut>(face: Face, body: F) -> Node
where
    R: NodeOutput<Value: Send + 'static>,
    F: Fn(Arc<[ArrayRef]>, Arc<[SharedValue]>, usize) -> Fut + Send + Sync + 'static,
    Fut: Future<Output = Result<R::Value, Failure>> + Send + 'static,
{
    face.node(
        R::Value::data_type(),
        Call::Async(Arc::new(AsyncBody(Arc::new(body)))),
    )
}
