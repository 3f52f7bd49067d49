//! Calls in the condition of a join.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, JoinType, Result};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Join, LogicalPlan, Projection};

use super::demand::{Demand, demands};
use super::extracted::{Extracted, Made, Query, replace};
use super::operators::{called_by, extract, refusal};
use super::pairs::{Pairs, known_above};
use crate::arrange::marked;
use crate::join::{joined_like, keeps_unmatched};
use crate::udf::NodeUdf;

/// A key is made on its side, and so is a call in the rest of the condition that reads one side
/// alone: whatever the kind of join, the condition then compares columns. Of a side that keeps the
/// rows without a match, such a call is made for those with one, which a mark join finds. A call that
/// reads both sides is made for [`Pairs`] of their rows.
pub(super) fn extract_join(join: Join, query: &mut Query<'_>) -> Result<Extracted> {
    let original = join.clone();
    let mut left = extract(Arc::unwrap_or_clone(join.left), query)?;
    let mut right = extract(Arc::unwrap_or_clone(join.right), query)?;
    let (left_keys, right_keys): (Vec<_>, Vec<_>) = join.on.into_iter().unzip();
    let left_keys = left.materialise(left_keys, query)?;
    let right_keys = right.materialise(right_keys, query)?;
    let on: Vec<(Expr, Expr)> = std::iter::zip(left_keys, right_keys).collect();

    let conjuncts = join.filter.map(split_conjunction_owned).unwrap_or_default();
    let mut made = Made::new();
    for is_left in [true, false] {
        let (side, other) = match is_left {
            true => (&mut left, &right),
            false => (&mut right, &left),
        };
        let schema = Arc::clone(side.plan.schema());
        let calls = demands(&conjuncts)?.into_iter();
        let calls: Vec<Demand> = calls
            .filter(|demand| reads_only(&demand.call, &schema))
            .collect();
        let is_new = |demand: &Demand| side.known.iter().all(|known| known.call != demand.call);
        let mark = match keeps_unmatched(original.join_type, is_left) && calls.iter().any(is_new) {
            true => {
                let free = conjuncts
                    .iter()
                    .filter(|conjunct| !NodeUdf::is_in(conjunct));
                let free = conjunction(free.cloned());
                let (left, right) = match is_left {
                    true => (side.plan.clone(), other.plan.clone()),
                    false => (other.plan.clone(), side.plan.clone()),
                };
                match joined_like(&original, left, right, on.clone(), free)? {
                    LogicalPlan::Join(lower) => marked(&lower, is_left, query.config)?,
                    _ => None,
                }
            }
            false => None,
        };
        let mark = mark.map(|(plan, mark)| {
            side.plan = plan;
            Expr::Column(mark)
        });
        let calls = calls.into_iter().map(|Demand { call, guards }| {
            let tests = |guard: Vec<Expr>| {
                let tests = guard.into_iter();
                let tests = tests.filter(|test| reads_only(test, &schema));
                mark.iter().cloned().chain(tests).collect()
            };
            let guards = guards.into_iter().map(tests).collect();
            Demand { call, guards }
        });
        made.extend(side.make(calls.collect(), query)?);
    }
    let conjuncts = conjuncts.into_iter().map(|expr| replace(expr, &made));
    let conjuncts = conjuncts.collect::<Result<Vec<_>>>()?;
    let (above, within): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(NodeUdf::is_in);
    let within = conjunction(within);
    if !above.is_empty() {
        let pairs = Pairs {
            left,
            right,
            on,
            within,
            above,
        };
        if original.join_type == JoinType::Inner {
            return pairs.inner(&original, query);
        }
        if let Some(kept) = pairs.kept(&original, query)? {
            return Ok(kept);
        }
        let original = LogicalPlan::Join(original);
        let node = called_by(&original)?.unwrap_or_default();
        return Err(refusal(&original, &node));
    }
    let known = known_above(join.join_type, left.known, right.known);
    let plan = match join.join_type {
        JoinType::LeftMark => marked_like(&original, left.plan, right.plan, on, within)?,
        _ => joined_like(&original, left.plan, right.plan, on, within)?,
    };
    Ok(Extracted { plan, known })
}

/// A mark join of other sides. The mark is named after the right side's columns, so that those that
/// calls make get its qualifier.
fn marked_like(
    join: &Join,
    left: LogicalPlan,
    right: LogicalPlan,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let mark = join.schema.columns().pop();
    let Some(relation) = mark.and_then(|mark| mark.relation) else {
        return joined_like(join, left, right, on, filter);
    };
    let schema = Arc::clone(right.schema());
    let qualified = |column: &Column| match column.relation {
        None => Column::new(Some(relation.clone()), &column.name),
        Some(_) => column.clone(),
    };
    let exprs = schema.columns().into_iter().map(|column| {
        let Column { relation, name, .. } = qualified(&column);
        match column.relation {
            None => Expr::Column(column).alias_qualified(relation, name),
            Some(_) => Expr::Column(column),
        }
    });
    let right = Projection::try_new(exprs.collect(), Arc::new(right))?;
    let over_right = |expr: Expr| {
        let renamed = expr.transform_up(|part| match &part {
            Expr::Column(column) if schema.maybe_index_of_column(column).is_some() => {
                Ok(Transformed::yes(Expr::Column(qualified(column))))
            }
            _ => Ok(Transformed::no(part)),
        });
        renamed.map(|renamed| renamed.data)
    };
    let on = on
        .into_iter()
        .map(|(left, right)| Ok((left, over_right(right)?)));
    let on = on.collect::<Result<_>>()?;
    let filter = filter.map(over_right).transpose()?;
    joined_like(join, left, LogicalPlan::Projection(right), on, filter)
}

fn reads_only(expr: &Expr, schema: &DFSchema) -> bool {
    expr.column_refs()
        .into_iter()
        .all(|column| schema.maybe_index_of_column(column).is_some())
}
