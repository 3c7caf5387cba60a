//! Errors of parsing, with Loki's words and positions.

use headwater_query::{QueryError, QueryErrorKind};

/// Why a text is not a LogQL query: fix the query.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ParseError {
    message: String,
    /// Line and column of the offending token. Loki loses the line behind
    /// some tokens and then tells 0; an error without any place has both 0.
    place: (usize, usize),
    /// Whether Loki would notice only once it meets a stream.
    late: bool,
}

impl ParseError {
    /// An error without a place.
    pub(crate) fn new(message: impl Into<String>) -> Self {
        Self::at(message, (0, 0))
    }

    pub(crate) fn at(message: impl Into<String>, place: (usize, usize)) -> Self {
        Self {
            message: message.into(),
            place,
            late: false,
        }
    }

    /// An error of building a stage, which Loki words with the stage's text.
    pub(crate) fn stage(stage: impl std::fmt::Display, cause: impl std::fmt::Display) -> Self {
        Self {
            late: true,
            ..Self::new(format!("stage '{stage}' : {cause}"))
        }
    }

    /// Whether Loki notices the mistake only where a stream is selected: it
    /// builds most stages then.
    pub(crate) const fn is_late(&self) -> bool {
        self.late
    }

    /// The message without the place.
    pub fn message(&self) -> &str {
        &self.message
    }

    /// Line and column, 0 where unknown.
    pub fn place(&self) -> (usize, usize) {
        self.place
    }
}

impl std::fmt::Display for ParseError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.place {
            (0, 0) => write!(f, "parse error : {}", self.message),
            (line, column) => write!(
                f,
                "parse error at line {line}, col {column}: {}",
                self.message
            ),
        }
    }
}

impl std::error::Error for ParseError {}

impl From<ParseError> for QueryError {
    fn from(error: ParseError) -> Self {
        Self::new(QueryErrorKind::BadData, error.to_string()).because(error)
    }
}
