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
    /// One item: `pipeline.run(inputs! { x: 1 }).await?`.
    fn run(&self, inputs: Inputs) -> RunCall<'_>;

    /// Columns: `pipeline.map(inputs! { x: [1, 2] }).over("x").await?`. Inputs that are not
    /// mapped over are the same for every row; several columns are zipped, or each with each.
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

/// A run that starts when awaited.
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
    /// they need is run, and only the inputs they need are asked for.
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

/// A map that starts when awaited.
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
    /// Maps over these inputs: `.over("x")` or `.over(["x", "y"])`.
    pub fn over(mut self, names: impl Names) -> Self {
        self.over.extend(owned(&names));
        self
    }

    /// How several inputs that are mapped over go together.
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
