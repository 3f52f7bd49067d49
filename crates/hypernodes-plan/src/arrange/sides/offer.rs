//! What one side of a join tells of the rows that it can use of the other.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DataFusionError, ExprSchema, Result};
use datafusion_expr::utils::split_conjunction;
use datafusion_expr::{Expr, ExprSchemable, Join, LogicalPlan};

use super::super::chain::{Chain, Step, owned};
use super::bare::{Bare, bare, has_all};
use super::conditions::{Conditions, key_name};
use super::reduction::{is_reduction, oriented};
use super::scans::{count_scans, overlap, scans};
use crate::total::is_total;

/// How many references to tables a side may read with all that reduces it, and still be told as it
/// is: each reduction copies what it reduces by, so that a plan could double with each join.
const MOST_SCANS: usize = 16;

/// What the other side of a join offers to match a side by.
pub(in super::super) struct Offer {
    pub(super) other: LogicalPlan,
    /// Over both sides.
    pub(super) conditions: Conditions,
    /// Whether the rows that match are just those that the join uses.
    pub(in super::super) is_exact: bool,
}

impl Offer {
    /// By what a side can be reduced; `None` if by nothing.
    ///
    /// What the other side was itself reduced by, to rows that match tables of this one, is left
    /// out, or two sides would reduce each other without end; and all of it, where that is much.
    pub(in super::super) fn of(join: &Join, is_left: bool) -> Result<Option<Self>> {
        let (side, other, on) = oriented(join, is_left);
        let own_scans = scans(side);
        let mut is_all_own = true;
        let is_large = count_scans(other) > MOST_SCANS;
        let other = other.clone().transform_up(|plan| match plan {
            LogicalPlan::Join(join)
                if is_reduction(&join) && (is_large || overlap(&join.right, &own_scans)) =>
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
        // A float that is summed again, in another order, may differ.
        let has_sums = sums_floats(&plan)?;
        let is_given = |expr: &Expr| {
            let is_float = |column: &Column| {
                let field = schema.field_from_column(column);
                field.is_ok_and(|field| field.data_type().is_floating())
            };
            has_all(&schema, expr) && !(has_sums && owned(expr).iter().any(is_float))
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

    /// The columns of `side`, the one that is matched, that the conditions read.
    pub(in super::super) fn reads_of(&self, side: &LogicalPlan) -> HashSet<Column> {
        let own = self.conditions.on.iter().map(|(own, _)| own);
        let mut columns: HashSet<Column> =
            own.chain(&self.conditions.filter).flat_map(owned).collect();
        columns.retain(|column| side.schema().maybe_index_of_column(column).is_some());
        columns
    }
}

/// Whether a plan holds a sum or a mean of floats.
fn sums_floats(plan: &LogicalPlan) -> Result<bool> {
    plan.exists(|plan| {
        let LogicalPlan::Aggregate(aggregate) = plan else {
            return Ok(false);
        };
        let schema = aggregate.input.schema();
        let is_float = |arg: &Expr| Ok::<_, DataFusionError>(arg.get_type(schema)?.is_floating());
        for expr in &aggregate.aggr_expr {
            let sums = expr.exists(|part| match part {
                Expr::AggregateFunction(function) => {
                    let is_sum = !matches!(function.func.name(), "count" | "min" | "max");
                    let args = function.params.args.iter().map(is_float);
                    Ok(is_sum && args.collect::<Result<Vec<_>>>()?.contains(&true))
                }
                _ => Ok(false),
            })?;
            if sums {
                return Ok(true);
            }
        }
        Ok(false)
    })
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
