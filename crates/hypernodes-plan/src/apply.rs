//! A pipeline on top of a plan.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use arrow::array::ArrayRef;
use datafusion_common::{Column, DFSchema, ScalarValue};
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use hypernodes_graph::{
    Call, Error, ErrorKind, Input, Nested, Node, Pipeline, Result, hint, reads,
};

use crate::error::from_datafusion;
use crate::expr::ExprKernel;
use crate::udf::{BoundNode, NodeUdf};

/// What stands for each name that nodes read.
type Scope = BTreeMap<String, Expr>;

/// The plan with one more column for each output of `pipeline`, after its own: one projection
/// per node, stacked in topological order, those of nested pipelines among them. A node that is
/// an expression is that expression, not a call.
///
/// Inputs are matched by name, whatever table the column belongs to; one that is bound is a
/// literal, and so is a default where there is no column. The rows and their order are the
/// plan's.
///
/// # Errors
/// [`ErrorKind::InvalidInput`], with every fault at once: an input that is no column or
/// several, a column of a type that the input cannot be read from, an output that is named like
/// a column, a shared value that was not bound, a column where a batch function takes one value,
/// an input that is bound to a column.
pub fn apply(plan: LogicalPlan, pipeline: &Pipeline) -> Result<LogicalPlan> {
    let mut scope = resolve(plan.schema(), pipeline)?;
    let own: Vec<Column> = plan.schema().iter().map(Column::from).collect();
    let taken = own.iter().map(|column| column.name.clone());
    let mut stack = Stack {
        taken: taken.collect(),
        builder: LogicalPlanBuilder::new(plan),
    };
    stack.run(pipeline, &mut scope, "")?;
    let outputs = pipeline.outputs().map(|output| {
        let column = read(&scope, &output.name)?;
        Ok(match &column {
            Expr::Column(known) if known.name == output.name => column,
            _ => column.alias(&output.name),
        })
    });
    let outputs = outputs.collect::<Result<Vec<_>>>()?;
    let columns = own.into_iter().map(Expr::Column).chain(outputs);
    let plan = stack.builder.project(columns).map_err(from_datafusion)?;
    plan.build().map_err(from_datafusion)
}

fn read(scope: &Scope, name: &str) -> Result<Expr> {
    scope.get(name).cloned().ok_or_else(|| {
        let message = format!("{name:?} is neither made nor given");
        Error::new(ErrorKind::Internal, message)
    })
}

/// Projections on a plan.
struct Stack {
    builder: LogicalPlanBuilder,
    /// The names that columns have.
    taken: BTreeSet<String>,
}

impl Stack {
    /// Calls the nodes of `pipeline` for what stands in `scope`, and puts there what they make.
    fn run(&mut self, pipeline: &Pipeline, scope: &mut Scope, prefix: &str) -> Result<()> {
        for node in pipeline.nodes() {
            match node.call() {
                Call::Nested(nested) if is_inline(nested) => {
                    self.inline(node, nested, scope, prefix)?;
                }
                _ => self.call(pipeline, node, scope, prefix)?,
            }
        }
        Ok(())
    }

    fn call(
        &mut self,
        pipeline: &Pipeline,
        node: &Node,
        scope: &mut Scope,
        prefix: &str,
    ) -> Result<()> {
        let arguments = node.parameters().iter();
        let arguments = arguments.map(|parameter| read(scope, &parameter.name));
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let expr = ExprKernel::find(node)
            .map(|kernel| kernel.over(&arguments, self.builder.schema().as_ref()))
            .transpose()
            .map_err(from_datafusion)?;
        let bound = Arc::new(BoundNode::of(pipeline, node)?);
        let mut calls = Vec::with_capacity(node.outputs().len());
        for (field, output) in node.outputs().iter().enumerate() {
            let name = self.free_name(&format!("{prefix}{}", output.name));
            let call = expr.clone().unwrap_or_else(|| {
                let udf = ScalarUDF::new_from_impl(NodeUdf::output(&bound, field));
                udf.call(arguments.clone())
            });
            calls.push(call.alias(&name));
            let column = Column::new_unqualified(name);
            scope.insert(output.name.clone(), Expr::Column(column));
        }
        let kept = self.builder.schema().iter().map(Column::from);
        let kept: Vec<Expr> = kept.map(Expr::Column).collect();
        let builder = std::mem::replace(&mut self.builder, LogicalPlanBuilder::empty(false));
        let projected = builder.project(kept.into_iter().chain(calls));
        self.builder = projected.map_err(from_datafusion)?;
        Ok(())
    }

    /// A nested pipeline that is not mapped is so many more nodes.
    fn inline(
        &mut self,
        node: &Node,
        nested: &Nested,
        scope: &mut Scope,
        prefix: &str,
    ) -> Result<()> {
        let mut inner = Scope::new();
        for input in nested.pipeline.inputs() {
            if let Some(value) = fixed(&nested.pipeline, input) {
                inner.insert(input.name.clone(), literal(value)?);
            }
        }
        for (parameter, (name, _)) in std::iter::zip(node.parameters(), &nested.inputs) {
            inner.insert(name.clone(), read(scope, &parameter.name)?);
        }
        let prefix = format!("{prefix}{}.", node.name());
        self.run(&nested.pipeline, &mut inner, &prefix)?;
        for (outer, made) in std::iter::zip(node.outputs(), nested.pipeline.outputs()) {
            scope.insert(outer.name.clone(), read(&inner, &made.name)?);
        }
        Ok(())
    }

    fn free_name(&mut self, wished: &str) -> String {
        let mut name = wished.to_owned();
        let mut number = 2;
        while !self.taken.insert(name.clone()) {
            name = format!("{wished}#{number}");
            number += 1;
        }
        name
    }
}

/// Whether the nodes of a nested pipeline are nodes of the outer plan.
fn is_inline(nested: &Nested) -> bool {
    nested.mode.is_none() && nested.pipeline.engine().is_none()
}

/// The value of an input that needs no column.
fn fixed<'a>(pipeline: &'a Pipeline, input: &'a Input) -> Option<&'a ArrayRef> {
    pipeline.bound_item(&input.name).or(input.default.as_ref())
}

fn literal(value: &ArrayRef) -> Result<Expr> {
    let value = ScalarValue::try_from_array(value, 0).map_err(from_datafusion)?;
    Ok(Expr::Literal(value, None))
}

/// What stands for each of the pipeline's inputs in columns of this schema: a column, or a
/// literal.
///
/// # Errors
/// As for [`apply`].
pub fn resolve(schema: &DFSchema, pipeline: &Pipeline) -> Result<BTreeMap<String, Expr>> {
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let (mut scope, mut faults) = (Scope::new(), Vec::new());
    for input in pipeline.inputs() {
        let (name, wanted) = (&input.name, &input.data_type);
        if let Some(value) = pipeline.bound_item(name) {
            scope.insert(name.clone(), literal(value)?);
            continue;
        }
        if pipeline.bound_inputs().get(name).is_some() {
            faults.push(format!(
                "input {name:?} is bound to a column, which only `map` can go over; bind one item, or unbind it"
            ));
            continue;
        }
        let found: Vec<_> = schema
            .iter()
            .filter(|(_, field)| field.name() == name)
            .collect();
        match (&found[..], &input.default) {
            ([], Some(value)) => drop(scope.insert(name.clone(), literal(value)?)),
            ([], None) => faults.push(format!(
                "there is no column {name:?}{}",
                hint(name, names())
            )),
            (_, _) if input.constant => faults.push(format!(
                "input {name:?} is one value for all rows; bind it to the pipeline"
            )),
            ([(qualifier, field)], _) if reads(wanted, field.data_type()) => {
                let column = Column::from((*qualifier, *field));
                scope.insert(name.clone(), Expr::Column(column));
            }
            ([(_, field)], _) => faults.push(format!(
                "column {name:?} is {}, and the pipeline reads it as {wanted}",
                field.data_type()
            )),
            (several, _) => faults.push(format!(
                "column {name:?} is ambiguous: {} tables have one",
                several.len()
            )),
        }
    }
    for output in pipeline.outputs() {
        if names().any(|name| name == output.name) {
            let name = &output.name;
            faults.push(format!(
                "output {name:?} is named like a column that is there"
            ));
        }
    }
    if faults.is_empty() {
        return Ok(scope);
    }
    let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
    Err(error.with_context("pipeline", pipeline.name()))
}
