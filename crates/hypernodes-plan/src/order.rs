//! Which of several predicates on nodes is tested first.

use std::collections::HashSet;

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::Expr;
use hypernodes_graph::Call;

use crate::extract::is_repeatable;
use crate::udf::NodeUdf;

/// What it takes to make some calls; the lesser is made first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Default)]
pub(crate) struct Price {
    cost: u64,
    is_async: bool,
}

impl Price {
    pub(crate) fn with(mut self, udf: &NodeUdf) -> Self {
        let node = &udf.bound().node;
        self.cost += u64::from(node.declared().cost);
        self.is_async |= matches!(node.call(), Call::Async(_));
        self
    }

    /// Whether it is worth to sort all rows first, if fewer are then called for.
    pub(crate) fn is_dear(self) -> bool {
        self.is_async || self.cost > 1
    }

    /// Of the calls of a row in an expression, each once.
    fn of(expr: &Expr) -> Self {
        let (mut price, mut seen) = (Self::default(), HashSet::new());
        let walked = expr.apply(|part| {
            if let Some(udf) = NodeUdf::called_by(part)
                && (part.any_column_refs() || !is_repeatable(part))
                && seen.insert(part.clone())
            {
                price = price.with(udf);
            }
            Ok(TreeNodeRecursion::Continue)
        });
        debug_assert!(walked.is_ok(), "the walk itself cannot fail");
        price
    }
}

/// By declared cost, then sync before async, else as written.
pub(crate) fn by_cost(predicates: &mut [Expr]) {
    predicates.sort_by_cached_key(Price::of);
}
