//! Why a query has no answer.

/// What the caller can do about a [`QueryError`]; the HTTP API turns each into a status.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum QueryErrorKind {
    /// Fix the request: it does not parse or its parameters make no sense.
    BadData,
    /// Fix the query or the data: evaluation is not defined for what was found.
    Execution,
    /// Ask for less: a limit was reached, which the message names.
    Limit,
    /// Ask for less or wait longer.
    Timeout,
    /// The caller went away.
    Canceled,
    /// The store failed.
    Storage,
    /// Report a bug.
    Internal,
}

/// A failed query.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct QueryError {
    kind: QueryErrorKind,
    message: String,
    #[source]
    cause: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl QueryError {
    /// An error of `kind`, worded for the user.
    pub fn new(kind: QueryErrorKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            cause: None,
        }
    }

    /// Keeps the cause.
    #[must_use]
    pub fn because(mut self, cause: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    /// What the caller can do.
    pub const fn kind(&self) -> QueryErrorKind {
        self.kind
    }
}

impl From<headwater_storage::Error> for QueryError {
    fn from(error: headwater_storage::Error) -> Self {
        let kind = match error.kind() {
            headwater_storage::ErrorKind::Canceled => QueryErrorKind::Canceled,
            headwater_storage::ErrorKind::Limit => QueryErrorKind::Limit,
            _ => QueryErrorKind::Storage,
        };
        Self::new(kind, error.to_string()).because(error)
    }
}
