//! Joins put together again.

use std::collections::HashSet;
use std::sync::Arc;

use datafusion_common::tree_node::TreeNode;
use datafusion_common::{Dependency, JoinType, NullEquality, Result};
use datafusion_expr::utils::conjunction;
use datafusion_expr::{Expr, Join, LogicalPlan, Operator, binary_expr};

/// A join of the same kind of other sides, by other keys and another condition.
///
/// A key that reads no column of a side becomes part of the condition: DataFusion's
/// `EliminateCrossJoin` drops it from among the keys of an inner join.
pub(crate) fn joined_like(
    join: &Join,
    left: impl Into<Arc<LogicalPlan>>,
    right: impl Into<Arc<LogicalPlan>>,
    on: Vec<(Expr, Expr)>,
    filter: Option<Expr>,
) -> Result<LogicalPlan> {
    let is_key = |(left, right): &(Expr, Expr)| left.any_column_refs() && right.any_column_refs();
    let (on, others): (Vec<_>, Vec<_>) = on
        .into_iter()
        .partition(|pair| join.null_aware || is_key(pair));
    let equal = match join.null_equality {
        NullEquality::NullEqualsNothing => Operator::Eq,
        NullEquality::NullEqualsNull => Operator::IsNotDistinctFrom,
    };
    let others = others.into_iter();
    let others = others.map(|(left, right)| binary_expr(left, equal, right));
    let joined = Join::try_new(
        left.into(),
        right.into(),
        on,
        conjunction(others.chain(filter)),
        join.join_type,
        join.join_constraint,
        join.null_equality,
        join.null_aware,
    )?;
    Ok(LogicalPlan::Join(joined))
}

/// The same join of another side that has the same columns.
pub(crate) fn with_side(join: &Join, is_left: bool, side: LogicalPlan) -> Join {
    let mut join = join.clone();
    *if is_left {
        &mut join.left
    } else {
        &mut join.right
    } = Arc::new(side);
    join
}

/// Whether a join keeps the rows of a side that match nothing.
pub(crate) fn keeps_unmatched(kind: JoinType, is_left: bool) -> bool {
    match kind {
        JoinType::Left | JoinType::LeftAnti | JoinType::LeftMark => is_left,
        JoinType::Right | JoinType::RightAnti | JoinType::RightMark => !is_left,
        JoinType::Full => true,
        _ => false,
    }
}

/// Whether the other side's keys tell its rows apart, so that no row is joined to two of them.
pub(crate) fn joins_once(join: &Join, is_left: bool) -> bool {
    let other = if is_left { &join.right } else { &join.left };
    // DataFusion lets a key pass through `unnest`, which repeats it.
    let is_unnest = |plan: &LogicalPlan| Ok(matches!(plan, LogicalPlan::Unnest(_)));
    if other.exists(is_unnest).unwrap_or(true) {
        return false;
    }
    let keys = join
        .on
        .iter()
        .map(|(left, right)| if is_left { right } else { left });
    let keys = keys.filter_map(|key| match key {
        Expr::Column(column) => other.schema().maybe_index_of_column(column),
        _ => None,
    });
    let keys: HashSet<usize> = keys.collect();
    let dependencies = other.schema().functional_dependencies().iter();
    let mut unique = dependencies.filter(|known| known.mode == Dependency::Single);
    // Nulls may come twice where only values are unique.
    let is_safe =
        |nullable: bool| !nullable || join.null_equality == NullEquality::NullEqualsNothing;
    unique.any(|known| {
        is_safe(known.nullable)
            && known
                .source_indices
                .iter()
                .all(|index| keys.contains(index))
    })
}
