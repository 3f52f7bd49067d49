//! Predicates on calls are tested by the cost of what they need.

use std::collections::HashSet;

use datafusion_common::Result;
use datafusion_common::tree_node::{Transformed, TreeNodeRecursion};
use datafusion_expr::LogicalPlan;

use super::chain::{Chain, Step};
use crate::order::Price;

/// Orders each chain: predicates that need no call, then one by one the predicate whose
/// missing calls cost least and those calls, at last the calls that no predicate needs. Calls
/// that nobody reads and predicates that come again are dropped.
pub(super) fn schedule(plan: LogicalPlan) -> Result<Transformed<LogicalPlan>> {
    plan.transform_down_with_subqueries(|plan| {
        if !is_link(&plan) {
            return Ok(Transformed::no(plan));
        }
        let mut chain = Chain::of(&plan)?;
        let order = order(&chain);
        if !chain.repeats && is_same(&chain, &order) {
            return Ok(Transformed::no(plan));
        }
        let steps = std::mem::take(&mut chain.steps);
        let steps = order.into_iter().map(|index| steps[index].clone());
        chain.steps = steps.collect();
        let base = std::mem::take(&mut chain.base);
        let arranged = chain.on(base, plan.schema())?;
        Ok(Transformed::new(
            arranged,
            true,
            TreeNodeRecursion::Continue,
        ))
    })
}

fn is_link(plan: &LogicalPlan) -> bool {
    use LogicalPlan::{Extension, Filter, Projection, SubqueryAlias};
    matches!(
        plan,
        Extension(_) | Filter(_) | Projection(_) | SubqueryAlias(_)
    )
}

/// The steps that are needed, in the order in which they should stand.
fn order(chain: &Chain) -> Vec<usize> {
    let filters = (0..chain.steps.len()).filter(|index| chain.steps[*index].is_filter());
    let mut filters: Vec<usize> = filters.collect();
    let (mut order, mut placed) = (Vec::new(), HashSet::new());
    while !filters.is_empty() {
        let price = |filter: usize| {
            let missing = chain.needed(chain.steps[filter].reads());
            let missing = missing.difference(&placed);
            let mut missing: Vec<usize> = missing.copied().collect();
            missing.sort_unstable();
            (price(chain, &missing), filter, missing)
        };
        let next = filters.iter().map(|filter| price(*filter)).min();
        let Some((_, filter, missing)) = next else {
            break;
        };
        filters.retain(|other| *other != filter);
        placed.extend(missing.iter().copied());
        order.extend(missing);
        order.push(filter);
    }
    let read = chain.columns.iter().flat_map(super::chain::owned);
    let mut rest: Vec<usize> = chain.needed(read).difference(&placed).copied().collect();
    rest.sort_unstable();
    order.extend(rest);
    order
}

/// What it takes to make these steps for a row; what is the same for all rows is free.
pub(super) fn price<'a>(chain: &Chain, calls: impl IntoIterator<Item = &'a usize>) -> Price {
    let constants = chain.constants();
    let calls = calls
        .into_iter()
        .filter(|index| !constants.contains(index))
        .filter_map(|index| match &chain.steps[*index] {
            Step::Call(call) => call.udf(),
            Step::Filter(_) => None,
        });
    calls.fold(Price::default(), Price::with)
}

/// Whether the calls already stand in this order, and each filter after as many of them.
fn is_same(chain: &Chain, order: &[usize]) -> bool {
    fn shape(
        chain: &Chain,
        order: impl Iterator<Item = usize>,
    ) -> (Vec<usize>, Vec<(usize, usize)>) {
        let (mut calls, mut filters) = (Vec::new(), Vec::new());
        for index in order {
            match &chain.steps[index] {
                Step::Call(_) => calls.push(index),
                Step::Filter(_) => filters.push((index, calls.len())),
            }
        }
        filters.sort_unstable();
        (calls, filters)
    }
    shape(chain, 0..chain.steps.len()) == shape(chain, order.iter().copied())
}
