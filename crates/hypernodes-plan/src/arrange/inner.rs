//! Outer joins whose padded rows nobody keeps are inner ones.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, JoinType, NullEquality, Result};
use datafusion_expr::{Cast, Expr, Join, LogicalPlan};
use datafusion_optimizer::utils::is_restrict_null_predicate;

use super::chain::{Chain, Step, owned};
use super::sides::droppable;
use crate::udf::NodeUdf;

/// Makes outer joins inner where the padded side's null is dropped above: by the key of a join that
/// keeps no row without a match, or by a predicate that is not true of null.
///
/// DataFusion does that for predicates without calls. Sides of an inner join reduce each other.
pub(super) fn make_inner(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match plan {
        // The rows of the last iteration can be read only once.
        LogicalPlan::RecursiveQuery(_) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Join(mut join) => {
            let mut changed = false;
            let [may_left, may_right] = match join.null_equality {
                NullEquality::NullEqualsNothing => droppable(&join),
                NullEquality::NullEqualsNull => [false; 2],
            };
            let (left, right): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
            for (side, keys, may_drop) in [
                (&mut join.left, left, may_left),
                (&mut join.right, right, may_right),
            ] {
                if may_drop && let Some(made) = made_inner(side, &keys)? {
                    (*side, changed) = (Arc::new(made), true);
                }
            }
            Ok(Transformed::new_transformed(
                LogicalPlan::Join(join),
                changed,
            ))
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Extension(_) => {
            Ok(match made_inner(&plan, &[])? {
                Some(made) => Transformed::yes(made),
                None => Transformed::no(plan),
            })
        }
        _ => Ok(Transformed::no(plan)),
    })
}

/// A chain on an outer join, whose rows are dropped where one of the keys is null.
fn made_inner(plan: &LogicalPlan, keys: &[Expr]) -> Result<Option<LogicalPlan>> {
    use JoinType::{Full, Inner, Left, Right};
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    let keys = keys.iter().map(|key| chain.over_base(key, plan.schema()));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let is_dropped = |side: &LogicalPlan| drops_nulls(&chain.steps, &keys, side.schema());
    let join_type = match join.join_type {
        Left if is_dropped(&join.right) => Inner,
        Right if is_dropped(&join.left) => Inner,
        Full => match (is_dropped(&join.left), is_dropped(&join.right)) {
            (true, true) => Inner,
            (true, false) => Left,
            (false, true) => Right,
            (false, false) => return Ok(None),
        },
        _ => return Ok(None),
    };
    // What might be null before is not told to be so no more.
    let base = LogicalPlan::Join(Join {
        join_type,
        ..join.clone()
    });
    chain.on(base, plan.schema()).map(Some)
}

/// Whether no row is kept in which all columns of a side are null.
fn drops_nulls(steps: &[Step], keys: &[Expr], side: &DFSchema) -> bool {
    let mut nulls: HashSet<Column> = side.columns().into_iter().collect();
    let is_null = |key: &Expr| match key {
        Expr::Column(column) => nulls.contains(column),
        Expr::Cast(Cast { expr, .. }) => {
            matches!(expr.as_ref(), Expr::Column(column) if nulls.contains(column))
        }
        _ => false,
    };
    if keys.iter().any(is_null) {
        return true;
    }
    for step in steps {
        match step {
            Step::Call(call)
                if NodeUdf::is_null_of(&call.function, |column| nulls.contains(column)) =>
            {
                nulls.extend(step.makes());
            }
            Step::Call(_) => {}
            Step::Filter(predicate) => {
                let columns = owned(predicate);
                // What cannot be evaluated while planning, such as a subquery, tells nothing.
                let drops = || is_restrict_null_predicate(predicate.clone(), &columns);
                if !columns.is_empty() && columns.is_subset(&nulls) && drops().unwrap_or(false) {
                    return true;
                }
            }
        }
    }
    false
}
