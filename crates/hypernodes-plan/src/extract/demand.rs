//! Which calls the expressions of an operator need, and for which rows.

use datafusion_common::Result;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_expr::expr::{AggregateFunction, Case, InList, ScalarFunction};
use datafusion_expr::utils::split_binary;
use datafusion_expr::{BinaryExpr, Expr, Operator};

use crate::udf::NodeUdf;

/// A call, as it is written, and the rows it is needed for.
pub(crate) struct Demand {
    pub(crate) call: Expr,
    /// Where this is true; everywhere, if there is none.
    pub(crate) guard: Option<Expr>,
}

/// The calls in `exprs`, each once, in the order in which they are met.
pub(super) fn demands<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Result<Vec<Demand>> {
    let is_call = |expr: &Expr| NodeUdf::called_by(expr).is_some();
    demands_of(exprs, None, &is_call)
}

/// What is looked for, and which rows need it.
pub(crate) fn demands_of<'a>(
    exprs: impl IntoIterator<Item = &'a Expr>,
    when: Option<&Expr>,
    is_wanted: &dyn Fn(&Expr) -> bool,
) -> Result<Vec<Demand>> {
    let mut search = Search {
        is_wanted,
        demands: Vec::new(),
    };
    for expr in exprs {
        if search.is_in(expr) {
            search.collect(expr, when)?;
        }
    }
    Ok(search.demands)
}

struct Search<'a> {
    is_wanted: &'a dyn Fn(&Expr) -> bool,
    demands: Vec<Demand>,
}

impl Search<'_> {
    fn is_in(&self, expr: &Expr) -> bool {
        expr.exists(|part| Ok((self.is_wanted)(part)))
            .unwrap_or(true)
    }

    /// `when`: which rows reach `expr`.
    fn collect(&mut self, expr: &Expr, when: Option<&Expr>) -> Result<()> {
        if (self.is_wanted)(expr) {
            expr.apply_children(|part| {
                self.collect(part, when)?;
                Ok(TreeNodeRecursion::Continue)
            })?;
            self.demand(expr, when);
            return Ok(());
        }
        match expr {
            Expr::BinaryExpr(BinaryExpr { op, .. })
                if matches!(op, Operator::And | Operator::Or) =>
            {
                let reached = match op {
                    Operator::And => Expr::is_not_false,
                    _ => Expr::is_not_true,
                };
                let mut terms = split_binary(expr, *op);
                terms.sort_by_key(|term| self.is_in(term));
                self.in_turn(terms, when, |term| reached(term.clone()))
            }
            Expr::Case(case) => self.collect_case(case, when),
            Expr::InList(list) => self.collect_list(list, when),
            Expr::ScalarFunction(function) => self.collect_function(function, when),
            Expr::AggregateFunction(AggregateFunction { params, .. }) => {
                let mut when = when.cloned();
                if let Some(filter) = &params.filter {
                    self.collect(filter, when.as_ref())?;
                    when = both(when, filter.as_ref().clone().is_true());
                }
                let keys = params.order_by.iter().map(|sort| &sort.expr);
                for arg in params.args.iter().chain(keys) {
                    self.collect(arg, when.as_ref())?;
                }
                Ok(())
            }
            other => {
                other.apply_children(|part| {
                    self.collect(part, when)?;
                    Ok(TreeNodeRecursion::Continue)
                })?;
                Ok(())
            }
        }
    }

    /// Terms of which each is reached where `passes` holds for all before it.
    fn in_turn<'t>(
        &mut self,
        terms: impl IntoIterator<Item = &'t Expr>,
        when: Option<&Expr>,
        passes: impl Fn(&Expr) -> Expr,
    ) -> Result<()> {
        let mut when = when.cloned();
        for term in terms {
            self.collect(term, when.as_ref())?;
            when = both(when, passes(term));
        }
        Ok(())
    }

    fn collect_case(&mut self, case: &Case, when: Option<&Expr>) -> Result<()> {
        if let Some(base) = &case.expr {
            self.collect(base, when)?;
        }
        let mut when = when.cloned();
        for (condition, result) in &case.when_then_expr {
            self.collect(condition, when.as_ref())?;
            let condition = condition.as_ref().clone();
            let condition = match &case.expr {
                Some(base) => base.as_ref().clone().eq(condition),
                None => condition,
            };
            let here = both(when.clone(), condition.clone().is_true());
            self.collect(result, here.as_ref())?;
            when = both(when, condition.is_not_true());
        }
        match &case.else_expr {
            Some(result) => self.collect(result, when.as_ref()),
            None => Ok(()),
        }
    }

    /// An item is compared where no item before it was equal.
    fn collect_list(&mut self, list: &InList, when: Option<&Expr>) -> Result<()> {
        let probe = list.expr.as_ref();
        self.collect(probe, when)?;
        let mut items: Vec<&Expr> = list.list.iter().collect();
        items.sort_by_key(|item| self.is_in(item));
        let when = both(when.cloned(), probe.clone().is_not_null());
        let differs = |item: &Expr| probe.clone().eq(item.clone()).is_not_true();
        self.in_turn(items, when.as_ref(), differs)
    }

    fn collect_function(&mut self, function: &ScalarFunction, when: Option<&Expr>) -> Result<()> {
        match (function.name(), &function.args[..]) {
            ("coalesce" | "nvl" | "ifnull", args) => {
                self.in_turn(args, when, |arg| arg.clone().is_null())
            }
            ("nullif", [value, other]) => {
                self.in_turn([value, other], when, |arg| arg.clone().is_not_null())
            }
            ("nvl2", [probe, there, missing]) => {
                self.collect(probe, when)?;
                for (result, test) in [
                    (there, probe.clone().is_not_null()),
                    (missing, probe.clone().is_null()),
                ] {
                    self.collect(result, both(when.cloned(), test).as_ref())?;
                }
                Ok(())
            }
            (_, args) => args.iter().try_for_each(|arg| self.collect(arg, when)),
        }
    }

    fn demand(&mut self, call: &Expr, when: Option<&Expr>) {
        let Some(known) = self.demands.iter_mut().find(|known| known.call == *call) else {
            let (call, guard) = (call.clone(), when.cloned());
            self.demands.push(Demand { call, guard });
            return;
        };
        known.guard = match (known.guard.take(), when) {
            (Some(one), Some(other)) if one == *other => Some(one),
            (Some(one), Some(other)) => Some(one.or(other.clone())),
            _ => None,
        };
    }
}

/// A test that cannot be repeated guards nothing: more rows than needed are called for.
fn both(when: Option<Expr>, test: Expr) -> Option<Expr> {
    if !is_repeatable(&test) {
        return when;
    }
    Some(match when {
        Some(when) => when.and(test),
        None => test,
    })
}

/// Whether evaluating `expr` again gives the same; calls of nodes are columns by then.
pub(crate) fn is_repeatable(expr: &Expr) -> bool {
    let is_volatile = |part: &Expr| part.is_volatile_node() && NodeUdf::called_by(part).is_none();
    !expr.exists(|part| Ok(is_volatile(part))).unwrap_or(true)
}
