//! A node's call in an expression.

use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::array::{Array, new_null_array};
use arrow::datatypes::DataType;
use datafusion_common::{Column, Result};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};
use datafusion_optimizer::utils::evaluates_to_null;
use hypernodes_graph::{Error, ErrorKind, Node, Pipeline, SharedValue, reads};

use crate::error::to_datafusion;
use crate::extract::is_repeatable;

/// A node with all that its calls need.
#[derive(Debug, Clone)]
pub struct BoundNode {
    /// The node.
    pub node: Node,
    /// The resources it takes, in its order.
    pub shared: Vec<SharedValue>,
    /// The pipeline it is called for, for errors.
    pub pipeline: Arc<str>,
}

impl BoundNode {
    /// `node` as `pipeline` calls it.
    ///
    /// # Errors
    /// If a shared value that it takes was not bound.
    pub fn of(pipeline: &Pipeline, node: &Node) -> hypernodes_graph::Result<Self> {
        Ok(Self {
            node: node.clone(),
            shared: pipeline.shared_values(node)?,
            pipeline: pipeline.name().into(),
        })
    }
}

/// A node as a scalar function that only a [`NodeMap`](crate::NodeMap) can call.
///
/// It gives the array that the node makes, or one `field` of it: a node of several outputs is
/// called once for all of its fields that stand in a query.
///
/// It is volatile: a promise that the optimizer will neither move nor double it, not a
/// statement about the function. Two are equal if they give the same of one definition with
/// the same shared values and settings, and one that is not pure, or whose arguments are volatile,
/// only to the same reference of a query. Every call may give null.
#[derive(Debug)]
pub struct NodeUdf {
    bound: Arc<BoundNode>,
    field: Option<usize>,
    /// Of a node that is not pure, or of volatile arguments: which reference in the query it is.
    occurrence: Option<u64>,
    name: String,
    signature: Signature,
}

impl NodeUdf {
    /// The scalar function for what `bound` makes.
    pub fn new(bound: BoundNode) -> Self {
        let name = bound.node.name().to_owned();
        Self::with_field(Arc::new(bound), None, name)
    }

    /// The scalar function for output `field` of `bound`: all of it, if there is only one.
    pub fn output(bound: &Arc<BoundNode>, field: usize) -> Self {
        let node = &bound.node;
        match node.outputs() {
            [_] => Self::with_field(Arc::clone(bound), None, node.name().to_owned()),
            several => {
                let output = several.get(field).map_or("", |output| &output.name);
                let name = format!("{}.{output}", node.name());
                Self::with_field(Arc::clone(bound), Some(field), name)
            }
        }
    }

    /// Whether no call is made where these columns are null: a parameter of the node that takes no
    /// null is null then, and so is what is made.
    pub(crate) fn is_null_of(call: &ScalarFunction, is_null: impl Fn(&Column) -> bool) -> bool {
        let Some(udf) = Self::find(&call.func) else {
            return false;
        };
        let parameters = udf.bound().node.parameters();
        std::iter::zip(parameters, &call.args).any(|(parameter, arg)| {
            let columns = arg.column_refs();
            let is_of_nulls = !columns.is_empty() && columns.iter().all(|column| is_null(column));
            // What cannot be evaluated while planning, such as a subquery, tells nothing.
            !parameter.optional
                && is_of_nulls
                && !arg.is_volatile()
                && evaluates_to_null(arg.clone(), columns).unwrap_or(false)
        })
    }

    fn with_field(bound: Arc<BoundNode>, field: Option<usize>, name: String) -> Self {
        let signature = Signature::user_defined(Volatility::Volatile);
        Self {
            bound,
            field,
            occurrence: None,
            name,
            signature,
        }
    }

    /// The same call for all that the node makes.
    pub(crate) fn whole(&self) -> Self {
        self.for_field(None)
    }

    /// The same call for one output, or for all that the node makes.
    pub(crate) fn for_field(&self, field: Option<usize>) -> Self {
        let made = match field {
            Some(field) => Self::output(&self.bound, field),
            None => {
                let name = self.bound.node.name().to_owned();
                Self::with_field(Arc::clone(&self.bound), None, name)
            }
        };
        let occurrence = self.occurrence;
        Self { occurrence, ..made }
    }

    /// Whether two calls of it may differ, and it is not yet told which one this is.
    pub(crate) fn is_any_of_several(&self, args: &[Expr]) -> bool {
        let is_one = self.bound.node.declared().pure && args.iter().all(is_repeatable);
        !is_one && self.occurrence.is_none()
    }

    /// The same call as a reference of its own, equal to no other.
    pub(crate) fn as_reference(&self, occurrence: u64) -> Self {
        let made = self.for_field(self.field);
        let occurrence = Some(occurrence);
        Self { occurrence, ..made }
    }

    /// Which output it gives; `None` for the array that the node makes.
    pub fn field(&self) -> Option<usize> {
        self.field
    }

    /// The type of what it gives.
    pub fn data_type(&self) -> DataType {
        let node = &self.bound.node;
        let field = self.field.and_then(|field| node.outputs().get(field));
        field.map_or_else(|| node.data_type(), |output| output.data_type.clone())
    }

    /// The node it calls.
    pub fn bound(&self) -> &Arc<BoundNode> {
        &self.bound
    }

    /// The node that `function` calls, if it is one of ours.
    pub fn find(function: &ScalarUDF) -> Option<&Self> {
        (function.inner().as_ref() as &dyn std::any::Any).downcast_ref()
    }

    /// The node that `expr` itself, not a part of it, calls.
    pub(crate) fn called_by(expr: &Expr) -> Option<&Self> {
        match expr {
            Expr::ScalarFunction(function) => Self::find(&function.func),
            _ => None,
        }
    }

    /// Whether `expr` or a part of it calls a node; subqueries within are not looked into.
    pub(crate) fn is_in(expr: &Expr) -> bool {
        use datafusion_common::tree_node::TreeNode;
        expr.exists(|part| Ok(Self::called_by(part).is_some()))
            .unwrap_or(true)
    }
}

impl PartialEq for NodeUdf {
    fn eq(&self, other: &Self) -> bool {
        let (ours, theirs) = (&self.bound, &other.bound);
        self.field == other.field
            && self.occurrence == other.occurrence
            && ours.node.identity() == theirs.node.identity()
            && ours.node.settings() == theirs.node.settings()
            && ours.shared.len() == theirs.shared.len()
            && std::iter::zip(&ours.shared, &theirs.shared).all(|(a, b)| a.is_same(b))
    }
}

impl Eq for NodeUdf {}

impl Hash for NodeUdf {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.bound.node.identity().hash(state);
    }
}

impl ScalarUDFImpl for NodeUdf {
    fn name(&self) -> &str {
        &self.name
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(self.data_type())
    }

    /// The types as they are: a node reads any layout that loses nothing, and nothing else.
    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let node = &self.bound.node;
        let invalid = |message: String| {
            Err(to_datafusion(
                Error::new(ErrorKind::InvalidInput, message).with_context("node", node.name()),
            ))
        };
        let wanted = node.parameters();
        if wanted.len() != given.len() {
            let names: Vec<&str> = wanted.iter().map(|wanted| wanted.name.as_str()).collect();
            let (name, names, count) = (node.name(), names.join(", "), given.len());
            return invalid(format!("{name}({names}) was given {count} arguments"));
        }
        for (wanted, given) in std::iter::zip(wanted, given) {
            if !reads(&wanted.data_type, given) {
                let (name, wanted_type) = (&wanted.name, &wanted.data_type);
                return invalid(format!(
                    "node {:?} reads {name:?} as {wanted_type}, which a column of {given} cannot be read as without loss; cast it",
                    node.name()
                ));
            }
        }
        Ok(given.to_vec())
    }

    /// Never calls the node. DataFusion's planner probes predicates with one row of nulls, and
    /// takes an array for "not known to be null"; anything else is a plan that was executed
    /// without [`ExtractNodes`](crate::ExtractNodes).
    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let is_null = |value: &ColumnarValue| match value {
            ColumnarValue::Array(array) => array.len() == 1 && array.is_null(0),
            ColumnarValue::Scalar(scalar) => scalar.is_null(),
        };
        if args.number_rows == 1 && args.args.iter().any(is_null) {
            let placeholder = new_null_array(args.return_type(), 1);
            return Ok(ColumnarValue::Array(placeholder));
        }
        let message = format!(
            "node {:?} was left in a plan that cannot call it",
            self.name()
        );
        Err(to_datafusion(Error::new(ErrorKind::Unsupported, message)))
    }
}
