//! No two calls of a plan make a column of the same name.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::{Expr, Extension, LogicalPlan, Projection};
use datafusion_optimizer::OptimizerConfig;

use crate::node_map::{MappedCall, NodeMap};

/// How hidden columns are named, with a number.
const MADE: &str = "__hn";

/// A name for a hidden column.
pub(crate) fn made_name(config: &dyn OptimizerConfig) -> String {
    config.alias_generator().next(MADE)
}

/// Whether a column has such a name.
pub(super) fn is_made(column: &Column) -> bool {
    let number = column.name.strip_prefix(MADE);
    let number = number.and_then(|number| number.strip_prefix('_'));
    column.relation.is_none() && number.is_some_and(|number| number.parse::<usize>().is_ok())
}

/// Gives a new name to what a call makes under the name of another, and to whoever reads it the old
/// one: a plan that was optimised on its own may be part of this one, more than once.
///
/// Names made from now on differ from all.
pub(super) fn with_unique_names(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<LogicalPlan> {
    let mut known: HashSet<String> = HashSet::new();
    let unique = plan.transform_up(|plan| {
        // A subquery is a plan of its own; where it comes twice, it stays equal.
        let plan = plan
            .map_subqueries(|plan| with_unique_names(plan, config).map(Transformed::yes))?
            .data;
        let made = plan.schema().fields().iter();
        let made = made.filter(|field| field.name().starts_with(MADE));
        let numbers = made.filter_map(|field| field.name().rsplit_once('_')?.1.parse().ok());
        if let Some(last) = numbers.max() {
            config.alias_generator().update_min_id(last);
        }
        let Some(map) = NodeMap::of(&plan) else {
            return Ok(Transformed::no(plan));
        };
        let mut calls = map.calls().to_vec();
        let mut renamed = Vec::new();
        for output in calls.iter_mut().flat_map(|call| &mut call.outputs) {
            if !known.insert(output.name.clone()) {
                let name = made_name(config);
                renamed.push((std::mem::replace(&mut output.name, name.clone()), name));
            }
        }
        match renamed.is_empty() {
            true => Ok(Transformed::no(plan)),
            false => restored(map, calls, &renamed).map(Transformed::yes),
        }
    })?;
    Ok(unique.data)
}

/// The calls on the input of `map`, and its columns under their names.
fn restored(
    map: &NodeMap,
    calls: Vec<MappedCall>,
    renamed: &[(String, String)],
) -> Result<LogicalPlan> {
    let node = NodeMap::try_new(map.input().clone(), calls)?;
    let new = LogicalPlan::Extension(Extension {
        node: Arc::new(node),
    });
    let exprs = new.schema().columns().into_iter().map(|column| {
        let old = renamed.iter().find(|(_, new)| *new == column.name);
        match old {
            Some((old, _)) if column.relation.is_none() => {
                Expr::Column(Column::new_unqualified(&column.name)).alias(old)
            }
            _ => Expr::Column(column),
        }
    });
    let projection = Projection::try_new(exprs.collect(), Arc::new(new.clone()))?;
    Ok(LogicalPlan::Projection(projection))
}
