//! A plan with hidden columns.

use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{Column, DFSchemaRef, Result, internal_datafusion_err};
use datafusion_expr::expr::ScalarFunction;
use datafusion_expr::{
    Expr, Extension, Filter, LogicalPlan, LogicalPlanBuilder, ScalarUDF, Subquery, when,
};
use datafusion_optimizer::OptimizerConfig;

use super::demand::{Demand, any_of, demands};
use super::unique::made_name;
use crate::node_map::{MappedCall, MappedOutput, NodeMap};
use crate::udf::NodeUdf;

/// What one run of the rule knows of the whole query.
pub(super) struct Query<'a> {
    pub(super) config: &'a dyn OptimizerConfig,
    /// The node calls that stand anywhere in it, for the outputs that are asked of each.
    pub(super) functions: Vec<Arc<ScalarUDF>>,
    /// Calls without columns, and the subqueries that make each once.
    literals: Vec<(Expr, Expr)>,
    /// Subqueries, before and after.
    pub(super) subqueries: Vec<(LogicalPlan, LogicalPlan)>,
}

impl<'a> Query<'a> {
    pub(super) fn new(functions: Vec<Arc<ScalarUDF>>, config: &'a dyn OptimizerConfig) -> Self {
        Self {
            config,
            functions,
            literals: Vec::new(),
            subqueries: Vec::new(),
        }
    }

    /// The outputs of the node that the query names.
    fn fields(&self, udf: &NodeUdf) -> Vec<Option<usize>> {
        let whole = udf.whole();
        let found = self
            .functions
            .iter()
            .filter_map(|known| NodeUdf::find(known));
        let found = found.filter(|known| known.whole() == whole);
        let mut fields: Vec<_> = found.map(NodeUdf::field).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }
}

/// A plan with more columns than it was asked for, and what they hold.
pub(super) struct Extracted {
    pub(super) plan: LogicalPlan,
    pub(super) known: Vec<Known>,
}

/// A column that holds what a call gives.
#[derive(Clone)]
pub(super) struct Known {
    /// The call, over columns of the same plan.
    pub(super) call: Expr,
    pub(super) column: Column,
    /// For which rows, over columns of the same plan; `None` for every row.
    pub(super) guard: Option<Expr>,
}

/// Drops the columns that `schema` does not have.
pub(super) fn restore(plan: LogicalPlan, schema: &DFSchemaRef) -> Result<LogicalPlan> {
    if plan.schema().fields().len() == schema.fields().len() {
        return Ok(plan);
    }
    let columns = schema.iter().map(|field| Expr::Column(Column::from(field)));
    LogicalPlanBuilder::new(plan).project(columns)?.build()
}

impl Extracted {
    pub(super) fn of(plan: LogicalPlan) -> Self {
        let known = Vec::new();
        Self { plan, known }
    }

    pub(super) fn filter(&mut self, predicate: Option<Expr>) -> Result<()> {
        let Some(predicate) = predicate else {
            return Ok(());
        };
        let input = Arc::new(std::mem::take(&mut self.plan));
        self.plan = LogicalPlan::Filter(Filter::try_new(predicate, input)?);
        Ok(())
    }

    /// The expressions with a column in the place of each call.
    pub(super) fn materialise(
        &mut self,
        exprs: Vec<Expr>,
        query: &mut Query<'_>,
    ) -> Result<Vec<Expr>> {
        let made = self.make(demands(&exprs)?, query)?;
        exprs.into_iter().map(|expr| replace(expr, &made)).collect()
    }

    /// Makes the calls; what stands for each.
    pub(super) fn make(&mut self, demands: Vec<Demand>, query: &mut Query<'_>) -> Result<Made> {
        let mut making = Making {
            states: demands.iter().map(|_| State::Open).collect(),
            demands,
            made: Made::new(),
        };
        for index in 0..making.demands.len() {
            making.make(index, self, query)?;
        }
        Ok(making.made)
    }

    /// What gives the value of a call whose arguments hold none.
    fn value(
        &mut self,
        call: ScalarFunction,
        guard: Option<Expr>,
        query: &mut Query<'_>,
    ) -> Result<Expr> {
        let expr = Expr::ScalarFunction(call.clone());
        if let Some(known) = self.known.iter().find(|known| known.call == expr) {
            if known.guard.is_none() || known.guard == guard {
                return Ok(Expr::Column(known.column.clone()));
            }
            return self.complete(&expr, call, guard, query);
        }
        let Some(udf) = NodeUdf::find(&call.func) else {
            return Err(internal_datafusion_err!("{expr} is not a node"));
        };
        let is_literal = guard.is_none()
            && udf.bound().node.declared().pure
            && !call
                .args
                .iter()
                .any(|arg| arg.any_column_refs() || !is_settled(arg) || arg.is_volatile());
        if is_literal {
            return literal(expr, call, query);
        }
        let made = self.map(udf, call.args.clone(), guard, query)?;
        self.known.extend(made);
        self.column_of(&expr)
    }

    fn column_of(&self, call: &Expr) -> Result<Expr> {
        let known = self.known.iter().find(|known| known.call == *call);
        let column = known.map(|known| Expr::Column(known.column.clone()));
        column.ok_or_else(|| internal_datafusion_err!("{call} made no column"))
    }

    /// Makes a call that some rows had, for rows of `guard` that had it not.
    fn complete(
        &mut self,
        expr: &Expr,
        call: ScalarFunction,
        guard: Option<Expr>,
        query: &mut Query<'_>,
    ) -> Result<Expr> {
        let known = self.known.iter().find(|known| known.call == *expr);
        let had = known.and_then(|known| known.guard.clone());
        let (Some(had), Some(udf)) = (had, NodeUdf::find(&call.func)) else {
            return Err(internal_datafusion_err!("{expr} is made for all rows"));
        };
        let missing = had.clone().is_not_true();
        let missing = match &guard {
            Some(guard) => guard.clone().and(missing),
            None => missing,
        };
        let kept = self.plan.schema().iter().map(Column::from);
        let mut columns: Vec<Expr> = kept.map(Expr::Column).collect();
        let made = self.map(udf, call.args.clone(), Some(missing), query)?;
        let mut completed = Vec::new();
        for new in made {
            let name = made_name(query.config);
            let Some(old) = self.known.iter_mut().find(|known| known.call == new.call) else {
                continue;
            };
            let (one, other) = (old.column.clone(), new.column);
            let either = completed_by(&had, Expr::Column(one), Expr::Column(other))?;
            columns.push(either.alias(&name));
            let column = Column::new_unqualified(name);
            let old_column = std::mem::replace(&mut old.column, column.clone());
            completed.push((Expr::Column(old_column), Expr::Column(column)));
            old.guard = guard.clone().map(|guard| guard.or(had.clone()));
        }
        // Calls of what was made are the same calls of what is now, for the rows they were made for.
        for known in self.known.iter_mut().filter(|known| known.guard.is_some()) {
            known.call = replace(known.call.clone(), &completed)?;
        }
        let builder = LogicalPlanBuilder::new(std::mem::take(&mut self.plan));
        self.plan = builder.project(columns)?.build()?;
        self.column_of(expr)
    }

    /// Calls a node on top of the plan, for each of its outputs that the query names.
    fn map(
        &mut self,
        udf: &NodeUdf,
        args: Vec<Expr>,
        guard: Option<Expr>,
        query: &Query<'_>,
    ) -> Result<Vec<Known>> {
        let (mut outputs, mut made) = (Vec::new(), Vec::new());
        for field in query.fields(udf) {
            let name = made_name(query.config);
            let call = ScalarUDF::new_from_impl(udf.for_field(field)).call(args.clone());
            let column = Column::new_unqualified(&name);
            let guard = guard.clone();
            made.push(Known {
                call,
                column,
                guard,
            });
            outputs.push(MappedOutput { field, name });
        }
        let whole = Arc::new(ScalarUDF::new_from_impl(udf.whole()));
        let call = MappedCall {
            function: ScalarFunction::new_udf(whole, args),
            guard,
            outputs,
            keeps_order: false,
            once_per: None,
        };
        let input = std::mem::take(&mut self.plan);
        let node = Arc::new(NodeMap::try_new(input, vec![call])?);
        self.plan = LogicalPlan::Extension(Extension { node });
        Ok(made)
    }
}

/// A call whose value no row changes is made once, by a query of one row.
fn literal(expr: Expr, call: ScalarFunction, query: &mut Query<'_>) -> Result<Expr> {
    let known = query.literals.iter().find(|(known, _)| *known == expr);
    if let Some((_, value)) = known {
        return Ok(value.clone());
    }
    let Some(udf) = NodeUdf::find(&call.func) else {
        return Err(internal_datafusion_err!("{expr} is not a node"));
    };
    let mut row = Extracted::of(LogicalPlanBuilder::empty(true).build()?);
    let made = row.map(udf, call.args.clone(), None, query)?;
    let mut value = None;
    for Known { call, column, .. } in made {
        let plan = LogicalPlanBuilder::new(row.plan.clone());
        let plan = plan.project([Expr::Column(column)])?.build()?;
        let subquery = Expr::ScalarSubquery(Subquery {
            subquery: Arc::new(plan),
            outer_ref_columns: Vec::new(),
            spans: Default::default(),
        });
        if call == expr {
            value = Some(subquery.clone());
        }
        query.literals.push((call, subquery));
    }
    value.ok_or_else(|| internal_datafusion_err!("{expr} made no column"))
}

/// Whether its subqueries are scalar ones of their own, which are run once.
fn is_settled(expr: &Expr) -> bool {
    let is_open = |part: &Expr| match part {
        Expr::ScalarSubquery(subquery) => !subquery.outer_ref_columns.is_empty(),
        other => is_subquery(other),
    };
    !expr.exists(|part| Ok(is_open(part))).unwrap_or(true)
}

pub(crate) fn has_subquery(expr: &Expr) -> bool {
    expr.exists(|part| Ok(is_subquery(part))).unwrap_or(true)
}

fn is_subquery(part: &Expr) -> bool {
    matches!(
        part,
        Expr::Exists(_) | Expr::InSubquery(_) | Expr::ScalarSubquery(_) | Expr::SetComparison(_)
    )
}

/// What was made where `had` is true, and what was made for the other rows.
pub(crate) fn completed_by(had: &Expr, one: Expr, other: Expr) -> Result<Expr> {
    when(had.clone().is_true(), one).otherwise(other)
}

/// Calls as they are written, and what stands for each.
pub(crate) type Made = Vec<(Expr, Expr)>;

pub(crate) fn replace(expr: Expr, made: &Made) -> Result<Expr> {
    let replaced = expr.transform_down(|part| {
        let known = made.iter().find(|(call, _)| *call == part);
        Ok(match known {
            Some((_, value)) => Transformed::new(value.clone(), true, TreeNodeRecursion::Jump),
            None => Transformed::no(part),
        })
    })?;
    Ok(replaced.data)
}

#[derive(Clone, Copy, PartialEq)]
enum State {
    Open,
    Begun,
    Done,
}

/// Calls that are made one after the other, those that others need first.
struct Making {
    demands: Vec<Demand>,
    states: Vec<State>,
    made: Made,
}

impl Making {
    /// `false` if the call needs one that waits for it.
    fn make(
        &mut self,
        index: usize,
        extracted: &mut Extracted,
        query: &mut Query<'_>,
    ) -> Result<bool> {
        if self.states[index] != State::Open {
            return Ok(self.states[index] == State::Done);
        }
        self.states[index] = State::Begun;
        let Expr::ScalarFunction(call) = self.demands[index].call.clone() else {
            return Err(internal_datafusion_err!("a call is a scalar function"));
        };
        for arg in &call.args {
            if !self.make_all(arg, extracted, query)? {
                self.states[index] = State::Open;
                return Ok(false);
            }
        }
        // Two calls may guard each other; then one of them does without such a test.
        let mut guards = Vec::new();
        for guard in self.demands[index].guards.clone() {
            let mut tests = Vec::with_capacity(guard.len());
            for test in guard {
                if self.make_all(&test, extracted, query)? {
                    tests.push(replace(test, &self.made)?);
                }
            }
            guards.push(tests);
        }
        let guard = any_of(guards);
        let args = call.args.iter().cloned();
        let args = args
            .map(|arg| replace(arg, &self.made))
            .collect::<Result<_>>()?;
        let written = Expr::ScalarFunction(call.clone());
        let call = ScalarFunction::new_udf(call.func, args);
        let value = extracted.value(call, guard, query)?;
        self.made.push((written, value));
        self.states[index] = State::Done;
        Ok(true)
    }

    /// Makes all the calls in `expr`.
    fn make_all(
        &mut self,
        expr: &Expr,
        extracted: &mut Extracted,
        query: &mut Query<'_>,
    ) -> Result<bool> {
        let mut needed = Vec::new();
        expr.apply(|part| {
            let index = self.demands.iter().position(|known| known.call == *part);
            needed.extend(index);
            Ok(match index {
                Some(_) => TreeNodeRecursion::Jump,
                None => TreeNodeRecursion::Continue,
            })
        })?;
        for index in needed {
            if !self.make(index, extracted, query)? {
                return Ok(false);
            }
        }
        Ok(true)
    }
}
