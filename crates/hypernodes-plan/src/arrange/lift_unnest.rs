//! Calls move above an operator that makes rows of the items of lists.

use std::collections::{HashMap, HashSet};
use std::sync::Arc;

use datafusion_common::{Column, Result};
use datafusion_expr::{Expr, LogicalPlan, Projection, Unnest};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift::{Split, split};
use super::lift_join::{Through, with_kept_lifted};

/// The plan with the calls above that the lists do not need, and the predicates on them; if
/// `is_selective`, these stay, and what they need. The rows that are made of one will share their
/// calls.
pub(super) fn lift_unnest(
    unnest: &Unnest,
    is_selective: bool,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let mut chain = Chain::of(&unnest.input)?;
    if !chain.has_calls()
        && let Some(lifted) = with_kept_lifted(&unnest.input, Through::Any, config)?
    {
        chain = Chain::of(&lifted)?;
    }
    if !chain.has_calls() || !chain.steps.iter().all(Step::is_repeatable) {
        return Ok(None);
    }
    let (upper, input) = (unnest.schema.as_ref(), unnest.input.schema());
    // A list may be named without its qualifier.
    let place_of = |list: &Column| input.index_of_column(list);
    let lists = unnest.exec_columns.iter().map(place_of);
    let mut lists = lists.collect::<Result<Vec<usize>>>()?;
    lists.sort_unstable();
    lists.dedup();
    let needs = lists.iter().flat_map(|place| owned(&chain.columns[*place]));
    let needs: HashSet<Column> = needs.collect();
    // What the lists need is called for the rows that predicates leave.
    let is_selective = is_selective || !chain.needed(needs.iter().cloned()).is_empty();
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, needs, is_selective)?
    else {
        return Ok(None);
    };
    let kept = below.schema().columns();
    let known: HashSet<String> = kept.iter().map(|column| column.name.clone()).collect();
    let hidden = (1..).map(|number| format!("__hn_list_{number}"));
    let hidden = hidden.filter(|name| !known.contains(name));
    let hidden = hidden.map(Column::new_unqualified);
    let hidden: HashMap<usize, Column> = std::iter::zip(lists.iter().copied(), hidden).collect();
    let hidden_of = |list: &Column| {
        let hidden = hidden.get(&place_of(list)?).cloned();
        Ok(hidden.unwrap_or_else(|| list.clone()))
    };
    let width = kept.len();
    let exprs = lists.iter().filter_map(|place| {
        let hidden = hidden.get(place)?;
        Some(columns[*place].clone().alias(&hidden.name))
    });
    let exprs = kept.into_iter().map(Expr::Column).chain(exprs);
    let below = Projection::try_new(exprs.collect(), Arc::new(below))?;
    let mut options = unnest.options.clone();
    for recursion in &mut options.recursions {
        recursion.input_column = hidden_of(&recursion.input_column)?;
    }
    let lower = Unnest::try_new(
        Arc::new(LogicalPlan::Projection(below)),
        unnest
            .exec_columns
            .iter()
            .map(hidden_of)
            .collect::<Result<_>>()?,
        options,
    )?;
    let mut items = lower.schema.columns().into_iter().skip(width);
    let columns = unnest
        .dependency_indices
        .iter()
        .map(|place| match lists.contains(place) {
            true => items.next().map(Expr::Column),
            false => Some(columns[*place].clone()),
        });
    let Some(columns) = columns.collect::<Option<Vec<_>>>() else {
        return Ok(None);
    };
    named(
        stack(LogicalPlan::Unnest(lower), above)?,
        columns,
        names(upper),
    )
    .map(Some)
}
