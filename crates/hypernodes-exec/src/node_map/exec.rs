//! The physical operator.

use std::collections::HashSet;
use std::fmt;
use std::sync::Arc;

use arrow::array::ArrayRef;
use arrow::datatypes::{Field, Schema, SchemaRef};
use datafusion_common::config::ConfigOptions;
use datafusion_common::tree_node::TreeNodeRecursion;
use datafusion_common::{Result, internal_err};
use datafusion_execution::{SendableRecordBatchStream, TaskContext};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::equivalence::EquivalenceProperties;
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
use hypernodes_plan::BoundNode;

use super::gate::Gate;
use super::stream::NodeStream;
use crate::runtime::Runtime;

/// A call with its guard and arguments over the input's columns.
#[derive(Debug, Clone)]
pub(crate) struct PhysicalCall {
    pub(super) bound: Arc<BoundNode>,
    pub(super) args: Vec<Arc<dyn PhysicalExpr>>,
    pub(super) guard: Option<Arc<dyn PhysicalExpr>>,
    pub(super) outputs: Vec<(Option<usize>, Arc<Field>)>,
    pub(super) gate: Arc<Gate>,
}

impl PhysicalCall {
    pub(super) fn new(
        bound: Arc<BoundNode>,
        args: Vec<Arc<dyn PhysicalExpr>>,
        guard: Option<Arc<dyn PhysicalExpr>>,
        outputs: Vec<(Option<usize>, Arc<Field>)>,
        runtime: &Runtime,
    ) -> Self {
        let gate = Arc::new(Gate::new(&bound.node, runtime.settings()));
        Self {
            bound,
            args,
            guard,
            outputs,
            gate,
        }
    }

    fn exprs(&self) -> impl Iterator<Item = &Arc<dyn PhysicalExpr>> {
        self.args.iter().chain(&self.guard)
    }

    /// The columns in what the node made.
    pub(super) fn columns(&self, made: ArrayRef) -> Vec<ArrayRef> {
        if let [(None, _)] = self.outputs[..] {
            return vec![made];
        }
        let columns = self.bound.node.columns(&made);
        let fields = self.outputs.iter();
        fields
            .map(|(field, _)| {
                field.map_or_else(|| Arc::clone(&made), |field| Arc::clone(&columns[field]))
            })
            .collect()
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

/// The schema with the call's columns at its end.
pub(super) fn extended(schema: &Schema, call: &PhysicalCall) -> SchemaRef {
    let made = call.outputs.iter().map(|(_, field)| field);
    let fields = schema.fields().iter().chain(made);
    let fields: Vec<_> = fields.cloned().collect();
    Arc::new(Schema::new_with_metadata(fields, schema.metadata().clone()))
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

fn properties(input: &Arc<dyn ExecutionPlan>, calls: &[PhysicalCall]) -> PlanProperties {
    let schema = calls
        .iter()
        .fold(input.schema(), |schema, call| extended(&schema, call));
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
        for call in &self.calls {
            let metrics = BaselineMetrics::new(&self.metrics, partition);
            let pool = context.memory_pool();
            let runtime = Arc::clone(&self.runtime);
            stream = Box::pin(NodeStream::new(
                stream,
                call.clone(),
                runtime,
                pool,
                metrics,
            ));
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
