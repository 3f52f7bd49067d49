#![doc = include_str!("../../../README.md")]

#[doc(hidden)]
pub use hypernodes_graph::expansion;

pub use hypernodes_exec::{
    Executor, Job, NodeUdfExt, ParallelEngine, ParallelEngineBuilder, Pool, Runtime, Scheduler,
    SequentialEngine, WorkloadType,
};
pub use hypernodes_graph::{
    AsNode, Declared, Engine, Error, ErrorKind, Input, InputValue, Inputs, MapMode, Names, Node,
    Output, Outputs, Pipeline, Result, Settings, inputs, items,
};
pub use hypernodes_graph::{
    ColumnArray, Decimal, DecimalArray, FromColumn, IntoColumn, Json, StructColumn, Unreadable,
    Unwritable, UtcTimestampArray,
};
pub use hypernodes_macros::{node, nodes};

/// Makes a struct with named fields a column type, a Struct column, to take and to return.
///
/// A field is of any column type: a number, text, an `Option`, a `Vec`, a tuple, another such
/// struct. `#[column(name = "…")]` names its column, if not as the field. A struct with a
/// lifetime borrows from the column: `&'a str`, `&'a [f64]`. A column is read by the names of
/// the fields, in any order, and may have more of them. `Option<Self>` sees a null struct; a
/// null in a field that is no `Option` is an error that names it. `Vec<Self>` is a list. A
/// function with `#[node]` may take a struct that borrows nothing as `&Self`, a list as `&[Self]`.
///
/// With `#[node(outputs = ["a", "b"])]` the fields of what a function returns, or the parts of a
/// tuple, are a column each.
///
/// ```
/// use hypernodes::prelude::*;
///
/// #[derive(Column, Debug, PartialEq)]
/// struct Token {
///     text: String,
///     #[column(name = "pos")]
///     part_of_speech: Option<String>,
/// }
///
/// #[node]
/// fn tokens(text: &str) -> Vec<Token> {
///     let words = text.split(' ').map(str::to_owned);
///     words.map(|text| Token { text, part_of_speech: None }).collect()
/// }
///
/// #[node]
/// fn longest(tokens: Vec<Token>) -> Option<Token> {
///     tokens.into_iter().max_by_key(|token| token.text.len())
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let pipeline = Pipeline::new(nodes![tokens, longest])?;
/// let one = pipeline.run(inputs! { text: "a longer word" }).await?;
/// let expected = Token { text: "longer".into(), part_of_speech: None };
/// assert_eq!(one.get::<Token>("longest")?, expected);
/// # Ok(())
/// # }
/// ```
pub use hypernodes_macros::Column;
pub use hypernodes_session::{
    DataFrameExt, MapCall, NodeQueryPlanner, PipelineExt, RunCall, Session, SessionContextExt,
    SessionStateBuilderExt,
};

pub use hypernodes_plan::{NodeExprExt, from_datafusion, to_datafusion};
pub use {arrow, chrono, datafusion};

#[doc = include_str!("coming_from_python.md")]
pub mod coming_from_python {}

/// What a program that runs pipelines uses: `use hypernodes::prelude::*`.
pub mod prelude {
    pub use crate::{
        Column, DataFrameExt, Engine, Error, ErrorKind, Inputs, MapMode, Node, NodeExprExt,
        NodeUdfExt, Outputs, ParallelEngine, Pipeline, PipelineExt, Result, Scheduler,
        SequentialEngine, Session, SessionContextExt, SessionStateBuilderExt, Settings,
        WorkloadType, inputs, items, node, nodes,
    };
    pub use datafusion::prelude::{col, lit};
}
