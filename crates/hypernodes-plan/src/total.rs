//! Expressions that cannot fail.

use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{ExprSchema, Result, ScalarValue};
use datafusion_expr::expr::Cast;
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use hypernodes_graph::reads;

use crate::udf::NodeUdf;

/// Whether the expression has a value on every row of this schema, so that it may stand where
/// rows come that a predicate kept from it: it divides by nothing but a literal, casts nothing that does not
/// fit, and calls no function. A node's call is the column that will stand for it.
pub(crate) fn is_total(expr: &Expr, schema: &dyn ExprSchema) -> bool {
    let mut total = true;
    let walked = expr.apply(|part| {
        total &= match part {
            Expr::BinaryExpr(BinaryExpr { op, right, .. }) => {
                is_total_operator(op)
                    || (matches!(op, Operator::Divide | Operator::Modulo) && divides_all(right))
            }
            Expr::Cast(Cast { expr, field }) => expr
                .get_type(schema)
                .is_ok_and(|from| reads(field.data_type(), &from)),
            Expr::ScalarFunction(function) => {
                if NodeUdf::find(&function.func).is_some() {
                    return Ok(TreeNodeRecursion::Jump);
                }
                matches!(function.name(), "coalesce" | "nullif" | "nvl" | "nvl2")
            }
            Expr::Alias(_)
            | Expr::Column(_)
            | Expr::OuterReferenceColumn(..)
            | Expr::Literal(..)
            | Expr::Not(_)
            | Expr::IsNull(_)
            | Expr::IsNotNull(_)
            | Expr::IsTrue(_)
            | Expr::IsFalse(_)
            | Expr::IsUnknown(_)
            | Expr::IsNotTrue(_)
            | Expr::IsNotFalse(_)
            | Expr::IsNotUnknown(_)
            | Expr::Negative(_)
            | Expr::Between(_)
            | Expr::Case(_)
            | Expr::InList(_)
            | Expr::Like(_)
            | Expr::TryCast(_) => true,
            _ => false,
        };
        Ok(match total {
            true => TreeNodeRecursion::Continue,
            false => TreeNodeRecursion::Stop,
        })
    });
    walked.is_ok() && total
}

/// Whether any number can be divided by it: a literal other than 0, and than -1, by which the least
/// integer overflows.
fn divides_all(divisor: &Expr) -> bool {
    let Expr::Literal(value, _) = divisor else {
        return false;
    };
    let data_type = value.data_type();
    let is = |other: Result<ScalarValue>| other.is_ok_and(|other| other == *value);
    data_type.is_numeric()
        && !value.is_null()
        && !is(ScalarValue::new_zero(&data_type))
        && !is(ScalarValue::new_negative_one(&data_type))
}

fn is_total_operator(op: &Operator) -> bool {
    use Operator::{
        And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Multiply, NotEq, Or,
        Plus,
    };
    matches!(
        op,
        And | Or
            | Eq
            | NotEq
            | Lt
            | LtEq
            | Gt
            | GtEq
            | IsDistinctFrom
            | IsNotDistinctFrom
            | Plus
            | Minus
            | Multiply
    )
}
