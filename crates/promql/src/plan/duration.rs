//! Duration arithmetic, once step and range of the query are known.

use headwater_query::{QueryError, QueryErrorKind};

use super::build::Times;
use crate::syntax::ast::{BinaryOp, Duration, DurationExpr, DurationKind};

/// An error with the first byte and the end of what it is about.
fn bad(at: &DurationExpr, message: &str) -> QueryError {
    let (start, end) = (at.range.start, at.range.end);
    QueryError::new(QueryErrorKind::BadData, format!("{start}:{end}: {message}"))
}

/// Milliseconds of a range or a step, which must be more than nothing.
pub(super) fn positive(duration: &Duration, times: &Times) -> Result<i64, QueryError> {
    let millis = any(duration, times)?;
    match duration {
        Duration::Expr(expr) if millis <= 0 => Err(bad(expr, "duration must be greater than 0")),
        _ => Ok(millis),
    }
}

/// Milliseconds of an offset.
pub(super) fn any(duration: &Duration, times: &Times) -> Result<i64, QueryError> {
    match duration {
        Duration::Fixed(millis) => Ok(*millis),
        Duration::Expr(expr) => {
            let seconds = seconds(expr, times)?;
            // As long as the original can go: 2^63 nanoseconds.
            if seconds.is_nan() || seconds.abs() > i64::MAX as f64 / 1e9 {
                return Err(bad(expr, "duration is out of range"));
            }
            Ok((seconds * 1000.0) as i64)
        }
    }
}

fn seconds(expr: &DurationExpr, times: &Times) -> Result<f64, QueryError> {
    Ok(match &expr.kind {
        DurationKind::Number(number) => number.value,
        DurationKind::Step => times.step as f64 / 1000.0,
        DurationKind::Range => (times.end - times.start) as f64 / 1000.0,
        DurationKind::Sign(negative, operand) => {
            let value = seconds(operand, times)?;
            if *negative { -value } else { value }
        }
        DurationKind::MinOf(lhs, rhs) => seconds(lhs, times)?.min(seconds(rhs, times)?),
        DurationKind::MaxOf(lhs, rhs) => seconds(lhs, times)?.max(seconds(rhs, times)?),
        DurationKind::Binary(op, lhs, rhs) => {
            let (lhs, rhs) = (seconds(lhs, times)?, seconds(rhs, times)?);
            binary(*op, lhs, rhs).map_err(|message| bad(expr, message))?
        }
    })
}

fn binary(op: BinaryOp, lhs: f64, rhs: f64) -> Result<f64, &'static str> {
    Ok(match op {
        BinaryOp::Add => lhs + rhs,
        BinaryOp::Sub => lhs - rhs,
        BinaryOp::Mul => lhs * rhs,
        BinaryOp::Div if rhs == 0.0 => return Err("division by zero"),
        BinaryOp::Div => lhs / rhs,
        BinaryOp::Mod if rhs == 0.0 => return Err("modulo by zero"),
        BinaryOp::Mod => lhs % rhs,
        _ => lhs.powf(rhs),
    })
}
