//! Moves every call of a node into a [`NodeMap`].

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchemaRef, Result, internal_datafusion_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::expr_rewriter::NamePreserver;
use datafusion_expr::utils::{conjunction, split_conjunction_owned};
use datafusion_expr::{
    Expr, Extension, Filter, LogicalPlan, LogicalPlanBuilder, Projection, ScalarUDF, SubqueryAlias,
};
use datafusion_optimizer::{ApplyOrder, OptimizerConfig, OptimizerRule};
use hypernodes_graph::{Error, ErrorKind};

use crate::error::to_datafusion;
use crate::node_map::{MappedCall, MappedOutput, NodeMap};
use crate::udf::NodeUdf;

/// The last optimizer rule: each call becomes a column that a [`NodeMap`] below makes, and
/// every other place that calls the same definition with the same arguments reads that column.
///
/// By now DataFusion has dropped the nodes that nobody asks for and has moved filters and
/// limits down. Once a call is a column, it is no longer volatile, and DataFusion's next pass
/// moves predicates in between the nodes.
///
/// Calls in projections and filters are extracted, at any depth of nesting. A call anywhere
/// else is refused with an error that names the operator.
#[derive(Debug, Default)]
pub struct ExtractNodes;

impl OptimizerRule for ExtractNodes {
    fn name(&self) -> &str {
        "extract_nodes"
    }

    fn apply_order(&self) -> Option<ApplyOrder> {
        None
    }

    fn rewrite(
        &self,
        plan: LogicalPlan,
        config: &dyn OptimizerConfig,
    ) -> Result<Transformed<LogicalPlan>> {
        let mut calls = false;
        plan.apply_with_subqueries(|plan| {
            plan.apply_expressions(|expr| {
                calls |= NodeUdf::is_in(expr);
                Ok(TreeNodeRecursion::Continue)
            })
        })?;
        if !calls {
            return Ok(Transformed::no(plan));
        }
        extract_exactly(plan, config).map(Transformed::yes)
    }
}

/// A plan with more columns than it was asked for, and what they hold.
struct Extracted {
    plan: LogicalPlan,
    known: Vec<Known>,
}

/// A column that holds what a call gives.
struct Known {
    /// The call, over columns of the same plan.
    call: Expr,
    column: Column,
}

/// Extracts, and restores the columns of the plan.
fn extract_exactly(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<LogicalPlan> {
    let schema = Arc::clone(plan.schema());
    restore(extract(plan, config)?.plan, &schema)
}

fn restore(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<LogicalPlan> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    let columns = schema.iter().map(|field| Expr::Column(Column::from(field)));
    LogicalPlanBuilder::new(plan).project(columns)?.build()
}

fn extract(plan: LogicalPlan, config: &dyn OptimizerConfig) -> Result<Extracted> {
    let plan = plan
        .map_subqueries(|query| extract_exactly(query, config).map(Transformed::yes))?
        .data;
    match plan {
        LogicalPlan::Projection(projection) => extract_projection(projection, config),
        LogicalPlan::Filter(filter) => extract_filter(filter, config),
        LogicalPlan::SubqueryAlias(alias) => extract_alias(alias, config),
        LogicalPlan::Limit(mut limit) => {
            let Extracted { plan, known } = extract(Arc::unwrap_or_clone(limit.input), config)?;
            limit.input = Arc::new(plan);
            let plan = LogicalPlan::Limit(limit);
            Ok(Extracted { plan, known })
        }
        other => {
            refuse(&other)?;
            let plan = other
                .map_children(|child| extract_exactly(child, config).map(Transformed::yes))?
                .data;
            let known = Vec::new();
            Ok(Extracted { plan, known })
        }
    }
}

/// Calls belong to projections and filters.
fn refuse(plan: &LogicalPlan) -> Result<()> {
    let mut found = None;
    plan.apply_expressions(|expr| {
        expr.apply(|part| {
            found = found
                .take()
                .or_else(|| NodeUdf::called_by(part).map(|udf| udf.bound().node.name().to_owned()));
            Ok(TreeNodeRecursion::Continue)
        })
    })?;
    let Some(node) = found else {
        return Ok(());
    };
    let operator = plan.display().to_string();
    let message = format!(
        "node {node:?} is called where that is not supported; call it in a subquery's SELECT and use its column here: {operator}"
    );
    Err(to_datafusion(Error::new(ErrorKind::Unsupported, message)))
}

fn extract_projection(projection: Projection, config: &dyn OptimizerConfig) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(projection.input), config)?;
    let names = NamePreserver::new_for_projection();
    let mut exprs = Vec::with_capacity(projection.expr.len());
    for expr in projection.expr {
        let name = names.save(&expr);
        exprs.push(name.restore(input.materialise(expr, config)?));
    }
    let passed: Vec<(Column, Column)> = exprs
        .iter()
        .filter_map(|expr| match expr.clone().unalias_nested().data {
            Expr::Column(column) => {
                let (qualifier, name) = expr.qualified_name();
                Some((column, Column::new(qualifier, name)))
            }
            _ => None,
        })
        .collect();
    let renamed = |column: &Column| {
        let found = passed.iter().find(|(from, _)| from == column);
        found.map(|(_, to)| to.clone())
    };
    let mut known = Vec::new();
    for Known { call, column } in input.known {
        let Some(call) = rename(call, renamed)? else {
            continue;
        };
        let column = renamed(&column).unwrap_or_else(|| {
            exprs.push(Expr::Column(column.clone()));
            column
        });
        known.push(Known { call, column });
    }
    let projection = Projection::try_new(exprs, Arc::new(input.plan))?;
    let plan = LogicalPlan::Projection(projection);
    Ok(Extracted { plan, known })
}

fn extract_filter(filter: Filter, config: &dyn OptimizerConfig) -> Result<Extracted> {
    let mut input = extract(Arc::unwrap_or_clone(filter.input), config)?;
    let conjuncts = split_conjunction_owned(filter.predicate);
    let (calling, free): (Vec<_>, Vec<_>) = conjuncts.into_iter().partition(NodeUdf::is_in);
    input.filter(conjunction(free))?;
    for conjunct in calling {
        let conjunct = input.materialise(conjunct, config)?;
        input.filter(Some(conjunct))?;
    }
    Ok(input)
}

fn extract_alias(alias: SubqueryAlias, config: &dyn OptimizerConfig) -> Result<Extracted> {
    let input = extract(Arc::unwrap_or_clone(alias.input), config)?;
    let fields = input.plan.schema().iter().map(Column::from);
    let fields: Vec<Column> = fields.collect();
    let plan = SubqueryAlias::try_new(Arc::new(input.plan), alias.alias)?;
    let renamed = |column: &Column| {
        let position = fields.iter().position(|field| field == column)?;
        Some(Column::from(plan.schema.qualified_field(position)))
    };
    let mut known = Vec::new();
    for Known { call, column } in input.known {
        if let (Some(call), Some(column)) = (rename(call, renamed)?, renamed(&column)) {
            known.push(Known { call, column });
        }
    }
    let plan = LogicalPlan::SubqueryAlias(plan);
    Ok(Extracted { plan, known })
}

/// The expression over renamed columns, if each of its columns has a new name.
fn rename(expr: Expr, renamed: impl Fn(&Column) -> Option<Column>) -> Result<Option<Expr>> {
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

impl Extracted {
    fn filter(&mut self, predicate: Option<Expr>) -> Result<()> {
        let Some(predicate) = predicate else {
            return Ok(());
        };
        let input = Arc::new(std::mem::take(&mut self.plan));
        self.plan = LogicalPlan::Filter(Filter::try_new(predicate, input)?);
        Ok(())
    }

    /// The expression with a column in the place of each call, the innermost first.
    fn materialise(&mut self, expr: Expr, config: &dyn OptimizerConfig) -> Result<Expr> {
        let materialised = expr.transform_up(|part| {
            let Expr::ScalarFunction(function) = part else {
                return Ok(Transformed::no(part));
            };
            let Some(udf) = NodeUdf::find(&function.func) else {
                return Ok(Transformed::no(Expr::ScalarFunction(function)));
            };
            let call = Expr::ScalarFunction(function.clone());
            let found = |known: &Known| (known.call == call).then(|| known.column.clone());
            if let Some(column) = self.known.iter().find_map(found) {
                return Ok(Transformed::yes(Expr::Column(column)));
            }
            self.map(udf, function.args.clone(), config)?;
            let column = self.known.iter().find_map(found);
            let column = column.ok_or_else(|| internal_datafusion_err!("{call} made no column"))?;
            Ok(Transformed::yes(Expr::Column(column)))
        })?;
        Ok(materialised.data)
    }

    /// Calls a node on top of the plan, for each of its outputs and for all that it makes.
    fn map(&mut self, udf: &NodeUdf, args: Vec<Expr>, config: &dyn OptimizerConfig) -> Result<()> {
        let several = udf.bound().node.outputs().len();
        let fields: Vec<Option<usize>> = match several {
            1 => vec![None],
            _ => std::iter::once(None)
                .chain((0..several).map(Some))
                .collect(),
        };
        let mut outputs = Vec::with_capacity(fields.len());
        for field in fields {
            let name = self.free_name(config);
            let given =
                field.map_or_else(|| udf.whole(), |field| NodeUdf::output(udf.bound(), field));
            let call = ScalarUDF::new_from_impl(given).call(args.clone());
            let column = Column::new_unqualified(&name);
            self.known.push(Known { call, column });
            outputs.push(MappedOutput { field, name });
        }
        let function =
            ScalarFunction::new_udf(Arc::new(ScalarUDF::new_from_impl(udf.whole())), args);
        let call = MappedCall {
            function,
            guard: None,
            outputs,
        };
        let input = std::mem::take(&mut self.plan);
        let node = Arc::new(NodeMap::try_new(input, vec![call])?);
        self.plan = LogicalPlan::Extension(Extension { node });
        Ok(())
    }

    /// A name that no column of the plan has: an optimised plan may be part of a later query.
    fn free_name(&self, config: &dyn OptimizerConfig) -> String {
        loop {
            let name = config.alias_generator().next("__hn");
            let fields = self.plan.schema().fields();
            if fields.iter().all(|field| *field.name() != name) {
                return name;
            }
        }
    }
}
