//! Optimiser rule: what can be computed from the text alone is computed once, while planning.

use super::{Kind, Node};
use crate::exec::scalar_op;
use crate::syntax::ast::BinaryOp;

/// The number that an operator between two numbers gives.
pub(super) fn binary(op: BinaryOp, lhs: &Node, rhs: &Node) -> Option<Kind> {
    Some(Kind::Number(scalar_op(op, number(lhs)?, number(rhs)?)))
}

/// The negative of a number.
pub(super) fn negate(inner: &Node) -> Option<Kind> {
    Some(Kind::Number(-number(inner)?))
}

const fn number(node: &Node) -> Option<f64> {
    match node.kind {
        Kind::Number(value) => Some(value),
        _ => None,
    }
}
