//! What runs over the items.

use std::collections::BTreeMap;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::{Result, ScalarValue};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::{Column, Literal};
use hypernodes_graph::{Call, Engine, Error, ErrorKind, Nested, Node, Pipeline};
use hypernodes_plan::{BoundNode, to_datafusion};

use crate::node_map::PhysicalCall;
use crate::runtime::Runtime;

/// The inner pipeline, ready to run over batches of inner rows.
#[derive(Debug)]
pub(crate) struct Program {
    pub(crate) nested: Nested,
    /// The columns of the items.
    pub(crate) schema: SchemaRef,
    pub(crate) steps: Steps,
}

/// How the items are run.
#[derive(Debug)]
pub(crate) enum Steps {
    /// One operator after another; then the outputs stand in these columns.
    Calls(Vec<PhysicalCall>, Vec<usize>),
    /// By the pipeline's own engine.
    Engine(Arc<dyn Engine>),
}

/// What stands for each name that nodes read.
pub(crate) type Scope = BTreeMap<String, Arc<dyn PhysicalExpr>>;

struct Steering<'a> {
    runtime: &'a Arc<Runtime>,
    schema: SchemaRef,
    calls: Vec<PhysicalCall>,
}

impl Program {
    pub(crate) fn new(nested: &Nested, runtime: &Arc<Runtime>) -> Result<Self> {
        let fields = nested.inputs.iter().map(|(name, _)| {
            let inputs = nested.pipeline.inputs().iter();
            let input = inputs.clone().find(|input| input.name == *name);
            // A list that is mapped over for its length alone is read by no node.
            let data_type = input.map(|input| input.data_type.clone());
            Field::new(
                name,
                data_type.unwrap_or(arrow::datatypes::DataType::Null),
                true,
            )
        });
        let schema: SchemaRef = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
        let steps = match nested.pipeline.engine() {
            Some(engine) => Steps::Engine(Arc::clone(engine)),
            None => {
                let inputs = nested.inputs.iter().enumerate();
                let scope = inputs.map(|(index, (name, _))| {
                    let column: Arc<dyn PhysicalExpr> = Arc::new(Column::new(name, index));
                    (name.clone(), column)
                });
                let schema = Arc::clone(&schema);
                let (calls, outputs) = steer(&nested.pipeline, schema, scope.collect(), runtime)?;
                Steps::Calls(calls, outputs)
            }
        };
        Ok(Self {
            nested: nested.clone(),
            schema,
            steps,
        })
    }
}

/// The calls of a pipeline over rows of this schema, one after the other, each of which adds its
/// columns; and the columns that are outputs then.
///
/// # Errors
/// If a shared value was not bound, or a value that is the same for all rows would differ.
pub(crate) fn steer(
    pipeline: &Pipeline,
    schema: SchemaRef,
    mut scope: Scope,
    runtime: &Arc<Runtime>,
) -> Result<(Vec<PhysicalCall>, Vec<usize>)> {
    let mut steering = Steering {
        runtime,
        schema,
        calls: Vec::new(),
    };
    steering.run(pipeline, &mut scope)?;
    let outputs = pipeline.outputs();
    let outputs = outputs.map(|output| steering.column(&scope, &output.name));
    let outputs = outputs.collect::<Result<_>>()?;
    Ok((steering.calls, outputs))
}

impl Steering<'_> {
    fn run(&mut self, pipeline: &Pipeline, scope: &mut Scope) -> Result<()> {
        for input in pipeline.inputs() {
            let value = pipeline.bound_item(&input.name).or(input.default.as_ref());
            if let (Some(value), false) = (value, scope.contains_key(&input.name)) {
                scope.insert(input.name.clone(), literal(value)?);
            }
        }
        for node in pipeline.nodes() {
            match node.call() {
                Call::Nested(nested)
                    if nested.mode.is_none() && nested.pipeline.engine().is_none() =>
                {
                    let mut inner = Scope::new();
                    for (parameter, (name, _)) in std::iter::zip(node.parameters(), &nested.inputs)
                    {
                        inner.insert(name.clone(), read(scope, &parameter.name)?);
                    }
                    self.run(&nested.pipeline, &mut inner)?;
                    for (outer, made) in std::iter::zip(node.outputs(), nested.pipeline.outputs()) {
                        scope.insert(outer.name.clone(), read(&inner, &made.name)?);
                    }
                }
                _ => self.call(pipeline, node, scope)?,
            }
        }
        Ok(())
    }

    fn call(&mut self, pipeline: &Pipeline, node: &Node, scope: &mut Scope) -> Result<()> {
        let bound = BoundNode::of(pipeline, node).map_err(to_datafusion)?;
        let arguments = node.parameters().iter();
        let arguments = arguments.map(|parameter| read(scope, &parameter.name));
        let arguments = arguments.collect::<Result<_>>()?;
        let first = self.schema.fields().len();
        let several = node.outputs().len() > 1;
        let mut outputs = Vec::with_capacity(node.outputs().len());
        for (field, output) in node.outputs().iter().enumerate() {
            let (index, field) = (first + field, several.then_some(field));
            let column = Field::new(format!("#{index}"), output.data_type.clone(), true);
            let expr = Column::new(column.name(), index);
            scope.insert(output.name.clone(), Arc::new(expr));
            outputs.push((field, Arc::new(column)));
        }
        let call = PhysicalCall::new(Arc::new(bound), arguments, None, outputs, self.runtime)?;
        self.schema = call.extended(&self.schema);
        self.calls.push(call);
        Ok(())
    }

    fn column(&self, scope: &Scope, name: &str) -> Result<usize> {
        let expr = read(scope, name)?;
        let column = (expr.as_ref() as &dyn std::any::Any).downcast_ref::<Column>();
        let column = column.map(Column::index);
        column.ok_or_else(|| missing(name))
    }
}

fn read(scope: &Scope, name: &str) -> Result<Arc<dyn PhysicalExpr>> {
    scope.get(name).cloned().ok_or_else(|| missing(name))
}

fn missing(name: &str) -> datafusion_common::DataFusionError {
    let message = format!("{name:?} is neither made nor given");
    to_datafusion(Error::new(ErrorKind::Internal, message))
}

fn literal(value: &ArrayRef) -> Result<Arc<dyn PhysicalExpr>> {
    let value = ScalarValue::try_from_array(value, 0)?;
    Ok(Arc::new(Literal::new(value)))
}
