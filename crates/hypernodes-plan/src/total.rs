//! Expressions that cannot fail.

use arrow::datatypes::DataType;
use datafusion_common::tree_node::{TreeNode, TreeNodeRecursion};
use datafusion_common::{ExprSchema, Result, ScalarValue};
use datafusion_expr::expr::{Cast, ScalarFunction};
use datafusion_expr::{BinaryExpr, Expr, ExprSchemable, Operator};
use hypernodes_graph::reads;

use crate::udf::NodeUdf;

/// Whether the expression has a value on every row of this schema, so that it may stand where
/// rows come that a predicate kept from it: it divides by nothing but a literal, casts nothing that
/// does not fit, and calls nothing but DataFusion's functions that give a value for every argument.
/// A node's call is the column that will stand for it.
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
                .is_ok_and(|from| casts_all(field.data_type(), &from)),
            Expr::ScalarFunction(function) => {
                if NodeUdf::find(&function.func).is_some() {
                    return Ok(TreeNodeRecursion::Jump);
                }
                is_total_function(function)
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

/// Whether each value of a type can be cast to the other, if only to a near one or to a text.
fn casts_all(to: &DataType, from: &DataType) -> bool {
    let is_printed = from.is_numeric() || *from == DataType::Boolean || is_text(from);
    reads(to, from) || (to.is_floating() && from.is_numeric()) || (is_text(to) && is_printed)
}

fn is_text(data_type: &DataType) -> bool {
    match data_type {
        DataType::Dictionary(_, values) => is_text(values),
        other => other.is_string(),
    }
}

/// Whether a function of DataFusion gives a value, or null, for all arguments of its types.
fn is_total_function(function: &ScalarFunction) -> bool {
    const PARTS: [&str; 11] = [
        "year", "quarter", "month", "week", "day", "doy", "dow", "hour", "minute", "second",
        "epoch",
    ];
    let literal = |place: usize| match function.args.get(place) {
        Some(Expr::Literal(value, _)) => Some(value),
        _ => None,
    };
    match function.name() {
        "coalesce" | "nullif" | "nvl" | "nvl2" | "greatest" | "least" => true,
        "lower" | "upper" | "initcap" | "btrim" | "ltrim" | "rtrim" | "reverse" | "concat"
        | "concat_ws" | "replace" | "starts_with" | "ends_with" | "contains" | "strpos"
        | "character_length" | "octet_length" => true,
        "floor" | "ceil" | "round" | "signum" | "sqrt" | "isnan" | "iszero" => true,
        "get_field" | "named_struct" | "struct" | "make_array" => true,
        // A negative length fails.
        "substr" => {
            let length = literal(2).and_then(|length| i64::try_from(length.clone()).ok());
            function.args.len() == 2 || length.is_some_and(|length| length >= 0)
        }
        "date_part" => {
            let part = literal(0).and_then(|part| part.try_as_str().flatten());
            part.is_some_and(|part| PARTS.contains(&part.to_lowercase().as_str()))
        }
        _ => false,
    }
}

fn is_total_operator(op: &Operator) -> bool {
    use Operator::{
        And, Eq, Gt, GtEq, IsDistinctFrom, IsNotDistinctFrom, Lt, LtEq, Minus, Multiply, NotEq, Or,
        Plus, StringConcat,
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
            | StringConcat
    )
}
