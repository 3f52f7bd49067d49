//! Calls are put where as few rows as possible are left.
//!
//! Everything here works on [`Chain`](chain::Chain)s: a run of projections, aliases, filters
//! and calls on a base, read as a list of steps over the base's columns.
//!
//! - [`unsort`]: a sort whose order nobody sees goes, with the calls that it alone reads;
//! - [`inner`]: outer joins whose padded rows are dropped above are inner ones;
//! - [`semi`]: joins that give only repeats, where nobody sees repeats, are semi joins or none;
//! - [`lift`], [`lift_first`], [`lift_groups`], [`lift_join`] and [`lift_unnest`]: calls that an
//!   operator does not need move above it, if it, or what follows, leaves fewer rows;
//! - [`narrow`]: a call that only branches read is made where they are reached;
//! - [`matched`]: one that only the condition of an outer or anti join reads, for rows with a match;
//! - [`schedule`]: predicates on calls are tested by the cost of what they need;
//! - [`sides`]: a call above a join moves to its side, if that can be reduced to the rows that
//!   the join gives.

mod chain;
mod inner;
mod lift;
mod lift_first;
mod lift_groups;
mod lift_join;
mod lift_unnest;
mod matched;
mod narrow;
mod schedule;
mod semi;
mod sides;
mod unsort;

pub(crate) use chain::{constants, numbered, with_names_apart};
pub(crate) use sides::{marked, with_own_sources};

use std::sync::Arc;

use datafusion_common::Result;
use datafusion_common::tree_node::Transformed;
use datafusion_expr::utils::{conjunction, split_conjunction};
use datafusion_expr::{Expr, LogicalPlan};
use datafusion_optimizer::optimize_projections::OptimizeProjections;
use datafusion_optimizer::push_down_filter::PushDownFilter;
use datafusion_optimizer::push_down_limit::PushDownLimit;
use datafusion_optimizer::{Optimizer, OptimizerConfig};

/// Each moves a call past at least one operator. The plan is right after any of them, so that what
/// is not done by then costs calls alone.
const ROUNDS: usize = 16;

/// Arranges the calls of a plan until nothing changes.
pub(crate) fn arrange(
    plan: LogicalPlan,
    config: &dyn OptimizerConfig,
) -> Result<Transformed<LogicalPlan>> {
    let stock = Optimizer::with_rules(vec![
        Arc::new(PushDownLimit::new()),
        Arc::new(PushDownFilter::new()),
        Arc::new(OptimizeProjections::new()),
    ]);
    let (mut plan, mut changed) = (plan, false);
    for _ in 0..ROUNDS {
        let before = plan.clone();
        plan = stock.optimize(plan, config, |_, _| {})?;
        plan = plan.transform_up_with_subqueries(without_repeats)?.data;
        plan = unsort::unsort(plan)?.data;
        plan = inner::make_inner(plan)?.data;
        plan = semi::make_semi(plan)?.data;
        plan = plan
            .transform_up_with_subqueries(|plan| lift::lift(plan, config))?
            .data;
        plan = schedule::schedule(plan)?.data;
        plan = narrow::narrow(plan, config)?.data;
        plan = matched::match_first(plan, config)?.data;
        plan = sides::sink(plan)?.data;
        plan = sides::reduce(plan, config)?.data;
        if plan == before {
            break;
        }
        changed = true;
    }
    Ok(Transformed::new_transformed(plan, changed))
}

/// The conjuncts of a filter or a join's condition, each once: DataFusion infers some anew each
/// time it looks.
fn without_repeats(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    let once = |predicate: &Expr| {
        let conjuncts = split_conjunction(predicate);
        let mut kept: Vec<Expr> = Vec::with_capacity(conjuncts.len());
        for conjunct in &conjuncts {
            if conjunct.is_volatile() || !kept.contains(conjunct) {
                kept.push((*conjunct).clone());
            }
        }
        (kept.len() < conjuncts.len())
            .then(|| conjunction(kept))
            .flatten()
    };
    Ok(match plan {
        LogicalPlan::Filter(mut filter) => match once(&filter.predicate) {
            Some(predicate) => {
                filter.predicate = predicate;
                Transformed::yes(LogicalPlan::Filter(filter))
            }
            None => Transformed::no(LogicalPlan::Filter(filter)),
        },
        LogicalPlan::Join(mut join) => match join.filter.as_ref().and_then(once) {
            Some(predicate) => {
                join.filter = Some(predicate);
                Transformed::yes(LogicalPlan::Join(join))
            }
            None => Transformed::no(LogicalPlan::Join(join)),
        },
        other => Transformed::no(other),
    })
}
