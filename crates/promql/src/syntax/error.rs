//! Why a query is not PromQL.

use super::position::{LineCol, PosRange};

/// A query that cannot be parsed or has the wrong types: fix the query. The words and the
/// position are those of Prometheus.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{place}: parse error: {message}")]
pub struct ParseError {
    /// What is wrong, without the position.
    pub message: String,
    /// The bytes concerned.
    pub range: PosRange,
    place: Place,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Place(LineCol);

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0.fmt(f)
    }
}

impl ParseError {
    pub(crate) fn new(query: &str, range: PosRange, message: impl Into<String>) -> Self {
        Self {
            message: message.into(),
            range,
            place: Place(range.locate(query)),
        }
    }
}
