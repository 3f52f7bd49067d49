//! Holds predicates on nodes where they were written.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchema, ExprSchema, JoinType, Result};
use datafusion_expr::expr::{Exists, InSubquery, SetComparison, SetQuantifier};
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    BinaryExpr, Expr, Filter, Join, LogicalPlan, LogicalPlanBuilder, Operator, ScalarUDF, Subquery,
    Values, binary_expr, lit,
};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};

use crate::extract::has_subquery;
use crate::order::by_cost;
use crate::subqueries::pin_subqueries;
use crate::udf::NodeUdf;

/// How the columns that stand for predicates are named.
pub(crate) const PIN: &str = "__pin";

/// The first optimizer rule: what DataFusion would do to calls before
/// [`ExtractNodes`](crate::ExtractNodes) sees them is made impossible.
///
/// - DataFusion moves even volatile predicates below an aggregate and copies them to both sides
///   of a join, but never moves a volatile projection. So each conjunct of a filter or of an
///   inner join's condition that calls a node becomes
///   `Filter(__pin) <- Projection[*, conjunct AS __pin]`: first the filter of the conjuncts that
///   call none, then one such pair for each of the others, by the declared cost of what they
///   call, sync before async, else as written. Conjuncts with subqueries or outer references
///   stay as they are, for decorrelation, but for a call that is compared with a scalar
///   subquery, which becomes a column; and so do equalities of two sides of a join, which are to
///   become its keys.
/// - Each reference to a node that is not pure, or with volatile arguments, is told from all others.
/// - VALUES, which are evaluated while planning, become a union of one-row projections.
#[derive(Debug, Default)]
pub struct PinNodes;

impl OptimizerRule for PinNodes {
    fn name(&self) -> &str {
        "pin_nodes"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        if !calls_below(&plan)? {
            return Ok(Transformed::no(plan));
        }
        plan.transform_up_with_subqueries(|plan| {
            let plan = as_existence(plan)?;
            let plan = plan.transform_data(|plan| pin_subqueries(plan, config))?;
            let changed = plan.transformed;
            let plan = plan.data;
            if !calls_nodes(&plan)? {
                return Ok(Transformed::new_transformed(plan, changed));
            }
            let plan = tell_apart(plan)?;
            let changed = changed | plan.transformed;
            let pinned = match plan.data {
                LogicalPlan::Filter(filter) => pin_filter(filter, config),
                LogicalPlan::Join(join) if join.join_type == JoinType::Inner => {
                    pin_join(join, config)
                }
                LogicalPlan::Values(values) => unfold(values),
                other => Ok(Transformed::no(other)),
            };
            pinned.map(|pinned| pinned.update_transformed(changed))
        })
    }
}

/// Comparisons with any or all rows of a subquery, where null is as good as false: as `IN` or
/// `EXISTS`, which read the subquery once.
fn as_existence(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let LogicalPlan::Filter(filter) = plan else {
        return Ok(Transformed::no(plan));
    };
    let outer = filter.input.schema();
    let (mut conjuncts, mut changed) = (Vec::new(), false);
    for conjunct in split_conjunction_owned(filter.predicate) {
        let made = match membership(&conjunct)? {
            Some(membership) => Transformed::yes(membership),
            None => existences(conjunct, outer)?,
        };
        changed |= made.transformed;
        conjuncts.push(made.data);
    }
    let predicate = conjunction(conjuncts).unwrap_or(lit(true));
    let plan = LogicalPlan::Filter(Filter::try_new(predicate, filter.input)?);
    Ok(Transformed::new_transformed(plan, changed))
}

/// The comparison that an expression is, or that it is not.
fn comparison(expr: &Expr) -> Option<(&SetComparison, bool)> {
    match expr {
        Expr::SetComparison(comparison) => Some((comparison, true)),
        Expr::Not(negated) => match negated.as_ref() {
            Expr::SetComparison(comparison) => Some((comparison, false)),
            _ => None,
        },
        _ => None,
    }
}

/// A conjunct as `IN` or `NOT IN`. DataFusion knows no `NOT IN` of a correlated subquery, and below
/// OR none that minds nulls.
fn membership(conjunct: &Expr) -> Result<Option<Expr>> {
    use SetQuantifier::{All, Any};
    let Some((comparison, wanted)) = comparison(conjunct) else {
        return Ok(None);
    };
    let SetComparison { expr, subquery, .. } = comparison;
    let negated = match (comparison.op, comparison.quantifier) {
        (Operator::Eq, Any) => !wanted,
        (Operator::NotEq, All) => wanted,
        _ => return Ok(None),
    };
    let is_correlated = !subquery.outer_ref_columns.is_empty();
    if (negated && is_correlated) || !calls_below(&subquery.subquery)? {
        return Ok(None);
    }
    let membership = InSubquery::new(expr.clone(), subquery.clone(), negated);
    Ok(Some(Expr::InSubquery(membership)))
}

/// The comparisons that AND and OR combine, as `EXISTS`.
fn existences(expr: Expr, outer: &DFSchema) -> Result<Transformed<Expr>> {
    expr.transform_down(|part| {
        if let Expr::BinaryExpr(BinaryExpr {
            op: Operator::And | Operator::Or,
            ..
        }) = part
        {
            return Ok(Transformed::no(part));
        }
        let existence = match comparison(&part) {
            Some((comparison, wanted)) => existence(comparison, wanted, outer)?,
            None => None,
        };
        let changed = existence.is_some();
        let part = existence.unwrap_or(part);
        Ok(Transformed::new(part, changed, TreeNodeRecursion::Jump))
    })
}

/// Whether the comparison is `wanted`.
fn existence(comparison: &SetComparison, wanted: bool, outer: &DFSchema) -> Result<Option<Expr>> {
    let (expr, rows) = (&comparison.expr, &comparison.subquery.subquery);
    let other = rows.schema().columns().into_iter().next();
    let is_called = NodeUdf::is_in(expr) || calls_below(rows)?;
    let Some(other) = other.filter(|_| is_called && !has_subquery(expr)) else {
        return Ok(None);
    };
    let own = expr.as_ref().clone().transform_up(|part| match part {
        Expr::Column(column) => {
            let field = Arc::clone(outer.field_from_column(&column)?);
            Ok(Transformed::yes(Expr::OuterReferenceColumn(field, column)))
        }
        other => Ok(Transformed::no(other)),
    })?;
    let test = binary_expr(own.data, comparison.op, Expr::Column(other));
    let (test, negated) = match (comparison.quantifier, wanted) {
        (SetQuantifier::Any, true) => (test, false),
        (SetQuantifier::All, true) => (test.is_not_true(), true),
        (SetQuantifier::Any, false) => (test.is_not_false(), true),
        (SetQuantifier::All, false) => (test.is_false(), false),
    };
    let plan = LogicalPlanBuilder::new(LogicalPlan::clone(rows)).filter(test)?;
    let plan = plan.build()?;
    let subquery = Subquery {
        outer_ref_columns: plan.all_out_ref_exprs(),
        subquery: Arc::new(plan),
        spans: comparison.subquery.spans.clone(),
    };
    Ok(Some(Expr::Exists(Exists { subquery, negated })))
}

trait Update {
    fn update_transformed(self, changed: bool) -> Self;
}

impl<T> Update for Transformed<T> {
    fn update_transformed(mut self, changed: bool) -> Self {
        self.transformed |= changed;
        self
    }
}

fn calls_nodes(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_expressions(|expr| {
        found |= NodeUdf::is_in(expr);
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// Whether the plan, or a subquery of it, calls a node anywhere.
fn calls_below(plan: &LogicalPlan) -> Result<bool> {
    let mut found = false;
    plan.apply_with_subqueries(|plan| {
        found |= calls_nodes(plan)?;
        Ok(match found {
            true => TreeNodeRecursion::Stop,
            false => TreeNodeRecursion::Continue,
        })
    })?;
    Ok(found)
}

/// The outputs of one node in one operator are one reference.
fn tell_apart(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    static NEXT: AtomicU64 = AtomicU64::new(0);
    let mut several: Vec<(NodeUdf, Vec<Expr>, u64)> = Vec::new();
    plan.map_expressions(|expr| {
        expr.transform_up(|part| {
            let Expr::ScalarFunction(mut function) = part else {
                return Ok(Transformed::no(part));
            };
            let udf = NodeUdf::find(&function.func);
            let Some(udf) = udf.filter(|udf| udf.is_any_of_several(&function.args)) else {
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            };
            let known = several.iter().find(|(known, args, _)| {
                udf.field().is_some() && *known == udf.whole() && *args == function.args
            });
            let occurrence = match known {
                Some((_, _, occurrence)) => *occurrence,
                None => NEXT.fetch_add(1, Ordering::Relaxed),
            };
            several.push((udf.whole(), function.args.clone(), occurrence));
            let reference = udf.as_reference(occurrence);
            function.func = Arc::new(ScalarUDF::new_from_impl(reference));
            Ok(Transformed::yes(Expr::ScalarFunction(function)))
        })
    })
}

fn pin_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let sides = match filter.input.as_ref() {
        LogicalPlan::Join(join) => Some((join.left.schema(), join.right.schema())),
        _ => None,
    };
    let conjuncts = split_conjunction_owned(filter.predicate.clone());
    let (pinned, free): (Vec<Expr>, Vec<Expr>) = conjuncts.into_iter().partition(|conjunct| {
        is_pinned(conjunct) && !sides.is_some_and(|(left, right)| is_key(conjunct, left, right))
    });
    let (compared, free): (Vec<Expr>, Vec<Expr>) = free.into_iter().partition(is_compared);
    if pinned.is_empty() && compared.is_empty() {
        return Ok(Transformed::no(LogicalPlan::Filter(filter)));
    }
    let mut builder = LogicalPlanBuilder::from(filter.input);
    if let Some(free) = conjunction(free) {
        builder = builder.filter(free)?;
    }
    let builder = LogicalPlanBuilder::new(pin(builder, pinned, config)?);
    compare(builder, compared, config).map(Transformed::yes)
}

fn pin_join(mut join: Join, config: &dyn OptimizerConfig) -> Result<Transformed<LogicalPlan>> {
    let conjuncts = join.filter.take().map(split_conjunction_owned);
    let conjuncts = conjuncts.unwrap_or_default();
    let (left, right) = (join.left.schema(), join.right.schema());
    let (pinned, free): (Vec<Expr>, Vec<Expr>) = conjuncts
        .into_iter()
        .partition(|conjunct| is_pinned(conjunct) && !is_key(conjunct, left, right));
    join.filter = conjunction(free);
    let join = LogicalPlan::Join(join);
    if pinned.is_empty() {
        return Ok(Transformed::no(join));
    }
    pin(LogicalPlanBuilder::new(join), pinned, config).map(Transformed::yes)
}

fn pin(
    mut builder: LogicalPlanBuilder,
    mut pinned: Vec<Expr>,
    config: &dyn OptimizerConfig,
) -> Result<LogicalPlan> {
    by_cost(&mut pinned);
    let columns = builder.schema().iter().map(Column::from);
    let columns: Vec<Expr> = columns.map(Expr::Column).collect();
    for conjunct in pinned {
        let name = config.alias_generator().next(PIN);
        let kept = columns.iter().cloned();
        builder = builder
            .project(kept.chain([conjunct.alias(&name)]))?
            .filter(Expr::Column(Column::new_unqualified(name)))?
            .project(columns.clone())?;
    }
    builder.build()
}

/// The calls of the conjuncts become columns, which the subqueries are compared with.
fn compare(
    mut builder: LogicalPlanBuilder,
    compared: Vec<Expr>,
    config: &dyn OptimizerConfig,
) -> Result<LogicalPlan> {
    let columns = builder.schema().iter().map(Column::from);
    let columns: Vec<Expr> = columns.map(Expr::Column).collect();
    for conjunct in compared {
        let mut pins = Vec::new();
        let pinned = conjunct.map_children(|side| {
            if !is_pinned(&side) {
                return Ok(Transformed::no(side));
            }
            let name = config.alias_generator().next(PIN);
            pins.push(side.alias(&name));
            let pin = Expr::Column(Column::new_unqualified(name));
            Ok(Transformed::yes(pin))
        })?;
        builder = builder
            .project(columns.iter().cloned().chain(pins))?
            .filter(pinned.data)?
            .project(columns.clone())?;
    }
    builder.build()
}

/// Whether the conjunct compares calls with scalar subqueries: it would be inferred for the rows
/// that these read, too.
fn is_compared(conjunct: &Expr) -> bool {
    let Expr::BinaryExpr(BinaryExpr { left, op, right }) = conjunct else {
        return false;
    };
    let is_other = |part: &Expr| {
        Ok(matches!(
            part,
            Expr::Exists(_) | Expr::InSubquery(_) | Expr::SetComparison(_)
        ))
    };
    let is_subquery = |side: &Expr| {
        has_subquery(side)
            && !NodeUdf::is_in(side)
            && !side.contains_outer()
            && !side.exists(is_other).unwrap_or(true)
    };
    op.supports_propagation()
        && ((is_pinned(left) && is_subquery(right)) || (is_subquery(left) && is_pinned(right)))
}

fn is_pinned(conjunct: &Expr) -> bool {
    NodeUdf::is_in(conjunct) && !conjunct.contains_outer() && !has_subquery(conjunct)
}

/// Whether the predicate says that something of one side equals something of the other.
fn is_key(predicate: &Expr, left: &DFSchema, right: &DFSchema) -> bool {
    let Expr::BinaryExpr(BinaryExpr {
        left: one,
        op: Operator::Eq | Operator::IsNotDistinctFrom,
        right: other,
    }) = predicate
    else {
        return false;
    };
    let reads = |expr: &Expr, schema: &DFSchema| {
        let columns = expr.column_refs();
        let known = |column: &Column| schema.maybe_index_of_column(column).is_some();
        !columns.is_empty() && columns.into_iter().all(known)
    };
    (reads(one, left) && reads(other, right)) || (reads(one, right) && reads(other, left))
}

fn unfold(values: Values) -> Result<Transformed<LogicalPlan>> {
    let schema = Arc::clone(&values.schema);
    let rows = values.values.into_iter().map(|row| {
        let fields = schema.fields().iter();
        let exprs = std::iter::zip(row, fields).map(|(expr, field)| {
            datafusion_expr::cast(expr, field.data_type().clone()).alias(field.name())
        });
        LogicalPlanBuilder::empty(true).project(exprs)?.build()
    });
    let mut rows = rows.collect::<Result<Vec<_>>>()?.into_iter();
    let Some(first) = rows.next() else {
        return Ok(Transformed::no(LogicalPlanBuilder::empty(false).build()?));
    };
    let builder = LogicalPlanBuilder::new(first);
    let plan = rows.try_fold(builder, LogicalPlanBuilder::union)?.build()?;
    Ok(Transformed::yes(plan))
}
