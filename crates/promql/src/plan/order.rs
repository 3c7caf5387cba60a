//! Whether the order in which a store gives its series shows in the answer.

use crate::syntax::ast::{AggregateOp, Expr};

/// Aggregations that choose series prefer earlier ones to equal later ones, and vectors are answered
/// in the order in which series come; ranges are sorted in any case.
pub(super) fn matters(expr: &Expr, instant: bool) -> bool {
    chooses(expr) || instant && !matches!(expr.unwrapped(), Expr::Aggregate(_))
}

fn chooses(expr: &Expr) -> bool {
    use AggregateOp as Op;
    if let Expr::Aggregate(aggregate) = expr
        && matches!(
            aggregate.op,
            Op::TopK | Op::BottomK | Op::LimitK | Op::LimitRatio
        )
    {
        return true;
    }
    let mut found = false;
    expr.children(&mut |child| found = found || chooses(child));
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::syntax::parse::{ParseOptions, parse};

    #[test]
    fn sums_take_series_as_they_come() {
        let ordered = |text: &str, instant| {
            let expr = parse(text, ParseOptions::default()).unwrap();
            matters(&expr, instant)
        };
        assert!(!ordered("sum(x)", true));
        assert!(!ordered("x + y", false));
        assert!(ordered("x", true));
        assert!(ordered("sum(topk(1, x))", false));
    }
}
