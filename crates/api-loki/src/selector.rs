//! Selectors in questions about labels and streams.

use headwater_logql::{Expr, parse, parse_unchecked};
use headwater_model::Matcher;

use crate::error::ApiError;

/// The matchers of a selector that must say something.
pub(crate) fn checked(text: &str) -> Result<Vec<Matcher>, ApiError> {
    matchers(parse(text)?)
}

/// The matchers of a selector that may be empty.
pub(crate) fn any(text: &str) -> Result<Vec<Matcher>, ApiError> {
    matchers(parse_unchecked(text)?)
}

fn matchers(expr: Expr) -> Result<Vec<Matcher>, ApiError> {
    match expr {
        Expr::Log(log) if log.stages.is_empty() => Ok(log.matchers),
        _ => Err(ApiError::bad("only label matchers are supported")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_labels_are_asked_for() {
        assert_eq!(any("{}").unwrap(), []);
        assert!(checked("{}").is_err());
        for text in ["{a=\"b\"} |= \"x\"", "vector(1)"] {
            assert_eq!(
                checked(text).unwrap_err().to_string(),
                "only label matchers are supported"
            );
        }
    }
}
