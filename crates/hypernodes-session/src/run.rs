//! Running a pipeline on items and columns in memory.

use std::future::IntoFuture;
use std::sync::OnceLock;

use arrow::array::RecordBatch;
use hypernodes_graph::{
    BoxFuture, Engine, Error, ErrorKind, Inputs, MapMode, Names, Outputs, Pipeline, Result,
};

use crate::session::Session;

/// Runs pipelines without a table.
pub trait PipelineExt {
    /// One item: `pipeline.run(inputs! { x: 1 }).await?` gives [`Outputs`] of one row.
    ///
    /// Each node is called once, or not at all where a null stands in a parameter that is no
    /// `Option`: then its outputs are null. What is not given here is taken from what is bound,
    /// then from defaults.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline, inputs};
    /// use hypernodes_session::PipelineExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> hypernodes_graph::Result<()> {
    /// let sum = Node::map("sum", ["x", "y"], |x: i64, y: i64| x + y);
    /// let pipeline = Pipeline::new([sum])?;
    /// let made = pipeline.run(inputs! { x: 1, y: 2 }).await?;
    /// assert_eq!(made.get::<i64>("sum")?, 3);
    /// let made = pipeline.run(inputs! { x: 1, y: None::<i64> }).await?;
    /// assert_eq!(made.get::<Option<i64>>("sum")?, None);
    /// # Ok(())
    /// # }
    /// ```
    fn run(&self, inputs: Inputs) -> RunCall<'_>;

    /// Columns: `pipeline.map(inputs! { x: [1, 2] }).over("x").await?` gives a row for each row,
    /// in their order. Inputs that are not mapped over are the same for every row; several columns
    /// are zipped, or each with each. Of no rows, no node is called, and the outputs are empty.
    ///
    /// ```
    /// use hypernodes_graph::{MapMode, Node, Pipeline, inputs};
    /// use hypernodes_session::PipelineExt;
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> hypernodes_graph::Result<()> {
    /// let sum = Node::map("sum", ["x", "y"], |x: i64, y: i64| x + y);
    /// let pipeline = Pipeline::new([sum])?;
    /// let made = pipeline.map(inputs! { x: [1, 2], y: 10 }).over("x").await?;
    /// assert_eq!(made.column::<i64>("sum")?, [11, 12]);
    /// let given = inputs! { x: [1, 2], y: [10, 20] };
    /// let made = pipeline.map(given).over(["x", "y"]).mode(MapMode::Product).await?;
    /// assert_eq!(made.column::<i64>("sum")?, [11, 21, 12, 22]);
    /// # Ok(())
    /// # }
    /// ```
    fn map(&self, inputs: Inputs) -> MapCall<'_>;
}

impl PipelineExt for Pipeline {
    fn run(&self, inputs: Inputs) -> RunCall<'_> {
        RunCall {
            pipeline: self,
            inputs,
            select: None,
            engine: None,
        }
    }

    fn map(&self, inputs: Inputs) -> MapCall<'_> {
        MapCall {
            pipeline: self,
            inputs,
            over: Vec::new(),
            mode: MapMode::Zip,
            select: None,
            engine: None,
        }
    }
}

/// The engine of whoever names none: one session for the process.
fn default_engine() -> Result<&'static dyn Engine> {
    static SESSION: OnceLock<Session> = OnceLock::new();
    if let Some(session) = SESSION.get() {
        return Ok(session);
    }
    let session = Session::new()?;
    Ok(SESSION.get_or_init(|| session))
}

/// A run that starts when awaited, and stops when it is dropped.
///
/// It runs on the engine of [`RunCall::on`], else on the pipeline's own, else on one session that
/// the process shares; the session needs a Tokio runtime.
///
/// ```
/// use hypernodes_exec::SequentialEngine;
/// use hypernodes_graph::{Node, Pipeline, inputs};
/// use hypernodes_session::PipelineExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> hypernodes_graph::Result<()> {
/// let pipeline = Pipeline::new([
///     Node::map("double", ["x"], |x: i64| 2 * x),
///     Node::map("length", ["text"], |text: &str| text.len() as i64),
/// ])?;
/// let call = pipeline.run(inputs! { x: 4 }).select("double").on(&SequentialEngine);
/// assert_eq!(call.await?.get::<i64>("double")?, 8);
/// # Ok(())
/// # }
/// ```
///
/// # Errors
/// [`ErrorKind::InvalidInput`], before any call and with every fault at once: an input that is
/// missing, unknown, or of another type, an output to select that there is not. Then the engine's: of a
/// function that fails or panics, with pipeline and node; see [`Engine::map`].
#[derive(Debug)]
#[must_use = "nothing runs until it is awaited"]
pub struct RunCall<'a> {
    pipeline: &'a Pipeline,
    inputs: Inputs,
    select: Option<Vec<String>>,
    engine: Option<&'a dyn Engine>,
}

impl<'a> RunCall<'a> {
    /// Only these outputs, in this order: `.select("a")` or `.select(["a", "b"])`. Only what
    /// they need is run, and only the inputs they need are asked for. If not said, these are
    /// [`Pipeline::outputs`].
    pub fn select(mut self, outputs: impl Names) -> Self {
        self.select = Some(owned(&outputs));
        self
    }

    /// The same run on `engine`, whatever engine the pipeline has.
    pub fn on(mut self, engine: &'a dyn Engine) -> Self {
        self.engine = Some(engine);
        self
    }
}

impl<'a> IntoFuture for RunCall<'a> {
    type Output = Result<Outputs>;
    type IntoFuture = BoxFuture<'a, Result<Outputs>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            let pipeline = selected(self.pipeline, self.select)?.singular();
            let prepared = self.inputs.prepare(&pipeline, &[], MapMode::Zip)?;
            run(prepared, self.engine).await
        })
    }
}

/// A map that starts when awaited, and stops when it is dropped; on which engine, as for
/// [`RunCall`].
///
/// # Errors
/// As for [`RunCall`]; also, before any call, where nothing is mapped over, or a name that is not
/// given, comes twice or is one item, or where zipped columns differ in length. A function's error
/// tells the row that failed, by its place among the rows mapped over; of other rows nothing comes.
#[derive(Debug)]
#[must_use = "nothing runs until it is awaited"]
pub struct MapCall<'a> {
    pipeline: &'a Pipeline,
    inputs: Inputs,
    over: Vec<String>,
    mode: MapMode,
    select: Option<Vec<String>>,
    engine: Option<&'a dyn Engine>,
}

impl<'a> MapCall<'a> {
    /// Maps over these inputs: `.over("x")` or `.over(["x", "y"])`; called again, over these too.
    pub fn over(mut self, names: impl Names) -> Self {
        self.over.extend(owned(&names));
        self
    }

    /// How several inputs that are mapped over go together; [`MapMode::Zip`] if not said.
    pub fn mode(mut self, mode: MapMode) -> Self {
        self.mode = mode;
        self
    }

    /// Only these outputs, in this order, as for [`RunCall::select`].
    pub fn select(mut self, outputs: impl Names) -> Self {
        self.select = Some(owned(&outputs));
        self
    }

    /// The same map on `engine`, whatever engine the pipeline has.
    pub fn on(mut self, engine: &'a dyn Engine) -> Self {
        self.engine = Some(engine);
        self
    }
}

impl<'a> IntoFuture for MapCall<'a> {
    type Output = Result<Outputs>;
    type IntoFuture = BoxFuture<'a, Result<Outputs>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(async move {
            if self.over.is_empty() {
                let message = "nothing to map over; call `.over(\"name\")`";
                let kind = ErrorKind::InvalidInput;
                return Err(Error::new(kind, message));
            }
            let pipeline = selected(self.pipeline, self.select)?;
            let prepared = self.inputs.prepare(&pipeline, &self.over, self.mode)?;
            run(prepared, self.engine).await
        })
    }
}

fn owned(names: &impl Names) -> Vec<String> {
    names.names().into_iter().map(str::to_owned).collect()
}

fn selected(pipeline: &Pipeline, select: Option<Vec<String>>) -> Result<Pipeline> {
    let pipeline = pipeline.clone();
    match select {
        None => Ok(pipeline),
        Some(names) => pipeline.select(names),
    }
}

async fn run(
    (pipeline, columns): (Pipeline, RecordBatch),
    engine: Option<&dyn Engine>,
) -> Result<Outputs> {
    let own = pipeline.engine().cloned();
    let engine = match (engine, &own) {
        (Some(engine), _) => engine,
        (None, Some(own)) => own.as_ref(),
        (None, None) => default_engine()?,
    };
    Ok(engine.map(&pipeline.once(), columns).await?.into())
}
