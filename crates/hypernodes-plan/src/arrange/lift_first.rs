//! Of the first row of each group, calls are made above the groups.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, Result};
use datafusion_expr::expr::{AggregateFunction, NullTreatment};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Aggregate, Expr, LogicalPlan, lit, when};
use datafusion_optimizer::OptimizerConfig;

use super::chain::{Chain, Step, named, names, owned, stack};
use super::lift_groups::are_fewer;
use crate::udf::NodeUdf;

/// An aggregate that gives the first or the last row's value of a group.
#[derive(Clone, Copy)]
struct First<'a>(&'a AggregateFunction);

impl<'a> First<'a> {
    fn of(expr: &'a Expr) -> Option<Self> {
        let expr = match expr {
            Expr::Alias(alias) => &*alias.expr,
            expr => expr,
        };
        let Expr::AggregateFunction(function) = expr else {
            return None;
        };
        let params = &function.params;
        let is_first = matches!(function.func.name(), "first_value" | "last_value")
            && matches!(params.args[..], [_])
            && params.filter.is_none()
            && params.null_treatment != Some(NullTreatment::IgnoreNulls);
        is_first.then_some(Self(function))
    }

    fn order(self) -> impl Iterator<Item = &'a Expr> {
        self.0.params.order_by.iter().map(|key| &key.expr)
    }

    fn is_of_same_row(self, other: Self) -> bool {
        self.0.func == other.0.func && self.0.params.order_by == other.0.params.order_by
    }

    fn with_arg(self, arg: Column) -> Expr {
        let mut function = self.0.clone();
        function.params.args = vec![Expr::Column(arg)];
        Expr::AggregateFunction(function)
    }
}

/// Moves calls that only `first_value` or `last_value` reads above the aggregate, where they read
/// that row's columns: `DISTINCT ON` is an aggregate of these.
pub(super) fn lift_first(
    aggregate: &Aggregate,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let is_set = |group: &Expr| matches!(group, Expr::GroupingSet(_));
    if aggregate.group_expr.iter().any(is_set) {
        return Ok(None);
    }
    let mut tried: Vec<First<'_>> = Vec::new();
    for first in aggregate.aggr_expr.iter().filter_map(First::of) {
        if tried.iter().any(|tried| tried.is_of_same_row(first)) {
            continue;
        }
        if let Some(lifted) = lift_row(aggregate, first, config)? {
            return Ok(Some(lifted));
        }
        tried.push(first);
    }
    Ok(None)
}

/// The same for the aggregates that give a value of one row.
fn lift_row(
    aggregate: &Aggregate,
    row: First<'_>,
    config: &dyn OptimizerConfig,
) -> Result<Option<LogicalPlan>> {
    let chain = Chain::of(&aggregate.input)?;
    let schema = aggregate.input.schema();
    let mut needs = HashSet::new();
    for step in chain.steps.iter().filter(|step| step.is_filter()) {
        needs.extend(step.reads());
    }
    // The arguments of those of the row; whatever else is read stays below.
    let mut args = Vec::with_capacity(aggregate.aggr_expr.len());
    let mut reads = aggregate.group_expr.iter().collect::<Vec<_>>();
    for expr in &aggregate.aggr_expr {
        let first = First::of(expr).filter(|first| first.is_of_same_row(row));
        match first {
            Some(first) => reads.extend(first.order()),
            None => reads.push(expr),
        }
        let arg = first.map(|first| chain.over_base(&first.0.params.args[0], schema));
        args.push(arg.transpose()?);
    }
    for expr in reads {
        needs.extend(owned(&chain.over_base(expr, schema)?));
    }
    let below = chain.needed(needs);
    for arg in &mut args {
        *arg = arg
            .take()
            .filter(|arg| !chain.needed(owned(arg)).is_subset(&below));
    }
    let calls = chain.needed(args.iter().flatten().flat_map(owned));
    let moved: Vec<&Step> = calls
        .difference(&below)
        .map(|index| &chain.steps[*index])
        .collect();
    let made: HashSet<Column> = moved.iter().flat_map(|step| step.makes()).collect();
    let of_calls = moved.iter().flat_map(|step| step.reads());
    let of_calls = of_calls.filter(|column| !made.contains(column)).collect();
    let groups = aggregate.group_expr.iter();
    let groups = groups.map(|group| chain.over_base(group, schema));
    let groups = groups.collect::<Result<Vec<_>>>()?;
    let of_groups = groups.iter().flat_map(owned).collect();
    if !groups.is_empty() && !are_fewer(&chain, of_groups, of_calls)? {
        return Ok(None);
    }
    let (above, kept): (Vec<_>, Vec<_>) = chain
        .steps
        .into_iter()
        .enumerate()
        .filter(|(index, step)| step.is_filter() || calls.contains(index) || below.contains(index))
        .partition(|(index, _)| calls.contains(index) && !below.contains(index));
    let [above, kept] = [above, kept].map(|steps| steps.into_iter().map(|(_, step)| step));
    let above: Vec<Step> = above.collect();
    if above.is_empty() || !above.iter().all(Step::is_repeatable) {
        return Ok(None);
    }
    // Of no rows at all, one row of nulls is made.
    let is_null = |step: &Step| match step {
        Step::Call(call) => NodeUdf::is_null_of(&call.function, |_| true),
        Step::Filter(_) => false,
    };
    let mut lifted = args.iter().flatten();
    let is_of_rows = !aggregate.group_expr.is_empty()
        || above.iter().all(is_null) && lifted.all(|arg| matches!(arg, Expr::Column(_)));

    let makes: HashSet<Column> = above.iter().flat_map(Step::makes).collect();
    let read = above.iter().flat_map(Step::reads);
    let read = read.chain(args.iter().flatten().flat_map(owned));
    let mut read: Vec<Column> = read.filter(|column| !makes.contains(column)).collect();
    read.sort_unstable();
    read.dedup();
    // Of rows that tie, two aggregates may take different ones: several columns are taken as one,
    // which is null only where there is no row.
    let registry = config.function_registry();
    let udf = |name| registry.and_then(|registry| registry.udf(name).ok());
    let packing = match (&read[..], udf("named_struct"), udf("get_field")) {
        ([], _, _) => return Ok(None),
        ([_], _, _) if is_of_rows => None,
        (_, Some(pack), Some(get)) => Some((pack, get)),
        _ => return Ok(None),
    };
    let name = || config.alias_generator().next("__hn_first");
    let (below_name, above_name) = (name(), name());
    let of_row = |place: usize| {
        let first = Expr::Column(Column::new_unqualified(&above_name));
        match &packing {
            Some((_, get)) => get.call(vec![first, lit(place.to_string())]),
            None => first,
        }
    };
    let at_first = |expr: &Expr| {
        let moved = expr.clone().transform_up(|part| match &part {
            Expr::Column(column) => {
                let place = read.iter().position(|known| known == column);
                Ok(place.map_or(Transformed::no(part), |place| {
                    Transformed::yes(of_row(place))
                }))
            }
            _ => Ok(Transformed::no(part)),
        });
        moved.map(|moved| moved.data)
    };
    let is_row = || Expr::Column(Column::new_unqualified(&above_name)).is_not_null();
    let steps = above.iter().map(|step| step.rewritten(at_first));
    let mut steps = steps.collect::<Result<Vec<_>>>()?;
    for arg in args.iter_mut().flatten() {
        *arg = at_first(arg)?;
        if !is_of_rows {
            *arg = when(is_row(), arg.clone()).end()?;
        }
    }
    for step in &mut steps {
        if let (Step::Call(call), false) = (step, is_of_rows) {
            call.guard = conjunction(call.guard.take().into_iter().chain([is_row()]));
        }
    }

    let passed = std::iter::zip(&chain.columns, names(schema));
    let passed = passed.filter(|(expr, _)| owned(expr).is_disjoint(&makes));
    let taken = match &packing {
        Some((pack, _)) => {
            let fields = read.iter().enumerate();
            let fields = fields
                .flat_map(|(place, column)| [lit(place.to_string()), Expr::Column(column.clone())]);
            pack.call(fields.collect())
        }
        None => Expr::Column(read[0].clone()),
    };
    let hidden = [(taken, (None, below_name.as_str()))];
    let (columns, below): (Vec<Expr>, Vec<_>) = passed
        .map(|(expr, name)| (expr.clone(), name))
        .chain(hidden)
        .unzip();
    let input = named(stack(chain.base, kept)?, columns, below)?;
    let others = std::iter::zip(&aggregate.aggr_expr, &args).filter(|(_, arg)| arg.is_none());
    let others = others.map(|(expr, _)| expr.clone());
    let of_row = row.with_arg(Column::new_unqualified(&below_name));
    let made = others.chain([of_row.alias(&above_name)]).collect();
    let lower = Aggregate::try_new(Arc::new(input), aggregate.group_expr.clone(), made)?;
    let fields = lower.schema.columns().into_iter().map(Expr::Column);
    let mut fields = fields.collect::<Vec<_>>().into_iter();
    let width = aggregate.group_expr.len();
    let mut columns: Vec<Expr> = fields.by_ref().take(width).collect();
    for arg in args {
        columns.extend(arg.or_else(|| fields.next()));
    }
    let upper = stack(LogicalPlan::Aggregate(lower), steps)?;
    named(upper, columns, names(&aggregate.schema)).map(Some)
}
