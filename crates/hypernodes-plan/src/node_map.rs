//! The operator that calls nodes.

use std::cmp::Ordering;
use std::collections::HashSet;
use std::fmt;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

use arrow::datatypes::Field;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{DFSchema, DFSchemaRef, Result, internal_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{Expr, LogicalPlan, UserDefinedLogicalNodeCore};

use crate::arrange::constants;
use crate::extract::is_repeatable;
use crate::udf::NodeUdf;

/// One call of a [`NodeMap`]: a node, its arguments, and the columns it makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MappedCall {
    /// The call: a [`NodeUdf`] for all that the node makes, and its arguments.
    pub function: ScalarFunction,
    /// Which rows are called for: those where this is true. The others are null, and their
    /// arguments are not evaluated.
    pub guard: Option<Expr>,
    /// The columns.
    pub outputs: Vec<MappedOutput>,
    /// Whether the rows come in an order that whoever reads counts on, whatever settings say.
    pub keeps_order: bool,
    /// A column of the input; rows that have the same there share one call. Where it is null, each
    /// row has its own.
    pub once_per: Option<Expr>,
}

/// A column that a call makes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct MappedOutput {
    /// Which output of the node; `None` for the array that the node makes.
    pub field: Option<usize>,
    /// The column's name, which no column of the input has.
    pub name: String,
}

impl MappedCall {
    /// What it reads of the input: the arguments, the guard, and what it is made once for.
    pub(crate) fn exprs(&self) -> impl Iterator<Item = &Expr> {
        let args = self.function.args.iter();
        args.chain(&self.guard).chain(&self.once_per)
    }

    /// The same call of expressions in the order of [`exprs`](Self::exprs).
    pub(crate) fn with_exprs(&self, exprs: &mut impl Iterator<Item = Expr>) -> Self {
        let args = exprs.by_ref().take(self.function.args.len()).collect();
        Self {
            function: ScalarFunction::new_udf(Arc::clone(&self.function.func), args),
            guard: self.guard.as_ref().and_then(|_| exprs.next()),
            outputs: self.outputs.clone(),
            keeps_order: self.keeps_order,
            once_per: self.once_per.as_ref().and_then(|_| exprs.next()),
        }
    }

    /// Whether it makes the same of the same row each time.
    pub(crate) fn is_repeatable(&self) -> bool {
        let is_pure = self
            .udf()
            .is_some_and(|udf| udf.bound().node.declared().pure);
        is_pure && self.function.args.iter().all(is_repeatable)
    }

    /// The node it calls.
    pub fn udf(&self) -> Option<&NodeUdf> {
        NodeUdf::find(&self.function.func)
    }
}

/// The input's rows in their order, with one more column for each call.
///
/// Arguments are expressions over the input's columns and hold no calls of nodes; the columns
/// made are unqualified and may be null.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeMap {
    input: LogicalPlan,
    calls: Vec<MappedCall>,
    schema: DFSchemaRef,
}

impl NodeMap {
    /// The operator on `input`.
    ///
    /// # Errors
    /// If a call is not one of a node, or makes a column that the input has.
    pub fn try_new(input: LogicalPlan, calls: Vec<MappedCall>) -> Result<Self> {
        let schema = input.schema();
        let mut fields: Vec<_> = schema
            .iter()
            .map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)))
            .collect();
        for call in &calls {
            let Some(udf) = call.udf() else {
                return internal_err!("{} is not a node", call.function.name());
            };
            for output in &call.outputs {
                let data_type = match output.field {
                    Some(field) => NodeUdf::output(udf.bound(), field).data_type(),
                    None => udf.data_type(),
                };
                fields.push((None, Arc::new(Field::new(&output.name, data_type, true))));
            }
        }
        let dependencies = schema.functional_dependencies().clone();
        let schema = DFSchema::new_with_metadata(fields, schema.metadata().clone())?;
        let schema = schema.with_functional_dependencies(dependencies)?;
        Ok(Self {
            input,
            calls,
            schema: Arc::new(schema),
        })
    }

    /// The operator that `plan` is, if it is one.
    pub fn of(plan: &LogicalPlan) -> Option<&Self> {
        match plan {
            LogicalPlan::Extension(extension) => extension.node.as_any().downcast_ref(),
            _ => None,
        }
    }

    /// The calls, in the order of their columns.
    pub fn calls(&self) -> &[MappedCall] {
        &self.calls
    }

    /// For each of its calls, whether all rows that need it give it the same arguments: they read
    /// nothing but what such calls make.
    ///
    /// # Errors
    /// If the plan below reads a column that it lacks.
    pub fn constants(&self) -> Result<Vec<bool>> {
        constants(self)
    }

    /// The plan whose rows it maps.
    pub fn input(&self) -> &LogicalPlan {
        &self.input
    }
}

impl Hash for NodeMap {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.input.hash(state);
        self.calls.hash(state);
    }
}

impl PartialOrd for NodeMap {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        (self == other).then_some(Ordering::Equal)
    }
}

impl UserDefinedLogicalNodeCore for NodeMap {
    fn name(&self) -> &str {
        "NodeMap"
    }

    fn inputs(&self) -> Vec<&LogicalPlan> {
        vec![&self.input]
    }

    fn schema(&self) -> &DFSchemaRef {
        &self.schema
    }

    fn expressions(&self) -> Vec<Expr> {
        let calls = self.calls.iter();
        calls.flat_map(MappedCall::exprs).cloned().collect()
    }

    /// Predicates on columns that are passed through may be tested before the calls.
    fn prevent_predicate_push_down_columns(&self) -> HashSet<String> {
        let outputs = self.calls.iter().flat_map(|call| &call.outputs);
        outputs.map(|output| output.name.clone()).collect()
    }

    fn fmt_for_explain(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeMap: ")?;
        for (position, call) in self.calls.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let function = Expr::ScalarFunction(call.function.clone());
            let names = call.outputs.iter().map(|output| output.name.as_str());
            let names = names.collect::<Vec<_>>().join(", ");
            write!(f, "{comma}{function} AS {names}")?;
            if let Some(guard) = &call.guard {
                write!(f, " WHERE ({guard})")?;
            }
            if let Some(once_per) = &call.once_per {
                write!(f, " ONCE PER {once_per}")?;
            }
        }
        Ok(())
    }

    fn with_exprs_and_inputs(&self, exprs: Vec<Expr>, inputs: Vec<LogicalPlan>) -> Result<Self> {
        let Ok([input]) = <[LogicalPlan; 1]>::try_from(inputs) else {
            return internal_err!("a NodeMap has one input");
        };
        let mut exprs = exprs.into_iter();
        let calls = self.calls.iter().map(|call| call.with_exprs(&mut exprs));
        Self::try_new(input, calls.collect())
    }

    /// The columns of the input that are passed through; those of the arguments are added by
    /// the optimizer.
    fn necessary_children_exprs(&self, output_columns: &[usize]) -> Option<Vec<Vec<usize>>> {
        let width = self.input.schema().fields().len();
        let passed = output_columns.iter().copied();
        Some(vec![passed.filter(|column| *column < width).collect()])
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }
}

/// Whether a plan, or a subquery of it, holds a [`NodeMap`].
///
/// # Errors
/// If a subquery cannot be visited.
pub fn calls_nodes(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        found |= NodeMap::of(plan).is_some();
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}
