//! A run of projections, aliases, filters and calls, as steps on a base.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, Result, TableReference, internal_datafusion_err};
use datafusion_expr::utils::{split_conjunction, split_conjunction_owned};
use datafusion_expr::{Expr, Extension, Filter, LogicalPlan, Projection, SubqueryAlias};

use crate::names::has_unique_names;
use crate::node_map::{MappedCall, MappedOutput, NodeMap};
use crate::share::row_id;

/// One step, over the base's columns and those of calls below.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Step {
    Call(MappedCall),
    Filter(Expr),
}

/// A plan as steps on a base.
pub(super) struct Chain {
    pub(super) base: LogicalPlan,
    /// From the base up.
    pub(super) steps: Vec<Step>,
    /// What each column of the plan is, over the base's columns and those of calls.
    pub(super) columns: Vec<Expr>,
    /// Whether the plan has predicates more than once, as DataFusion infers them, or calls.
    pub(super) repeats: bool,
}

impl Step {
    pub(super) fn is_filter(&self) -> bool {
        matches!(self, Self::Filter(_))
    }

    /// Whether it may be made for other rows too, or not for all: a predicate, or a pure call.
    pub(super) fn is_repeatable(&self) -> bool {
        match self {
            Self::Call(call) => call.is_repeatable(),
            Self::Filter(_) => true,
        }
    }

    /// The columns it reads.
    pub(super) fn reads(&self) -> HashSet<Column> {
        match self {
            Self::Filter(predicate) => owned(predicate),
            Self::Call(call) => call.exprs().flat_map(owned).collect(),
        }
    }

    /// The columns it makes.
    pub(super) fn makes(&self) -> impl Iterator<Item = Column> {
        let outputs = match self {
            Self::Call(call) => &call.outputs[..],
            Self::Filter(_) => &[],
        };
        let names = outputs.iter().map(|output| &output.name);
        names.map(Column::new_unqualified)
    }

    /// The same where rows come in an order that must be kept.
    pub(super) fn keeping_order(self) -> Self {
        match self {
            Self::Call(call) => Self::Call(MappedCall {
                keeps_order: true,
                ..call
            }),
            filter => filter,
        }
    }

    /// The same over what `substitute` puts in the place of columns.
    pub(super) fn rewritten(
        &self,
        mut substitute: impl FnMut(&Expr) -> Result<Expr>,
    ) -> Result<Self> {
        Ok(match self {
            Self::Filter(predicate) => Self::Filter(substitute(predicate)?),
            Self::Call(call) => {
                let exprs = call
                    .exprs()
                    .map(&mut substitute)
                    .collect::<Result<Vec<_>>>()?;
                Self::Call(call.with_exprs(&mut exprs.into_iter()))
            }
        })
    }
}

pub(super) fn owned(expr: &Expr) -> HashSet<Column> {
    expr.column_refs().into_iter().cloned().collect()
}

/// Those of the columns that a plan has.
pub(super) fn of_side(side: &LogicalPlan, columns: &HashSet<Column>) -> HashSet<Column> {
    let has = |column: &&Column| side.schema().maybe_index_of_column(column).is_some();
    columns.iter().filter(has).cloned().collect()
}

/// Whether steps may be moved across the expression: it gives the same wherever it stands.
fn is_movable(expr: &Expr) -> bool {
    !expr.is_volatile() && !expr.contains_outer()
}

impl Chain {
    /// The plan as a chain; the base is whatever nothing can be moved across.
    pub(super) fn of(plan: &LogicalPlan) -> Result<Self> {
        match plan {
            LogicalPlan::Projection(projection) if projection.expr.iter().all(is_movable) => {
                let mut chain = Self::of(&projection.input)?;
                let columns = projection.expr.iter();
                let columns = columns.map(|expr| chain.over_base(expr, projection.input.schema()));
                chain.columns = columns.collect::<Result<_>>()?;
                Ok(chain)
            }
            LogicalPlan::SubqueryAlias(alias) => Self::of(&alias.input),
            LogicalPlan::Filter(filter) if is_movable(&filter.predicate) => {
                let mut chain = Self::of(&filter.input)?;
                for conjunct in split_conjunction(&filter.predicate) {
                    let conjunct = chain.over_base(conjunct, filter.input.schema())?;
                    let step = Step::Filter(conjunct);
                    if chain.steps.contains(&step) {
                        chain.repeats = true;
                    } else {
                        chain.steps.push(step);
                    }
                }
                Ok(chain)
            }
            other => match NodeMap::of(other) {
                Some(map) => {
                    let mut chain = Self::of(map.input())?;
                    for call in map.calls() {
                        let schema = map.input().schema();
                        let exprs = call.exprs().map(|expr| chain.over_base(expr, schema));
                        let exprs = exprs.collect::<Result<Vec<_>>>()?;
                        chain.call(call.with_exprs(&mut exprs.into_iter()));
                    }
                    Ok(chain)
                }
                None => {
                    let columns = other.schema().iter().map(Column::from);
                    Ok(Self {
                        base: other.clone(),
                        steps: Vec::new(),
                        columns: columns.map(Expr::Column).collect(),
                        repeats: false,
                    })
                }
            },
        }
    }

    /// One more call, or its columns as those of an equal one that is made for the same rows.
    fn call(&mut self, call: MappedCall) {
        let is_repeatable = call.is_repeatable();
        let equal = self.steps.iter_mut().find_map(|step| match step {
            Step::Call(made) => (is_repeatable
                && made.function == call.function
                && made.once_per == call.once_per
                && (made.guard.is_none() || made.guard == call.guard))
                .then_some(made),
            Step::Filter(_) => None,
        });
        let column = |output: &MappedOutput| Expr::Column(Column::new_unqualified(&output.name));
        match equal {
            Some(made) => {
                self.repeats = true;
                made.keeps_order |= call.keeps_order;
                for output in call.outputs {
                    let known = made.outputs.iter();
                    let known = known.clone().find(|known| known.field == output.field);
                    self.columns.push(column(known.unwrap_or(&output)));
                    if known.is_none() {
                        made.outputs.push(output);
                    }
                }
            }
            None => {
                self.columns.extend(call.outputs.iter().map(column));
                self.steps.push(Step::Call(call));
            }
        }
    }

    /// The steps on another base that has the same columns, under the names that `schema` has.
    pub(super) fn on(self, base: LogicalPlan, schema: &DFSchema) -> Result<LogicalPlan> {
        named(stack(base, self.steps)?, self.columns, names(schema))
    }

    pub(super) fn has_calls(&self) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Call(_)))
    }

    /// `expr`, over the columns of the chain's plan, whose schema this is, over the base's.
    pub(super) fn over_base(&self, expr: &Expr, schema: &DFSchema) -> Result<Expr> {
        let expr = expr.clone().unalias_nested().data;
        let substituted = expr.transform_up(|part| match part {
            Expr::Column(column) => {
                let position = schema.index_of_column(&column)?;
                let column = self.columns.get(position).cloned();
                let column = column
                    .ok_or_else(|| internal_datafusion_err!("a chain lacks column {position}"))?;
                Ok(Transformed::yes(column))
            }
            other => Ok(Transformed::no(other)),
        })?;
        Ok(substituted.data)
    }

    /// The same of an expression that also reads columns of another plan.
    pub(super) fn over_side(&self, expr: &Expr, schema: &DFSchema) -> Result<Expr> {
        let substituted = expr.clone().transform_up(|part| match &part {
            Expr::Column(column) if schema.maybe_index_of_column(column).is_some() => {
                self.over_base(&part, schema).map(Transformed::yes)
            }
            _ => Ok(Transformed::no(part)),
        })?;
        Ok(substituted.data)
    }

    /// The steps that make the columns, and those that they need in turn.
    pub(super) fn needed(&self, columns: impl IntoIterator<Item = Column>) -> HashSet<usize> {
        let mut needed = HashSet::new();
        let mut open: Vec<Column> = columns.into_iter().collect();
        while let Some(column) = open.pop() {
            let maker = self
                .steps
                .iter()
                .position(|step| step.makes().any(|made| made == column));
            if let Some(maker) = maker
                && needed.insert(maker)
            {
                open.extend(self.steps[maker].reads());
            }
        }
        needed
    }

    /// The columns, and what the steps read that they need.
    pub(super) fn with_needed(&self, mut columns: HashSet<Column>) -> HashSet<Column> {
        let needed = self.needed(columns.clone());
        columns.extend(needed.iter().flat_map(|step| self.steps[*step].reads()));
        columns
    }

    /// What columns of the chain's plan, whose schema this is, read of the base and of calls.
    pub(super) fn read_by(
        &self,
        columns: HashSet<Column>,
        schema: &DFSchema,
    ) -> Result<HashSet<Column>> {
        let exprs = columns.into_iter().map(Expr::Column);
        let exprs = exprs.map(|column| self.over_base(&column, schema));
        let exprs = exprs.collect::<Result<Vec<_>>>()?;
        Ok(exprs.iter().flat_map(owned).collect())
    }

    /// The calls whose arguments are the same for all rows: they read nothing but what such calls
    /// make.
    pub(super) fn constants(&self) -> HashSet<usize> {
        let (mut constants, mut made) = (HashSet::new(), HashSet::new());
        for (index, step) in self.steps.iter().enumerate() {
            if let Step::Call(call) = step
                && call.is_repeatable()
                && call.function.args.iter().all(|arg| !arg.contains_outer())
                && call
                    .function
                    .args
                    .iter()
                    .flat_map(owned)
                    .all(|column| made.contains(&column))
            {
                constants.insert(index);
                made.extend(step.makes());
            }
        }
        constants
    }

    /// The chain on a base that can stand beside a plan of this schema.
    pub(super) fn apart_from(self, other: &DFSchema) -> Result<Self> {
        let is_taken = |column: &Column| {
            other.iter().any(|(qualifier, field)| {
                let clashes = qualifier.is_none()
                    || column.relation.is_none()
                    || qualifier == column.relation.as_ref();
                *field.name() == column.name && clashes
            })
        };
        let own = self.base.schema();
        if !own.columns().iter().any(is_taken) {
            return Ok(self);
        }
        let known = own.fields().iter().chain(other.fields());
        let known: HashSet<String> = known.map(|field| field.name().clone()).collect();
        let names = (1..).map(|number| format!("__hn_base_{number}"));
        self.with_names(names.filter(|name| !known.contains(name)))
    }

    /// The base with columns of these names, which nothing else has.
    fn with_names(self, names: impl Iterator<Item = String>) -> Result<Self> {
        let fields: Vec<Column> = self.base.schema().iter().map(Column::from).collect();
        let names: Vec<String> = names.take(fields.len()).collect();
        let exprs = std::iter::zip(&fields, &names);
        let exprs = exprs.map(|(column, name)| Expr::Column(column.clone()).alias(name));
        let base = Projection::try_new(exprs.collect(), Arc::new(self.base))?;
        let renamed = |expr: &Expr| {
            let renamed = expr.clone().transform_up(|part| match part {
                Expr::Column(column) => {
                    let place = fields.iter().position(|known| *known == column);
                    let column =
                        place.map_or(column, |place| Column::new_unqualified(&names[place]));
                    Ok(Transformed::yes(Expr::Column(column)))
                }
                other => Ok(Transformed::no(other)),
            });
            renamed.map(|renamed| renamed.data)
        };
        let steps = self.steps.iter().map(|step| step.rewritten(renamed));
        Ok(Self {
            base: LogicalPlan::Projection(base),
            steps: steps.collect::<Result<_>>()?,
            columns: self.columns.iter().map(renamed).collect::<Result<_>>()?,
            repeats: self.repeats,
        })
    }
}

/// The plan with one more column, of this name, that numbers its rows, below its calls.
pub(crate) fn numbered(plan: &LogicalPlan, name: &str) -> Result<LogicalPlan> {
    let chain = Chain::of(plan)?;
    let columns = chain.base.schema().columns().into_iter().map(Expr::Column);
    let row = row_id().call(Vec::new()).alias(name);
    let base = Projection::try_new(columns.chain([row]).collect(), Arc::new(chain.base))?;
    let numbered = stack(LogicalPlan::Projection(base), chain.steps)?;
    let row = Expr::Column(Column::new_unqualified(name));
    let columns = chain.columns.into_iter().chain([row]);
    named(
        numbered,
        columns,
        names(plan.schema()).chain([(None, name)]),
    )
}

/// For each call of a map, whether it and what it reads are the same for all rows that need it.
pub(crate) fn constants(map: &NodeMap) -> Result<Vec<bool>> {
    let mut chain = Chain::of(map.input())?;
    let schema = map.input().schema();
    let own = map.calls().iter().map(|call| {
        let step = Step::Call(call.clone());
        step.rewritten(|expr| chain.over_base(expr, schema))
    });
    let own = own.collect::<Result<Vec<_>>>()?;
    let below = chain.steps.len();
    let count = own.len();
    chain.steps.extend(own);
    let constants = chain.constants();
    let own = below..below + count;
    Ok(own.map(|index| constants.contains(&index)).collect())
}

/// Gives the columns of a join below calls and filters names of their own: physical filters are
/// moved down by the names of their columns, which the sides of a join may share.
pub(crate) fn with_names_apart(plan: LogicalPlan) -> Result<LogicalPlan> {
    let mut unused = (1..).map(|number| format!("__hn_of_{number}"));
    let apart = plan.transform_down_with_subqueries(|plan| {
        let chain = Chain::of(&plan)?;
        if chain.steps.is_empty() || has_unique_names(chain.base.schema()) || is_apart(&plan) {
            return Ok(Transformed::no(plan));
        }
        let Chain {
            base,
            steps,
            columns,
            ..
        } = chain.with_names(&mut unused)?;
        let apart = stack(base, steps)?;
        named(apart, columns, names(plan.schema())).map(Transformed::yes)
    });
    Ok(apart?.data)
}

/// Whether the lowest step of the chain stands on columns of names of their own.
fn is_apart(plan: &LogicalPlan) -> bool {
    let mut lowest = plan;
    while let Some(next) = below(lowest) {
        if below(next).is_none() {
            let is_projection = matches!(lowest, LogicalPlan::Projection(_));
            return is_projection && has_unique_names(lowest.schema());
        }
        lowest = next;
    }
    false
}

/// What the chain goes on to below a plan; `None` of its base.
fn below(plan: &LogicalPlan) -> Option<&LogicalPlan> {
    match plan {
        LogicalPlan::Projection(projection) => {
            let is_link = projection.expr.iter().all(is_movable);
            is_link.then_some(projection.input.as_ref())
        }
        LogicalPlan::Filter(filter) => {
            is_movable(&filter.predicate).then_some(filter.input.as_ref())
        }
        LogicalPlan::SubqueryAlias(alias) => Some(&alias.input),
        other => NodeMap::of(other).map(NodeMap::input),
    }
}

/// The steps on a plan.
pub(super) fn stack(
    plan: LogicalPlan,
    steps: impl IntoIterator<Item = Step>,
) -> Result<LogicalPlan> {
    steps.into_iter().try_fold(plan, |plan, step| match step {
        Step::Filter(predicate) => {
            let predicates = split_conjunction_owned(predicate);
            let filter = |plan, predicate| {
                Ok(LogicalPlan::Filter(Filter::try_new(
                    predicate,
                    Arc::new(plan),
                )?))
            };
            predicates.into_iter().try_fold(plan, filter)
        }
        Step::Call(call) => {
            let node = Arc::new(NodeMap::try_new(plan, vec![call])?);
            Ok(LogicalPlan::Extension(Extension { node }))
        }
    })
}

/// A projection that gives `columns` the names that `schema` has.
///
/// DataFusion's `OptimizeProjections` drops an alias of an expression's own name together with its
/// qualifier, so that a qualifier of all columns is an alias of the whole then.
pub(super) fn named<'a>(
    plan: LogicalPlan,
    columns: impl IntoIterator<Item = Expr>,
    schema: impl IntoIterator<Item = (Option<&'a TableReference>, &'a str)>,
) -> Result<LogicalPlan> {
    let columns: Vec<(Expr, _)> = std::iter::zip(columns, schema).collect();
    let is_own = |(expr, (_, name)): &(Expr, (_, &str))| {
        !matches!(expr, Expr::Column(_)) && expr.schema_name().to_string() == *name
    };
    let whole = match &columns[..] {
        [(_, (Some(first), _)), rest @ ..]
            if columns.iter().any(is_own)
                && rest.iter().all(|(_, (other, _))| *other == Some(*first)) =>
        {
            Some((*first).clone())
        }
        _ => None,
    };
    let exprs = columns.into_iter().map(|(expr, (qualifier, name))| {
        let qualifier = qualifier.filter(|_| whole.is_none());
        match &expr {
            Expr::Column(column)
                if column.relation.as_ref() == qualifier && column.name == name =>
            {
                expr
            }
            _ => expr.alias_qualified(qualifier.cloned(), name),
        }
    });
    let projection = Projection::try_new(exprs.collect(), Arc::new(plan))?;
    let projection = LogicalPlan::Projection(projection);
    Ok(match whole {
        Some(name) => {
            LogicalPlan::SubqueryAlias(SubqueryAlias::try_new(Arc::new(projection), name)?)
        }
        None => projection,
    })
}

/// The names of a schema's fields.
pub(super) fn names(schema: &DFSchema) -> impl Iterator<Item = (Option<&TableReference>, &str)> {
    schema
        .iter()
        .map(|(qualifier, field)| (qualifier, field.name().as_str()))
}
