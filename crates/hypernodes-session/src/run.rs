//! Running a pipeline on items and columns in memory.

use std::future::IntoFuture;
use std::sync::OnceLock;

use hypernodes_graph::{BoxFuture, Engine, Error, ErrorKind, Inputs, Outputs, Pipeline, Result};

use crate::session::Session;

/// Runs pipelines without a table.
pub trait PipelineExt {
    /// One item: `pipeline.run(inputs! { x: 1 }).await?`.
    fn run(&self, inputs: Inputs) -> RunCall<'_>;

    /// Columns: `pipeline.map(inputs! { x: [1, 2] }).over("x").await?`. Inputs that are not
    /// mapped over are the same for every row; several columns are zipped.
    fn map(&self, inputs: Inputs) -> MapCall<'_>;
}

impl PipelineExt for Pipeline {
    fn run(&self, inputs: Inputs) -> RunCall<'_> {
        RunCall {
            pipeline: self,
            inputs,
            engine: None,
        }
    }

    fn map(&self, inputs: Inputs) -> MapCall<'_> {
        MapCall {
            pipeline: self,
            inputs,
            over: Vec::new(),
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
    engine: Option<&'a dyn Engine>,
}

impl<'a> RunCall<'a> {
    /// The same run on `engine`.
    pub fn on(mut self, engine: &'a dyn Engine) -> Self {
        self.engine = Some(engine);
        self
    }
}

impl<'a> IntoFuture for RunCall<'a> {
    type Output = Result<Outputs>;
    type IntoFuture = BoxFuture<'a, Result<Outputs>>;

    fn into_future(self) -> Self::IntoFuture {
        Box::pin(run(self.pipeline, self.inputs, Vec::new(), self.engine))
    }
}

/// A map that starts when awaited.
#[derive(Debug)]
#[must_use = "nothing runs until it is awaited"]
pub struct MapCall<'a> {
    pipeline: &'a Pipeline,
    inputs: Inputs,
    over: Vec<String>,
    engine: Option<&'a dyn Engine>,
}

impl<'a> MapCall<'a> {
    /// Maps over this input, zipped with the others that are mapped over.
    pub fn over(mut self, name: impl Into<String>) -> Self {
        self.over.push(name.into());
        self
    }

    /// The same map on `engine`.
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
            run(self.pipeline, self.inputs, self.over, self.engine).await
        })
    }
}

async fn run(
    pipeline: &Pipeline,
    inputs: Inputs,
    over: Vec<String>,
    engine: Option<&dyn Engine>,
) -> Result<Outputs> {
    let columns = inputs.columns(pipeline, &over)?;
    let engine = match engine {
        Some(engine) => engine,
        None => default_engine()?,
    };
    Ok(engine.map(pipeline, columns).await?.into())
}
