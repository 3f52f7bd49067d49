//! Calls and the sides of joins.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{
    Column, DataFusionError, JoinConstraint, JoinType, Result, TableReference,
};
use datafusion_expr::{
    Aggregate, Distinct, Expr, Filter, Join, LogicalPlan, Projection, SubqueryAlias,
};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use crate::node_map::NodeMap;

/// The alias of a side's keys: what tells that the other side was reduced already.
const KEYS: &str = "__hn_keys";

/// A call above a join that reads one side alone moves to that side, which is reduced to the
/// rows that the join can match: it is made once for a row, however many rows the join makes
/// of it.
pub(super) fn sink(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| {
        // The rows of the last iteration can be read only once.
        if let LogicalPlan::RecursiveQuery(_) = plan {
            return Ok(Transformed::new(plan, false, TreeNodeRecursion::Jump));
        }
        if let Some(sunk) = sink_calls(&plan)? {
            return Ok(Transformed::yes(sunk));
        }
        let LogicalPlan::Join(join) = &plan else {
            return Ok(Transformed::no(plan));
        };
        let reduced = reduce_sides(join, config)?;
        Ok(match reduced {
            Some(join) => Transformed::yes(LogicalPlan::Join(join)),
            None => Transformed::no(plan),
        })
    })
}

/// Moves calls of a chain on an inner join to the side that they read.
///
/// Only if the side's keys are free of calls and the other side can give its keys: then the
/// side is reduced to the rows that match, and no call is made that was not made above.
fn sink_calls(plan: &LogicalPlan) -> Result<Option<LogicalPlan>> {
    if !matches!(
        plan,
        LogicalPlan::Projection(_) | LogicalPlan::Filter(_) | LogicalPlan::Extension(_)
    ) {
        return Ok(None);
    }
    let chain = Chain::of(plan)?;
    let LogicalPlan::Join(join) = &chain.base else {
        return Ok(None);
    };
    if !chain.has_calls()
        || join.join_type != JoinType::Inner
        || join.on.is_empty()
        || join.filter.is_some()
    {
        return Ok(None);
    }
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let is_exact = |own: &LogicalPlan, own_keys: &[Expr], other, other_keys: &[Expr]| {
        let is_free = free_keys(own, own_keys)?.len() == own_keys.len();
        let given = keys_plan(other, other_keys, &tables(own)?)?;
        Ok::<_, DataFusionError>(
            is_free && given.is_some_and(|keys| keys.is_exact && keys.kept.len() == own_keys.len()),
        )
    };
    let open = [
        is_exact(&join.left, &left_keys, &join.right, &right_keys)?,
        is_exact(&join.right, &right_keys, &join.left, &left_keys)?,
    ];
    let mut sides = [Vec::new(), Vec::new()];
    let mut made: [HashSet<Column>; 2] = Default::default();
    let (mut open, mut rest) = (open, Vec::new());
    for step in &chain.steps {
        let reads = step.reads();
        let is_of = |side: usize, plan: &LogicalPlan| {
            let has = |column: &Column| {
                made[side].contains(column) || plan.schema().maybe_index_of_column(column).is_some()
            };
            !reads.is_empty() && reads.iter().all(has)
        };
        let side = match (is_of(0, &join.left), is_of(1, &join.right)) {
            (true, _) => Some(0),
            (_, true) => Some(1),
            _ => None,
        };
        let side = side.filter(|side| open[*side] && is_sinkable(step));
        // A predicate on one side drops rows before the calls of the other.
        if let Step::Filter(_) = step {
            for (other, open) in open.iter_mut().enumerate() {
                *open &= side == Some(other);
            }
        }
        match side {
            Some(side) => {
                made[side].extend(step.makes());
                sides[side].push(step.clone());
            }
            None => rest.push(step.clone()),
        }
    }
    if made.iter().all(HashSet::is_empty) {
        return Ok(None);
    }
    let [left, right] = sides;
    let lower = Join::try_new(
        Arc::new(stack(join.left.as_ref().clone(), left)?),
        Arc::new(stack(join.right.as_ref().clone(), right)?),
        join.on.clone(),
        None,
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    let sunk = stack(LogicalPlan::Join(lower), rest)?;
    named(sunk, chain.columns, names(plan.schema())).map(Some)
}

fn is_sinkable(step: &Step) -> bool {
    match step {
        Step::Call(call) => call
            .udf()
            .is_some_and(|udf| udf.bound().node.declared().pure),
        Step::Filter(_) => true,
    }
}

/// The keys of a side that no call makes, over the base of its chain, by their position.
fn free_keys(side: &LogicalPlan, keys: &[Expr]) -> Result<Vec<(usize, Expr)>> {
    let chain = Chain::of(side)?;
    let made: HashSet<Column> = chain.steps.iter().flat_map(Step::makes).collect();
    let mut free = Vec::new();
    for (position, key) in keys.iter().enumerate() {
        let key = chain.over_base(key, side.schema())?;
        if owned(&key).is_disjoint(&made) {
            free.push((position, key));
        }
    }
    Ok(free)
}

/// The values that keys of a side may have.
struct Keys {
    /// Which of the keys they are of.
    kept: Vec<usize>,
    /// A column for each.
    plan: LogicalPlan,
    /// Whether the side has a row for each value.
    is_exact: bool,
}

/// The values that some of the keys of a side may have. The plan calls no node, so that it may hold more values than the side does.
///
/// What reduced it to rows that match the tables `reduced` is left out, or two sides would
/// reduce each other without end.
///
/// `None` if nothing is known without calls, or if the plan might not give the same again.
fn keys_plan(
    side: &LogicalPlan,
    keys: &[Expr],
    reduced: &[TableReference],
) -> Result<Option<Keys>> {
    let side = side.clone().transform_up(|plan| match plan {
        LogicalPlan::Join(join) if is_reduction(&join) && overlap(&join.right, reduced)? => {
            Ok(Transformed::yes(Arc::unwrap_or_clone(join.left)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let side = side.data;
    let free = free_keys(&side, keys)?;
    let chain = Chain::of(&side)?;
    if free.is_empty() || !is_repeatable(&chain.base)? {
        return Ok(None);
    }
    let made: HashSet<Column> = chain.steps.iter().flat_map(Step::makes).collect();
    let is_free = |step: &Step| matches!(step, Step::Filter(_)) && step.reads().is_disjoint(&made);
    let is_exact = chain
        .steps
        .iter()
        .all(|step| is_free(step) || matches!(step, Step::Call(_)));
    let filtered = stack(chain.base, chain.steps.into_iter().filter(is_free))?;
    let (kept, keys): (Vec<usize>, Vec<Expr>) = free.into_iter().unzip();
    let keys = std::iter::zip(keys, &kept).map(|(key, position)| key.alias(key_name(*position)));
    let keys = Projection::try_new(keys.collect(), Arc::new(filtered))?;
    let has_floats = keys
        .schema
        .fields()
        .iter()
        .any(|field| field.data_type().is_floating());
    let plan = LogicalPlan::Projection(keys);
    Ok((!has_floats).then_some(Keys {
        kept,
        plan,
        is_exact,
    }))
}

fn key_name(position: usize) -> String {
    format!("key{position}")
}

fn reduce_sides(join: &Join, config: &dyn OptimizerConfig) -> Result<Option<Join>> {
    let (is_left, is_right) = match join.join_type {
        JoinType::Inner => (true, true),
        JoinType::Left => (false, true),
        JoinType::Right => (true, false),
        _ => (false, false),
    };
    let (left_keys, right_keys): (Vec<Expr>, Vec<Expr>) = join.on.iter().cloned().unzip();
    let mut made = join.clone();
    let mut changed = false;
    if is_left
        && let Some(left) = reduced(
            &join.left,
            left_keys.clone(),
            &join.right,
            &right_keys,
            join,
            config,
        )?
    {
        made.left = Arc::new(left);
        changed = true;
    }
    if is_right
        && let Some(right) = reduced(
            &join.right,
            right_keys,
            &join.left,
            &left_keys,
            join,
            config,
        )?
    {
        made.right = Arc::new(right);
        changed = true;
    }
    Ok(changed.then_some(made))
}

/// `side` without rows that match no row of `other`, if its calls then see fewer rows.
fn reduced(
    side: &LogicalPlan,
    own: Vec<Expr>,
    other: &LogicalPlan,
    keys: &[Expr],
    join: &Join,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    if own.is_empty() || !has_calls(side)? {
        return Ok(None);
    }
    let Some(Keys {
        kept, plan: keys, ..
    }) = keys_plan(other, keys, &tables(side)?)?
    else {
        return Ok(None);
    };
    let alias = config.alias_generator().next(KEYS);
    let on = kept.into_iter().map(|position| {
        let key = Column::new(
            Some(TableReference::bare(alias.as_str())),
            key_name(position),
        );
        (own[position].clone(), Expr::Column(key))
    });
    let on = on.collect();
    let keys = SubqueryAlias::try_new(Arc::new(keys), alias.as_str())?;
    let reduction = Reduction {
        tables: tables(other)?,
        keys: LogicalPlan::SubqueryAlias(keys),
        join,
    };
    reduction.place(side, on)
}

struct Reduction<'a> {
    keys: LogicalPlan,
    tables: Vec<TableReference>,
    join: &'a Join,
}

impl Reduction<'_> {
    /// Puts the semi join below the calls of `plan`, whose keys these are.
    fn place(&self, plan: &LogicalPlan, on: Vec<(Expr, Expr)>) -> Result<Option<LogicalPlan>> {
        let chain = Chain::of(plan)?;
        let schema = plan.schema();
        let keys = on
            .iter()
            .map(|(own, key)| Ok((chain.over_base(own, schema)?, key.clone())));
        let keys = keys.collect::<Result<Vec<_>>>()?;
        let made: HashSet<Column> = chain.steps.iter().flat_map(Step::makes).collect();
        let (keys, late): (Vec<_>, Vec<_>) = keys
            .into_iter()
            .partition(|(own, _)| owned(own).is_disjoint(&made));
        // A semi join on fewer keys keeps more rows, and is still right.
        drop(late);
        if keys.is_empty() {
            return Ok(None);
        }
        if has_calls(&chain.base)? {
            let Some(base) = self.place_in(&chain.base, keys)? else {
                return Ok(None);
            };
            let stacked = stack(base, chain.steps)?;
            return named(stacked, chain.columns, names(schema)).map(Some);
        }
        if !chain.has_calls() || self.is_done(&chain.base, &keys)? {
            return Ok(None);
        }
        let semi = Join::try_new(
            Arc::new(chain.base),
            Arc::new(self.keys.clone()),
            keys,
            None,
            JoinType::LeftSemi,
            JoinConstraint::On,
            self.join.null_equality,
            false,
        )?;
        let stacked = stack(LogicalPlan::Join(semi), chain.steps)?;
        named(stacked, chain.columns, names(schema)).map(Some)
    }

    /// Through an operator to the input that has the keys.
    fn place_in(&self, plan: &LogicalPlan, on: Vec<(Expr, Expr)>) -> Result<Option<LogicalPlan>> {
        if let LogicalPlan::Aggregate(aggregate) = plan {
            return self.place_below(aggregate, on);
        }
        let LogicalPlan::Join(join) = plan else {
            return Ok(None);
        };
        let (left, right) = match join.join_type {
            JoinType::Inner => (true, true),
            JoinType::Left | JoinType::LeftSemi | JoinType::LeftAnti => (true, false),
            JoinType::Right | JoinType::RightSemi | JoinType::RightAnti => (false, true),
            _ => (false, false),
        };
        for (is_open, is_left, side) in [(left, true, &join.left), (right, false, &join.right)] {
            let reads = |(own, _): &(Expr, Expr)| {
                let columns = own.column_refs();
                let has = |column: &Column| side.schema().maybe_index_of_column(column).is_some();
                !columns.is_empty() && columns.into_iter().all(has)
            };
            let keys: Vec<(Expr, Expr)> = on.iter().filter(|key| reads(key)).cloned().collect();
            if !is_open || keys.is_empty() || !has_calls(side)? {
                continue;
            }
            if let Some(placed) = self.place(side, keys)? {
                let mut join = join.clone();
                let side = if is_left {
                    &mut join.left
                } else {
                    &mut join.right
                };
                *side = Arc::new(placed);
                return Ok(Some(LogicalPlan::Join(join)));
            }
        }
        Ok(None)
    }

    /// A key of the groups is one of their rows.
    fn place_below(
        &self,
        aggregate: &Aggregate,
        on: Vec<(Expr, Expr)>,
    ) -> Result<Option<LogicalPlan>> {
        if matches!(aggregate.group_expr[..], [Expr::GroupingSet(_)]) {
            return Ok(None);
        }
        let group = |own: &Expr| match own {
            Expr::Column(column) => {
                let position = aggregate.schema.maybe_index_of_column(column)?;
                let group = aggregate.group_expr.get(position)?.clone();
                Some(group.unalias())
            }
            _ => None,
        };
        let on = on
            .into_iter()
            .filter_map(|(own, key)| Some((group(&own)?, key)));
        let on: Vec<(Expr, Expr)> = on.collect();
        if on.is_empty() {
            return Ok(None);
        }
        let placed = self.place(&aggregate.input, on)?;
        Ok(placed.map(|input| {
            let mut aggregate = aggregate.clone();
            aggregate.input = Arc::new(input);
            LogicalPlan::Aggregate(aggregate)
        }))
    }

    /// Whether a semi join with these keys stands there already.
    fn is_done(&self, base: &LogicalPlan, keys: &[(Expr, Expr)]) -> Result<bool> {
        let mut open = vec![base];
        while let Some(plan) = open.pop() {
            match plan {
                LogicalPlan::Projection(Projection { input, .. })
                | LogicalPlan::Filter(Filter { input, .. })
                | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => open.push(input),
                LogicalPlan::Join(join) if is_reduction(join) => {
                    let own = |on: &[(Expr, Expr)]| -> Vec<Expr> {
                        on.iter().map(|(own, _)| own.clone()).collect()
                    };
                    if own(&join.on) == own(keys) && tables(&join.right)? == self.tables {
                        return Ok(true);
                    }
                    open.push(&join.left);
                }
                LogicalPlan::Join(join) => open.extend([join.left.as_ref(), join.right.as_ref()]),
                _ => {}
            }
        }
        Ok(false)
    }
}

/// Whether the join is one that a side was reduced by.
fn is_reduction(join: &Join) -> bool {
    join.join_type == JoinType::LeftSemi && is_keys(&join.right)
}

fn is_keys(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => alias.alias.table().starts_with(KEYS),
        LogicalPlan::Projection(projection) => is_keys(&projection.input),
        _ => false,
    }
}

/// The tables that a plan reads, but for those that only reduce it: no rule changes them.
fn tables(plan: &LogicalPlan) -> Result<Vec<TableReference>> {
    let (mut tables, mut open) = (Vec::new(), vec![plan]);
    while let Some(plan) = open.pop() {
        match plan {
            LogicalPlan::TableScan(scan) => tables.push(scan.table_name.clone()),
            LogicalPlan::Join(join) if is_reduction(join) => open.push(&join.left),
            other => open.extend(other.inputs()),
        }
    }
    tables.sort_unstable();
    Ok(tables)
}

fn overlap(plan: &LogicalPlan, with: &[TableReference]) -> Result<bool> {
    let mut found = false;
    plan.apply(|plan| {
        if let LogicalPlan::TableScan(scan) = plan {
            found |= with.contains(&scan.table_name);
        }
        Ok(TreeNodeRecursion::Continue)
    })?;
    Ok(found)
}

fn has_calls(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| Ok(NodeMap::of(plan).is_some()))
}

/// Whether a plan may be run once more for its keys: it calls no node and gives the same again.
fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply_with_subqueries(|plan| {
        repeatable &= match plan {
            LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
            LogicalPlan::Sort(sort) => sort.fetch.is_none(),
            LogicalPlan::Aggregate(aggregate) => aggregate.aggr_expr.iter().all(is_exact),
            LogicalPlan::SubqueryAlias(_)
            | LogicalPlan::Join(_)
            | LogicalPlan::Union(_)
            | LogicalPlan::Values(_)
            | LogicalPlan::Distinct(Distinct::All(_))
            | LogicalPlan::Subquery(_)
            | LogicalPlan::EmptyRelation(_)
            | LogicalPlan::Projection(_)
            | LogicalPlan::Filter(_)
            | LogicalPlan::Unnest(_) => true,
            _ => false,
        };
        plan.apply_expressions(|expr| {
            repeatable &= !expr.is_volatile();
            Ok(TreeNodeRecursion::Continue)
        })?;
        Ok(match repeatable {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    })?;
    Ok(repeatable)
}

/// Whether an aggregate does not depend on the order of its rows.
fn is_exact(aggregate: &Expr) -> bool {
    let is_other = |part: &Expr| match part {
        Expr::AggregateFunction(function) => !matches!(
            function.func.name(),
            "count" | "sum" | "min" | "max" | "avg"
        ),
        _ => false,
    };
    !aggregate.exists(|part| Ok(is_other(part))).unwrap_or(true)
}
