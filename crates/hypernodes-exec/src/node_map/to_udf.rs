//! A node as an ordinary DataFusion function, for sessions that do not carry our rules.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, OnceLock};

use arrow::array::{RecordBatch, RecordBatchOptions, new_empty_array};
use arrow::compute::concat;
use arrow::datatypes::{DataType, Field, Schema};
use async_trait::async_trait;
use datafusion_common::Result;
use datafusion_execution::memory_pool::{MemoryPool, UnboundedMemoryPool};
use datafusion_expr::async_udf::{AsyncScalarUDF, AsyncScalarUDFImpl};
use datafusion_expr::{
    ColumnarValue, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_plan::metrics::ExecutionPlanMetricsSet;
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use futures::TryStreamExt;
use futures::executor::block_on;
use futures::stream;
use hypernodes_graph::{Call, Error, ErrorKind, Node, Pipeline, Settings};
use hypernodes_plan::{BoundNode, NodeUdf};
use tokio::task::coop::unconstrained;

use super::exec::{Setting, run};
use super::physical_call::PhysicalCall;
use crate::runtime::Runtime;

/// Nodes as ordinary DataFusion functions.
pub trait NodeUdfExt {
    /// The node as a scalar function of its name, for any DataFusion session.
    ///
    /// It reads, computes and fails as in a pipeline: nulls, widenings, settings, errors and
    /// panics are the same. DataFusion calls it with a batch at a time: the rows of a sync node
    /// are fanned out over a pool of threads while the calling thread, one of Tokio's, is
    /// blocked; those of an async or nested node are awaited concurrently, at most
    /// `max_in_flight` over all queries that use this function. A node of several outputs gives
    /// a Struct.
    ///
    /// What a session with our rules promises and DataFusion does not:
    /// - a row may be called for several times, or though no one needs it: a filter and a
    ///   projection that name the function each call it, and branches of `CASE` do not guard an
    ///   async one. It is volatile, which keeps constant folding from calling it while a query
    ///   is planned, but a sync node with an `Option` parameter may be tried with one null then;
    /// - an async call makes DataFusion forget the order of the input;
    /// - what is in flight is not accounted for in the memory pool, and batches do not overlap;
    /// - sync calls of a batch are not cancelled, since their caller is blocked;
    /// - the row of an error is its place in the batch that DataFusion handed over.
    ///
    /// A node that takes a shared value comes in a pipeline that binds it:
    /// `Node::from(Pipeline::new([node])?.bind_shared("model", model)?).to_udf()`. A shared value
    /// that an async constructor makes should then be made before a sync node asks for it, or by
    /// a Tokio runtime of several threads.
    ///
    /// All functions made by this share one pool; [`NodeUdfExt::to_udf_on`] names another.
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`] if the node is put together wrongly,
    /// [`ErrorKind::InvalidInput`] if a shared value was not bound, [`ErrorKind::Unsupported`]
    /// for a parameter that is one value for all rows: bind it in a pipeline too.
    fn to_udf(&self) -> hypernodes_graph::Result<ScalarUDF>;

    /// The same on the threads and default settings of `runtime`.
    ///
    /// # Errors
    /// As for [`NodeUdfExt::to_udf`].
    fn to_udf_on(&self, runtime: &Arc<Runtime>) -> hypernodes_graph::Result<ScalarUDF>;
}

impl NodeUdfExt for Node {
    fn to_udf(&self) -> hypernodes_graph::Result<ScalarUDF> {
        static RUNTIME: OnceLock<Arc<Runtime>> = OnceLock::new();
        let runtime = match RUNTIME.get() {
            Some(runtime) => runtime,
            None => {
                let runtime = Runtime::new(Settings::default())?;
                RUNTIME.get_or_init(|| runtime)
            }
        };
        self.to_udf_on(runtime)
    }

    fn to_udf_on(&self, runtime: &Arc<Runtime>) -> hypernodes_graph::Result<ScalarUDF> {
        let function = Function::new(self, runtime)?;
        Ok(match self.call() {
            Call::Rows(_) | Call::Batch(_) => ScalarUDF::new_from_impl(function),
            Call::Async(_) | Call::Nested(_) => {
                AsyncScalarUDF::new(Arc::new(function)).into_scalar_udf()
            }
        })
    }
}

/// A node that runs when DataFusion invokes it.
#[derive(Debug)]
struct Function {
    /// The name, the types and what makes two of them equal.
    udf: NodeUdf,
    call: PhysicalCall,
    runtime: Arc<Runtime>,
    memory: Arc<dyn MemoryPool>,
    signature: Signature,
}

impl Function {
    fn new(node: &Node, runtime: &Arc<Runtime>) -> hypernodes_graph::Result<Self> {
        let alone = Pipeline::new([node.clone()])?.with_name("udf");
        if let Some(constant) = node.parameters().iter().find(|known| known.constant) {
            let (node, name) = (node.name(), &constant.name);
            let message = format!(
                "node {node:?} takes {name:?} as one value for all rows; bind it in a pipeline and make the function of that"
            );
            return Err(Error::new(ErrorKind::Unsupported, message));
        }
        let bound = BoundNode::of(&alone, node)?;
        let udf = NodeUdf::new(bound);
        let parameters = node.parameters().iter().enumerate();
        let args = parameters.map(|(place, known)| {
            Arc::new(Column::new(&known.name, place)) as Arc<dyn PhysicalExpr>
        });
        let output = Arc::new(Field::new(node.name(), udf.data_type(), true));
        let call = PhysicalCall::new(
            Arc::clone(udf.bound()),
            args.collect(),
            None,
            vec![(None, output)],
            runtime,
        );
        // `Signature::any`, because an async function's `coerce_types` is never asked.
        let signature = match node.parameters().len() {
            0 => Signature::nullary(Volatility::Volatile),
            count => Signature::any(count, Volatility::Volatile),
        };
        Ok(Self {
            udf,
            call: call.map_err(hypernodes_plan::from_datafusion)?,
            runtime: Arc::clone(runtime),
            memory: Arc::new(UnboundedMemoryPool::default()),
            signature,
        })
    }

    async fn invoke(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let rows = args.number_rows;
        let arrays = args.args.into_iter().map(|value| value.into_array(rows));
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let parameters = self.udf.bound().node.parameters();
        let fields = std::iter::zip(parameters, &arrays)
            .map(|(known, array)| Field::new(&known.name, array.data_type().clone(), true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        let batch = RecordBatch::try_new_with_options(Arc::clone(&schema), arrays, &options)?;
        let input = stream::iter([Ok(batch)]);
        let input = Box::pin(RecordBatchStreamAdapter::new(schema, input));
        let setting = Setting {
            runtime: &self.runtime,
            pool: &self.memory,
            metrics: &ExecutionPlanMetricsSet::new(),
            partition: 0,
            row_goal: None,
            ordered: true,
        };
        let made = run(input, std::slice::from_ref(&self.call), &setting);
        let made: Vec<RecordBatch> = made.try_collect().await?;
        let made = made.iter().filter_map(|batch| batch.columns().last());
        let made: Vec<_> = made.map(AsRef::as_ref).collect();
        Ok(ColumnarValue::Array(match made[..] {
            [] => new_empty_array(&self.udf.data_type()),
            _ => concat(&made)?,
        }))
    }
}

impl PartialEq for Function {
    fn eq(&self, other: &Self) -> bool {
        self.udf == other.udf && Arc::ptr_eq(&self.runtime, &other.runtime)
    }
}

impl Eq for Function {}

impl Hash for Function {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.udf.hash(state);
    }
}

impl ScalarUDFImpl for Function {
    fn name(&self) -> &str {
        self.udf.name()
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        self.udf.coerce_types(given)?;
        Ok(self.udf.data_type())
    }

    /// Blocks its caller. Without a budget for its steps: the caller's would never be renewed.
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        block_on(unconstrained(self.invoke(args)))
    }
}

#[async_trait]
impl AsyncScalarUDFImpl for Function {
    async fn invoke_async_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        self.invoke(args).await
    }
}
