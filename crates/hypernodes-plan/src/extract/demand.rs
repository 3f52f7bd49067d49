//! Which calls the expressions of an operator need, and for which rows.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{DFSchema, Result};
use datafusion_expr::expr::{AggregateFunction, Case, InList, ScalarFunction};
use datafusion_expr::utils::{conjunction, split_binary, split_conjunction};
use datafusion_expr::{BinaryExpr, Expr, Operator, lit};

use crate::pin_nodes::PIN;
use crate::total::is_total;
use crate::udf::NodeUdf;

/// A call, as it is written, and the rows it is needed for.
pub(crate) struct Demand {
    pub(crate) call: Expr,
    /// Where all the tests of one of these hold.
    pub(crate) guards: Vec<Vec<Expr>>,
}

/// The calls in `exprs`, each once, in the order in which they are met.
pub(super) fn demands<'a>(exprs: impl IntoIterator<Item = &'a Expr>) -> Result<Vec<Demand>> {
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

/// The same for a predicate, where null is as good as false.
pub(crate) fn demands_of_predicate(
    predicate: &Expr,
    is_wanted: &dyn Fn(&Expr) -> bool,
) -> Result<Vec<Demand>> {
    let demands = Vec::new();
    let mut search = Search { is_wanted, demands };
    search.collect_truth(predicate, None)?;
    Ok(search.demands)
}

/// Whether a part of an expression calls a node.
pub(super) fn is_call(expr: &Expr) -> bool {
    NodeUdf::called_by(expr).is_some()
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
                let terms = self.terms(expr, *op);
                self.in_turn(terms, when, |term| reached(term.clone()))
            }
            Expr::Alias(alias) if alias.name.starts_with(PIN) => {
                self.collect_truth(&alias.expr, when)
            }
            Expr::Case(case) => self.collect_case(case, when),
            Expr::InList(list) => self.collect_list(list, when),
            Expr::ScalarFunction(function) => self.collect_function(function, when),
            Expr::AggregateFunction(AggregateFunction { params, .. }) => {
                let mut when = when.cloned();
                if let Some(filter) = &params.filter {
                    self.collect_truth(filter, when.as_ref())?;
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

    /// The same where null is as good as false: a predicate, or a condition.
    fn collect_truth(&mut self, expr: &Expr, when: Option<&Expr>) -> Result<()> {
        let Expr::BinaryExpr(BinaryExpr { op, .. }) = expr else {
            return self.collect(expr, when);
        };
        let reached = match op {
            Operator::And => Expr::is_true,
            Operator::Or => Expr::is_not_true,
            _ => return self.collect(expr, when),
        };
        let mut when = when.cloned();
        for term in self.terms(expr, *op) {
            self.collect_truth(term, when.as_ref())?;
            when = both(when, reached(term.clone()));
        }
        Ok(())
    }

    /// Those that need nothing first.
    fn terms<'t>(&self, expr: &'t Expr, op: Operator) -> Vec<&'t Expr> {
        let mut terms = split_binary(expr, op);
        terms.sort_by_key(|term| self.is_in(term));
        terms
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
            let condition = match &case.expr {
                Some(base) => {
                    // Null equals nothing.
                    let is_compared = both(when.clone(), base.as_ref().clone().is_not_null());
                    self.collect(condition, is_compared.as_ref())?;
                    base.as_ref().clone().eq(condition.as_ref().clone())
                }
                None => {
                    self.collect_truth(condition, when.as_ref())?;
                    condition.as_ref().clone()
                }
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

    /// A condition that needs the call itself says nothing of where it is needed.
    fn demand(&mut self, call: &Expr, when: Option<&Expr>) {
        let is_other = |test: &&Expr| !test.exists(|part| Ok(part == call)).unwrap_or(true);
        let tests = when.into_iter().flat_map(split_conjunction);
        let guard: Vec<Expr> = tests.filter(is_other).cloned().collect();
        match self.demands.iter_mut().find(|known| known.call == *call) {
            Some(known) if known.guards.contains(&guard) => {}
            Some(known) => known.guards.push(guard),
            None => self.demands.push(Demand {
                call: call.clone(),
                guards: vec![guard],
            }),
        }
    }
}

/// One guard for several; `None` if one of them is no test at all.
pub(crate) fn any_of(guards: Vec<Vec<Expr>>) -> Option<Expr> {
    let guards = guards.into_iter().map(conjunction);
    let guards = guards.collect::<Option<Vec<Expr>>>()?;
    let mut alternatives: Vec<Expr> = Vec::with_capacity(guards.len());
    for guard in guards {
        if !alternatives.contains(&guard) {
            alternatives.push(guard);
        }
    }
    alternatives.into_iter().reduce(Expr::or)
}

/// A test that cannot be repeated guards nothing: more rows than needed are called for. One that
/// may fail is evaluated only where those before it hold.
fn both(when: Option<Expr>, test: Expr) -> Option<Expr> {
    if !is_repeatable(&test) {
        return when;
    }
    let Some(when) = when else {
        return Some(test);
    };
    if is_total(&test, &DFSchema::empty()) {
        return Some(when.and(test));
    }
    // DataFusion would make an AND of CASE WHEN, whose sides are both evaluated.
    let (holds, branch) = (when.clone().is_true(), (lit(true), test));
    let branch = vec![(Box::new(branch.0), Box::new(branch.1))];
    let held = Case::new(Some(Box::new(holds)), branch, None);
    Some(when.and(Expr::Case(held).is_true()))
}

/// Whether evaluating `expr` again gives the same; calls of nodes are columns by then.
pub(crate) fn is_repeatable(expr: &Expr) -> bool {
    let is_volatile = |part: &Expr| part.is_volatile_node() && NodeUdf::called_by(part).is_none();
    !expr.exists(|part| Ok(is_volatile(part))).unwrap_or(true)
}
