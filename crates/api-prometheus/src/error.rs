//! What went wrong, as the API says it: one table from the kind of error to word and status.

use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use headwater_query::{QueryError, QueryErrorKind};

use crate::json::envelope;

/// The kinds of failure that the API distinguishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorType {
    /// Fix the request.
    BadData,
    /// The request is too large for a named bound.
    TooLarge,
    /// Fix the query, or ask for less.
    Execution,
    /// The caller went away.
    Canceled,
    /// Ask for less, or wait longer.
    Timeout,
    /// The server failed.
    Internal,
    /// Switched off, or not up yet.
    Unavailable,
    /// There is no such thing.
    NotFound,
}

impl ErrorType {
    /// The word in the field `errorType` and the status of the response.
    /// Source: the table in Prometheus's `web/api/v1`; 499 is the word of proxies for "client closed request".
    pub fn word_and_status(self) -> (&'static str, StatusCode) {
        let client_closed = StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST);
        match self {
            Self::BadData => ("bad_data", StatusCode::BAD_REQUEST),
            Self::TooLarge => ("bad_data", StatusCode::PAYLOAD_TOO_LARGE),
            Self::Execution => ("execution", StatusCode::UNPROCESSABLE_ENTITY),
            Self::Canceled => ("canceled", client_closed),
            Self::Timeout => ("timeout", StatusCode::SERVICE_UNAVAILABLE),
            Self::Internal => ("internal", StatusCode::INTERNAL_SERVER_ERROR),
            Self::Unavailable => ("unavailable", StatusCode::INTERNAL_SERVER_ERROR),
            Self::NotFound => ("not_found", StatusCode::NOT_FOUND),
        }
    }
}

/// A request that gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    kind: ErrorType,
    message: String,
}

impl ApiError {
    /// A failure of `kind`, worded for the user.
    pub fn new(kind: ErrorType, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
        }
    }

    /// The request must be changed.
    pub fn bad_data(message: impl std::fmt::Display) -> Self {
        Self::new(ErrorType::BadData, message.to_string())
    }

    /// The value of one parameter must be changed.
    pub fn parameter(name: &str, message: impl std::fmt::Display) -> Self {
        Self::bad_data(format_args!("invalid parameter \"{name}\": {message}"))
    }

    /// Names the parameter that a [`ErrorType::BadData`] is about; other kinds stay as they are.
    #[must_use]
    pub fn in_parameter(self, name: &str) -> Self {
        match self.kind {
            ErrorType::BadData => Self::parameter(name, self.message),
            _ => self,
        }
    }

    /// The kind of failure.
    pub const fn kind(&self) -> ErrorType {
        self.kind
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let (word, status) = self.kind.word_and_status();
        envelope::failure(status, word, &self.message)
    }
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let kind = match error.kind() {
            QueryErrorKind::BadData => ErrorType::BadData,
            QueryErrorKind::Execution | QueryErrorKind::Limit => ErrorType::Execution,
            QueryErrorKind::Timeout => ErrorType::Timeout,
            QueryErrorKind::Canceled => ErrorType::Canceled,
            _ => ErrorType::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

impl From<headwater_storage::Error> for ApiError {
    fn from(error: headwater_storage::Error) -> Self {
        use headwater_storage::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::Invalid => ErrorType::BadData,
            ErrorKind::Limit => ErrorType::Execution,
            ErrorKind::NotReady | ErrorKind::Unavailable => ErrorType::Unavailable,
            ErrorKind::Canceled => ErrorType::Canceled,
            _ => ErrorType::Internal,
        };
        Self::new(kind, error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_bad_data_is_blamed_on_a_parameter() {
        let bad = ApiError::bad_data("x").in_parameter("query");
        assert_eq!(bad.to_string(), "invalid parameter \"query\": x");
        let slow = ApiError::new(ErrorType::Timeout, "x").in_parameter("query");
        assert_eq!(slow.to_string(), "x");
    }

    #[test]
    fn kinds_have_their_statuses() {
        let status = |kind: ErrorType| kind.word_and_status().1.as_u16();
        assert_eq!(status(ErrorType::Execution), 422);
        assert_eq!(status(ErrorType::Canceled), 499);
        assert_eq!(status(ErrorType::Timeout), 503);
        let limit = QueryError::new(QueryErrorKind::Limit, "too many");
        assert_eq!(ApiError::from(limit).kind(), ErrorType::Execution);
    }
}
