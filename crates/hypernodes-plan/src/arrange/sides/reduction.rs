//! A semi join that leaves the rows of a side that a join can use.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode, TreeNodeRecursion};
use datafusion_common::{
    Column, DFSchema, DataFusionError, ExprSchema, JoinConstraint, JoinType, NullEquality, Result,
    TableReference,
};
use datafusion_expr::expr_fn::ident;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{
    Aggregate, Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias, Union, lit,
};
use datafusion_optimizer::OptimizerConfig;

use super::super::chain::{Chain, Step, named, names, owned, stack};
use super::bare::{Bare, bare, has_all, has_calls};
use crate::total::is_total;

/// The alias of a side's keys: what tells that the other side was reduced already.
const KEYS: &str = "__hn_keys";

/// What rows of a side must match to be used by the join.
#[derive(Clone)]
pub(super) struct Conditions {
    /// An expression of the side, and what it must equal.
    on: Vec<(Expr, Expr)>,
    filter: Vec<Expr>,
}

/// What the other side of a join offers to match a side by.
pub(in super::super) struct Offer {
    other: LogicalPlan,
    /// Over both sides.
    conditions: Conditions,
    /// Whether the rows that match are just those that the join uses.
    pub(in super::super) is_exact: bool,
}

/// What a side is reduced by.
pub(super) struct Reduction {
    keys: LogicalPlan,
    tables: Vec<TableReference>,
    null_equality: NullEquality,
}

/// A side of a join, the other one, and the keys of both.
pub(super) fn oriented(
    join: &Join,
    is_left: bool,
) -> (&LogicalPlan, &LogicalPlan, Vec<(Expr, Expr)>) {
    let on = join.on.iter().cloned();
    match is_left {
        true => (&join.left, &join.right, on.collect()),
        false => {
            let on = on.map(|(left, right)| (right, left)).collect();
            (&join.right, &join.left, on)
        }
    }
}

impl Offer {
    /// By what a side can be reduced; `None` if by nothing.
    ///
    /// What the other side was itself reduced by, to rows that match tables of this one, is left
    /// out, or two sides would reduce each other without end.
    pub(in super::super) fn of(join: &Join, is_left: bool) -> Result<Option<Self>> {
        let (side, other, on) = oriented(join, is_left);
        let own_tables = tables(side)?;
        let mut is_all_own = true;
        let other = other.clone().transform_up(|plan| match plan {
            LogicalPlan::Join(join)
                if is_reduction(&join) && overlap(&join.right, &own_tables)? =>
            {
                is_all_own &= is_reduced_by(&join, &on);
                Ok(Transformed::yes(Arc::unwrap_or_clone(join.left)))
            }
            other => Ok(Transformed::no(other)),
        })?;
        let Some(Bare { plan, is_exact }) = bare(&other.data)? else {
            return Ok(None);
        };
        let schema = Arc::clone(plan.schema());
        // A float that is computed again may differ.
        let is_given = |expr: &Expr| {
            let is_float = |column: &Column| {
                let field = schema.field_from_column(column);
                field.is_ok_and(|field| field.data_type().is_floating())
            };
            has_all(&schema, expr) && !owned(expr).iter().any(is_float)
        };
        let is_of_other =
            |column: &Column| other.data.schema().maybe_index_of_column(column).is_some();
        let conjuncts: Vec<&Expr> = join.filter.iter().flat_map(split_conjunction).collect();
        let filter = conjuncts.iter().filter(|conjunct| {
            let mut columns = owned(conjunct).into_iter();
            !conjunct.is_volatile()
                && columns.all(|column| !is_of_other(&column) || is_given(&Expr::Column(column)))
        });
        let filter: Vec<Expr> = filter.map(|conjunct| (*conjunct).clone()).collect();
        let count = on.len();
        let on = on.into_iter();
        let on = on.filter(|(own, key)| is_given(key) && !own.is_volatile() && !key.is_volatile());
        let on: Vec<(Expr, Expr)> = on.collect();
        let is_whole =
            is_exact && is_all_own && on.len() == count && filter.len() == conjuncts.len();
        let mut conditions = Conditions { on, filter };
        let both = side.schema().join(&schema)?;
        let may_fail = conditions
            .clone()
            .total(&both)
            .is_none_or(|total| total.len() < conditions.len());
        if !is_whole && may_fail {
            // What is left out kept from the others the rows on which they would fail.
            conditions
                .on
                .retain(|(own, key)| is_total(own, &both) && is_total(key, &both));
            conditions
                .filter
                .retain(|conjunct| is_total(conjunct, &both));
        }
        let own = bare(side)?;
        let is_own = |column: &Column| match &own {
            Some(own) => own.plan.schema().maybe_index_of_column(column).is_some(),
            None => false,
        };
        let reads = conditions
            .on
            .iter()
            .map(|(own, _)| own)
            .chain(&conditions.filter);
        let mut reads = reads.flat_map(owned);
        let is_free = reads.all(|column| is_of_other(&column) || is_own(&column));
        // Those that may fail stay above the predicates on calls, and so above these.
        let chain = Chain::of(side)?;
        let called = chain.steps.iter().skip_while(|step| step.is_filter());
        let is_filtered = called.clone().any(Step::is_filter);
        let is_exact = is_whole && is_free && !(may_fail && is_filtered);
        Ok(Some(Self {
            other: plan,
            conditions,
            is_exact,
        }))
    }
}

impl Reduction {
    /// `side` without rows that the join cannot use, if its calls then see fewer rows.
    pub(super) fn reduced(
        join: &Join,
        is_left: bool,
        config: &dyn OptimizerConfig,
    ) -> Result<Option<LogicalPlan>> {
        let (side, _, _) = oriented(join, is_left);
        if !has_calls(side)? {
            return Ok(None);
        }
        let by = Self::of(join, is_left, config)?;
        by.map_or(Ok(None), |(by, conditions)| by.place(side, conditions))
    }

    /// By what a side is reduced, and the conditions over that.
    fn of(
        join: &Join,
        is_left: bool,
        config: &dyn OptimizerConfig,
    ) -> Result<Option<(Self, Conditions)>> {
        let (_, _, on) = oriented(join, is_left);
        let Some(Offer {
            other: plan,
            conditions,
            ..
        }) = Offer::of(join, is_left)?
        else {
            return Ok(None);
        };
        let (plan, conditions) = conditions.without_those_of(plan)?;
        let is_product = on.is_empty() && conditions.is_empty();
        // Without the keys, it would take as long as a product of the sides.
        if conditions.on.is_empty() != on.is_empty() || (is_product && has_one_row(&plan)) {
            return Ok(None);
        }
        let tables = tables(&plan)?;
        let alias = config.alias_generator().next(KEYS);
        let (keys, conditions) = match is_product {
            true => (any_row(plan)?, conditions),
            false => conditions.over_keys(plan, &alias)?,
        };
        let keys = SubqueryAlias::try_new(Arc::new(keys), alias)?;
        let reduction = Self {
            tables,
            keys: LogicalPlan::SubqueryAlias(keys),
            null_equality: join.null_equality,
        };
        Ok(Some((reduction, conditions)))
    }

    /// Puts the semi join below the calls of `plan`, whose columns the conditions read.
    ///
    /// Those that may fail go below no predicate and no join, which may keep from them the rows on
    /// which they would.
    fn place(&self, plan: &LogicalPlan, conditions: Conditions) -> Result<Option<LogicalPlan>> {
        let mut chain = Chain::of(plan)?;
        let Some(conditions) = conditions.below(&chain, plan)? else {
            return Ok(None);
        };
        if self.is_done(&chain.base, &conditions)? {
            return Ok(None);
        }
        let both = chain.base.schema().join(self.keys.schema())?;
        let total = conditions.clone().total(&both);
        let has_calls_above = chain.has_calls();
        let is_join = matches!(chain.base, LogicalPlan::Join(_));
        if (is_join && has_calls_above) || has_calls(&chain.base)? {
            // Calls above need all of them; those below are content with some.
            let is_whole = total
                .as_ref()
                .is_some_and(|total| total.len() == conditions.len());
            let placed = match &total {
                Some(total) if is_whole || !has_calls_above => {
                    self.place_in(&chain.base, total, has_calls_above)?
                }
                _ => None,
            };
            if let Some(base) = placed {
                let stacked = stack(base, chain.steps)?;
                return named(stacked, chain.columns, names(plan.schema())).map(Some);
            }
        }
        if !has_calls_above {
            return Ok(None);
        }
        let first = chain.steps.iter().position(|step| !step.is_filter());
        let later = chain.steps.split_off(first.unwrap_or(0));
        let is_filtered = later.iter().any(Step::is_filter);
        let conditions = if is_filtered { total } else { Some(conditions) };
        let base = stack(chain.base, chain.steps)?;
        let Some(base) = conditions.map_or(Ok(None), |conditions| self.semi(&base, conditions))?
        else {
            return Ok(None);
        };
        let stacked = stack(base, later)?;
        named(stacked, chain.columns, names(plan.schema())).map(Some)
    }

    /// Through an operator to the input that has what is read; if `whole`, only if that has all.
    fn place_in(
        &self,
        plan: &LogicalPlan,
        conditions: &Conditions,
        whole: bool,
    ) -> Result<Option<LogicalPlan>> {
        match plan {
            LogicalPlan::Aggregate(aggregate) => {
                let Some(below) = conditions.below_groups(aggregate) else {
                    return Ok(None);
                };
                if whole && below.len() < conditions.len() {
                    return Ok(None);
                }
                let placed = self.place(&aggregate.input, below)?;
                Ok(placed.map(|input| {
                    let mut aggregate = aggregate.clone();
                    aggregate.input = Arc::new(input);
                    LogicalPlan::Aggregate(aggregate)
                }))
            }
            LogicalPlan::Union(union) => {
                let (mut arms, mut placed) = (Vec::new(), 0);
                for arm in &union.inputs {
                    let own = conditions.of_arm(plan, arm)?;
                    let reduced = match has_calls(arm)? {
                        true => self.place(arm, own)?,
                        false if whole => self.semi(arm, own)?,
                        false => None,
                    };
                    placed += usize::from(reduced.is_some());
                    arms.push(reduced.map_or_else(|| Arc::clone(arm), Arc::new));
                }
                let is_placed = placed > 0 && (!whole || placed == arms.len());
                Ok(is_placed.then(|| {
                    LogicalPlan::Union(Union {
                        inputs: arms,
                        schema: Arc::clone(&union.schema),
                    })
                }))
            }
            LogicalPlan::Join(join) => {
                for is_left in [true, false] {
                    if let Some(placed) = self.place_on(join, is_left, conditions, whole)? {
                        return Ok(Some(LogicalPlan::Join(placed)));
                    }
                }
                Ok(None)
            }
            _ => Ok(None),
        }
    }

    /// On one side of a join below, whose calls then see fewer rows, or those of its other side.
    fn place_on(
        &self,
        join: &Join,
        is_left: bool,
        conditions: &Conditions,
        whole: bool,
    ) -> Result<Option<Join>> {
        use JoinType::{Inner, Left, LeftAnti, LeftSemi, Right, RightAnti, RightSemi};
        let is_open = match is_left {
            true => matches!(join.join_type, Inner | Left | LeftSemi | LeftAnti),
            false => matches!(join.join_type, Inner | Right | RightSemi | RightAnti),
        };
        let (side, _, _) = oriented(join, is_left);
        let below = conditions.of_side(side, &self.keys);
        if !is_open || below.is_empty() || (whole && below.len() < conditions.len()) {
            return Ok(None);
        }
        let placed = match has_calls(side)? {
            true => self.place(side, below)?,
            false => self.semi(side, below)?,
        };
        Ok(placed.map(|placed| {
            let mut join = join.clone();
            *if is_left {
                &mut join.left
            } else {
                &mut join.right
            } = Arc::new(placed);
            join
        }))
    }

    /// `None` if it stands there already.
    fn semi(&self, plan: &LogicalPlan, conditions: Conditions) -> Result<Option<LogicalPlan>> {
        if self.is_done(plan, &conditions)? {
            return Ok(None);
        }
        self.joined(plan, conditions, JoinType::LeftSemi).map(Some)
    }

    fn joined(
        &self,
        plan: &LogicalPlan,
        conditions: Conditions,
        kind: JoinType,
    ) -> Result<LogicalPlan> {
        let kept = conditions.keys(&self.keys).into_iter().map(Expr::Column);
        let keys = Projection::try_new(kept.collect(), Arc::new(self.keys.clone()))?;
        let joined = Join::try_new(
            Arc::new(plan.clone()),
            Arc::new(LogicalPlan::Projection(keys)),
            conditions.on,
            conjunction(conditions.filter),
            kind,
            JoinConstraint::On,
            self.null_equality,
            false,
        )?;
        Ok(LogicalPlan::Join(joined))
    }

    /// Whether a semi join by the same stands there already.
    fn is_done(&self, base: &LogicalPlan, conditions: &Conditions) -> Result<bool> {
        if matches!(base, LogicalPlan::EmptyRelation(_)) {
            return Ok(true);
        }
        let mut open = vec![base];
        while let Some(plan) = open.pop() {
            match plan {
                LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_) => open.extend(plan.inputs()),
                LogicalPlan::Join(join) if is_reduction(join) => {
                    if conditions.is_met_by(&join.on)
                        && (conditions.is_empty()
                            || names_of(join.right.schema().columns())
                                == names_of(conditions.keys(&self.keys)))
                        && is_within(&tables(&join.right)?, &self.tables)
                    {
                        return Ok(true);
                    }
                    open.push(&join.left);
                }
                LogicalPlan::Join(join) => open.extend([join.left.as_ref(), join.right.as_ref()]),
                LogicalPlan::Union(union) => {
                    let mut arms = union.inputs.iter();
                    let is_done = arms.try_fold(true, |all, arm| {
                        Ok::<_, DataFusionError>(
                            all && self.is_done(arm, &conditions.of_arm(plan, arm)?)?,
                        )
                    })?;
                    if is_done {
                        return Ok(true);
                    }
                }
                _ => {}
            }
        }
        Ok(false)
    }
}

/// A side with a column that tells whether the join's keys and call-free conditions are met
/// by some row of the other side, or by more; `None` if that is not known without calls.
pub(crate) fn marked(
    join: &Join,
    is_left: bool,
    config: &dyn OptimizerConfig,
) -> Result<Option<(LogicalPlan, Column)>> {
    let (side, _, on) = oriented(join, is_left);
    let Some((by, conditions)) = Reduction::of(join, is_left, config)? else {
        return Ok(None);
    };
    if on.is_empty() || join.null_aware {
        return Ok(None);
    }
    let marked = by.joined(side, conditions, JoinType::LeftMark)?;
    let mark = marked.schema().columns().pop();
    Ok(mark.map(|mark| (marked, mark)))
}

impl Conditions {
    fn len(&self) -> usize {
        self.on.len() + self.filter.len()
    }

    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that read the other side alone are predicates on it.
    fn without_those_of(mut self, other: LogicalPlan) -> Result<(LogicalPlan, Self)> {
        let schema = Arc::clone(other.schema());
        let is_own = |conjunct: &Expr| has_all(&schema, conjunct);
        let (own, rest): (Vec<Expr>, Vec<Expr>) = self.filter.into_iter().partition(is_own);
        self.filter = rest;
        let plan = match conjunction(own) {
            Some(predicate) => LogicalPlanBuilder::new(other).filter(predicate)?.build()?,
            None => other,
        };
        Ok((plan, self))
    }

    /// The values that the other side has for them, and the conditions over these. Each column is
    /// named by what it is of, as the join reads it.
    fn over_keys(self, other: LogicalPlan, alias: &str) -> Result<(LogicalPlan, Self)> {
        let schema = Arc::clone(other.schema());
        let has = |column: &Column| schema.maybe_index_of_column(column).is_some();
        let read = self.filter.iter().flat_map(owned).filter(has);
        let mut columns: Vec<Expr> = self.on.iter().map(|(_, key)| key.clone()).collect();
        columns.extend(read.map(Expr::Column));
        columns.sort_by_cached_key(|expr| expr.schema_name().to_string());
        columns.dedup();
        let name = key_name;
        let key = |expr: &Expr| {
            let relation = TableReference::bare(alias);
            Expr::Column(Column::new(Some(relation), name(expr)))
        };
        let on = self.on.into_iter().map(|(own, other)| {
            let key = key(&other);
            (own, key)
        });
        let on = on.collect();
        let filter = self.filter.into_iter().map(|conjunct| {
            let rewritten = conjunct.transform_up(|part| match &part {
                Expr::Column(column) if has(column) => Ok(Transformed::yes(key(&part))),
                _ => Ok(Transformed::no(part)),
            });
            rewritten.map(|rewritten| rewritten.data)
        });
        let filter = filter.collect::<Result<_>>()?;
        let exprs = columns.iter().map(|expr| expr.clone().alias(name(expr)));
        let keys = Projection::try_new(exprs.collect(), Arc::new(other))?;
        Ok((LogicalPlan::Projection(keys), Self { on, filter }))
    }

    /// Those that no call of the chain is needed for, over its base: fewer of them keep more rows,
    /// and are still right. `None` if too few are left.
    fn below(self, chain: &Chain, plan: &LogicalPlan) -> Result<Option<Self>> {
        let made: HashSet<Column> = chain.steps.iter().flat_map(Step::makes).collect();
        let is_free = |expr: &Expr| owned(expr).is_disjoint(&made);
        let (had_keys, was_empty) = (!self.on.is_empty(), self.is_empty());
        let mut below = Self {
            on: Vec::new(),
            filter: Vec::new(),
        };
        for (own, key) in self.on {
            let own = chain.over_base(&own, plan.schema())?;
            if is_free(&own) {
                below.on.push((own, key));
            }
        }
        for conjunct in self.filter {
            let conjunct = chain.over_side(&conjunct, plan.schema())?;
            if is_free(&conjunct) {
                below.filter.push(conjunct);
            }
        }
        let is_enough = below.is_empty() == was_empty && below.on.is_empty() != had_keys;
        Ok(is_enough.then_some(below))
    }

    /// Those that cannot fail; `None` if too few are left.
    fn total(mut self, schema: &DFSchema) -> Option<Self> {
        let (had_keys, was_empty) = (!self.on.is_empty(), self.is_empty());
        self.on.retain(|(own, _)| is_total(own, schema));
        self.filter.retain(|conjunct| is_total(conjunct, schema));
        let is_enough = self.is_empty() == was_empty && self.on.is_empty() != had_keys;
        is_enough.then_some(self)
    }

    /// The keys that are groups: a key of the groups is one of their rows.
    fn below_groups(&self, aggregate: &Aggregate) -> Option<Self> {
        if matches!(aggregate.group_expr[..], [Expr::GroupingSet(_)]) {
            return None;
        }
        let group = |own: &Expr| match own {
            Expr::Column(column) => {
                let position = aggregate.schema.maybe_index_of_column(column)?;
                let group = aggregate.group_expr.get(position)?.clone().unalias();
                (!group.is_volatile()).then_some(group)
            }
            _ => None,
        };
        let on = self.on.iter();
        let on = on.filter_map(|(own, key)| Some((group(own)?, key.clone())));
        let on: Vec<(Expr, Expr)> = on.collect();
        let filter = Vec::new();
        (!on.is_empty()).then_some(Self { on, filter })
    }

    /// The same of an arm of a union.
    fn of_arm(&self, union: &LogicalPlan, arm: &LogicalPlan) -> Result<Self> {
        let (upper, lower) = (union.schema().columns(), arm.schema().columns());
        let moved = |expr: &Expr| {
            let moved = expr.clone().transform_up(|part| match &part {
                Expr::Column(column) => {
                    let place = upper.iter().position(|known| known == column);
                    let own = place.and_then(|place| lower.get(place));
                    Ok(Transformed::yes(own.cloned().map_or(part, Expr::Column)))
                }
                _ => Ok(Transformed::no(part)),
            });
            moved.map(|moved| moved.data)
        };
        let on = self.on.iter();
        let on = on.map(|(own, key)| Ok((moved(own)?, key.clone())));
        Ok(Self {
            on: on.collect::<Result<_>>()?,
            filter: self.filter.iter().map(moved).collect::<Result<_>>()?,
        })
    }

    /// Those that read nothing but the side, beside the keys.
    fn of_side(&self, side: &LogicalPlan, keys: &LogicalPlan) -> Self {
        let has = |column: &Column| side.schema().maybe_index_of_column(column).is_some();
        let is_known =
            |column: &Column| has(column) || keys.schema().maybe_index_of_column(column).is_some();
        let on = self.on.iter().filter(|(own, _)| {
            let columns = owned(own);
            !columns.is_empty() && columns.iter().all(has)
        });
        let on: Vec<(Expr, Expr)> = on.cloned().collect();
        let filter = self.filter.iter();
        let filter = filter.filter(|conjunct| owned(conjunct).iter().all(is_known));
        let filter: Vec<Expr> = filter.cloned().collect();
        let is_enough = on.is_empty() == self.on.is_empty();
        match is_enough {
            true => Self { on, filter },
            false => Self {
                on: Vec::new(),
                filter: Vec::new(),
            },
        }
    }

    /// The columns of the keys that they read.
    fn keys(&self, keys: &LogicalPlan) -> Vec<Column> {
        let read = self.on.iter().map(|(_, key)| key).chain(&self.filter);
        let read: HashSet<Column> = read.flat_map(owned).collect();
        let mut columns = keys.schema().columns();
        columns.retain(|column| self.is_empty() || read.contains(column));
        columns
    }

    /// Whether a reduction has the same keys.
    fn is_met_by(&self, on: &[(Expr, Expr)]) -> bool {
        let named = |on: &[(Expr, Expr)]| -> Vec<(Expr, Expr)> {
            let pairs = on.iter().map(|(own, key)| match key {
                Expr::Column(column) => (own.clone(), ident(&column.name)),
                other => (own.clone(), other.clone()),
            });
            pairs.collect()
        };
        named(&self.on) == named(on)
    }
}

/// Of a plan that is matched by no condition, whether it has a row.
fn any_row(plan: LogicalPlan) -> Result<LogicalPlan> {
    let builder = LogicalPlanBuilder::new(plan).limit(0, Some(1))?;
    builder.project([lit(true).alias("any")])?.build()
}

/// Whether a plan has just one row, whatever is in its tables.
fn has_one_row(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::Projection(Projection { input, .. })
        | LogicalPlan::SubqueryAlias(SubqueryAlias { input, .. }) => has_one_row(input),
        LogicalPlan::Aggregate(aggregate) => aggregate.group_expr.is_empty(),
        LogicalPlan::EmptyRelation(empty) => empty.produce_one_row,
        _ => false,
    }
}

/// Whether the join is one that a side was reduced by.
pub(super) fn is_reduction(join: &Join) -> bool {
    join.join_type == JoinType::LeftSemi && is_keys(&join.right)
}

/// The name of a key's column; a qualified one, since the side may have one of the same.
fn key_name(key: &Expr) -> String {
    match key {
        Expr::Column(column) if column.relation.is_none() => format!("_.{}", column.name),
        // A cast has the schema name of what it casts.
        other => other.to_string(),
    }
}

/// Whether a reduction is by these keys of a side and what they equal: to reduce that side, it
/// says nothing new.
fn is_reduced_by(reduction: &Join, on: &[(Expr, Expr)]) -> bool {
    let mut keys = reduction.on.iter().map(|(_, key)| match key {
        Expr::Column(key) => on.iter().any(|(own, _)| key_name(own) == key.name),
        _ => false,
    });
    keys.all(|is_own| is_own)
}

fn is_keys(plan: &LogicalPlan) -> bool {
    match plan {
        LogicalPlan::SubqueryAlias(alias) => alias.alias.table().starts_with(KEYS),
        LogicalPlan::Projection(projection) => is_keys(&projection.input),
        _ => false,
    }
}

fn names_of(columns: Vec<Column>) -> Vec<String> {
    let mut names: Vec<String> = columns.into_iter().map(|column| column.name).collect();
    names.sort_unstable();
    names
}

/// Whether these are tables of the others: what nothing is read of may have been dropped.
fn is_within(tables: &[TableReference], others: &[TableReference]) -> bool {
    tables.iter().all(|table| others.contains(table))
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
