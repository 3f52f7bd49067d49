//! A DataFusion expression as a node.

use std::any::Any;
use std::sync::Arc;

use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, DataFusionError, ExprSchema, internal_err};
use datafusion_expr::execution_props::ExecutionProps;
use datafusion_expr::physical_planning_context::PhysicalPlanningContext;
use datafusion_expr::simplify::SimplifyContext;
use datafusion_expr::{Expr, ExprSchemable, Volatility, cast as cast_expr};
use datafusion_optimizer::simplify_expressions::ExprSimplifier;
use datafusion_physical_expr::{PhysicalExpr, create_physical_expr};
use hypernodes_graph::{
    Call, Columns, Error, ErrorKind, Failure, Identity, Kernel, Node, Output, Parameter, Result,
    Settings, hint,
};

use crate::error::from_datafusion;
use crate::udf::NodeUdf;

/// Nodes of DataFusion's own expressions.
pub trait NodeExprExt: Sized {
    /// A node that makes `output` by `expr` over the columns `inputs`, whose types are declared
    /// because a pipeline checks all types before anything runs.
    ///
    /// Nulls are the expression's business, and every row is computed. In a query it is an
    /// ordinary expression over the columns: DataFusion moves, merges and simplifies it as it
    /// likes, and nobody counts how often it is computed. Elsewhere, and with settings, which ask
    /// for calls, it is a batch function.
    ///
    /// ```
    /// use datafusion_expr::{col, lit};
    /// use arrow::datatypes::DataType;
    /// use hypernodes_graph::Node;
    /// use hypernodes_plan::NodeExprExt;
    ///
    /// let doubled = Node::expr("doubled", [("x", DataType::Int64)], col("x") * lit(2_i64))?;
    /// assert_eq!(doubled.outputs()[0].data_type, DataType::Int64);
    /// # Ok::<(), hypernodes_graph::Error>(())
    /// ```
    ///
    /// # Errors
    /// [`ErrorKind::InvalidPipeline`], with every fault at once: a column that is not declared,
    /// with the nearest that is; one declared twice or never used; one that names a table; a
    /// function that is not immutable, a node, an aggregate, a window, a subquery, a
    /// placeholder. And if the types do not fit the expression.
    fn expr<N: Into<String>>(
        output: &str,
        inputs: impl IntoIterator<Item = (N, DataType)>,
        expr: Expr,
    ) -> Result<Self>;
}

impl NodeExprExt for Node {
    fn expr<N: Into<String>>(
        output: &str,
        inputs: impl IntoIterator<Item = (N, DataType)>,
        expr: Expr,
    ) -> Result<Self> {
        let fields = inputs
            .into_iter()
            .map(|(name, data_type)| Field::new(name, data_type, true));
        let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let faults = faults(&expr, &schema);
        let invalid = |what: String| {
            let message = format!("node {output:?}: {what}");
            Error::new(ErrorKind::InvalidPipeline, message)
        };
        if !faults.is_empty() {
            return Err(invalid(faults.join("; ")));
        }
        let unfit = |error: DataFusionError| invalid(from_datafusion(error).message().to_owned());
        let kernel = ExprKernel::new(expr, Arc::clone(&schema)).map_err(unfit)?;
        let parameters = schema.fields().iter().map(|field| Parameter {
            name: field.name().clone(),
            data_type: field.data_type().clone(),
            optional: true,
            constant: false,
            default: None,
        });
        let made = Output {
            name: output.to_owned(),
            data_type: kernel.physical.data_type(&schema).map_err(unfit)?,
        };
        let (parameters, call) = (parameters.collect(), Call::Batch(Arc::new(kernel)));
        let identity = Identity::new();
        Ok(Self::new(
            identity,
            output,
            parameters,
            Vec::new(),
            vec![made],
            call,
        ))
    }
}

/// What keeps `expr` from being a function of the columns of `schema`.
fn faults(expr: &Expr, schema: &Schema) -> Vec<String> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let mut faults = Vec::new();
    for (place, name) in names().enumerate() {
        if names().take(place).any(|earlier| earlier == name) {
            faults.push(format!("column {name:?} is declared twice"));
        }
        if !expr.column_refs().iter().any(|column| column.name == name) {
            faults.push(format!("column {name:?} is declared and not used"));
        }
    }
    // Every part is looked at; nothing here fails.
    let _ = expr.apply(|part| {
        let fault = match part {
            Expr::Column(column) if column.relation.is_some() => {
                Some(format!("{column} names a table; name the column alone"))
            }
            Expr::Column(column) if !names().any(|name| name == column.name) => {
                let name = &column.name;
                Some(format!(
                    "column {name:?} is not declared{}",
                    hint(name, names())
                ))
            }
            Expr::ScalarFunction(function) if NodeUdf::find(&function.func).is_some() => {
                let name = function.name();
                Some(format!("{name:?} is a node; put it in the pipeline itself"))
            }
            Expr::ScalarFunction(function)
                if function.func.signature().volatility != Volatility::Immutable =>
            {
                let name = function.name();
                Some(format!(
                    "function {name:?} may give another value each time it is called"
                ))
            }
            Expr::AggregateFunction(_) | Expr::WindowFunction(_) | Expr::GroupingSet(_) => {
                Some(format!("{part} is no value of one row"))
            }
            Expr::ScalarSubquery(_)
            | Expr::InSubquery(_)
            | Expr::Exists(_)
            | Expr::SetComparison(_) => Some("a subquery cannot be in a node".into()),
            Expr::OuterReferenceColumn(_, _) | Expr::Placeholder(_) => {
                Some(format!("{part} has no value in a node"))
            }
            _ => None,
        };
        faults.extend(fault);
        Ok(TreeNodeRecursion::Continue)
    });
    faults
}

/// The expression for engines without a plan.
pub(crate) struct ExprKernel {
    expr: Expr,
    schema: SchemaRef,
    physical: Arc<dyn PhysicalExpr>,
}

impl ExprKernel {
    fn new(expr: Expr, schema: SchemaRef) -> Result<Self, DataFusionError> {
        let known = Arc::new(DFSchema::try_from(Arc::clone(&schema))?);
        let context = SimplifyContext::builder().with_schema(Arc::clone(&known));
        let simplifier = ExprSimplifier::new(context.build());
        let expr = expr.unalias_nested().data;
        let coerced = simplifier.coerce(expr, &known)?;
        // Some functions can only be computed as what they are simplified to.
        let physical = create_physical_expr(
            &simplifier.simplify(coerced.clone())?,
            &known,
            &ExecutionProps::new(),
            &PhysicalPlanningContext::default(),
        )?;
        Ok(Self {
            expr: coerced,
            schema,
            physical,
        })
    }

    /// The expression that `node` is, if it is one and nothing asks for calls: no settings, and
    /// no null that is not its own business, as in the batch half of a dual node.
    pub(crate) fn find(node: &Node) -> Option<&Self> {
        let is_free = *node.settings() == Settings::default()
            && node.parameters().iter().all(|known| known.optional);
        match node.call() {
            Call::Batch(kernel) if is_free => (kernel.as_ref() as &dyn Any).downcast_ref(),
            _ => None,
        }
    }

    /// The expression over `arguments`, in the order of the node's parameters; what is of
    /// another type than was declared is cast to that.
    ///
    /// # Errors
    /// If an argument is missing or not over `schema`.
    pub(crate) fn over(
        &self,
        arguments: &[Expr],
        schema: &dyn ExprSchema,
    ) -> Result<Expr, DataFusionError> {
        let expr = self.expr.clone().transform_down(|part| {
            let Expr::Column(column) = &part else {
                return Ok(Transformed::no(part));
            };
            let place = self.schema.index_of(&column.name)?;
            let Some(argument) = arguments.get(place).cloned() else {
                return internal_err!("{column} has no argument");
            };
            let declared = self.schema.field(place).data_type();
            let argument = match argument.get_type(schema)? == *declared {
                true => argument,
                false => cast_expr(argument, declared.clone()),
            };
            Ok(Transformed::new(argument, true, TreeNodeRecursion::Jump))
        })?;
        Ok(expr.data)
    }

    fn compute(&self, columns: &Columns<'_>) -> Result<ArrayRef, DataFusionError> {
        let arrays = std::iter::zip(columns.arrays(), self.schema.fields())
            .map(|(array, field)| cast(array, field.data_type()));
        let arrays = arrays.collect::<Result<Vec<_>, _>>()?;
        let options = RecordBatchOptions::new().with_row_count(Some(columns.rows()));
        let schema = Arc::clone(&self.schema);
        let batch = RecordBatch::try_new_with_options(schema, arrays, &options)?;
        self.physical.evaluate(&batch)?.into_array(columns.rows())
    }
}

impl Kernel for ExprKernel {
    fn call(&self, columns: &Columns<'_>) -> Result<ArrayRef, Failure> {
        self.compute(columns).map_err(|error| Failure {
            row: None,
            error: error.into(),
        })
    }
}
