//! What a plan is without its calls.

use std::sync::Arc;

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, JoinType, Result};
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Aggregate, Distinct, Expr, Join, LogicalPlan, Sort, TableScan};

use super::super::chain::{Chain, Step, named, names, owned, stack};
use crate::join::joined_like;
use crate::node_map::NodeMap;
use crate::total::is_total;

/// A plan that calls no node.
pub(super) struct Bare {
    /// With the columns that no call makes, under their names.
    pub(super) plan: LogicalPlan,
    /// Whether it has the same rows; else it has these and more.
    pub(super) is_exact: bool,
}

/// The plan without its calls, which may be run beside it; `None` if that might not give the
/// same, or if nothing is left.
pub(super) fn bare(plan: &LogicalPlan) -> Result<Option<Bare>> {
    let chain = Chain::of(plan)?;
    let Some(base) = bare_base(&chain.base)? else {
        return Ok(None);
    };
    let schema = Arc::clone(base.plan.schema());
    let mut is_exact = base.is_exact;
    // What a predicate that is left out kept from others must not make them fail.
    let is_safe = |expr: &Expr, is_exact: bool| {
        has_all(&schema, expr) && (is_exact || is_total(expr, schema.as_ref()))
    };
    let filters = chain.steps.into_iter().filter(|step| match step {
        Step::Call(_) => false,
        Step::Filter(predicate) => {
            let is_kept = is_safe(predicate, is_exact);
            is_exact &= is_kept;
            is_kept
        }
    });
    let filtered = stack(base.plan, filters.collect::<Vec<_>>())?;
    let kept = std::iter::zip(chain.columns, names(plan.schema()));
    let kept = kept.filter(|(expr, _)| is_safe(expr, is_exact));
    let (columns, names): (Vec<Expr>, Vec<_>) = kept.unzip();
    let plan = named(filtered, columns, names)?;
    Ok(Some(Bare { plan, is_exact }))
}

/// Whether the schema has all columns that the expression reads.
pub(super) fn has_all(schema: &DFSchema, expr: &Expr) -> bool {
    let columns = owned(expr);
    columns
        .iter()
        .all(|column| schema.maybe_index_of_column(column).is_some())
}

fn bare_base(plan: &LogicalPlan) -> Result<Option<Bare>> {
    if !has_calls(plan)? && is_repeatable(plan)? {
        let plan = plan.clone();
        let is_exact = true;
        return Ok(Some(Bare { plan, is_exact }));
    }
    Ok(match plan {
        LogicalPlan::Join(join) => bare_join(join)?,
        LogicalPlan::Aggregate(aggregate) => bare_groups(aggregate)?,
        LogicalPlan::Window(window) => bare(&window.input)?,
        // Which rows a limit leaves may differ the next time; all of them are more.
        LogicalPlan::Limit(limit) => bare(&limit.input)?.map(Bare::inexact),
        LogicalPlan::Sort(sort) => {
            let all = bare(&sort.input)?;
            all.map(|all| {
                if sort.fetch.is_some() {
                    all.inexact()
                } else {
                    all
                }
            })
        }
        LogicalPlan::TableScan(scan) if scan.fetch.is_some() => {
            bare_base(&whole(scan))?.map(Bare::inexact)
        }
        _ => None,
    })
}

fn whole(scan: &TableScan) -> LogicalPlan {
    LogicalPlan::TableScan(TableScan {
        fetch: None,
        ..scan.clone()
    })
}

/// Of a semi join and an inner one, the conditions that read no call: these keep more rows. Of an
/// outer join, if the padded side is not the same without its calls, what it keeps alone, or rows
/// would be padded that are not. Of a mark join, what it keeps, without the mark.
fn bare_join(join: &Join) -> Result<Option<Bare>> {
    use JoinType::{Inner, Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightSemi};
    let (left, right) = (bare(&join.left)?, bare(&join.right)?);
    let (left, right) = match (join.join_type, left, right) {
        // The rows that an anti join drops are not known without its calls.
        (LeftMark, Some(left), _) | (Left, Some(left), None) => return Ok(Some(left)),
        (Right, None, Some(right)) => return Ok(Some(right)),
        (LeftSemi | LeftAnti, Some(left), None) => return Ok(Some(left.inexact())),
        (RightSemi | RightAnti, None, Some(right)) => return Ok(Some(right.inexact())),
        (_, Some(left), Some(right)) => (left, right),
        _ => return Ok(None),
    };
    let both = left.plan.schema().join(right.plan.schema())?;
    let conjuncts: Vec<&Expr> = join.filter.iter().flat_map(split_conjunction).collect();
    let is_given = |expr: &Expr| has_all(&both, expr) && !expr.is_volatile();
    let is_whole = join
        .on
        .iter()
        .all(|(own, other)| is_given(own) && is_given(other))
        && conjuncts.iter().all(|conjunct| is_given(conjunct));
    let is_exact = is_whole && left.is_exact && right.is_exact;
    // What is left out kept from the others the rows on which they would fail.
    let is_kept = |expr: &Expr| is_given(expr) && (is_exact || is_total(expr, &both));
    let on = join.on.iter();
    let on = on.filter(|(own, other)| is_kept(own) && is_kept(other));
    let on: Vec<(Expr, Expr)> = on.cloned().collect();
    let kept = conjuncts.iter().filter(|conjunct| is_kept(conjunct));
    let kept: Vec<Expr> = kept.map(|conjunct| (*conjunct).clone()).collect();
    let is_whole = is_whole && on.len() == join.on.len() && kept.len() == conjuncts.len();
    match join.join_type {
        Inner | LeftSemi | RightSemi if !on.is_empty() => {}
        Left if is_whole && right.is_exact => {}
        Right if is_whole && left.is_exact => {}
        LeftAnti if is_whole && right.is_exact => {}
        RightAnti if is_whole && left.is_exact => {}
        Left => return Ok(Some(left)),
        Right => return Ok(Some(right)),
        LeftSemi | LeftAnti => return Ok(Some(left.inexact())),
        RightSemi | RightAnti => return Ok(Some(right.inexact())),
        _ => return Ok(None),
    }
    let plan = joined_like(join, left.plan, right.plan, on, conjunction(kept))?;
    Ok(Some(Bare { plan, is_exact }))
}

/// The groups by what no call makes.
fn bare_groups(aggregate: &Aggregate) -> Result<Option<Bare>> {
    let Some(input) = bare(&aggregate.input)? else {
        return Ok(None);
    };
    let groups = aggregate.group_expr.iter();
    let schema = input.plan.schema();
    let is_free = |group: &&Expr| {
        !matches!(group, Expr::GroupingSet(_))
            && has_all(schema, group)
            && !group.is_volatile()
            && (input.is_exact || is_total(group, schema.as_ref()))
    };
    let groups: Vec<Expr> = groups.filter(is_free).cloned().collect();
    if groups.is_empty() {
        return Ok(None);
    }
    let is_exact = input.is_exact && groups.len() == aggregate.group_expr.len();
    let groups = Aggregate::try_new(Arc::new(input.plan), groups, Vec::new())?;
    let plan = LogicalPlan::Aggregate(groups);
    Ok(Some(Bare { plan, is_exact }))
}

impl Bare {
    fn inexact(self) -> Self {
        Self {
            is_exact: false,
            ..self
        }
    }
}

pub(super) fn has_calls(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| Ok(NodeMap::of(plan).is_some()))
}

/// Whether a plan without calls gives the same when it is run once more.
fn is_repeatable(plan: &LogicalPlan) -> Result<bool> {
    let mut repeatable = true;
    plan.apply_with_subqueries(|plan| {
        repeatable &= match plan {
            LogicalPlan::TableScan(scan) => scan.fetch.is_none(),
            LogicalPlan::Sort(Sort { fetch, .. }) => fetch.is_none(),
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
            | LogicalPlan::RecursiveQuery(_)
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
