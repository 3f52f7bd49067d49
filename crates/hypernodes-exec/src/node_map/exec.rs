//! The physical operator.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{Result, internal_err};
use datafusion_execution::memory_pool::MemoryPool;
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::equivalence::EquivalenceProperties;
use datafusion_physical_expr::projection::ProjectionMapping;
use datafusion_physical_expr::{Distribution, LexOrdering, OrderingRequirements, PhysicalExpr};
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
    ExecutionPlan, ExecutionPlanProperties, InputDistributionRequirements, PlanProperties,
};
use futures::StreamExt;

use super::layers::layers;
use super::physical_call::PhysicalCall;
use super::shared::SharedCalls;
use super::stream::NodeStream;
use crate::nested::Regrouped;
use crate::runtime::Runtime;

/// The input's rows in their order, with one more column for each call.
///
/// The input is partitioned by what calls are made once per, if they are; where its order is to be
/// kept, it is one partition of that order.
/// Partitions and statistics are the input's, and so is the order, unless a call's settings say that
/// it need not be kept. Filters and limits pass through.
#[derive(Debug)]
pub struct NodeMapExec {
    input: Arc<dyn ExecutionPlan>,
    calls: Vec<PhysicalCall>,
    /// In which rows must come.
    order: Option<LexOrdering>,
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
        let order = input.output_ordering().filter(|_| must_keep_order(&calls));
        Self {
            order: order.cloned(),
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
        let is_free = |call: &PhysicalCall| {
            call.reads_only(columns) && self.is_partitioned_for(call.once_per())
        };
        if self.row_goal.is_some() || !calls.iter().all(is_free) {
            return None;
        }
        let calls = self.calls.iter().chain(calls).cloned().collect();
        let (input, runtime) = (Arc::clone(&self.input), Arc::clone(&self.runtime));
        Some(Self::new(input, calls, runtime))
    }

    /// Whether all rows that share a call come in one partition, if none but ours do.
    fn is_partitioned_for(&self, row: Option<&Arc<dyn PhysicalExpr>>) -> bool {
        let mut own = self.calls.iter().filter_map(PhysicalCall::once_per);
        row.is_none_or(|row| own.all(|own| own == row))
    }

    /// The calls, in the order of their columns.
    pub(super) fn calls(&self) -> &[PhysicalCall] {
        &self.calls
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
            order: self.order.clone(),
            ..exec
        })
    }
}

/// What the streams of one partition have in common.
pub(crate) struct Setting<'a> {
    pub(crate) runtime: &'a Arc<Runtime>,
    pub(crate) pool: &'a Arc<dyn MemoryPool>,
    pub(crate) metrics: &'a ExecutionPlanMetricsSet,
    pub(crate) partition: usize,
    pub(crate) row_goal: Option<usize>,
    /// Whether whoever reads counts on the order of the rows, whatever the calls' settings say.
    pub(crate) ordered: bool,
}

/// Puts calls on a stream, those at once that can be.
pub(crate) fn run(
    mut stream: SendableRecordBatchStream,
    calls: &[PhysicalCall],
    setting: &Setting<'_>,
) -> SendableRecordBatchStream {
    for layer in layers(stream.schema().fields().len(), calls) {
        stream = match layer {
            [call] if call.is_shared() => {
                let once = |input, inner: PhysicalCall| {
                    let setting = Setting {
                        ordered: true,
                        ..*setting
                    };
                    run(input, &[inner], &setting)
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
                    ordered: true,
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

/// Whether rows leave the calls in the order in which they come.
fn are_ordered(calls: &[PhysicalCall]) -> bool {
    must_keep_order(calls) || calls.iter().all(PhysicalCall::is_ordered)
}

/// Whether the plan above relies on the order of the rows.
fn must_keep_order(calls: &[PhysicalCall]) -> bool {
    calls.iter().any(|call| call.keeps_order)
}

fn properties(input: &Arc<dyn ExecutionPlan>, calls: &[PhysicalCall]) -> PlanProperties {
    let schema = calls
        .iter()
        .fold(input.schema(), |schema, call| call.extended(&schema));
    let passed: Vec<usize> = (0..input.schema().fields().len()).collect();
    let mut equivalences = ProjectionMapping::from_indices(&passed, &input.schema()).map_or_else(
        |_| EquivalenceProperties::new(Arc::clone(&schema)),
        |mapping| {
            input
                .equivalence_properties()
                .project(&mapping, Arc::clone(&schema))
        },
    );
    if !are_ordered(calls) {
        equivalences.clear_orderings();
    }
    PlanProperties::clone(input.properties())
        .with_eq_properties(equivalences)
        .with_scheduling_type(SchedulingType::Cooperative)
        .with_evaluation_type(EvaluationType::Eager)
}

impl ExecutionPlan for NodeMapExec {
    fn name(&self) -> &str {
        "NodeMapExec"
    }

    fn properties(&self) -> &Arc<PlanProperties> {
        &self.properties
    }

    fn maintains_input_order(&self) -> Vec<bool> {
        vec![are_ordered(&self.calls)]
    }

    fn required_input_ordering(&self) -> Vec<Option<OrderingRequirements>> {
        vec![self.order.clone().map(OrderingRequirements::from)]
    }

    /// Rows that share a call come in one partition, and so do all, where they are called for in
    /// their order.
    fn input_distribution_requirements(&self) -> InputDistributionRequirements {
        let mut rows = self.calls.iter().filter_map(PhysicalCall::once_per);
        InputDistributionRequirements::new(vec![match rows.next() {
            _ if self.order.is_some() => Distribution::SinglePartition,
            Some(row) => Distribution::KeyPartitioned(vec![Arc::clone(row)]),
            None => Distribution::UnspecifiedDistribution,
        }])
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
            order: self.order.clone(),
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
            ordered: are_ordered(&self.calls),
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
        // The input looks for the first column of the name.
        let schema = self.input.schema();
        let is_first = |index: &usize| {
            let first = schema.index_of(schema.field(*index).name());
            first.is_ok_and(|first| first == *index)
        };
        let passed: HashSet<usize> = (0..schema.fields().len()).filter(is_first).collect();
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
