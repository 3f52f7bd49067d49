//! What the rows of a side must match.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::{Transformed, TreeNode};
use datafusion_common::{Column, DFSchema, Result, TableReference};
use datafusion_expr::expr_fn::ident;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Aggregate, Expr, LogicalPlan, LogicalPlanBuilder, Projection};

use super::super::chain::{Chain, Step, owned};
use super::bare::has_all;
use crate::total::is_total;

/// What rows of a side must match to be used by the join.
#[derive(Clone)]
pub(super) struct Conditions {
    /// An expression of the side, and what it must equal.
    pub(super) on: Vec<(Expr, Expr)>,
    pub(super) filter: Vec<Expr>,
}

impl Conditions {
    pub(super) fn len(&self) -> usize {
        self.on.len() + self.filter.len()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Those that read the other side alone are predicates on it.
    pub(super) fn without_those_of(mut self, other: LogicalPlan) -> Result<(LogicalPlan, Self)> {
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
    pub(super) fn over_keys(self, other: LogicalPlan, alias: &str) -> Result<(LogicalPlan, Self)> {
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
    pub(super) fn below(self, chain: &Chain, plan: &LogicalPlan) -> Result<Option<Self>> {
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
    pub(super) fn total(mut self, schema: &DFSchema) -> Option<Self> {
        let (had_keys, was_empty) = (!self.on.is_empty(), self.is_empty());
        self.on.retain(|(own, _)| is_total(own, schema));
        self.filter.retain(|conjunct| is_total(conjunct, schema));
        let is_enough = self.is_empty() == was_empty && self.on.is_empty() != had_keys;
        is_enough.then_some(self)
    }

    /// The keys that are groups: a key of the groups is one of their rows.
    pub(super) fn below_groups(&self, aggregate: &Aggregate) -> Option<Self> {
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
    pub(super) fn of_arm(&self, union: &LogicalPlan, arm: &LogicalPlan) -> Result<Self> {
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
    pub(super) fn of_side(&self, side: &LogicalPlan, keys: &LogicalPlan) -> Self {
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
    pub(super) fn keys(&self, keys: &LogicalPlan) -> Vec<Column> {
        let read = self.on.iter().map(|(_, key)| key).chain(&self.filter);
        let read: HashSet<Column> = read.flat_map(owned).collect();
        let mut columns = keys.schema().columns();
        columns.retain(|column| self.is_empty() || read.contains(column));
        columns
    }

    /// Whether any reads a column of this schema.
    pub(super) fn read_one_of(&self, schema: &DFSchema) -> bool {
        let keys = self.on.iter().map(|(own, _)| own);
        let mut read = keys.chain(&self.filter).flat_map(owned);
        read.any(|column| schema.maybe_index_of_column(&column).is_some())
    }

    /// Whether a reduction has the same keys.
    pub(super) fn is_met_by(&self, on: &[(Expr, Expr)]) -> bool {
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

/// The name of a key's column; a qualified one, since the side may have one of the same.
pub(super) fn key_name(key: &Expr) -> String {
    match key {
        Expr::Column(column) if column.relation.is_none() => format!("_.{}", column.name),
        // A cast has the schema name of what it casts.
        other => other.to_string(),
    }
}
