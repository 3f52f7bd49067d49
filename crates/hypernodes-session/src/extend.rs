//! Nodes and pipelines in a user's own DataFusion session.

use std::any::Any;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use datafusion::catalog::view::ViewTable;
use datafusion::dataframe::DataFrame;
use datafusion::execution::session_state::{SessionState, SessionStateBuilder};
use datafusion::logical_expr::ScalarUDF;
use datafusion::physical_optimizer::PhysicalOptimizerRule;
use datafusion::physical_optimizer::ensure_requirements::EnsureRequirements;
use datafusion::prelude::SessionContext;
use hypernodes_exec::{Runtime, SetRowGoals};
use hypernodes_graph::{Error, ErrorKind, Node, Pipeline, Result};
use hypernodes_plan::{
    BoundNode, DeferRefusal, ExtractNodes, NodeUdf, PinNodes, apply, from_datafusion,
};

use crate::gather::GatherShared;
use crate::planner::NodeQueryPlanner;
use crate::save::{Format, save};

/// Adds our rules and planner to a session that is being built.
///
/// ```
/// use datafusion::execution::session_state::SessionStateBuilder;
/// use datafusion::prelude::SessionContext;
/// use hypernodes_exec::Runtime;
/// use hypernodes_graph::{Node, Settings};
/// use hypernodes_session::{SessionContextExt, SessionStateBuilderExt};
///
/// let runtime = Runtime::new(Settings::default())?;
/// let state = SessionStateBuilder::new_with_default_features().with_hypernodes(runtime).build();
/// let context = SessionContext::new_with_state(state);
/// context.register_nodes([Node::map("half", ["x"], |x: i64| x / 2)])?;
/// # Ok::<(), hypernodes_graph::Error>(())
/// ```
pub trait SessionStateBuilderExt: Sized {
    /// The same session, able to run nodes on `runtime`.
    ///
    /// Replaces its query planner; turns `optimizer.enable_leaf_expression_pushdown` off, which
    /// would copy calls. Rules and planners that are set after it undo it: nodes are then refused.
    #[must_use]
    fn with_hypernodes(self, runtime: Arc<Runtime>) -> Self;
}

impl SessionStateBuilderExt for SessionStateBuilder {
    fn with_hypernodes(self, runtime: Arc<Runtime>) -> Self {
        extend(self.build(), NodeQueryPlanner::new(runtime))
    }
}

pub(crate) fn extend(state: SessionState, planner: NodeQueryPlanner) -> SessionStateBuilder {
    let others = state
        .optimizers()
        .iter()
        .filter(|rule| !is_ours(rule.name()));
    let mut rules: Vec<_> = others.cloned().collect();
    rules.insert(0, Arc::new(DeferRefusal(PinNodes)));
    rules.push(Arc::new(DeferRefusal(ExtractNodes)));
    let others = state
        .physical_optimizers()
        .iter()
        .filter(|rule| rule.name() != SetRowGoals.name() && rule.name() != GatherShared.name());
    let mut physical: Vec<_> = others.cloned().collect();
    let mut ensured = physical.iter();
    let ensured = ensured.rposition(|rule| rule.name() == EnsureRequirements::new().name());
    if let Some(place) = ensured {
        physical.insert(place + 1, Arc::new(GatherShared));
    }
    physical.push(Arc::new(SetRowGoals));
    // The builder's configuration, not the state's: it no longer makes a default catalog, which
    // would take the place of the one that is there.
    let mut builder = SessionStateBuilder::new_from_existing(state);
    let config = builder.config().get_or_insert_default();
    config
        .options_mut()
        .optimizer
        .enable_leaf_expression_pushdown = false;
    builder
        .with_optimizer_rules(rules)
        .with_physical_optimizer_rules(physical)
        .with_query_planner(Arc::new(planner))
}

fn is_ours(rule: &str) -> bool {
    rule == "pin_nodes" || rule == "extract_nodes"
}

/// Refuses a session that could not run nodes.
fn check(state: &SessionState) -> Result<()> {
    let names = || state.optimizers().iter().map(|rule| rule.name());
    let ruled = names().next() == Some("pin_nodes") && names().next_back() == Some("extract_nodes");
    let planner = state.query_planner().as_ref() as &dyn Any;
    let mut physical = state.physical_optimizers().iter();
    let aimed = physical.any(|rule| rule.name() == SetRowGoals.name());
    if ruled && aimed && planner.is::<NodeQueryPlanner>() {
        return Ok(());
    }
    let message = "this session cannot run nodes; make it by `with_hypernodes()`, and set no other rules and no other query planner after it";
    Err(Error::new(ErrorKind::Unsupported, message))
}

/// Pipelines in a `SessionContext`.
///
/// ```
/// use datafusion::prelude::SessionContext;
/// use hypernodes_graph::{Node, Pipeline};
/// use hypernodes_session::SessionContextExt;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
/// let context = SessionContext::new().with_hypernodes()?;
/// context.sql("CREATE TABLE numbers AS VALUES (1), (2), (NULL)").await?;
/// let pipeline = Pipeline::new([Node::map("y", ["column1"], |x: i64| 2 * x)])?;
/// context.register_pipeline("doubled", &pipeline, "numbers").await?;
/// let doubled = context.sql("SELECT y FROM doubled WHERE y IS NOT NULL").await?;
/// assert_eq!(doubled.count().await?, 2);
/// # Ok(())
/// # }
/// ```
#[async_trait]
pub trait SessionContextExt: Sized {
    /// A session on the same catalog, functions and settings that can also run nodes.
    ///
    /// # Errors
    /// If the default runtime cannot be made.
    fn with_hypernodes(self) -> Result<Self>;

    /// Registers a view: the columns of `table`, and the pipeline's outputs.
    ///
    /// A query of the view runs only the nodes whose outputs it needs, for the rows that it needs,
    /// and anew each time. Nulls are as for [`DataFrameExt::apply`].
    ///
    /// # Errors
    /// As for [`DataFrameExt::apply`], and if `table` is unknown or `name` is taken.
    async fn register_pipeline(&self, name: &str, pipeline: &Pipeline, table: &str) -> Result<()>;

    /// Registers each node as an SQL function of its name, whose arguments are the node's
    /// parameters in their order; all are to be given, defaults do not count. A node of several
    /// outputs gives a Struct. Nulls are as for [`DataFrameExt::apply`].
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`] if another definition has the name, or a node takes a shared
    /// value; [`ErrorKind::Unsupported`] if the session cannot run nodes.
    fn register_nodes<I>(&self, nodes: I) -> Result<()>
    where
        I: IntoIterator<Item: Into<Node>> + Send;
}

#[async_trait]
impl SessionContextExt for SessionContext {
    fn with_hypernodes(self) -> Result<Self> {
        let planner = NodeQueryPlanner::new(Runtime::new(Default::default())?);
        Ok(Self::new_with_state(extend(self.state(), planner).build()))
    }

    async fn register_pipeline(&self, name: &str, pipeline: &Pipeline, table: &str) -> Result<()> {
        check(&self.state())?;
        let (_, plan) = self
            .table(table)
            .await
            .map_err(from_datafusion)?
            .into_parts();
        let view = ViewTable::new(apply(plan, pipeline)?, None);
        let registered = self.register_table(name, Arc::new(view));
        registered.map(|_| ()).map_err(from_datafusion)
    }

    fn register_nodes<I>(&self, nodes: I) -> Result<()>
    where
        I: IntoIterator<Item: Into<Node>> + Send,
    {
        let state = self.state();
        check(&state)?;
        let nodes: Vec<Node> = nodes.into_iter().map(Into::into).collect();
        for node in nodes {
            let name = node.name().to_owned();
            let alone = Pipeline::new([node])?.with_name("sql");
            let bound = BoundNode::of(&alone, &alone.nodes()[0])?;
            let udf = NodeUdf::new(bound);
            if let Some(taken) = state.scalar_functions().get(&name)
                && NodeUdf::find(taken) != Some(&udf)
            {
                let message = format!("another function is registered as {name:?}");
                return Err(Error::new(ErrorKind::InvalidInput, message));
            }
            self.register_udf(ScalarUDF::new_from_impl(udf));
        }
        Ok(())
    }
}

/// Pipelines on a `DataFrame`.
#[async_trait]
pub trait DataFrameExt: Sized {
    /// The rows in their order, with a column more for each of the pipeline's outputs, after
    /// their own; lazy. Inputs are columns by name. A null gives null without a call where the
    /// parameter is neither an `Option` nor an array.
    ///
    /// ```
    /// use datafusion::prelude::{col, lit};
    /// use hypernodes_graph::{Node, Pipeline};
    /// use hypernodes_session::{DataFrameExt, Session};
    ///
    /// # #[tokio::main(flavor = "current_thread")]
    /// # async fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let length = Node::map("length", ["text"], |text: &str| text.len() as i64);
    /// let pipeline = Pipeline::new([length])?;
    /// let session = Session::new()?;
    /// let frame = session.sql("SELECT * FROM (VALUES ('a'), ('bcd')) AS t(text)").await?;
    /// let long = frame.apply(&pipeline)?.filter(col("length").gt(lit(1)))?;
    /// assert_eq!(long.count().await?, 1);
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidInput`], with every fault at once: an input that is no column or
    /// several, a type that cannot be read, an output named like a column, a shared value that
    /// was not bound. [`ErrorKind::Unsupported`] if the session cannot run nodes.
    fn apply(self, pipeline: &Pipeline) -> Result<Self>;

    /// Runs the query and writes one Parquet file, in place of one that is there; the number
    /// of its rows.
    ///
    /// The rows go to a hidden file beside it that takes its name when all is written: on an
    /// error, whatever was at `path` stays as it was.
    ///
    /// # Errors
    /// Those of the query, of [`ErrorKind::NodeFailed`] or another kind; [`ErrorKind::Query`] if
    /// the file cannot be written.
    async fn save_parquet(self, path: impl AsRef<Path> + Send) -> Result<u64>;

    /// The same as CSV with a header line; a null is an empty field.
    ///
    /// # Errors
    /// As for [`DataFrameExt::save_parquet`], and for a column that CSV cannot hold, such as a
    /// list.
    async fn save_csv(self, path: impl AsRef<Path> + Send) -> Result<u64>;

    /// The same as newline-delimited JSON, an object a line; a null is left out.
    ///
    /// # Errors
    /// As for [`DataFrameExt::save_parquet`].
    async fn save_json(self, path: impl AsRef<Path> + Send) -> Result<u64>;
}

#[async_trait]
impl DataFrameExt for DataFrame {
    fn apply(self, pipeline: &Pipeline) -> Result<Self> {
        let (state, plan) = self.into_parts();
        check(&state)?;
        Ok(Self::new(state, apply(plan, pipeline)?))
    }

    async fn save_parquet(self, path: impl AsRef<Path> + Send) -> Result<u64> {
        save(self, Format::Parquet, path.as_ref()).await
    }

    async fn save_csv(self, path: impl AsRef<Path> + Send) -> Result<u64> {
        save(self, Format::Csv, path.as_ref()).await
    }

    async fn save_json(self, path: impl AsRef<Path> + Send) -> Result<u64> {
        save(self, Format::Json, path.as_ref()).await
    }
}
