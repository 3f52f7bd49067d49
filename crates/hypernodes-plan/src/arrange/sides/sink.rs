//! Calls above a join move to the side that they read, and those above a window below it.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::{Expr, Join, LogicalPlan, Window};

use super::super::chain::{Chain, Step, named, names, owned, stack};
use super::super::schedule::price;
use super::bare::has_calls;
use super::offer::Offer;
use super::reduction::oriented;
use crate::join::joined_like;
use crate::node_map::MappedCall;
use crate::udf::NodeUdf;

/// Moves calls of a chain on a join to the side that they read, from the top down and past one
/// join at a time: what the join reduces the side to may keep them from going on.
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
                Some(sunk) => Transformed::new(sunk, true, TreeNodeRecursion::Jump),
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
        use JoinType::{LeftAnti, LeftSemi, RightAnti, RightSemi};
        let (plan, keeps) = match is_left {
            true => (&join.left, JoinType::Left),
            false => (&join.right, JoinType::Right),
        };
        let is_padded = match join.join_type {
            JoinType::Inner => false,
            JoinType::Left | JoinType::Right => join.join_type != keeps,
            JoinType::Full => true,
            LeftSemi | LeftAnti | RightSemi | RightAnti => false,
            _ => return Ok(None),
        };
        let is_kept = join.join_type == keeps || join.join_type == JoinType::Full;
        // Calls wait above a semi or anti join.
        let may_open = matches!(
            join.join_type,
            JoinType::Inner | JoinType::Left | JoinType::Right
        );
        let is_open =
            is_kept || (may_open && Offer::of(join, is_left)?.is_some_and(|offer| offer.is_exact));
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
    call.is_repeatable() && (!is_padded || NodeUdf::is_null_of(&call.function, |_| true))
}

/// Of an inner, semi or anti join with a key that calls make, the predicates on one side that cost
/// less, and their calls: the key is then made for fewer rows.
fn cheap_filters(chain: &Chain, join: &Join, is_left: bool) -> Result<HashSet<usize>> {
    let (side, _, on) = oriented(join, is_left);
    let mut found = HashSet::new();
    let is_filtered = match join.join_type {
        JoinType::Inner => true,
        JoinType::LeftSemi | JoinType::LeftAnti => is_left,
        JoinType::RightSemi | JoinType::RightAnti => !is_left,
        _ => false,
    };
    if !is_filtered {
        return Ok(found);
    }
    let below = Chain::of(side)?;
    let keys = on
        .iter()
        .map(|(own, _)| below.over_base(own, side.schema()));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let making = below.needed(keys.iter().flat_map(owned));
    if making.is_empty() {
        return Ok(found);
    }
    let cost = price(&below, &making);
    // There, a row may come many times above the join.
    let is_inner = join.join_type == JoinType::Inner;
    let is_of_side = |step: &Step, calls: &HashSet<usize>| {
        let is_made = |column: &Column| {
            let mut made = calls.iter().flat_map(|call| chain.steps[*call].makes());
            made.any(|made| made == *column)
        };
        let has = |column: &Column| side.schema().maybe_index_of_column(column).is_some();
        step.reads()
            .iter()
            .all(|column| has(column) || is_made(column))
    };
    for (index, step) in chain.steps.iter().enumerate() {
        if !step.is_filter() {
            continue;
        }
        let calls = chain.needed(step.reads());
        let may_sink = |call: &usize| match &chain.steps[*call] {
            Step::Call(made) => is_sinkable(made, false) && is_of_side(&chain.steps[*call], &calls),
            Step::Filter(_) => false,
        };
        if !calls.is_empty()
            && (price(chain, &calls) < cost || (is_inner && price(chain, &calls) == cost))
            && calls.iter().all(may_sink)
            && is_of_side(step, &calls)
        {
            found.extend(calls);
            found.insert(index);
        }
    }
    Ok(found)
}

fn sunk(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(plan)?;
    if !chain.has_calls() {
        return Ok(None);
    }
    let join = match &chain.base {
        LogicalPlan::Join(join) => join,
        LogicalPlan::Window(window) => return below_window(&chain, window, plan),
        _ => return Ok(None),
    };
    let (Some(left), Some(right)) = (Side::of(join, true)?, Side::of(join, false)?) else {
        return Ok(None);
    };
    let (mut sides, mut rest) = ([left, right], Vec::new());
    let cheap = [
        cheap_filters(&chain, join, true)?,
        cheap_filters(&chain, join, false)?,
    ];
    for (index, step) in chain.steps.iter().enumerate() {
        let mut places = std::iter::zip(&sides, &cheap);
        let taker = places.position(|(side, cheap)| side.takes(step) || cheap.contains(&index));
        // A predicate on one side drops rows before the calls of the other.
        if step.is_filter() {
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
    let lower = joined_like(join, left?, right?, join.on.clone(), join.filter.clone())?;
    let sunk = stack(lower, rest)?;
    named(sunk, chain.columns, names(plan.schema())).map(Some)
}

/// Moves predicates on calls below a window that needs others, if they read nothing but keys of all
/// its partitions: they drop partitions as a whole, and the other calls see fewer rows.
fn below_window(chain: &Chain, window: &Window, plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if !has_calls(&window.input)? {
        return Ok(None);
    }
    let keys = window.window_expr.iter().map(partition_keys);
    let keys = keys.reduce(|all, keys| &all & &keys).unwrap_or_default();
    let mut moved = HashSet::new();
    for (index, step) in chain.steps.iter().enumerate() {
        let calls = chain.needed(step.reads());
        let makes: HashSet<Column> = calls
            .iter()
            .flat_map(|call| chain.steps[*call].makes())
            .collect();
        let is_of_keys = |step: &Step| {
            let mut read = step.reads().into_iter();
            read.all(|column| keys.contains(&column) || makes.contains(&column))
        };
        let is_movable = |call: &Step| call.is_repeatable() && is_of_keys(call);
        let may_move = is_of_keys(step) && calls.iter().all(|call| is_movable(&chain.steps[*call]));
        match step {
            Step::Filter(_) if may_move => {
                moved.extend(calls);
                moved.insert(index);
            }
            // It leaves fewer rows to those after it.
            Step::Filter(_) => break,
            Step::Call(_) => {}
        }
    }
    if moved.is_empty() {
        return Ok(None);
    }
    let steps = chain.steps.iter().cloned().enumerate();
    let (below, above): (Vec<_>, Vec<_>) = steps.partition(|(index, _)| moved.contains(index));
    let [below, above] = [below, above].map(|steps| steps.into_iter().map(|(_, step)| step));
    let input = stack(LogicalPlan::clone(&window.input), below)?;
    let lower = Window::try_new(window.window_expr.clone(), Arc::new(input))?;
    let sunk = stack(LogicalPlan::Window(lower), above)?;
    named(sunk, chain.columns.clone(), names(plan.schema())).map(Some)
}

/// The columns that a window function's rows are partitioned by.
fn partition_keys(expr: &Expr) -> HashSet<Column> {
    let keys = match expr.clone().unalias_nested().data {
        Expr::WindowFunction(function) => function.params.partition_by,
        _ => Vec::new(),
    };
    let columns = keys.into_iter().filter_map(|key| match key {
        Expr::Column(column) => Some(column),
        _ => None,
    });
    columns.collect()
}
