//! Joins whose condition calls a node with columns of both sides.

use std::sync::Arc;

use datafusion_common::{Column, JoinType, Result};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, Projection, Window, lit, when,
};

use super::extracted::{Extracted, Known, Query};
use super::unique::made_name;
use crate::arrange::numbered;
use crate::join::joined_like;
use crate::udf::NodeUdf;

/// What a join is made of, without the calls of its condition that read both sides: these are
/// `above`, made for each pair of rows that the rest of the condition matches.
pub(super) struct Pairs {
    pub(super) left: Extracted,
    pub(super) right: Extracted,
    pub(super) on: Vec<(Expr, Expr)>,
    pub(super) within: Option<Expr>,
    pub(super) above: Vec<Expr>,
}

impl Pairs {
    /// The pairs whose calls meet the condition.
    pub(super) fn inner(self, join: &Join, query: &mut Query<'_>) -> Result<Extracted> {
        let known = self.left.known.into_iter().chain(self.right.known);
        let mut pairs = Extracted {
            plan: joined_like(join, self.left.plan, self.right.plan, self.on, self.within)?,
            known: known.collect(),
        };
        for conjunct in self.above {
            let conjunct = pairs.materialise(vec![conjunct], query)?;
            pairs.filter(conjunction(conjunct))?;
        }
        Ok(pairs)
    }

    /// A join that keeps rows of one side: these are numbered, and ranked are the pairs of each,
    /// those first that meet the condition. The first pair tells whether there is one, and stands
    /// for the row where it is wanted once.
    ///
    /// `None` of a join that keeps the rows of both sides, or asks whether null matches.
    pub(super) fn kept(mut self, join: &Join, query: &mut Query<'_>) -> Result<Option<Extracted>> {
        use JoinType::{Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightSemi};
        let is_left = match join.join_type {
            Left | LeftSemi | LeftAnti | LeftMark => true,
            Right | RightSemi | RightAnti => false,
            _ => return Ok(None),
        };
        let rank_of = query.config.function_registry();
        let rank_of = rank_of.and_then(|functions| functions.udwf("row_number").ok());
        let Some(rank_of) = rank_of.filter(|_| !join.null_aware) else {
            return Ok(None);
        };
        let new = || Column::new_unqualified(made_name(query.config));
        let [row, matched, hit, rank] = [new(), new(), new(), new()];
        let schemas = [&self.left.plan, &self.right.plan].map(|plan| Arc::clone(plan.schema()));
        let mut known = known_above(
            join.join_type,
            self.left.known.clone(),
            self.right.known.clone(),
        );
        let (kept, other) = match is_left {
            true => (&mut self.left, &mut self.right),
            false => (&mut self.right, &mut self.left),
        };
        kept.plan = numbered(&kept.plan, &row.name)?;
        let columns = other.plan.schema().columns().into_iter().map(Expr::Column);
        let columns = columns.chain([lit(true).alias(&matched.name)]).collect();
        let plan = Projection::try_new(columns, Arc::new(std::mem::take(&mut other.plan)))?;
        other.plan = LogicalPlan::Projection(plan);

        let is_semi = matches!(join.join_type, LeftSemi | RightSemi);
        let join_type = match (is_semi, is_left) {
            (true, _) => JoinType::Inner,
            (false, true) => Left,
            (false, false) => Right,
        };
        let pairs = Join {
            join_type,
            ..join.clone()
        };
        let is_hit = Expr::Column(hit.clone());
        let made = match is_semi {
            true => self.inner(&pairs, query)?,
            false => self.outer(&pairs, Expr::Column(matched), &hit, query)?,
        };
        let window = WindowFunction::new(rank_of, Vec::new());
        let window = Expr::from(window).partition_by(vec![Expr::Column(row)]);
        let window = match is_semi {
            true => window.build()?,
            false => window
                .order_by(vec![is_hit.clone().sort(false, false)])
                .build()?,
        };
        let window = Window::try_new(vec![window.alias(&rank.name)], Arc::new(made.plan))?;
        let is_first = Expr::Column(rank).eq(lit(1_u64));
        let wanted = match join.join_type {
            Left | Right => is_hit.clone().or(is_first),
            LeftAnti | RightAnti => is_first.and(is_hit.clone().is_not_true()),
            _ => is_first,
        };
        let own = |place: usize| schemas[place].columns().into_iter().map(Expr::Column);
        let padded = |place: usize| {
            let columns = schemas[place].columns().into_iter();
            columns.map(|column| {
                let value = when(is_hit.clone(), Expr::Column(column.clone())).end()?;
                Ok(value.alias_qualified(column.relation, column.name))
            })
        };
        let mut columns: Vec<Expr> = match join.join_type {
            Left => own(0).map(Ok).chain(padded(1)).collect::<Result<_>>()?,
            Right => padded(0).chain(own(1).map(Ok)).collect::<Result<_>>()?,
            LeftMark => {
                let mark = join.schema.columns().pop();
                let mark =
                    mark.map(|mark| is_hit.clone().alias_qualified(mark.relation, mark.name));
                own(0).chain(mark).collect()
            }
            _ => own(usize::from(!is_left)).collect(),
        };
        if matches!(join.join_type, Left | Right) {
            let other = &schemas[usize::from(is_left)];
            let has = |column: &Column| other.maybe_index_of_column(column).is_some();
            let is_of_both = |known: &Known| {
                let is_new = schemas
                    .iter()
                    .all(|side| side.maybe_index_of_column(&known.column).is_none());
                is_new && is_null_where(known, has)
            };
            for both in made.known.into_iter().filter(is_of_both) {
                let value = when(is_hit.clone(), Expr::Column(both.column.clone())).end()?;
                columns.push(value.alias(&both.column.name));
                known.push(Known {
                    guard: None,
                    ..both
                });
            }
        }
        let plan = LogicalPlanBuilder::new(LogicalPlan::Window(window))
            .filter(wanted)?
            .project(columns)?
            .build()?;
        Ok(Some(Extracted { plan, known }))
    }

    /// The pairs, and the rows of the kept side without one, with a column that tells whether the
    /// condition is met.
    fn outer(
        self,
        join: &Join,
        matched: Expr,
        hit: &Column,
        query: &mut Query<'_>,
    ) -> Result<Extracted> {
        let known = known_above(join.join_type, self.left.known, self.right.known);
        let mut pairs = Extracted {
            plan: joined_like(join, self.left.plan, self.right.plan, self.on, self.within)?,
            known,
        };
        let is_hit = self.above.into_iter().fold(matched.is_true(), Expr::and);
        let is_hit = pairs.materialise(vec![is_hit.is_true()], query)?;
        let columns = pairs.plan.schema().columns().into_iter().map(Expr::Column);
        let is_hit = is_hit.into_iter().map(|is_hit| is_hit.alias(&hit.name));
        let columns = columns.chain(is_hit).collect();
        let plan = Projection::try_new(columns, Arc::new(pairs.plan))?;
        pairs.plan = LogicalPlan::Projection(plan);
        Ok(pairs)
    }
}

/// What is still known of the columns of a join.
pub(super) fn known_above(kind: JoinType, left: Vec<Known>, right: Vec<Known>) -> Vec<Known> {
    let padded = |known: Vec<Known>| {
        let is_null = |known: &Known| is_null_where(known, |_| true);
        known.into_iter().filter(is_null)
    };
    match kind {
        JoinType::Inner => left.into_iter().chain(right).collect(),
        JoinType::Left => left.into_iter().chain(padded(right)).collect(),
        JoinType::Right => padded(left).chain(right).collect(),
        JoinType::Full => padded(left).chain(padded(right)).collect(),
        JoinType::LeftSemi | JoinType::LeftAnti | JoinType::LeftMark => left,
        JoinType::RightSemi | JoinType::RightAnti | JoinType::RightMark => right,
    }
}

/// Whether a call is null where these columns are.
fn is_null_where(known: &Known, is_null: impl Fn(&Column) -> bool) -> bool {
    match &known.call {
        Expr::ScalarFunction(call) => NodeUdf::is_null_of(call, is_null),
        _ => false,
    }
}
