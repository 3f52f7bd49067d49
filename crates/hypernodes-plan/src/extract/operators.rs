//! How calls leave each operator.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DataFusionError, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Aggregate, Expr, Filter, LogicalPlan, LogicalPlanBuilder, Partitioning, Projection, Sort,
    SubqueryAlias, Window, WriteOp,
};
use hypernodes_graph::{Error, ErrorKind};

use super::demand::{demands_of_predicate, is_call};
use super::extracted::{Extracted, Known, Query, replace, restore};
use super::join::extract_join;
use super::unique::{is_made, made_name};
use crate::error::to_datafusion;
use crate::node_map::NodeMap;
use crate::order::by_cost;
use crate::udf::NodeUdf;

/// Extracts, and restores the columns of the plan.
pub(super) fn extract_exactly(plan: LogicalPlan, query: &mut Query<'_>) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    restore(extract(plan, query)?.plan, &schema)
}

/// Equal subqueries stay equal, since they are run once.
fn extract_subquery(plan: LogicalPlan, query: &mut Query<'_>) -> Result<LogicalPlan> {
    let known = query.subqueries.iter().find(|(known, _)| *known == plan);
    if let Some((_, extracted)) = known {
        return Ok(extracted.clone());
    }
    let extracted = extract_exactly(plan.clone(), query)?;
    query.subqueries.push((plan, extracted.clone()));
    Ok(extracted)
}

pub(super) fn extract(plan: LogicalPlan, query: &mut Query<'_>) -> Result<Extracted> {
    let plan = plan
        .map_subqueries(|plan| extract_subquery(plan, query).map(Transformed::yes))?
        .data;
    match plan {
        LogicalPlan::Projection(projection) => extract_projection(projection, query),
        LogicalPlan::Filter(filter) => extract_filter(filter, query),
        LogicalPlan::SubqueryAlias(alias) => extract_alias(alias, query),
        LogicalPlan::Sort(sort) => extract_sort(sort, query),
        LogicalPlan::Aggregate(aggregate) => extract_aggregate(aggregate, query),
        LogicalPlan::Window(window) => extract_window(window, query),
        LogicalPlan::Join(join) => extract_join(join, query),
        LogicalPlan::Limit(mut limit) => {
            let Extracted { plan, known } = extract(Arc::unwrap_or_clone(limit.input), query)?;
            limit.input = Arc::new(plan);
            let plan = LogicalPlan::Limit(limit);
            Ok(Extracted { plan, known })
        }
        LogicalPlan::Repartition(mut repartition) => {
            let input = Arc::unwrap_or_clone(repartition.input);
            let mut input = extract(input, query)?;
            repartition.partitioning_scheme = match repartition.partitioning_scheme {
                Partitioning::Hash(keys, count) => {
                    Partitioning::Hash(input.materialise(keys, query)?, count)
                }
                Partitioning::DistributeBy(keys) => {
                    Partitioning::DistributeBy(input.materialise(keys, query)?)
                }
                other => other,
            };
            repartition.input = Arc::new(input.plan);
            let (plan, known) = (LogicalPlan::Repartition(repartition), input.known);
            Ok(Extracted { plan, known })
        }
        LogicalPlan::Dml(dml) if matches!(dml.op, WriteOp::Delete | WriteOp::Update) => {
            dml.input.apply_with_subqueries(|plan| {
                if let Some(node) = called_by(plan)? {
                    let name = dml.name();
                    let table = &dml.table_name;
                    let message = format!(
                        "node {node:?} is called in {name} {table}: the table evaluates that alone; make another table of the rows, by CREATE TABLE AS"
                    );
                    return Err(to_datafusion(Error::new(ErrorKind::Unsupported, message)));
                }
                Ok(TreeNodeRecursion::Continue)
            })?;
            Ok(Extracted::of(LogicalPlan::Dml(dml)))
        }
        other => {
            if NodeMap::of(&other).is_none() {
                refuse(&other)?;
            }
            let plan = other
                .map_children(|child| extract_exactly(child, query).map(Transformed::yes))?
                .data;
            Ok(Extracted::of(plan))
        }
    }
}

/// No operator but those above may call a node.
fn refuse(plan: &LogicalPlan) -> Result<()> {
    match called_by(plan)? {
        Some(node) => Err(refusal(plan, &node)),
        None => Ok(()),
    }
}

/// That an operator calls a node where it cannot.
pub(super) fn refusal(plan: &LogicalPlan, node: &str) -> DataFusionError {
    let operator = plan.display().to_string();
    let message = format!(
        "node {node:?} is called where that is not supported; call it in a subquery's SELECT and use its column here: {operator}"
    );
    to_datafusion(Error::new(ErrorKind::Unsupported, message))
}

/// The name of a node that an operator calls.
pub(super) fn called_by(plan: &LogicalPlan) -> Result<Option<String>> {
    let mut found = None;
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            found = found
                .take()
                .or_else(|| NodeUdf::called_by(part).map(|udf| udf.bound().node.name().to_owned()));
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    Ok(found)
}

/// The expressions without calls, under the names that they had.
fn materialise_named(
    input: &mut Extracted,
    exprs: Vec<Expr>,
    query: &mut Query<'_>,
) -> Result<Vec<Expr>> {
    let preserver = NamePreserver::new_for_projection();
    let names: Vec<_> = exprs.iter().map(|expr| preserver.save(expr)).collect();
    let exprs = input.materialise(exprs, query)?;
    let named = std::iter::zip(names, exprs).map(|(name, expr)| name.restore(expr));
    Ok(named.collect())
}

fn extract_projection(projection: Projection, query: &mut Query<'_>) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(projection.input), query)?;
    let mut exprs = materialise_named(&mut input, projection.expr, query)?;
    let columns = passed_on(&exprs);
    let mut passed = Passed {
        columns,
        exprs: &mut exprs,
        query,
    };
    let mut known = Vec::new();
    for Known {
        call,
        column,
        guard,
    } in input.known
    {
        let Some(call) = rename(call, |column| passed.find(column))? else {
            continue;
        };
        let column = passed.carry(&column);
        let guard = guard.map(|guard| rename(guard, |column| Some(passed.carry(column))));
        known.push(Known {
            call,
            column,
            guard: guard.transpose()?.flatten(),
        });
    }
    let projection = Projection::try_new(exprs, Arc::new(input.plan))?;
    let plan = LogicalPlan::Projection(projection);
    Ok(Extracted { plan, known })
}

/// The columns that expressions pass on as they are, and the names that they give them.
fn passed_on(exprs: &[Expr]) -> Vec<(Column, Column)> {
    let columns = exprs
        .iter()
        .filter_map(|expr| match expr.clone().unalias_nested().data {
            Expr::Column(column) => {
                let (qualifier, name) = expr.qualified_name();
                Some((column, Column::new(qualifier, name)))
            }
            _ => None,
        });
    columns.collect()
}

/// The columns that a projection passes on, under what names.
struct Passed<'a, 'q> {
    columns: Vec<(Column, Column)>,
    exprs: &'a mut Vec<Expr>,
    query: &'a Query<'q>,
}

impl Passed<'_, '_> {
    fn find(&self, column: &Column) -> Option<Column> {
        let found = self.columns.iter().find(|(from, _)| from == column);
        found.map(|(_, to)| to.clone())
    }

    /// The column's name above; it is passed on, hidden, if it was not, under a name that no other
    /// side of a join has.
    fn carry(&mut self, column: &Column) -> Column {
        if let Some(known) = self.find(column) {
            return known;
        }
        let hidden = Expr::Column(column.clone());
        let carried = if is_made(column) {
            self.exprs.push(hidden);
            column.clone()
        } else {
            let name = made_name(self.query.config);
            self.exprs.push(hidden.alias(&name));
            Column::new_unqualified(name)
        };
        self.columns.push((column.clone(), carried.clone()));
        carried
    }
}

fn extract_filter(filter: Filter, query: &mut Query<'_>) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(filter.input), query)?;
    let conjuncts = split_conjunction_owned(filter.predicate);
    let (mut calling, free): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(NodeUdf::is_in);
    input.filter(conjunction(free))?;
    by_cost(&mut calling);
    for conjunct in calling {
        let made = input.make(demands_of_predicate(&conjunct, &is_call)?, query)?;
        input.filter(Some(replace(conjunct, &made)?))?;
    }
    Ok(input)
}

fn extract_alias(alias: SubqueryAlias, query: &mut Query<'_>) -> Result<Extracted> {
    let input = extract(Arc::unwrap_or_clone(alias.input), query)?;
    let fields = input.plan.schema().iter().map(Column::from);
    let fields: Vec<Column> = fields.collect();
    let plan = SubqueryAlias::try_new(Arc::new(input.plan), alias.alias)?;
    let renamed = |column: &Column| {
        let position = fields.iter().position(|field| field == column)?;
        Some(Column::from(plan.schema.qualified_field(position)))
    };
    let mut known = Vec::new();
    for Known {
        call,
        column,
        guard,
    } in input.known
    {
        let guard = guard.map(|guard| rename(guard, renamed)).transpose()?;
        if let (Some(call), Some(column)) = (rename(call, renamed)?, renamed(&column)) {
            known.push(Known {
                call,
                column,
                guard: guard.flatten(),
            });
        }
    }
    let plan = LogicalPlan::SubqueryAlias(plan);
    Ok(Extracted { plan, known })
}

fn extract_sort(sort: Sort, query: &mut Query<'_>) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(sort.input), query)?;
    let keys = sort.expr.iter().map(|key| key.expr.clone()).collect();
    let keys = input.materialise(keys, query)?;
    let expr = std::iter::zip(sort.expr, keys).map(|(key, expr)| key.with_expr(expr));
    let sort = Sort {
        expr: expr.collect(),
        input: Arc::new(input.plan),
        fetch: sort.fetch,
    };
    let (plan, known) = (LogicalPlan::Sort(sort), input.known);
    Ok(Extracted { plan, known })
}

fn extract_window(window: Window, query: &mut Query<'_>) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(window.input), query)?;
    let exprs = materialise_named(&mut input, window.window_expr, query)?;
    let window = Window::try_new(exprs, Arc::new(input.plan))?;
    let (plan, known) = (LogicalPlan::Window(window), input.known);
    Ok(Extracted { plan, known })
}

fn extract_aggregate(aggregate: Aggregate, query: &mut Query<'_>) -> Result<Extracted> {
    let schema = Arc::clone(&aggregate.schema);
    let mut input = extract(Arc::unwrap_or_clone(aggregate.input), query)?;
    let groups = aggregate.group_expr.len();
    let mut group_expr = aggregate.group_expr;
    if let [Expr::GroupingSet(sets)] = &group_expr[..] {
        // An alias in a set would lose the key's name, so the key becomes a column of its name.
        let mut keys = Vec::new();
        for key in sets.distinct_expr() {
            if NodeUdf::is_in(key) && !keys.contains(key) {
                keys.push(key.clone());
            }
        }
        if !keys.is_empty() {
            input = project_keys(input, keys.clone(), query)?;
            group_expr = vec![by_name(group_expr.remove(0), &keys)?];
        }
    }
    let exprs = group_expr.into_iter().chain(aggregate.aggr_expr);
    let mut exprs = materialise_named(&mut input, exprs.collect(), query)?;
    let aggr_expr = exprs.split_off(groups).into_iter();
    let aggr_expr: Vec<Expr> = aggr_expr.map(without_equal_keys).collect::<Result<_>>()?;
    let (hidden, known) = known_of_groups(&exprs, input.known, query)?;
    let made = aggr_expr.iter().cloned().chain(hidden.iter().cloned());
    let input = Arc::new(input.plan);
    let made = Aggregate::try_new(Arc::clone(&input), exprs.clone(), made.collect());
    let width = schema.fields().len() + hidden.len();
    if let Ok(made) = made
        && made.schema.fields().len() == width
    {
        let plan = LogicalPlan::Aggregate(made);
        return Ok(Extracted { plan, known });
    }
    let made = Aggregate::try_new_with_schema(input, exprs, aggr_expr, schema)?;
    Ok(Extracted::of(LogicalPlan::Aggregate(made)))
}

/// An aggregate's order without keys that come again: DataFusion takes no two that are equal, as
/// several calls are once they are one column.
fn without_equal_keys(aggregate: Expr) -> Result<Expr> {
    let preserver = NamePreserver::new_for_projection();
    let name = preserver.save(&aggregate);
    let rewritten = aggregate.transform_down(|part| match part {
        Expr::AggregateFunction(mut function) => {
            let order = std::mem::take(&mut function.params.order_by);
            let count = order.len();
            for key in order {
                let mut known = function.params.order_by.iter();
                if !known.any(|known| known.expr == key.expr) {
                    function.params.order_by.push(key);
                }
            }
            let changed = function.params.order_by.len() < count;
            let part = Expr::AggregateFunction(function);
            Ok(Transformed::new(part, changed, TreeNodeRecursion::Jump))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok(name.restore(rewritten.data))
}

/// What is known of the rows of a group, by what all of them have in common: a call over group
/// keys alone gives the same for each. Those that are no key are taken of any row.
fn known_of_groups(
    groups: &[Expr],
    known: Vec<Known>,
    query: &Query<'_>,
) -> Result<(Vec<Expr>, Vec<Known>)> {
    let keys = passed_on(groups);
    let renamed = |column: &Column| {
        let found = keys.iter().find(|(from, _)| from == column);
        found.map(|(_, to)| to.clone())
    };
    let registry = query.config.function_registry();
    let any = registry.and_then(|registry| registry.udaf("first_value").ok());
    let (mut hidden, mut above) = (Vec::new(), Vec::new());
    for Known {
        call,
        column,
        guard,
    } in known
    {
        let (Some(call), None) = (rename(call, renamed)?, guard) else {
            continue;
        };
        let column = match (renamed(&column), &any) {
            (Some(key), _) => key,
            (None, Some(any)) => {
                let name = made_name(query.config);
                hidden.push(any.call(vec![Expr::Column(column)]).alias(&name));
                Column::new_unqualified(name)
            }
            (None, None) => continue,
        };
        above.push(Known {
            call,
            column,
            guard: None,
        });
    }
    Ok((hidden, above))
}

/// One more column for each key, of the key's name.
fn project_keys(mut input: Extracted, keys: Vec<Expr>, query: &mut Query<'_>) -> Result<Extracted> {
    let names: Vec<String> = keys
        .iter()
        .map(|key| key.schema_name().to_string())
        .collect();
    let keys = input.materialise(keys, query)?;
    let keys = std::iter::zip(keys, names).map(|(key, name)| key.alias(name));
    let kept = input.plan.schema().iter().map(Column::from);
    let kept: Vec<Expr> = kept.map(Expr::Column).collect();
    let builder = LogicalPlanBuilder::new(input.plan);
    let plan = builder.project(kept.into_iter().chain(keys))?.build()?;
    let known = input.known;
    Ok(Extracted { plan, known })
}

fn by_name(expr: Expr, keys: &[Expr]) -> Result<Expr> {
    let named = expr.transform_down(|part| {
        Ok(match keys.contains(&part) {
            true => {
                let name = part.schema_name().to_string();
                Transformed::new(
                    Expr::Column(Column::new_unqualified(name)),
                    true,
                    TreeNodeRecursion::Jump,
                )
            }
            false => Transformed::no(part),
        })
    })?;
    Ok(named.data)
}

/// The expression over renamed columns, if each of its columns has a new name.
fn rename(expr: Expr, mut renamed: impl FnMut(&Column) -> Option<Column>) -> Result<Option<Expr>> {
    let mut lost = false;
    let expr = expr.transform_up(|part| match part {
        Expr::Column(column) => {
            let to = renamed(&column);
            lost |= to.is_none();
            Ok(Transformed::yes(Expr::Column(to.unwrap_or(column))))
        }
        other => Ok(Transformed::no(other)),
    })?;
    Ok((!lost).then_some(expr.data))
}
