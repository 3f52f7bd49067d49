//! Calls above a join move to the side that they read.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Expr, Join, LogicalPlan};

use super::super::chain::{Chain, Step, named, names, stack};
use super::reduction::Offer;
use crate::extract::{is_null_of_nulls, is_repeatable};
use crate::node_map::MappedCall;

/// Moves calls of a chain on a join to the side that they read, from the top down.
///
/// Only to where no call is made that was not made above: the join gives each row of the side,
/// or the side can be reduced to the rows that it does give.
pub(in super::super) fn sink(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| match &plan {
        // The rows of the last iteration can be read only once.
        LogicalPlan::RecursiveQuery(_) => {
            Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump))
        }
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Extension(_) => {
            Ok(match sunk(&plan)? {
                Some(sunk) => Transformed::yes(sunk),
                None => Transformed::no(plan),
            })
        }
        _ => Ok(Transformed::no(plan)),
    })
}

/// What a join does with the rows of one side.
struct Side<'a> {
    plan: &'a LogicalPlan,
    /// Whether some of its columns may be null where its rows are not.
    is_padded: bool,
    /// Whether a predicate above the join may stand below it.
    takes_filters: bool,
    /// Whether calls may still move here.
    is_open: bool,
    made: HashSet<Column>,
    steps: Vec<Step>,
}

impl<'a> Side<'a> {
    fn of(join: &'a Join, is_left: bool) -> Result<Option<Self>> {
        let (plan, keeps) = match is_left {
            true => (&join.left, JoinType::Left),
            false => (&join.right, JoinType::Right),
        };
        let is_padded = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::Right => join.join_type != keeps,
            JoinType::Full => true,
            _ => return Ok(None),
        };
        let is_kept = join.join_type == keeps || join.join_type == JoinType::Full;
        let is_open = is_kept || Offer::of(join, is_left)?.is_some_and(|offer| offer.is_exact);
        Ok(Some(Self {
            plan,
            is_padded,
            takes_filters: !is_padded,
            is_open,
            made: HashSet::new(),
            steps: Vec::new(),
        }))
    }

    fn has_all(&self, columns: &HashSet<Column>) -> bool {
        let has = |column: &Column| {
            self.made.contains(column) || self.plan.schema().maybe_index_of_column(column).is_some()
        };
        !columns.is_empty() && columns.iter().all(has)
    }

    fn takes(&self, step: &Step) -> bool {
        let may_sink = match step {
            Step::Filter(_) => self.takes_filters,
            Step::Call(call) => is_sinkable(call, self.is_padded),
        };
        self.is_open && may_sink && self.has_all(&step.reads())
    }
}

/// Of a padded side, a call that gives null on nulls, as its column then does.
fn is_sinkable(call: &MappedCall, is_padded: bool) -> bool {
    let is_pure = call
        .udf()
        .is_some_and(|udf| udf.bound().node.declared().pure);
    let function = Expr::ScalarFunction(call.function.clone());
    is_pure
        && call.function.args.iter().all(is_repeatable)
        && (!is_padded || is_null_of_nulls(&function))
}

fn sunk(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    if !chain.has_calls() {
        return Ok(None);
    }
    let (Some(left), Some(right)) = (Side::of(join, true)?, Side::of(join, false)?) else {
        return Ok(None);
    };
    let (mut sides, mut rest) = ([left, right], Vec::new());
    for step in &chain.steps {
        let taker = sides.iter().position(|side| side.takes(step));
        // A predicate on one side drops rows before the calls of the other.
        if let Step::Filter(_) = step {
            for (place, side) in sides.iter_mut().enumerate() {
                side.is_open &= taker == Some(place);
            }
        }
        match taker {
            Some(place) => {
                sides[place].made.extend(step.makes());
                sides[place].steps.push(step.clone());
            }
            None => rest.push(step.clone()),
        }
    }
    if sides.iter().all(|side| side.made.is_empty()) {
        return Ok(None);
    }
    let [left, right] = sides.map(|side| stack(side.plan.clone(), side.steps));
    let lower = Join::try_new(
        Arc::new(left?),
        Arc::new(right?),
        join.on.clone(),
        join.filter.clone(),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let sunk = stack(LogicalPlan::Join(lower), rest)?;
    named(sunk, chain.columns, names(plan.schema())).map(Some)
}
