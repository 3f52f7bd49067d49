//! A pipeline on top of a plan.

use std::collections::BTreeMap;
use std::sync::Arc;

use datafusion_common::Column;
use datafusion_expr::{Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF};
use hypernodes_graph::{Error, ErrorKind, Pipeline, Result, hint, reads};

use crate::error::from_datafusion;
use crate::udf::{BoundNode, NodeUdf};

/// The plan with one more column for each output of `pipeline`, after its own: one projection
/// per node, stacked in topological order.
///
/// Inputs are matched by name, whatever table the column belongs to. The rows and their order
/// are the plan's.
///
/// # Errors
/// [`ErrorKind::InvalidInput`], with every fault at once: an input that is no column or
/// several, a column of a type that the input cannot be read from, an output that is named like
/// a column, a shared value that was not bound.
pub fn apply(plan: LogicalPlan, pipeline: &Pipeline) -> Result<LogicalPlan> {
    let mut columns = inputs(&plan, pipeline)?;
    let mut builder = LogicalPlanBuilder::new(plan);
    for node in pipeline.nodes() {
        let bound = Arc::new(BoundNode::of(pipeline, node)?);
        let arguments = node.parameters().iter().map(|parameter| {
            let column = columns.get(parameter.name.as_str()).cloned();
            column.map(Expr::Column).ok_or_else(|| {
                let message = format!("{:?} is neither made nor given", parameter.name);
                Error::new(ErrorKind::Internal, message)
            })
        });
        let arguments = arguments.collect::<Result<Vec<_>>>()?;
        let calls = node.outputs().iter().enumerate().map(|(field, output)| {
            let udf = ScalarUDF::new_from_impl(NodeUdf::output(&bound, field));
            udf.call(arguments.clone()).alias(&output.name)
        });
        let kept = builder.schema().iter();
        let kept: Vec<Expr> = kept
            .map(|field| Expr::Column(Column::from(field)))
            .collect();
        let projected = kept.into_iter().chain(calls);
        builder = builder.project(projected).map_err(from_datafusion)?;
        for output in node.outputs() {
            columns.insert(&output.name, Column::new_unqualified(&output.name));
        }
    }
    builder.build().map_err(from_datafusion)
}

/// The column for each of the pipeline's inputs.
fn inputs<'a>(plan: &LogicalPlan, pipeline: &'a Pipeline) -> Result<BTreeMap<&'a str, Column>> {
    let schema = plan.schema();
    let names = || schema.fields().iter().map(|field| field.name().as_str());
    let (mut columns, mut faults) = (BTreeMap::new(), Vec::new());
    for input in pipeline.inputs() {
        let (name, wanted) = (&input.name, &input.data_type);
        let found: Vec<_> = schema
            .iter()
            .filter(|(_, field)| field.name() == name)
            .collect();
        match found[..] {
            [] => faults.push(format!(
                "there is no column {name:?}{}",
                hint(name, names())
            )),
            [(qualifier, field)] if reads(wanted, field.data_type()) => {
                let column = Column::from((qualifier, field));
                columns.insert(name.as_str(), column);
            }
            [(_, field)] => faults.push(format!(
                "column {name:?} is {}, and the pipeline reads it as {wanted}",
                field.data_type()
            )),
            _ => faults.push(format!(
                "column {name:?} is ambiguous: {} tables have one",
                found.len()
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
        return Ok(columns);
    }
    let error = Error::new(ErrorKind::InvalidInput, faults.join("; "));
    Err(error.with_context("pipeline", pipeline.name()))
}
