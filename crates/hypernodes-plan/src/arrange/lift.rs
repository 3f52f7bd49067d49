//! Calls move above operators that leave fewer rows.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, Result};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::{
    Expr, FetchType, Limit, LogicalPlan, SkipType, Sort, SortExpr, Union, Window,
};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift_first::lift_first;
use super::lift_groups::lift_groups;
use super::lift_join::{Through, lift_condition, lift_join, lift_to_filter, with_kept_lifted};
use super::schedule::price;

/// Moves the calls below `Sort … fetch`, `Limit`, `Window` and joins that leave fewer rows above
/// them, if the operator does not need what they make.
///
/// Filters that need such a call move along above a join; below the others they
/// decide which rows the operator sees, so that they stay, and what they need.
pub(super) fn lift(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let lifted = match (lifted(&plan, config)?, &plan) {
        // Those of a join's side first go above the join.
        (
            None,
            LogicalPlan::Sort(_)
            | LogicalPlan::Limit(_)
            | LogicalPlan::Window(_)
            | LogicalPlan::Aggregate(_),
        ) => match with_kept_lifted(plan.inputs()[0], Through::Any, config)? {
            Some(input) => {
                let upper = plan.with_new_exprs(plan.expressions(), vec![input])?;
                lifted(&upper, config)?
            }
            None => None,
        },
        (lifted, _) => lifted,
    };
    Ok(match lifted {
        Some(lifted) => Transformed::yes(lifted),
        None => Transformed::no(plan),
    })
}

/// The calls right below one operator, above it.
fn lifted(plan: &LogicalPlan, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    match plan {
        LogicalPlan::Sort(sort) if sort.fetch.is_some() => match lift_sort(sort, None, config)? {
            None => sort_arms(sort),
            lifted => Ok(lifted),
        },
        LogicalPlan::Limit(limit) => lift_limit(limit, config),
        LogicalPlan::Window(window) => lift_window(window),
        LogicalPlan::Join(join) => match lift_condition(join, config)? {
            None => lift_join(join, config),
            lifted => Ok(lifted),
        },
        LogicalPlan::Aggregate(aggregate) => match lift_groups(aggregate)? {
            None => lift_first(aggregate, config),
            lifted => Ok(lifted),
        },
        LogicalPlan::Filter(filter) => lift_to_filter(filter, config),
        _ => Ok(None),
    }
}

/// A chain whose steps are those that an operator needs, and the steps to go above it.
pub(super) struct Split {
    pub(super) below: LogicalPlan,
    pub(super) above: Vec<Step>,
    pub(super) columns: Vec<Expr>,
}

/// `None` if no call could move.
pub(super) fn split(
    chain: Chain,
    needs: HashSet<Column>,
    is_selective: bool,
) -> Result<Option<Split>> {
    let mut needs = needs;
    if is_selective {
        for step in &chain.steps {
            if step.is_filter() {
                needs.extend(step.reads());
            }
        }
    }
    let needed = chain.needed(needs);
    let is_call = |index: &usize| matches!(chain.steps[*index], Step::Call(_));
    if (0..chain.steps.len())
        .filter(is_call)
        .all(|index| needed.contains(&index))
    {
        return Ok(None);
    }
    let (mut below, mut above) = (Vec::new(), Vec::new());
    for (index, step) in chain.steps.iter().enumerate() {
        let stays = match step {
            Step::Call(_) => needed.contains(&index),
            Step::Filter(_) => chain.needed(step.reads()).is_subset(&needed),
        };
        if stays { &mut below } else { &mut above }.push(step.clone());
    }
    Ok(Some(Split {
        below: stack(chain.base, below)?,
        above,
        columns: chain.columns,
    }))
}

/// With a limit right above the sort, it stays there.
fn lift_sort(
    sort: &Sort,
    limit: Option<&Limit>,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&sort.input)?;
    if is_cut(&chain.base, sort) || !chain.has_calls() {
        return Ok(None);
    }
    let schema = sort.input.schema();
    let keys = sort
        .expr
        .iter()
        .map(|key| chain.over_base(&key.expr, schema));
    let keys = keys.collect::<Result<Vec<_>>>()?;
    let needs: HashSet<Column> = keys.iter().flat_map(owned).collect();
    let keys = std::iter::zip(&sort.expr, keys).map(|(key, expr)| key.with_expr(expr));
    let keys: Vec<SortExpr> = keys.collect();
    let is_sorted = matches!(&chain.base, LogicalPlan::Sort(base) if base.expr == keys);
    let is_tested_last = limit.is_none() && !is_sorted && has_dear_filter(&chain, &needs);
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, needs, !is_tested_last)?
    else {
        return Ok(None);
    };
    let lower = LogicalPlan::Sort(Sort {
        expr: keys.clone(),
        input: Arc::new(below),
        fetch: sort.fetch.filter(|_| !is_tested_last),
    });
    let lower = match limit {
        Some(limit) => LogicalPlan::Limit(Limit {
            input: Arc::new(lower),
            ..limit.clone()
        }),
        None => lower,
    };
    let upper = stack(lower, above.into_iter().map(Step::keeping_order))?;
    let is_column = |column: &Expr| matches!(column, Expr::Column(_));
    if !is_tested_last && columns.iter().all(is_column) {
        return named(upper, columns, names(schema)).map(Some);
    }
    let fetch = sort.fetch.filter(|_| is_tested_last);
    sorted_again(upper, columns, keys, fetch, schema, config).map(Some)
}

/// Whether a predicate needs calls that cost more than to sort, and the keys none: the rows are then
/// sorted first, and tested in their order until there are enough.
fn has_dear_filter(chain: &Chain, needs: &HashSet<Column>) -> bool {
    if !chain.needed(needs.iter().cloned()).is_empty() {
        return false;
    }
    let is_dear = |place: usize| match &chain.steps[place] {
        Step::Call(call) => call.is_repeatable() && price(chain, [&place]).is_dear(),
        Step::Filter(_) => false,
    };
    let filters = chain.steps.iter().filter(|step| step.is_filter());
    filters
        .flat_map(|filter| chain.needed(filter.reads()))
        .any(is_dear)
}

/// Whether there are no more rows than `sort` leaves.
fn is_cut(plan: &LogicalPlan, sort: &Sort) -> bool {
    match plan {
        LogicalPlan::Sort(base) => base.fetch.is_some() && base.fetch <= sort.fetch,
        _ => false,
    }
}

/// The first rows of a union are among the first rows of its arms, which have calls that can
/// move above them there.
fn sort_arms(sort: &Sort) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&sort.input)?;
    let LogicalPlan::Union(union) = &chain.base else {
        return Ok(None);
    };
    if !chain.steps.is_empty() || sort.expr.iter().any(|key| key.expr.is_volatile()) {
        return Ok(None);
    }
    let columns: Vec<Column> = union.schema.columns();
    let mut arms = Vec::with_capacity(union.inputs.len());
    let mut changed = false;
    for arm in &union.inputs {
        let lower = Chain::of(arm)?;
        if is_cut(&lower.base, sort) || !lower.has_calls() {
            arms.push(Arc::clone(arm));
            continue;
        }
        let own = arm.schema().columns();
        let keys = sort.expr.iter().map(|key| {
            let key_expr = chain.over_base(&key.expr, sort.input.schema())?;
            let of_arm = key_expr.transform_up(|part| match part {
                Expr::Column(column) => {
                    let place = columns.iter().position(|known| *known == column);
                    let own = place.and_then(|place| own.get(place)).cloned();
                    Ok(Transformed::yes(Expr::Column(own.unwrap_or(column))))
                }
                other => Ok(Transformed::no(other)),
            })?;
            Ok(key.with_expr(of_arm.data))
        });
        let first = LogicalPlan::Sort(Sort {
            expr: keys.collect::<Result<_>>()?,
            input: Arc::clone(arm),
            fetch: sort.fetch,
        });
        arms.push(Arc::new(first));
        changed = true;
    }
    if !changed {
        return Ok(None);
    }
    let union = LogicalPlan::Union(Union {
        inputs: arms,
        schema: Arc::clone(&union.schema),
    });
    let input = named(union, chain.columns, names(sort.input.schema()))?;
    Ok(Some(LogicalPlan::Sort(Sort {
        input: Arc::new(input),
        ..sort.clone()
    })))
}

/// A projection that computes may be spread over partitions, which forgets the order below it.
/// So the order is asked for above; where it was kept, nothing is sorted again.
fn sorted_again(
    plan: LogicalPlan,
    columns: Vec<Expr>,
    keys: Vec<SortExpr>,
    fetch: Option<usize>,
    schema: &DFSchema,
    config: &dyn OptimizerConfig,
) -> Result<LogicalPlan> {
    let hidden: Vec<String> = keys
        .iter()
        .map(|_| config.alias_generator().next("__hn_key"))
        .collect();
    let exprs = columns
        .into_iter()
        .chain(keys.iter().map(|key| key.expr.clone()));
    let hidden_names = hidden.iter().map(|name| (None, name.as_str()));
    let computed = named(plan, exprs, names(schema).chain(hidden_names))?;
    let keys = std::iter::zip(keys, &hidden);
    let keys = keys.map(|(key, name)| key.with_expr(Expr::Column(Column::new_unqualified(name))));
    let sorted = LogicalPlan::Sort(Sort {
        expr: keys.collect(),
        input: Arc::new(computed),
        fetch,
    });
    let kept = schema.iter().map(Column::from).map(Expr::Column);
    named(sorted, kept.collect::<Vec<_>>(), names(schema))
}

fn lift_limit(limit: &Limit, config: &dyn OptimizerConfig) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&limit.input)?;
    // With an offset alone, the sort keeps all rows, and the limit drops the first.
    if let LogicalPlan::Sort(sort) = &chain.base
        && sort.fetch.is_none()
        && chain.steps.is_empty()
        && let Some(cut) = lift_sort(sort, Some(limit), config)?
    {
        return named(cut, chain.columns, names(limit.input.schema())).map(Some);
    }
    // DataFusion puts another below a call, or on the arm of a union, each time it looks.
    if !chain.steps.iter().any(Step::is_filter) && is_as_short(&chain.base, limit)? {
        return Ok(Some(LogicalPlan::clone(&limit.input)));
    }
    if !chain.has_calls() {
        return Ok(None);
    }
    let schema = limit.input.schema();
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, HashSet::new(), true)?
    else {
        return Ok(None);
    };
    let lower = LogicalPlan::Limit(Limit {
        skip: limit.skip.clone(),
        fetch: limit.fetch.clone(),
        input: Arc::new(below),
    });
    named(stack(lower, above)?, columns, names(schema)).map(Some)
}

/// Whether a plan is a limit that leaves no more rows than `limit` would.
fn is_as_short(plan: &LogicalPlan, limit: &Limit) -> Result<bool> {
    let LogicalPlan::Limit(lower) = plan else {
        return Ok(false);
    };
    Ok(
        match (
            limit.get_skip_type()?,
            limit.get_fetch_type()?,
            lower.get_fetch_type()?,
        ) {
            (
                SkipType::Literal(0),
                FetchType::Literal(Some(upper)),
                FetchType::Literal(Some(lower)),
            ) => lower <= upper,
            _ => false,
        },
    )
}

/// A window leaves all rows, but filters on its columns leave fewer, and they can then move
/// below the calls.
fn lift_window(window: &Window) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&window.input)?;
    if !chain.has_calls() {
        return Ok(None);
    }
    let schema = window.input.schema();
    let preserver = NamePreserver::new_for_projection();
    let exprs = window.window_expr.iter().map(|expr| {
        let name = preserver.save(expr);
        Ok(name.restore(chain.over_base(expr, schema)?))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    let needs = exprs.iter().flat_map(owned).collect();
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, needs, true)?
    else {
        return Ok(None);
    };
    let width = below.schema().fields().len();
    let lower = Window::try_new(exprs, Arc::new(below))?;
    let made = lower.schema.iter().skip(width).map(Column::from);
    let columns = columns
        .into_iter()
        .chain(made.map(Expr::Column))
        .collect::<Vec<_>>();
    let lower = stack(LogicalPlan::Window(lower), above)?;
    named(lower, columns, names(&window.schema)).map(Some)
}
