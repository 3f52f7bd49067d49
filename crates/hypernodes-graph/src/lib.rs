//! Nodes and pipelines: Rust functions of one item, composed by the names of their
//! parameters and outputs.

mod columns;
mod engine;
mod error;
mod kernel;
mod names;
mod node;
mod pipeline;
mod shared;
mod value;

pub use columns::{Columns, Failure, Reader};
pub use engine::{Engine, Outputs};
pub use error::{BoxError, Error, ErrorKind, Result};
pub use kernel::{AsyncKernel, AsyncRows, BoxFuture, Call, Kernel};
pub use names::{hint, nearest};
#[doc(hidden)]
pub use node::expansion;
pub use node::{
    AsyncCall, AsyncRowFunction, BatchFunction, Opt, Own, ParameterKind, Ref, RowFunction,
};
pub use node::{
    Declared, Identity, Names, Node, NodeFunction, Output, Parameter, Settings, SharedParameter,
    WorkloadType,
};
pub use pipeline::{AsNode, Input, MapMode, Nested, Pipeline};
pub use shared::{Lent, SharedValue, panic_text};
pub use value::{
    BatchOutput, BytesColumn, ColumnArray, DateColumn, Decimal, DecimalArray, FromColumn,
    InputValue, Inputs, IntoColumn, IntoInput, Json, ListColumn, ListItem, MapColumn, NodeOutput,
    Owned, StructColumn, TextColumn, TicksColumn, Unreadable, Unwritable, UtcTimestampArray,
    conform, items, meet, reads,
};
