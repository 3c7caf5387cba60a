//! Which expressions have the same value at every step.

use crate::functions::FunctionId;
use crate::syntax::ast::Expr;

/// Functions whose result depends on the time of the step even if their arguments do not.
const fn looks_at_the_clock(function: FunctionId, args: usize) -> bool {
    match function {
        FunctionId::Time | FunctionId::PredictLinear | FunctionId::Timestamp => true,
        FunctionId::DayOfMonth
        | FunctionId::DayOfWeek
        | FunctionId::DayOfYear
        | FunctionId::DaysInMonth
        | FunctionId::Hour
        | FunctionId::Minute
        | FunctionId::Month
        | FunctionId::Year => args == 0,
        _ => false,
    }
}

/// Whether an expression is the same at every step.
pub(super) fn is_invariant(expr: &Expr) -> bool {
    match expr {
        Expr::Number(_) | Expr::String(_) => true,
        Expr::Vector(selector) => selector.at.is_some(),
        Expr::Matrix(matrix) => matrix.selector.at.is_some(),
        Expr::Subquery(subquery) => subquery.at.is_some(),
        Expr::Aggregate(aggregate) => {
            is_invariant(&aggregate.expr) && aggregate.param.as_ref().is_none_or(is_invariant)
        }
        Expr::Call(call) => {
            !looks_at_the_clock(call.function.id, call.args.len())
                && call.args.iter().all(is_invariant)
        }
        Expr::Binary(binary) => is_invariant(&binary.lhs) && is_invariant(&binary.rhs),
        Expr::Unary(unary) => is_invariant(&unary.expr),
        Expr::Paren(paren) => is_invariant(&paren.expr),
    }
}
