//! Joins whose condition calls a node with columns of both sides.

use std::sync::Arc;

use arrow::datatypes::DataType;
use datafusion_common::{Column, DFSchemaRef, JoinType, Result, ScalarValue};
use datafusion_expr::expr::WindowFunction;
use datafusion_expr::utils::conjunction;
use datafusion_expr::{
    Expr, ExprFunctionExt, Join, LogicalPlan, LogicalPlanBuilder, Projection, Window, WindowUDF,
    lit, when,
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
    /// What is known above a join of that kind.
    fn known_above(&self, kind: JoinType) -> Vec<Known> {
        known_above(kind, self.left.known.clone(), self.right.known.clone())
    }

    /// The pairs whose calls meet the condition.
    pub(super) fn inner(self, join: &Join, query: &mut Query<'_>) -> Result<Extracted> {
        let known = self.known_above(JoinType::Inner);
        let mut pairs = Extracted {
            plan: joined_like(join, self.left.plan, self.right.plan, self.on, self.within)?,
            known,
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
    /// Where null might be what is looked for, it meets the keys.
    ///
    /// `None` of a mark join that keeps the right side, and of a session without `row_number()`.
    pub(super) fn kept(mut self, join: &Join, query: &mut Query<'_>) -> Result<Option<Extracted>> {
        use JoinType::{Left, LeftAnti, LeftMark, LeftSemi, Right, RightAnti, RightSemi};
        let rank_of = query.config.function_registry();
        let rank_of = rank_of.and_then(|functions| functions.udwf("row_number").ok());
        let Some(rank_of) = rank_of else {
            return Ok(None);
        };
        if join.null_aware {
            let keys = std::mem::take(&mut self.on).into_iter();
            let keys = keys.map(|(left, right)| left.eq(right).is_not_false());
            self.within = conjunction(keys.chain(self.within.take()));
        }
        let is_left = match join.join_type {
            Left | LeftSemi | LeftAnti | LeftMark => true,
            Right | RightSemi | RightAnti => false,
            JoinType::Full => return self.full(join, &rank_of, query).map(Some),
            _ => return Ok(None),
        };
        let [row, matched, hit, rank] = std::array::from_fn(|_| new_column(query));
        let schemas = [&self.left.plan, &self.right.plan].map(|plan| Arc::clone(plan.schema()));
        let mut known = self.known_above(join.join_type);
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
            null_aware: false,
            ..join.clone()
        };
        let is_hit = Expr::Column(hit.clone());
        let made = match is_semi {
            true => self.inner(&pairs, query)?,
            false => self.outer(&pairs, Expr::Column(matched), &hit, query)?,
        };
        let by = (!is_semi).then(|| is_hit.clone());
        let ranked = ranked(made.plan, &rank_of, &row, by, &rank)?;
        let is_first = Expr::Column(rank).eq(lit(1_u64));
        let wanted = match join.join_type {
            Left | Right => is_hit.clone().or(is_first),
            LeftAnti | RightAnti => is_first.and(is_hit.clone().is_not_true()),
            _ => is_first,
        };
        let own = |place: usize| schemas[place].columns().into_iter().map(Expr::Column);
        let mut columns: Vec<Expr> = match join.join_type {
            Left => own(0).chain(padded(&schemas[1], &is_hit)?).collect(),
            Right => padded(&schemas[0], &is_hit)?
                .into_iter()
                .chain(own(1))
                .collect(),
            LeftMark => {
                let mark = join.schema.columns().pop();
                let mark =
                    mark.map(|mark| is_hit.clone().alias_qualified(mark.relation, mark.name));
                own(0).chain(mark).collect()
            }
            _ => own(usize::from(!is_left)).collect(),
        };
        if matches!(join.join_type, Left | Right) {
            let padded = &schemas[usize::from(is_left)..][..1];
            for both in known_of_pairs(made.known, &schemas, padded) {
                columns.push(where_true(&is_hit, &both.column)?);
                known.push(both);
            }
        }
        let plan = LogicalPlanBuilder::new(ranked)
            .filter(wanted)?
            .project(columns)?
            .build()?;
        Ok(Some(Extracted { plan, known }))
    }

    /// A full join: both sides' rows are numbered, and what a pair stands for is told by a list: for
    /// itself, or for the row of one side, or for that of either.
    fn full(
        mut self,
        join: &Join,
        rank_of: &Arc<WindowUDF>,
        query: &mut Query<'_>,
    ) -> Result<Extracted> {
        let [left, right, hit, first, second, kind] = std::array::from_fn(|_| new_column(query));
        let schemas = [&self.left.plan, &self.right.plan].map(|plan| Arc::clone(plan.schema()));
        self.left.plan = numbered(&self.left.plan, &left.name)?;
        self.right.plan = numbered(&self.right.plan, &right.name)?;
        let mut known = self.known_above(join.join_type);
        let is_row = |row: &Column| Expr::Column(row.clone()).is_not_null();
        let matched = is_row(&left).and(is_row(&right));
        let is_hit = Expr::Column(hit.clone());
        let made = self.outer(join, matched, &hit, query)?;
        let plan = ranked(made.plan, rank_of, &left, Some(is_hit.clone()), &first)?;
        let plan = ranked(plan, rank_of, &right, Some(is_hit.clone()), &second)?;
        let alone = |row: &Column, rank: Column| {
            let is_first = Expr::Column(rank).eq(lit(1_u64));
            is_row(row).and(is_first)
        };
        let (is_left, is_right) = (alone(&left, first), alone(&right, second));
        let list = |kinds: &[i8]| {
            let kinds: Vec<ScalarValue> = kinds.iter().copied().map(ScalarValue::from).collect();
            lit(ScalarValue::List(ScalarValue::new_list_nullable(
                &kinds,
                &DataType::Int8,
            )))
        };
        let kinds = when(is_hit, list(&[0]))
            .when(is_left.clone().and(is_right.clone()), list(&[1, 2]))
            .when(is_left, list(&[1]))
            .when(is_right, list(&[2]))
            .end()?;
        let kind_of_row = Expr::Column(kind.clone());
        let mut columns = padded(&schemas[0], &kind_of_row.clone().not_eq(lit(2_i8)))?;
        columns.extend(padded(&schemas[1], &kind_of_row.clone().not_eq(lit(1_i8)))?);
        for both in known_of_pairs(made.known, &schemas, &schemas) {
            columns.push(where_true(
                &kind_of_row.clone().eq(lit(0_i8)),
                &both.column,
            )?);
            known.push(both);
        }
        let own = plan.schema().columns().into_iter().map(Expr::Column);
        let own: Vec<Expr> = own.chain([kinds.alias(&kind.name)]).collect();
        let plan = LogicalPlanBuilder::new(plan)
            .project(own)?
            .filter(is_row(&kind))?
            .unnest_column(kind.clone())?
            .project(columns)?
            .build()?;
        Ok(Extracted { plan, known })
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
        let known = self.known_above(join.join_type);
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

fn new_column(query: &Query<'_>) -> Column {
    Column::new_unqualified(made_name(query.config))
}

/// The columns of a side, null where the test is not true.
fn padded(side: &DFSchemaRef, test: &Expr) -> Result<Vec<Expr>> {
    let columns = side.columns().into_iter();
    columns.map(|column| where_true(test, &column)).collect()
}

/// A column where the test is true, else null, under its name.
fn where_true(test: &Expr, column: &Column) -> Result<Expr> {
    let value = when(test.clone(), Expr::Column(column.clone())).end()?;
    Ok(value.alias_qualified(column.relation.clone(), &column.name))
}

/// The plan with the place of each row among those of one number.
fn ranked(
    plan: LogicalPlan,
    rank_of: &Arc<WindowUDF>,
    row: &Column,
    first: Option<Expr>,
    rank: &Column,
) -> Result<LogicalPlan> {
    let window = WindowFunction::new(Arc::clone(rank_of), Vec::new());
    let window = Expr::from(window).partition_by(vec![Expr::Column(row.clone())]);
    // An empty list of keys is no order.
    let window = match first {
        Some(first) => window.order_by(vec![first.sort(false, false)]),
        None => window,
    };
    let window = window.build()?;
    let window = Window::try_new(vec![window.alias(&rank.name)], Arc::new(plan))?;
    Ok(LogicalPlan::Window(window))
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

/// The calls made for pairs that are null where one of the sides is padded, and so for all rows.
fn known_of_pairs(
    known: Vec<Known>,
    sides: &[DFSchemaRef],
    padded: &[DFSchemaRef],
) -> impl Iterator<Item = Known> {
    let has = |side: &DFSchemaRef, column: &Column| side.maybe_index_of_column(column).is_some();
    known
        .into_iter()
        .filter(move |known| {
            let is_new = !sides.iter().any(|side| has(side, &known.column));
            let mut padded = padded.iter();
            is_new && padded.all(|side| is_null_where(known, |column| has(side, column)))
        })
        .map(|known| Known {
            guard: None,
            ..known
        })
}

/// Whether a call is null where these columns are.
fn is_null_where(known: &Known, is_null: impl Fn(&Column) -> bool) -> bool {
    match &known.call {
        Expr::ScalarFunction(call) => NodeUdf::is_null_of(call, is_null),
        _ => false,
    }
}
