//! Calls move above an operator that makes rows of the items of lists.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::{Column, Result};
use datafusion_expr::{Expr, LogicalPlan, Projection, Unnest};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift::{Split, split};
use super::lift_join::{Through, with_kept_lifted};

/// The plan with the calls above that the lists do not need, but for those that predicates below
/// need. The rows that are made of one will share their calls.
pub(super) fn lift_unnest(
    unnest: &Unnest,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let mut chain = Chain::of(&unnest.input)?;
    if !chain.has_calls()
        && let Some(lifted) = with_kept_lifted(&unnest.input, Through::Any, config)?
    {
        chain = Chain::of(&lifted)?;
    }
    let is_repeatable = |step: &Step| match step {
        Step::Call(call) => call.is_repeatable(),
        Step::Filter(_) => true,
    };
    if !chain.has_calls() || !chain.steps.iter().all(is_repeatable) {
        return Ok(None);
    }
    let (upper, input) = (unnest.schema.as_ref(), unnest.input.schema());
    let is_list = |place: &usize| {
        let (qualifier, field) = input.qualified_field(*place);
        let column = Column::new(qualifier.cloned(), field.name());
        unnest.exec_columns.contains(&column)
    };
    let lists: Vec<usize> = (0..input.fields().len()).filter(is_list).collect();
    let needs = lists.iter().flat_map(|place| owned(&chain.columns[*place]));
    let needs: HashSet<Column> = needs.collect();
    let Some(Split {
        below,
        above,
        columns,
    }) = split(chain, needs, true)?
    else {
        return Ok(None);
    };
    // A list of the base gives way to its items.
    let replaced: Vec<Column> = lists
        .iter()
        .map(|place| {
            let (qualifier, field) = input.qualified_field(*place);
            Column::new(qualifier.cloned(), field.name())
        })
        .collect();
    let mut kept = below.schema().columns();
    kept.retain(|column| !replaced.contains(column));
    let passed = (0..columns.len()).filter(|place| !lists.contains(place));
    let passed = passed.flat_map(|place| owned(&columns[place]));
    let mut read = passed.chain(above.iter().flat_map(Step::reads));
    if read.any(|column| replaced.contains(&column)) {
        return Ok(None);
    }
    let width = kept.len();
    let lists = lists.iter().map(|place| columns[*place].clone());
    let kept = kept.into_iter().map(Expr::Column);
    let exprs = std::iter::zip(lists, &replaced).map(|(list, column)| match list {
        Expr::Column(own) if own == *column => Expr::Column(own),
        other => other.alias_qualified(column.relation.clone(), &column.name),
    });
    let exprs = kept.chain(exprs).collect();
    let below = Projection::try_new(exprs, Arc::new(below))?;
    let lower = Unnest::try_new(
        Arc::new(LogicalPlan::Projection(below)),
        unnest.exec_columns.clone(),
        unnest.options.clone(),
    )?;
    let mut items = lower.schema.columns().into_iter().skip(width);
    let columns = unnest
        .dependency_indices
        .iter()
        .map(|place| match is_list(place) {
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
