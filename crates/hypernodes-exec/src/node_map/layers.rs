//! Calls that run at the same time.

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TransformedResult, TreeNode};
use datafusion_physical_expr::PhysicalExpr;
use datafusion_physical_expr::expressions::Column;
use datafusion_physical_expr::utils::collect_columns;
use datafusion_physical_plan::ExecutionPlan;
use datafusion_physical_plan::projection::{ProjectionExec, ProjectionExpr};

use super::exec::NodeMapExec;
use super::physical_call::{PhysicalCall, Shared};
use crate::runtime::Runtime;

/// The calls in runs of which none reads what another makes, where the first `columns` columns
/// are there from the start. A nested pipeline is a run of its own,
/// and so is a call that rows share.
pub(super) fn layers(mut columns: usize, calls: &[PhysicalCall]) -> Vec<&[PhysicalCall]> {
    let (mut layers, mut start, mut made) = (Vec::new(), 0, columns);
    for (position, call) in calls.iter().enumerate() {
        let before = position.checked_sub(1).map(|before| &calls[before]);
        let is_alone = call.is_alone() || before.is_some_and(PhysicalCall::is_alone);
        if position > start && (is_alone || !call.reads_only(columns)) {
            layers.push(&calls[start..position]);
            (start, columns) = (position, made);
        }
        made += call.outputs.len();
    }
    if start < calls.len() {
        layers.push(&calls[start..]);
    }
    layers
}

impl PhysicalCall {
    fn is_alone(&self) -> bool {
        self.program.is_some() || self.is_shared()
    }

    /// Whether it reads none but the first `columns` columns.
    pub(super) fn reads_only(&self, columns: usize) -> bool {
        let read = self.exprs().flat_map(collect_columns);
        read.into_iter().all(|column| column.index() < columns)
    }

    /// The same call below `projection`; `None` if it reads what the projection computes.
    fn below(&self, projection: &ProjectionExec) -> Result<Option<Self>> {
        let exprs = projection.expr();
        let below = |column: &Column| exprs.get(column.index())?.expr.downcast_ref::<Column>();
        let mut read = self.exprs().flat_map(collect_columns);
        if !read.all(|column| below(&column).is_some()) {
            return Ok(None);
        }
        let moved = |expr: &Arc<dyn PhysicalExpr>| {
            let moved = Arc::clone(expr).transform(|part| {
                Ok(match part.downcast_ref::<Column>().and_then(below) {
                    Some(column) => Transformed::yes(Arc::new(column.clone()) as _),
                    None => Transformed::no(part),
                })
            });
            moved.data()
        };
        let shared = match &self.shared {
            Shared::Rows(row) => Shared::Rows(moved(row)?),
            other => other.clone(),
        };
        Ok(Some(Self {
            shared,
            args: self.args.iter().map(moved).collect::<Result<_>>()?,
            guard: self.guard.as_ref().map(moved).transpose()?,
            ..self.clone()
        }))
    }
}

/// The operator of `calls` on `input`; where they read nothing that the operator below makes,
/// that one with these calls too.
pub(super) fn plant(
    input: &Arc<dyn ExecutionPlan>,
    calls: Vec<PhysicalCall>,
    runtime: &Arc<Runtime>,
) -> Result<Arc<dyn ExecutionPlan>> {
    let above = || NodeMapExec::new(Arc::clone(input), calls.clone(), Arc::clone(runtime));
    if let Some(lower) = input.downcast_ref::<NodeMapExec>() {
        return Ok(Arc::new(lower.with_calls(&calls).unwrap_or_else(above)));
    }
    let Some(projection) = input.downcast_ref::<ProjectionExec>() else {
        return Ok(Arc::new(above()));
    };
    let lower = projection.input().downcast_ref::<NodeMapExec>();
    let moved = calls.iter().map(|call| call.below(projection));
    let moved = moved.collect::<Result<Option<Vec<_>>>>()?;
    let merged = lower
        .zip(moved)
        .and_then(|(lower, moved)| lower.with_calls(&moved));
    let Some(merged) = merged else {
        return Ok(Arc::new(above()));
    };
    let mut exprs = projection.expr().to_vec();
    let first = projection.input().schema().fields().len();
    let outputs = calls.iter().flat_map(|call| &call.outputs);
    exprs.extend(
        outputs
            .enumerate()
            .map(|(place, (_, field))| ProjectionExpr {
                expr: Arc::new(Column::new(field.name(), first + place)),
                alias: field.name().clone(),
            }),
    );
    Ok(Arc::new(ProjectionExec::try_new(exprs, Arc::new(merged))?))
}
