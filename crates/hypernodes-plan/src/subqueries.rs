//! Correlated scalar subqueries of a query with calls.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result, ScalarValue, internal_datafusion_err};
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Subquery, col, lit, when,
};
use datafusion_optimizer::OptimizerConfig;

use crate::extract::{has_subquery, is_repeatable};
use crate::pin_nodes::PIN;
use crate::udf::NodeUdf;

/// Makes columns of correlated scalar subqueries, each of which DataFusion turns into a join.
///
/// - Those in `COALESCE` or `BETWEEN`, which read them twice once they are simplified, and those in an
///   aggregate, where DataFusion takes none before it has found what is read twice.
/// - Those that call nodes on aggregates. What they give where no row matches is written outside:
///   decorrelation would find that by evaluating the calls. `(SELECT e(count(*)) …)` becomes
///   `CASE WHEN q IS NOT NULL THEN q ELSE {e(0)} END` where q is `(SELECT CASE WHEN count(*) > 0 THEN
///   {e(count(*))} END …)`; the braces are a struct, which is not null if `e` is.
pub(crate) fn pin_subqueries(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let [input] = plan.inputs()[..] else {
        return Ok(Transformed::no(plan));
    };
    let columns = |plan: &LogicalPlan| plan.schema().columns().into_iter().map(Expr::Column);
    let mut pins = Pins {
        config,
        columns: Vec::new(),
    };
    let is_read_once = !matches!(plan, LogicalPlan::Aggregate(_));
    let preserver = NamePreserver::new(&plan);
    let exprs = plan.expressions().into_iter().map(|expr| {
        let name = preserver.save(&expr);
        Ok(name.restore(pins.pinned(expr, is_read_once)?.data))
    });
    let exprs = exprs.collect::<Result<Vec<_>>>()?;
    if pins.columns.is_empty() {
        return Ok(Transformed::no(plan));
    }
    let made = pins.columns.into_iter();
    let made = made.map(|(subquery, name)| subquery.alias(name));
    let input = LogicalPlanBuilder::new(input.clone())
        .project(columns(input).chain(made))?
        .build()?;
    let pinned = plan.with_new_exprs(exprs, vec![input])?;
    match pinned.schema().fields().len() > plan.schema().fields().len() {
        true => LogicalPlanBuilder::new(pinned)
            .project(columns(&plan))?
            .build(),
        false => Ok(pinned),
    }
    .map(Transformed::yes)
}

/// Subqueries, and the columns that they become.
struct Pins<'a> {
    config: &'a dyn OptimizerConfig,
    columns: Vec<(Expr, String)>,
}

impl Pins<'_> {
    /// `is_read_once`: whether whoever reads `expr` does so once, as it is written.
    fn pinned(&mut self, expr: Expr, is_read_once: bool) -> Result<Transformed<Expr>> {
        let is_read_once = is_read_once
            && matches!(
                expr,
                Expr::ScalarSubquery(_)
                    | Expr::Alias(_)
                    | Expr::BinaryExpr(_)
                    | Expr::Cast(_)
                    | Expr::Not(_)
                    | Expr::Negative(_)
            );
        let expr = expr.map_children(|part| self.pinned(part, is_read_once))?;
        expr.transform_data(|expr| match &expr {
            Expr::ScalarSubquery(subquery) if !subquery.outer_ref_columns.is_empty() => {
                if let Some(given) = Given::of(subquery, self.config)? {
                    let pin = self.column_of(given.of_rows);
                    let either = when(pin.clone().is_not_null(), pin).otherwise(given.of_empty)?;
                    let value = given.unpack.call(vec![either, lit(FIELD)]);
                    return Ok(Transformed::yes(value));
                }
                match is_read_once {
                    true => Ok(Transformed::no(expr)),
                    false => Ok(Transformed::yes(self.column_of(expr))),
                }
            }
            _ => Ok(Transformed::no(expr)),
        })
    }

    fn column_of(&mut self, subquery: Expr) -> Expr {
        let known = self.columns.iter().find(|(known, _)| *known == subquery);
        let name = match known {
            Some((_, name)) => name.clone(),
            None => {
                let name = self.config.alias_generator().next(PIN);
                self.columns.push((subquery, name.clone()));
                name
            }
        };
        Expr::Column(Column::new_unqualified(name))
    }
}

/// What a subquery gives.
struct Given {
    /// Of the rows that match: a struct, or null if there is none.
    of_rows: Expr,
    /// The struct if there is none.
    of_empty: Expr,
    /// The function that takes a struct's field.
    unpack: Arc<ScalarUDF>,
}

impl Given {
    /// `None` if no call reads its aggregates, or the session lacks a function.
    fn of(subquery: &Subquery, config: &dyn OptimizerConfig) -> Result<Option<Self>> {
        let Some(row) = OneRow::of(&subquery.subquery)? else {
            return Ok(None);
        };
        let [expr] = &row.columns[..] else {
            return Ok(None);
        };
        let expr = match conjunction(row.tests.clone()) {
            Some(test) => when(test, expr.clone()).end()?,
            None => expr.clone(),
        };
        if !NodeUdf::is_in(&expr) || !is_repeatable(&expr) || has_subquery(&expr) {
            return Ok(None);
        }
        let registry = config.function_registry();
        let udf = |name: &str| registry.and_then(|registry| registry.udf(name).ok());
        let count = registry.and_then(|registry| registry.udaf("count").ok());
        let (Some(count), Some(pack), Some(unpack)) =
            (count, udf("named_struct"), udf("get_field"))
        else {
            return Ok(None);
        };
        let packed = |expr: Expr| pack.call(vec![lit(FIELD), expr]);
        let of_empty = packed(row.of_empty(&expr)?);

        let mut aggregates = row.aggregate.aggr_expr.clone();
        aggregates.push(count.call(vec![lit(1_i64)]).alias(ROWS));
        let input = Arc::clone(&row.aggregate.input);
        let aggregate = Aggregate::try_new(input, Vec::new(), aggregates)?;
        let of_rows = when(col(ROWS).gt(lit(0_i64)), packed(expr)).end()?;
        let plan = LogicalPlanBuilder::new(LogicalPlan::Aggregate(aggregate));
        let plan = plan.project([of_rows.alias(FIELD)])?.build()?;
        let of_rows = Expr::ScalarSubquery(subquery.with_plan(Arc::new(plan)));
        Ok(Some(Self {
            of_rows,
            of_empty,
            unpack,
        }))
    }
}

/// The name of what a subquery gives, and of the struct's field.
const FIELD: &str = "value";
/// The name of the number of its rows.
const ROWS: &str = "__hn_rows";

/// A plan of one row: aggregates of all rows, and columns computed of them.
struct OneRow {
    aggregate: Aggregate,
    /// Over the columns of the aggregate, as are the predicates that may drop the row.
    columns: Vec<Expr>,
    tests: Vec<Expr>,
}

impl OneRow {
    fn of(plan: &LogicalPlan) -> Result<Option<Self>> {
        match plan {
            LogicalPlan::Aggregate(aggregate) if aggregate.group_expr.is_empty() => {
                let columns = aggregate.schema.columns();
                Ok(Some(Self {
                    aggregate: aggregate.clone(),
                    columns: columns.into_iter().map(Expr::Column).collect(),
                    tests: Vec::new(),
                }))
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Projection(projection) => {
                let Some(row) = Self::of(&projection.input)? else {
                    return Ok(None);
                };
                let exprs = projection.expr.iter();
                let columns = exprs.map(|expr| row.over_aggregate(expr, &projection.input));
                let columns = columns.collect::<Result<_>>()?;
                Ok(Some(Self { columns, ..row }))
            }
            LogicalPlan::Filter(filter) => {
                let Some(mut row) = Self::of(&filter.input)? else {
                    return Ok(None);
                };
                let test = row.over_aggregate(&filter.predicate, &filter.input)?;
                row.tests.push(test);
                Ok(Some(row))
            }
            _ => Ok(None),
        }
    }

    /// `expr` over the columns of `plan`, which is this row.
    fn over_aggregate(&self, expr: &Expr, plan: &LogicalPlan) -> Result<Expr> {
        let expr = expr.clone().unalias_nested().data;
        substituted(expr, |part| {
            let Expr::Column(column) = part else {
                return Ok(None);
            };
            let place = plan.schema().index_of_column(column)?;
            let column = self.columns.get(place).cloned();
            column
                .map(Some)
                .ok_or_else(|| internal_datafusion_err!("a row lacks column {place}"))
        })
    }

    /// What `expr` is where there is no row to aggregate, over the columns outside.
    fn of_empty(&self, expr: &Expr) -> Result<Expr> {
        let schema = &self.aggregate.schema;
        substituted(expr.clone(), |part| match part {
            Expr::Column(column) => {
                let place = schema.index_of_column(column)?;
                let aggregate = self.aggregate.aggr_expr.get(place);
                Ok(Some(match aggregate.map(|expr| expr.clone().unalias()) {
                    Some(Expr::AggregateFunction(aggregate)) => {
                        let of_empty = aggregate
                            .func
                            .default_value(schema.field(place).data_type());
                        Expr::Literal(of_empty?, None)
                    }
                    _ => Expr::Literal(
                        ScalarValue::try_from(schema.field(place).data_type())?,
                        None,
                    ),
                }))
            }
            Expr::OuterReferenceColumn(_, column) => Ok(Some(Expr::Column(column.clone()))),
            _ => Ok(None),
        })
    }
}

fn substituted(expr: Expr, mut by: impl FnMut(&Expr) -> Result<Option<Expr>>) -> Result<Expr> {
    let substituted = expr.transform_up(|part| {
        Ok(match by(&part)? {
            Some(other) => Transformed::yes(other),
            None => Transformed::no(part),
        })
    });
    substituted.map(|substituted| substituted.data)
}
