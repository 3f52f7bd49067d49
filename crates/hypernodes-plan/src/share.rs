//! Calls above a join are made once for each row that they read, however often the join repeats it.
//!
//! ```text
//!   NodeMap: f(a.x) ONCE PER __hn_row_0
//!     Filter: …
//!       Join: a.k = b.k
//!         Projection: a.k, a.x, row_id() AS __hn_row_0
//!           a
//!         b
//! ```

use std::collections::HashSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use arrow::array::UInt64Array;
use arrow::datatypes::{DataType, Field};
use datafusion_common::tree_node::Transformed;
use datafusion_common::{Column, DFSchema, JoinType, Result};
use datafusion_expr::{
    ColumnarValue, Expr, Extension, Filter, Join, LogicalPlan, Projection, ScalarFunctionArgs,
    ScalarUDF, ScalarUDFImpl, Signature, SubqueryAlias, Union, Unnest, UserDefinedLogicalNodeCore,
    Volatility, Window,
};

use crate::arrange::with_names_apart;
use crate::extract::is_repeatable;
use crate::join::{joined_like, joins_once};
use crate::node_map::NodeMap;

/// Lets the rows that a join makes of one row share what is called for it.
///
/// The last step before physical planning: no rule of the optimizer knows that the rows are
/// numbered. Only calls of nodes that are pure share; those that read both sides of a join are
/// made for each row that it makes.
pub fn share_calls(plan: &LogicalPlan) -> Result<LogicalPlan> {
    let mut numbering = Numbering {
        row_id: row_id(),
        numbered: 0,
    };
    let shared = plan
        .clone()
        .transform_down_with_subqueries(|plan| match NodeMap::of(&plan) {
            Some(map) => numbering.share(map),
            None => Ok(Transformed::no(plan)),
        })?;
    with_names_apart(shared.data)
}

/// The function that gives each row a number, which no other row of the process has.
pub(crate) fn row_id() -> Arc<ScalarUDF> {
    Arc::new(ScalarUDF::from(RowId::default()))
}

/// A number for each row that no other row of the process has.
#[derive(Debug, PartialEq, Eq, Hash)]
struct RowId(Signature);

impl Default for RowId {
    fn default() -> Self {
        Self(Signature::nullary(Volatility::Volatile))
    }
}

impl ScalarUDFImpl for RowId {
    fn name(&self) -> &str {
        "hypernodes_row_id"
    }

    fn signature(&self) -> &Signature {
        &self.0
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::UInt64)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let rows = args.number_rows as u64;
        let first = NEXT.fetch_add(rows, Ordering::Relaxed);
        let ids = UInt64Array::from_iter_values(first..first + rows);
        Ok(ColumnarValue::Array(Arc::new(ids)))
    }
}

/// A plan with a column that numbers rows of a plan below.
type Numbered = (LogicalPlan, Column);

struct Numbering {
    row_id: Arc<ScalarUDF>,
    numbered: usize,
}

impl Numbering {
    fn share(&mut self, map: &NodeMap) -> Result<Transformed<LogicalPlan>> {
        let (mut input, mut calls) = (map.input().clone(), map.calls().to_vec());
        for call in &mut calls {
            let columns = columns(&call.function.args);
            if call.once_per.is_none()
                && call.is_repeatable()
                && let Some((numbered, row)) = self.below_joins(&input, &columns)?
            {
                input = numbered;
                call.once_per = Some(Expr::Column(row));
            }
        }
        let shared = NodeMap::try_new(input, calls)?;
        if shared == *map {
            let node = Arc::new(shared);
            return Ok(Transformed::no(LogicalPlan::Extension(Extension { node })));
        }
        let kept = map.schema().columns().into_iter().map(Expr::Column);
        let node = Arc::new(shared);
        let shared = Arc::new(LogicalPlan::Extension(Extension { node }));
        let restored = Projection::try_new(kept.collect(), shared)?;
        // What stands below the operator is looked at next, itself not again.
        Ok(Transformed::yes(LogicalPlan::Projection(restored)))
    }

    /// The plan with a number for the rows that the columns come from, if a join of it repeats
    /// them; the rows of the lowest such join's side, where there are several.
    fn below_joins(
        &mut self,
        plan: &LogicalPlan,
        columns: &HashSet<Column>,
    ) -> Result<Option<Numbered>> {
        if columns.is_empty() {
            return Ok(None);
        }
        match plan {
            LogicalPlan::Join(join) => self.below_join(join, columns),
            LogicalPlan::Projection(projection) => self.below_projection(projection, columns),
            LogicalPlan::SubqueryAlias(alias) => {
                let (upper, lower) = (alias.schema.columns(), alias.input.schema().columns());
                let renamed = std::iter::zip(upper, lower);
                let renamed = renamed.filter(|(upper, _)| columns.contains(upper));
                let columns = renamed.map(|(_, lower)| lower).collect();
                let Some((input, row)) = self.below_joins(&alias.input, &columns)? else {
                    return Ok(None);
                };
                let row = Column::new(Some(alias.alias.clone()), row.name);
                let alias = SubqueryAlias::try_new(Arc::new(input), alias.alias.clone())?;
                Ok(Some((LogicalPlan::SubqueryAlias(alias), row)))
            }
            LogicalPlan::Filter(filter) => self.below(&filter.input, columns, |input| {
                let filter = Filter::try_new(filter.predicate.clone(), Arc::new(input))?;
                Ok(LogicalPlan::Filter(filter))
            }),
            LogicalPlan::Sort(sort) => self.below(&sort.input, columns, |input| {
                let mut sort = sort.clone();
                sort.input = Arc::new(input);
                Ok(LogicalPlan::Sort(sort))
            }),
            LogicalPlan::Limit(limit) => self.below(&limit.input, columns, |input| {
                let mut limit = limit.clone();
                limit.input = Arc::new(input);
                Ok(LogicalPlan::Limit(limit))
            }),
            LogicalPlan::Window(window) => self.below(&window.input, columns, |input| {
                let window = Window::try_new(window.window_expr.clone(), Arc::new(input))?;
                Ok(LogicalPlan::Window(window))
            }),
            LogicalPlan::Union(union) => self.below_union(union, columns),
            LogicalPlan::Unnest(unnest) => self.below_unnest(unnest, plan, columns),
            other => match NodeMap::of(other) {
                Some(map) => self.below_calls(map, columns),
                None => Ok(None),
            },
        }
    }

    /// `None` if the input lacks one of the columns: it is made here, anew for each row.
    fn below(
        &mut self,
        input: &LogicalPlan,
        columns: &HashSet<Column>,
        rebuilt: impl FnOnce(LogicalPlan) -> Result<LogicalPlan>,
    ) -> Result<Option<Numbered>> {
        if !has_all(input.schema(), columns) {
            return Ok(None);
        }
        let numbered = self.below_joins(input, columns)?;
        numbered
            .map(|(input, row)| Ok((rebuilt(input)?, row)))
            .transpose()
    }

    fn below_projection(
        &mut self,
        projection: &Projection,
        wanted: &HashSet<Column>,
    ) -> Result<Option<Numbered>> {
        let made = std::iter::zip(projection.schema.columns(), &projection.expr);
        let made = made.filter(|(column, _)| wanted.contains(column));
        let made: Vec<&Expr> = made.map(|(_, expr)| expr).collect();
        if !made.iter().all(|expr| is_repeatable(expr)) {
            return Ok(None);
        }
        let Some((input, row)) = self.below_joins(&projection.input, &columns(made))? else {
            return Ok(None);
        };
        let mut exprs = projection.expr.clone();
        let row_expr = Expr::Column(row.clone());
        if !exprs.contains(&row_expr) {
            exprs.push(row_expr);
        }
        let projection = Projection::try_new(exprs, Arc::new(input))?;
        Ok(Some((LogicalPlan::Projection(projection), row)))
    }

    fn below_calls(&mut self, map: &NodeMap, wanted: &HashSet<Column>) -> Result<Option<Numbered>> {
        // A column of a call is of the row that the call reads.
        let below = wanted.iter().map(|column| {
            let made_by = map.calls().iter().find(|call| {
                let mut names = call.outputs.iter().map(|output| &output.name);
                column.relation.is_none() && names.any(|name| *name == column.name)
            });
            match made_by {
                None => Some(HashSet::from([column.clone()])),
                Some(call) => call.is_repeatable().then(|| columns(&call.function.args)),
            }
        });
        let Some(below) = below.collect::<Option<Vec<_>>>() else {
            return Ok(None);
        };
        let below = below.into_iter().flatten().collect();
        let numbered = self.below_joins(map.input(), &below)?;
        let rebuilt = numbered.map(|(input, row)| {
            let node = Arc::new(NodeMap::try_new(input, map.calls().to_vec())?);
            Ok((LogicalPlan::Extension(Extension { node }), row))
        });
        rebuilt.transpose()
    }

    fn below_join(&mut self, join: &Join, columns: &HashSet<Column>) -> Result<Option<Numbered>> {
        use JoinType::{Full, Inner, Left, LeftAnti, LeftMark, LeftSemi};
        use JoinType::{Right, RightAnti, RightMark, RightSemi};
        let has_side = match join.join_type {
            Inner | Left | Right | Full => [true, true],
            LeftSemi | LeftAnti | LeftMark => [true, false],
            RightSemi | RightAnti | RightMark => [false, true],
        };
        for (is_left, has_side) in std::iter::zip([true, false], has_side) {
            let (side, other) = match is_left {
                true => (&join.left, &join.right),
                false => (&join.right, &join.left),
            };
            if !has_side || !has_all(side.schema(), columns) {
                continue;
            }
            let repeats = matches!(join.join_type, Inner | Left | Right | Full)
                && !joins_once(join, is_left)
                && other.max_rows() != Some(1);
            let numbered = match self.below_joins(side, columns)? {
                None if repeats => Some(self.number(side)?),
                numbered => numbered,
            };
            let Some((side, row)) = numbered else {
                return Ok(None);
            };
            let (on, filter) = (join.on.clone(), join.filter.clone());
            let other = Arc::clone(other);
            let joined = match is_left {
                true => joined_like(join, side, other, on, filter)?,
                false => joined_like(join, other, side, on, filter)?,
            };
            return Ok(Some((joined, row)));
        }
        Ok(None)
    }

    /// Rows of all arms are numbered, if a join of one repeats its rows.
    fn below_union(&mut self, union: &Union, wanted: &HashSet<Column>) -> Result<Option<Numbered>> {
        let upper = union.schema.columns();
        let (mut arms, mut repeats) = (Vec::with_capacity(union.inputs.len()), false);
        for arm in &union.inputs {
            let own = std::iter::zip(&upper, arm.schema().columns());
            let own = own.filter(|(column, _)| wanted.contains(column));
            let own = own.map(|(_, own)| own).collect();
            let numbered = self.below_joins(arm, &own)?;
            repeats |= numbered.is_some();
            arms.push(numbered.map_or_else(|| self.number(arm), Ok)?);
        }
        if !repeats {
            return Ok(None);
        }
        let name = self.next_name();
        let arms = std::iter::zip(&union.inputs, arms).map(|(arm, (numbered, row))| {
            let kept = arm.schema().columns().into_iter().map(Expr::Column);
            let row = Expr::Column(row).alias(&name);
            let arm = Projection::try_new(kept.chain([row]).collect(), Arc::new(numbered))?;
            Ok(Arc::new(LogicalPlan::Projection(arm)))
        });
        let inputs = arms.collect::<Result<Vec<_>>>()?;
        let fields = union.schema.iter();
        let fields = fields.map(|(qualifier, field)| (qualifier.cloned(), Arc::clone(field)));
        let row = Arc::new(Field::new(&name, DataType::UInt64, true));
        let fields = fields.chain([(None, row)]).collect();
        let schema = DFSchema::new_with_metadata(fields, union.schema.metadata().clone())?;
        let schema = Arc::new(schema);
        let union = LogicalPlan::Union(Union { inputs, schema });
        Ok(Some((union, Column::new_unqualified(name))))
    }

    /// A row comes once for each item of its lists.
    fn below_unnest(
        &mut self,
        unnest: &Unnest,
        plan: &LogicalPlan,
        wanted: &HashSet<Column>,
    ) -> Result<Option<Numbered>> {
        let input = &unnest.input;
        // A list may be named without its qualifier.
        let place_of = |column: &Column| input.schema().maybe_index_of_column(column);
        let lists: Vec<_> = unnest.exec_columns.iter().map(place_of).collect();
        let is_passed = |column: &Column| {
            let place = place_of(column);
            place.is_some() && !lists.contains(&place)
        };
        if !wanted.iter().all(is_passed) {
            return Ok(None);
        }
        let (numbered, row) = match self.below_joins(input, wanted)? {
            Some(numbered) => numbered,
            None => self.number(input)?,
        };
        let unnested = plan.with_new_exprs(plan.expressions(), vec![numbered])?;
        Ok(Some((unnested, row)))
    }

    fn next_name(&mut self) -> String {
        let name = format!("__hn_row_{}", self.numbered);
        self.numbered += 1;
        name
    }

    /// The plan with a number for each of its rows.
    fn number(&mut self, plan: &LogicalPlan) -> Result<Numbered> {
        if let LogicalPlan::Projection(projection) = plan
            && let Some(Expr::Alias(last)) = projection.expr.last()
            && matches!(&*last.expr, Expr::ScalarFunction(made) if made.func == self.row_id)
        {
            return Ok((plan.clone(), Column::new_unqualified(&last.name)));
        }
        let name = self.next_name();
        let kept = plan.schema().columns().into_iter().map(Expr::Column);
        let row = self.row_id.call(Vec::new()).alias(&name);
        let exprs = kept.chain([row]).collect();
        let projection = Projection::try_new(exprs, Arc::new(plan.clone()))?;
        Ok((
            LogicalPlan::Projection(projection),
            Column::new_unqualified(name),
        ))
    }
}

fn columns<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> HashSet<Column> {
    let columns = exprs.into_iter().flat_map(Expr::column_refs);
    columns.cloned().collect()
}

fn has_all(schema: &DFSchema, columns: &HashSet<Column>) -> bool {
    let has = |column: &Column| schema.maybe_index_of_column(column).is_some();
    columns.iter().all(has)
}
