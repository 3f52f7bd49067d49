//! A session that runs pipelines.

use std::ops::Deref;
use std::sync::Arc;

use datafusion::arrow::array::RecordBatch;
use datafusion::arrow::compute::concat_batches;
use datafusion::dataframe::DataFrame;
use datafusion::execution::session_state::SessionStateBuilder;
use datafusion::physical_plan::common::collect;
use datafusion::prelude::{ParquetReadOptions, SessionConfig, SessionContext};
use hypernodes_exec::{Executor, Runtime, run_pipeline};
use hypernodes_graph::{BoxFuture, Engine, Error, ErrorKind, Outputs, Pipeline, Result, Settings};
use hypernodes_plan::from_datafusion;

use crate::extend::extend;
use crate::planner::NodeQueryPlanner;

/// A DataFusion `SessionContext` that runs nodes, and the default engine.
///
/// All of `SessionContext` is there by deref: `sql`, `read_csv`, `read_json`, `register_parquet`
/// and the rest. Plans that only scan, project, filter, limit and call nodes keep the order of
/// their input, files by path; of any other plan, such as a join or a group, SQL promises no order.
/// Cheap to clone; clones are one session. Used within a Tokio runtime.
///
/// ```
/// use hypernodes_graph::{Node, Pipeline};
/// use hypernodes_session::{DataFrameExt, Session};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> hypernodes_graph::Result<()> {
/// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| x * x)])?;
/// let session = Session::new()?;
/// let frame = session.sql("SELECT value AS x FROM generate_series(1, 3)").await?;
/// let path = std::env::temp_dir().join(format!("squares-{}.parquet", std::process::id()));
/// assert_eq!(frame.apply(&pipeline)?.save_parquet(&path).await?, 3);
/// let squares = session.read_parquet(&path.to_string_lossy()).await?;
/// let names = squares.schema().fields().iter().map(|field| field.name().as_str());
/// assert_eq!(names.collect::<Vec<_>>(), ["x", "y"]);
/// # std::fs::remove_file(path).ok();
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    context: SessionContext,
    runtime: Arc<Runtime>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Session")
            .field("id", &self.context.session_id())
            .field("runtime", &self.runtime)
            .finish()
    }
}

impl Session {
    /// A session without settings.
    ///
    /// # Errors
    /// None for now: see [`Session::with_settings`].
    pub fn new() -> Result<Self> {
        Self::with_settings(Settings::default())
    }

    /// A session whose nodes run by `settings` where they have none of their own.
    ///
    /// ```
    /// use hypernodes_graph::Settings;
    /// use hypernodes_session::Session;
    ///
    /// let settings = Settings { max_in_flight: Some(64), ..Settings::default() };
    /// let session = Session::with_settings(settings)?;
    /// assert!(Session::with_settings(Settings { max_in_flight: Some(0), ..settings }).is_err());
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn with_settings(settings: Settings) -> Result<Self> {
        Self::with_config(SessionConfig::new(), settings)
    }

    /// The same, on a DataFusion configuration, such as of the rows of a batch or the partitions.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn with_config(config: SessionConfig, settings: Settings) -> Result<Self> {
        Ok(Self::on_runtime(config, Runtime::new(settings)?))
    }

    /// A session whose sync nodes run on `executor`, which other engines may share, in place of
    /// threads of the session.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidSetting`] for a setting of zero.
    pub fn on_executor(settings: Settings, executor: Arc<dyn Executor>) -> Result<Self> {
        let runtime = Runtime::on_executor(settings, executor)?;
        Ok(Self::on_runtime(SessionConfig::new(), runtime))
    }

    fn on_runtime(config: SessionConfig, runtime: Arc<Runtime>) -> Self {
        let state = SessionStateBuilder::new_with_default_features().with_config(config);
        let planner = NodeQueryPlanner::new(Arc::clone(&runtime)).ordered();
        let state = extend(state.build(), planner).build();
        let context = SessionContext::new_with_state(state);
        Self { context, runtime }
    }

    /// The rows of a Parquet file, or of the files of a folder by path; `path` may be a URL of an
    /// object store that the session knows.
    ///
    /// Rows are read when a query runs, and come in the order of the files and of their rows; columns
    /// have the file's types, and nulls stay nulls. A file's name ends in `.parquet`; in a folder,
    /// others are passed over.
    ///
    /// # Errors
    /// [`ErrorKind::Query`] if there is nothing at `path`, no Parquet, or a file of another name.
    pub async fn read_parquet(&self, path: &str) -> Result<DataFrame> {
        if !path.contains("://") && !std::path::Path::new(path).exists() {
            let message = format!("there is no file or folder {path:?}");
            return Err(Error::new(ErrorKind::Query, message));
        }
        let options = ParquetReadOptions::default();
        let read = self.context.read_parquet(path, options).await;
        let frame = read.map_err(|error| {
            let error = from_datafusion(error);
            Error::new(
                error.kind(),
                format!("cannot read {path:?}: {}", error.message()),
            )
        })?;
        if frame.schema().fields().is_empty() {
            let message = format!("there is no Parquet file in {path:?}");
            return Err(Error::new(ErrorKind::Query, message));
        }
        Ok(frame)
    }

    /// The table that a query gives, planned and checked but not run. A statement such as
    /// `CREATE TABLE … AS` or `SET` is run at once.
    ///
    /// ```
    /// use hypernodes_graph::Node;
    /// use hypernodes_session::{Session, SessionContextExt};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let session = Session::new()?;
    /// session.register_nodes([Node::map("half", ["x"], |x: i64| x / 2)])?;
    /// let frame = session.sql("SELECT half(value) FROM generate_series(1, 9)").await?;
    /// assert_eq!(frame.count().await?, 9);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Query`] if the query is wrong, or gives a node other arguments than it takes; of
    /// a statement that is run at once, those of its nodes too.
    pub async fn sql(&self, query: &str) -> Result<DataFrame> {
        self.context.sql(query).await.map_err(from_datafusion)
    }

    /// Registers what `map` gave as a table: a column for each output, and the rows in their order.
    ///
    /// ```
    /// use hypernodes_graph::{Node, Pipeline, inputs};
    /// use hypernodes_session::{PipelineExt, Session};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let pipeline = Pipeline::new([Node::map("y", ["x"], |x: i64| 2 * x)])?;
    /// let session = Session::new()?;
    /// let outputs = pipeline.map(inputs! { x: [1, 2, 3] }).over("x").await?;
    /// session.register("doubled", outputs)?;
    /// let frame = session.sql("SELECT y FROM doubled WHERE y > 2").await?;
    /// assert_eq!(frame.count().await?, 2);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::Query`] if the name is taken.
    pub fn register(&self, name: &str, outputs: Outputs) -> Result<()> {
        let registered = self.context.register_batch(name, outputs.batch().clone());
        registered.map(|_| ()).map_err(from_datafusion)
    }
}

impl Deref for Session {
    type Target = SessionContext;

    fn deref(&self) -> &SessionContext {
        &self.context
    }
}

impl Engine for Session {
    fn map<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        columns: RecordBatch,
    ) -> BoxFuture<'a, Result<RecordBatch>> {
        Box::pin(async move {
            let context = self.context.task_ctx();
            let batch_size = context.session_config().batch_size();
            let pool = context.memory_pool();
            let made = run_pipeline(pipeline, &columns, batch_size, &self.runtime, pool);
            let made = collect(made.map_err(from_datafusion)?).await;
            let made = made.map_err(from_datafusion)?;
            let schema = pipeline.output_schema();
            concat_batches(&schema, &made).map_err(|error| from_datafusion(error.into()))
        })
    }
}
