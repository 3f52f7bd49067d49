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
use datafusion_physical_expr::expressions::{Column, Literal};
use datafusion_physical_expr::projection::ProjectionMapping;
use datafusion_physical_plan::execution_plan::{
    CardinalityEffect, EvaluationType, ReplaceChildrenOptions, SchedulingType,
    apply_expression_roots,
};
use datafusion_physical_plan::filter_pushdown::{
    ChildFilterDescription, ChildPushdownResult, FilterDescription, FilterPushdownPhase,
    FilterPushdownPropagation,
};
use datafusion_physical_plan::metrics::{
    BaselineMetrics, ExecutionPlanMetricsSet, MetricsSet, RecordOutput,
};
use datafusion_physical_plan::stream::RecordBatchStreamAdapter;
use datafusion_physical_plan::{
    DisplayAs, DisplayFormatType, ExecutionPlan, ExecutionPlanProperties, PlanProperties,
};
use futures::StreamExt;
use hypernodes_graph::{Call, Error, ErrorKind};
use hypernodes_plan::{BoundNode, to_datafusion};

use super::dedup::SharedCalls;
use super::gate::Gate;
use super::layers::layers;
use super::stream::NodeStream;
use crate::call::conformed;
use crate::nested::{Program, Regrouped};
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
    /// Whether rows of equal arguments share a call.
    pub(super) dedup: bool,
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
        let bound = match bound.node.parameters() {
            [] => Arc::new(BoundNode {
                node: bound.node.once(),
                ..BoundNode::clone(&bound)
            }),
            _ => bound,
        };
        let dedup = bound.node.declared().dedup && !args.is_empty();
        let call = Self {
            bound,
            args,
            guard,
            outputs,
            gate,
            program: None,
            dedup,
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

    pub(super) fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
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
        let wanted = wanted.filter(BooleanArray::has_false);
        let arrays = self.args.iter().map(|arg| match &wanted {
            Some(wanted) if !arg.is::<Column>() => {
                arg.evaluate_selection(batch, wanted)?.into_array(rows)
            }
            _ => arg.evaluate(batch)?.into_array(rows),
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
    row_goal: Option<usize>,
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
            row_goal: None,
            runtime,
            properties,
            metrics: ExecutionPlanMetricsSet::new(),
        }
    }

    /// The operator with these calls too, if they read nothing that its own make.
    pub(super) fn with_calls(&self, calls: &[PhysicalCall]) -> Option<Self> {
        let columns = self.input.schema().fields().len();
        if self.row_goal.is_some() || !calls.iter().all(|call| call.reads_only(columns)) {
            return None;
        }
        let calls = self.calls.iter().chain(calls).cloned().collect();
        let (input, runtime) = (Arc::clone(&self.input), Arc::clone(&self.runtime));
        Some(Self::new(input, calls, runtime))
    }

    /// How many rows whoever reads a partition is thought to need, if not all.
    pub fn row_goal(&self) -> Option<usize> {
        self.row_goal
    }

    /// The same operator for a reader who needs about `goal` rows of a partition.
    ///
    /// No more rows than that are called for at first. A reader who asks for more gets them, in
    /// steps that double up to 1,024 rows, so that no more than one step is called for in vain.
    pub fn with_row_goal(&self, goal: Option<usize>) -> Arc<dyn ExecutionPlan> {
        let input = Arc::clone(&self.input);
        let exec = Self::new(input, self.calls.clone(), Arc::clone(&self.runtime));
        Arc::new(Self {
            row_goal: goal,
            ..exec
        })
    }
}

/// What the streams of one partition have in common.
pub(super) struct Setting<'a> {
    pub(super) runtime: &'a Arc<Runtime>,
    pub(super) pool: &'a Arc<dyn MemoryPool>,
    pub(super) metrics: &'a ExecutionPlanMetricsSet,
    pub(super) partition: usize,
    pub(super) row_goal: Option<usize>,
}

/// Puts calls on a stream, those at once that can be.
pub(super) fn run(
    mut stream: SendableRecordBatchStream,
    calls: &[PhysicalCall],
    setting: &Setting<'_>,
) -> SendableRecordBatchStream {
    for layer in layers(stream.schema().fields().len(), calls) {
        stream = match layer {
            [call] if call.dedup => {
                let once = |input, inner: PhysicalCall| {
                    let inner = PhysicalCall {
                        dedup: false,
                        ..inner
                    };
                    run(input, &[inner], setting)
                };
                let schema = call.extended(&stream.schema());
                match SharedCalls::stream(stream, call, setting, once) {
                    Ok(shared) => Box::pin(shared),
                    Err(error) => {
                        let failed = futures::stream::iter([Err(error)]);
                        Box::pin(RecordBatchStreamAdapter::new(schema, failed))
                    }
                }
            }
            [call] if let Some(program) = &call.program => {
                // Inner rows are not what the reader counts.
                let row_goal = setting.row_goal.filter(|_| program.nested.mode.is_none());
                let setting = Setting {
                    row_goal,
                    ..*setting
                };
                let inner = |input, calls: &[PhysicalCall]| run(input, calls, &setting);
                let call = call.clone();
                Box::pin(Regrouped::stream(
                    stream,
                    call,
                    program,
                    setting.pool,
                    inner,
                ))
            }
            _ => Box::pin(NodeStream::new(stream, layer, setting)),
        };
    }
    stream
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
        if let Some(goal) = self.row_goal {
            write!(f, ", row_goal={goal}")?;
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
        let exec = Self::new(input, self.calls.clone(), Arc::clone(&self.runtime));
        Ok(Arc::new(Self {
            row_goal: self.row_goal,
            ..exec
        }))
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
        let input = self.input.execute(partition, Arc::clone(&context))?;
        let setting = Setting {
            runtime: &self.runtime,
            pool: context.memory_pool(),
            metrics: &self.metrics,
            partition,
            row_goal: self.row_goal,
        };
        let made = run(input, &self.calls, &setting);
        let metrics = BaselineMetrics::new(&self.metrics, partition);
        let observed = made.inspect(move |batch| {
            if let Ok(batch) = batch {
                batch.record_output(&metrics);
            }
        });
        Ok(Box::pin(RecordBatchStreamAdapter::new(
            self.schema(),
            observed,
        )))
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
