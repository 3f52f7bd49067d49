#![doc = include_str!("../../../README.md")]

#[doc(hidden)]
pub use hypernodes_graph::expansion;

/// Nodes as ordinary functions of any DataFusion session, without rules of ours:
///
/// ```
/// use hypernodes::datafusion::prelude::SessionContext;
/// use hypernodes::prelude::*;
///
/// # #[tokio::main]
/// # async fn main() -> std::result::Result<(), Box<dyn std::error::Error>> {
/// let context = SessionContext::new();
/// let half = Node::map("half", ["x"], |x: i64| x / 2);
/// context.register_udf(half.to_udf()?);
/// let frame = context.sql("SELECT value FROM generate_series(1, 9) WHERE half(value) > 2").await?;
/// assert_eq!(frame.count().await?, 4);
/// # Ok(())
/// # }
/// ```
pub use hypernodes_exec::NodeUdfExt;
pub use hypernodes_exec::{
    Executor, Job, ParallelEngine, ParallelEngineBuilder, Pool, Runtime, Scheduler,
    SequentialEngine,
};
/// What runs a pipeline: the session, an engine of this crate, or one of one's own, such as this,
/// which hands over to another:
///
/// ```
/// use futures::future::BoxFuture;
/// use hypernodes::arrow::array::RecordBatch;
/// use hypernodes::prelude::*;
///
/// /// Prints how many rows each run has.
/// #[derive(Debug)]
/// struct Printing<E>(E);
///
/// impl<E: Engine> Engine for Printing<E> {
///     fn map<'a>(
///         &'a self,
///         pipeline: &'a Pipeline,
///         columns: RecordBatch,
///     ) -> BoxFuture<'a, Result<RecordBatch>> {
///         println!("{}: {} rows", pipeline.name(), columns.num_rows());
///         self.0.map(pipeline, columns)
///     }
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| 2 * x)])?;
/// let engine = Printing(SequentialEngine);
/// let made = pipeline.map(inputs! { x: [1, 2] }).over("x").on(&engine).await?;
/// assert_eq!(made.column::<i64>("y")?, [2, 4]);
/// # Ok(())
/// # }
/// ```
pub use hypernodes_graph::Engine;
pub use hypernodes_graph::{
    AsNode, Declared, Error, ErrorKind, Input, InputValue, Inputs, MapMode, Names, Node, Output,
    Outputs, Pipeline, Result, Settings, WorkloadType, inputs, items,
};
pub use hypernodes_graph::{
    ColumnArray, Decimal, DecimalArray, FromColumn, IntoColumn, Json, StructColumn, Unreadable,
    Unwritable, UtcTimestampArray,
};
/// Makes a function a node, whose columns are named as the parameters, and its output as the
/// function. The function stays what it was, and can be called as ever.
///
/// A parameter is of any type of [`FromColumn`], or `&T` of one: a row that is null in one which is
/// no `Option` gives null without a call. What is returned is of any type of [`IntoColumn`], or a
/// `Result` of one with an error of any type. `async fn` is a node whose rows wait together.
///
/// | on the function | |
/// |---|---|
/// | `output = "y"` | names the output |
/// | `outputs = ["a", "b"]` | names the parts of a tuple, or the fields of a struct, in their order |
/// | `batch` | the function takes whole arrays, nulls included, by `&`, and what is one value for all rows without; it returns an array or a `Vec`, a row for each |
/// | `batch = many` | a dual node: this function runs one item, the batch node `many` several |
/// | `max_workers`, `workload_type = "io"`, `batch_size`, `use_batch_udf` | [`Settings`] of a sync function |
/// | `max_in_flight` | [`Settings`] of an async one |
/// | `ordered = false` | rows of a table in any order; see [`Settings`] |
/// | `pure = false`, `cost = 10`, `dedup` | see [`Declared`] |
///
/// | on a parameter | |
/// |---|---|
/// | `#[default(3)]` | its value where none is given |
/// | `#[shared]` | `&T` of any type that is no column: a model, a client; given by [`Pipeline::bind_shared`] |
///
/// What cannot be a node, or an option that does nothing, does not compile.
///
/// ```
/// use hypernodes::prelude::*;
///
/// struct Model(i64);
///
/// #[node(output = "score", max_workers = 4)]
/// fn scored(
///     text: &str,
///     bonus: Option<i64>,
///     #[default(1)] weight: i64,
///     #[shared] model: &Model,
/// ) -> i64 {
///     text.len() as i64 * weight * model.0 + bonus.unwrap_or(0)
/// }
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<()> {
/// assert_eq!(scored("abc", None, 1, &Model(2)), 6);
/// let pipeline = Pipeline::new(nodes![scored])?.bind_shared("model", Model(2))?;
/// let made = pipeline.map(inputs! { text: ["a", "bcd"], bonus: 1 }).over("text").await?;
/// assert_eq!(made.column::<i64>("score")?, [3, 7]);
/// # Ok(())
/// # }
/// ```
pub use hypernodes_macros::node;
/// A list of nodes for [`Pipeline::new`], in any order: functions with `#[node]` by their names,
/// and expressions that make a node or a pipeline. A variable stands in parentheses.
///
/// ```
/// use hypernodes::prelude::*;
///
/// #[node]
/// fn doubled(x: i64) -> i64 {
///     2 * x
/// }
///
/// let inner = Pipeline::new(nodes![doubled])?;
/// let next = Node::map("next", ["doubled"], |x: i64| x + 1);
/// let outer = Pipeline::new(nodes![(inner), (next), Node::map("last", ["next"], |x: i64| -x)])?;
/// assert_eq!(outer.outputs().count(), 3);
/// # Ok::<(), Error>(())
/// ```
pub use hypernodes_macros::nodes;

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
