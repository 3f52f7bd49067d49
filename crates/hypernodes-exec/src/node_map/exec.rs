//! The physical operator.

use std::any::Any;
use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, RecordBatch, StructArray};
use arrow::buffer::NullBuffer;
use arrow::compute::prep_null_mask_filter;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{Result, internal_err};
use datafusion_execution::memory_pool::MemoryPool;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::equivalence::EquivalenceProperties;
use datafusion_physical_expr::expressions::Literal;
use datafusion_physical_expr::projection::ProjectionMapping;
use datafusion_physical_plan::execution_plan::{
    CardinalityEffect, EvaluationType, ReplaceChildrenOptions, SchedulingType,
    apply_expression_roots,
};
use datafusion_physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion_physical_plan::metrics::{BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet};
use datafusion_physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use hypernodes_graph::{Call, Error, ErrorKind};
use hypernodes_plan::{BoundNode, to_datafusion};

use super::gate::Gate;
use super::stream::NodeStream;
use crate::call::conformed;
use crate::nested::{NestedStream, Program};
use crate::runtime::Runtime;

/// A call with its guard and arguments over the input's columns.
#[derive(Debug, Clone)]
pub(crate) struct PhysicalCall {
    pub(crate) bound: Arc<BoundNode>,
    pub(super) args: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) guard: Option<Arc<dyn PhysicalExpr>>,
    pub(super) outputs: Vec<(Option<usize>, Arc<Field>)>,
    pub(super) gate: Arc<Gate>,
    /// Of a nested pipeline, what runs in it.
    pub(super) program: Option<Arc<Program>>,
}

impl PhysicalCall {
    /// A call that makes the outputs named; of a nested pipeline, only what they need is run.
    ///
    /// # Errors
    /// If a value that is the same for all rows would differ, or an inner node lacks one.
    pub(crate) fn new(
        bound: Arc<BoundNode>,
        args: Vec<Arc<dyn PhysicalExpr>>,
        guard: Option<Arc<dyn PhysicalExpr>>,
        outputs: Vec<(Option<usize>, Arc<Field>)>,
        runtime: &Arc<Runtime>,
    ) -> Result<Self> {
        for (parameter, arg) in std::iter::zip(bound.node.parameters(), &args) {
            if parameter.constant && !(arg.as_ref() as &dyn Any).is::<Literal>() {
                let (node, name) = (bound.node.name(), &parameter.name);
                let message = format!(
                    "node {node:?} takes {name:?} as one value for all rows, and was given {arg}"
                );
                return Err(to_datafusion(Error::new(ErrorKind::InvalidInput, message)));
            }
        }
        let gate = Arc::new(Gate::new(&bound.node, runtime.settings()));
        let call = Self {
            bound,
            args,
            guard,
            outputs,
            gate,
            program: None,
        };
        let Call::Nested(_) = call.bound.node.call() else {
            return Ok(call);
        };
        let call = call.narrowed();
        let program = match call.bound.node.call() {
            Call::Nested(nested) => Some(Arc::new(Program::new(nested, runtime)?)),
            _ => None,
        };
        Ok(Self { program, ..call })
    }

    /// The call without the outputs that are not named.
    fn narrowed(self) -> Self {
        let fields = self.outputs.iter().map(|(field, _)| *field);
        let Some(fields) = fields.collect::<Option<Vec<_>>>() else {
            return self;
        };
        let node = self.bound.node.narrowed(&fields);
        let args = node.parameters().iter().filter_map(|parameter| {
            let known = self.bound.node.parameters().iter();
            let place = known
                .clone()
                .position(|known| known.name == parameter.name)?;
            self.args.get(place).map(Arc::clone)
        });
        let args = args.collect();
        let several = node.outputs().len() > 1;
        let outputs = self.outputs.iter().map(|(field, column)| {
            let name = field.map(|field| &self.bound.node.outputs()[field].name);
            let made = node
                .outputs()
                .iter()
                .position(|output| Some(&output.name) == name);
            (made.filter(|_| several), Arc::clone(column))
        });
        let outputs = outputs.collect();
        let bound = Arc::new(BoundNode {
            node,
            ..BoundNode::clone(&self.bound)
        });
        Self {
            bound,
            args,
            outputs,
            ..self
        }
    }

    fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.args.iter().chain(&self.guard)
    }

    /// The arguments as the node reads them, and the rows that the guard lets pass.
    pub(crate) fn arguments(
        &self,
        batch: &RecordBatch,
    ) -> Result<(Vec<ArrayRef>, Option<NullBuffer>)> {
        let rows = batch.num_rows();
        let guard = self.guard.as_ref();
        let wanted = guard.map(|guard| wanted(&**guard, batch)).transpose()?;
        let arrays = self.args.iter().map(|arg| match &wanted {
            Some(wanted) => arg.evaluate_selection(batch, wanted)?.into_array(rows),
            None => arg.evaluate(batch)?.into_array(rows),
        });
        let arrays = arrays.collect::<Result<Vec<_>>>()?;
        let arrays = conformed(&self.bound, &arrays).map_err(to_datafusion)?;
        let wanted = wanted.map(|wanted| NullBuffer::new(wanted.values().clone()));
        Ok((arrays, wanted))
    }

    /// The columns in what the node made.
    pub(super) fn columns(&self, made: ArrayRef) -> Vec<ArrayRef> {
        self.fields(self.bound.node.columns(&made)).collect()
    }

    /// The columns of the call, given one for each output of the node.
    pub(crate) fn fields(&self, made: Vec<ArrayRef>) -> impl Iterator<Item = ArrayRef> {
        self.outputs
            .iter()
            .map(move |(field, _)| match (field, &made[..]) {
                (Some(field), made) => Arc::clone(&made[*field]),
                (None, [only]) => Arc::clone(only),
                (None, several) => {
                    let outputs = self.bound.node.outputs().iter();
                    let fields = outputs.map(|output| {
                        Arc::new(Field::new(&output.name, output.data_type.clone(), true))
                    });
                    let columns = std::iter::zip(fields, several.iter().cloned());
                    Arc::new(StructArray::from(columns.collect::<Vec<_>>()))
                }
            })
    }

    /// The schema with the call's columns at its end.
    pub(crate) fn extended(&self, schema: &Schema) -> SchemaRef {
        let made = self.outputs.iter().map(|(_, field)| field);
        let fields = schema.fields().iter().chain(made);
        let fields: Vec<_> = fields.cloned().collect();
        Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
    }
}

/// The input's rows in their order, with one more column for each call.
///
/// Order, partitions and statistics are the input's. Filters and limits pass through.
#[derive(Debug)]
pub struct NodeMapExec {
    input: Arc<dyn ExecutionPlan>,
    calls: Vec<PhysicalCall>,
    runtime: Arc<Runtime>,
    properties: Arc<PlanProperties>,
    metrics: ExecutionPlanMetricsSet,
}

impl NodeMapExec {
    pub(super) fn new(
        input: Arc<dyn ExecutionPlan>,
        calls: Vec<PhysicalCall>,
        runtime: Arc<Runtime>,
    ) -> Self {
        let properties = Arc::new(properties(&input, &calls));
        Self {
            input,
            calls,
            runtime,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }
}

/// Puts a call on a stream.
pub(super) fn run(
    input: SendableRecordBatchStream,
    call: &PhysicalCall,
    runtime: &Arc<Runtime>,
    pool: &Arc<dyn MemoryPool>,
    metrics: &dyn Fn() -> BaselineMetrics,
) -> SendableRecordBatchStream {
    let Some(program) = &call.program else {
        let (call, runtime) = (call.clone(), Arc::clone(runtime));
        return Box::pin(NodeStream::new(input, call, runtime, pool, metrics()));
    };
    let inner = |input, call: &PhysicalCall| run(input, call, runtime, pool, metrics);
    Box::pin(NestedStream::new(input, call.clone(), program, pool, inner))
}

/// The rows where the guard is true; it is never null.
fn wanted(guard: &dyn PhysicalExpr, batch: &RecordBatch) -> Result<BooleanArray> {
    let guard = guard.evaluate(batch)?.into_array(batch.num_rows())?;
    let guard = guard.as_boolean();
    Ok(match Array::nulls(guard) {
        Some(_) => prep_null_mask_filter(guard),
        None => guard.clone(),
    })
}

fn properties(input: &Arc<dyn ExecutionPlan>, calls: &[PhysicalCall]) -> PlanProperties {
    let schema = calls
        .iter()
        .fold(input.schema(), |schema, call| call.extended(&schema));
    let passed: Vec<usize> = (0..input.schema().fields().len()).collect();
    let equivalences = ProjectionMapping::from_indices(&passed, &input.schema()).map_or_else(
        |_| EquivalenceProperties::new(Arc::clone(&schema)),
        |mapping| {
            input
                .equivalence_properties()
                .project(&mapping, Arc::clone(&schema))
        },
    );
    PlanProperties::clone(input.properties())
        .with_eq_properties(equivalences)
        .with_scheduling_type(SchedulingType::Cooperative)
        .with_evaluation_type(EvaluationType::Eager)
}

impl DisplayAs for NodeMapExec {
    fn fmt_as(&self, _: DisplayFormatType, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("NodeMapExec: ")?;
        for (position, call) in self.calls.iter().enumerate() {
            let comma = if position == 0 { "" } else { ", " };
            let args: Vec<_> = call.args.iter().map(ToString::to_string).collect();
            let outputs = call.outputs.iter().map(|(_, field)| field.name().as_str());
            let outputs = outputs.collect::<Vec<_>>().join(", ");
            let (name, args) = (call.bound.node.name(), args.join(", "));
            write!(f, "{comma}{name}({args}) AS {outputs}")?;
            if let Some(guard) = &call.guard {
                write!(f, " WHERE {guard}")?;
            }
        }
        Ok(())
    }
}

impl ExecutionPlan for NodeMapExec {
    fn name(&self) -> &str {
        "NodeMapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![true]
    }

    fn benefits_from_input_partitioning(&self) -> Vec<bool> {
        vec![false]
    }

    fn children(&self) -> Vec<&Arc<dyn ExecutionPlan>> {
        vec![&self.input]
    }

    fn apply_expressions(
        &self,
        f: &mut dyn FnMut(&Arc<dyn PhysicalExpr>) -> Result<TreeNodeRecursion>,
    ) -> Result<TreeNodeRecursion> {
        apply_expression_roots(self.calls.iter().flat_map(PhysicalCall::exprs), f)
    }

    /// The calls keep their permits, so that limits hold whatever the plan around them becomes.
    fn replace_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
        _: ReplaceChildrenOptions,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        let Ok([input]) = <[Arc<dyn ExecutionPlan>; 1]>::try_from(children) else {
            return internal_err!("NodeMapExec has one input");
        };
        let runtime = Arc::clone(&self.runtime);
        Ok(Arc::new(Self::new(input, self.calls.clone(), runtime)))
    }

    fn with_new_children(
        self: Arc<Self>,
        children: Vec<Arc<dyn ExecutionPlan>>,
    ) -> Result<Arc<dyn ExecutionPlan>> {
        use datafusion_physical_plan::execution_plan::ChildrenPropertiesMode;
        self.replace_children(
            children,
            ReplaceChildrenOptions::new(ChildrenPropertiesMode::Recompute),
        )
    }

    fn execute(
        &self,
        partition: usize,
        context: Arc<TaskContext>,
    ) -> Result<SendableRecordBatchStream> {
        let mut stream = self.input.execute(partition, Arc::clone(&context))?;
        let metrics = || BaselineMetrics::new(&self.metrics, partition);
        for call in &self.calls {
            stream = run(stream, call, &self.runtime, context.memory_pool(), &metrics);
        }
        Ok(stream)
    }

    fn metrics(&self) -> Option<MetricsSet> {
        Some(self.metrics.clone_inner())
    }

    fn supports_limit_pushdown(&self) -> bool {
        true
    }

    fn cardinality_effect(&self) -> CardinalityEffect {
        CardinalityEffect::Equal
    }

    /// Filters on columns that are passed through are the input's business.
    fn gather_filters_for_pushdown(
        &self,
        _: FilterPushdownPhase,
        parent_filters: Vec<Arc<dyn PhysicalExpr>>,
        _: &ConfigOptions,
    ) -> Result<FilterDescription> {
        let passed: HashSet<usize> = (0..self.input.schema().fields().len()).collect();
        let child = ChildFilterDescription::from_child_with_allowed_indices(
            &parent_filters,
            passed,
            &self.input,
        )?;
        Ok(FilterDescription::new().with_child(child))
    }

    fn handle_child_pushdown_result(
        &self,
        _: FilterPushdownPhase,
        result: ChildPushdownResult,
        _: &ConfigOptions,
    ) -> Result<FilterPushdownPropagation<Arc<dyn ExecutionPlan>>> {
        Ok(FilterPushdownPropagation::if_all(result))
    }
}
