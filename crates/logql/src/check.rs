//! What a query must fulfil beyond its syntax.

use crate::ast::Expr;
use crate::error::ParseError;

/// Every selector must name something: a query over all streams is refused.
pub(crate) fn expr(expr: &Expr) -> Result<(), ParseError> {
    for log in expr.selectors() {
        if log.matchers.iter().all(|m| m.matches_empty()) {
            return Err(ParseError::new(
                "queries require at least one regexp or equality matcher that does not have an \
                 empty-compatible value. For instance, app=~\".*\" does not meet this requirement, \
                 but app=~\".+\" will",
            ));
        }
    }
    Ok(())
}
