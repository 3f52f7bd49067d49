//! A semi join that leaves the rows of a side that a join can use.

use std::sync::Arc;

use datafusion_common::{Column, DataFusionError, JoinConstraint, JoinType, NullEquality, Result};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Expr, Join, LogicalPlan, LogicalPlanBuilder, Projection, SubqueryAlias, Union, lit,
};
use datafusion_optimizer::OptimizerConfig;

use super::super::chain::{Chain, Step, named, names, stack};
use super::bare::has_calls;
use super::conditions::Conditions;
use super::offer::Offer;
use super::scans::{is_within, scans};
use crate::join::with_side;

/// The alias of a side's keys: what tells that the other side was reduced already.
const KEYS: &str = "__hn_keys";

/// What a side is reduced by.
pub(super) struct Reduction {
    keys: LogicalPlan,
    scans: Vec<usize>,
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
        let scans = scans(&plan);
        let alias = config.alias_generator().next(KEYS);
        let (keys, conditions) = match is_product {
            true => (any_row(plan)?, conditions),
            false => conditions.over_keys(plan, &alias)?,
        };
        let keys = SubqueryAlias::try_new(Arc::new(keys), alias)?;
        let reduction = Self {
            scans,
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
                return chain.on(base, plan.schema()).map(Some);
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
        Ok(placed.map(|placed| with_side(join, is_left, placed)))
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
        // Predicates on the other side alone move there, and its columns then go.
        let has_keys = conditions.read_one_of(base.schema());
        let mut open = vec![base];
        while let Some(plan) = open.pop() {
            match plan {
                LogicalPlan::Projection(_)
                | LogicalPlan::Filter(_)
                | LogicalPlan::SubqueryAlias(_) => open.extend(plan.inputs()),
                LogicalPlan::Join(join) if is_reduction(join) => {
                    if conditions.is_met_by(&join.on)
                        && (!has_keys
                            || names_of(join.right.schema().columns())
                                == names_of(conditions.keys(&self.keys)))
                        && is_within(&scans(&join.right), &self.scans)
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

pub(in super::super) fn is_keys(plan: &LogicalPlan) -> bool {
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
