//! What went wrong, as Loki says it: plain text with a status; one table from kinds to statuses.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_http::TenantError;
use headwater_logs::PushError;
use headwater_query::{QueryError, QueryErrorKind};

/// A request that gets no answer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct ApiError {
    status: StatusCode,
    message: String,
}

impl ApiError {
    /// A failure with a status.
    pub fn new(status: StatusCode, message: impl Into<String>) -> Self {
        Self {
            status,
            message: message.into(),
        }
    }

    /// The request must be changed.
    pub fn bad(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::BAD_REQUEST, message.to_string())
    }

    /// A defect, or a task that was given up.
    pub(crate) fn internal(message: impl std::fmt::Display) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, message.to_string())
    }

    /// The status of the answer.
    pub const fn status(&self) -> StatusCode {
        self.status
    }

    /// The message ends its line: Loki answers pushes and requests without a tenant so.
    #[must_use]
    pub(crate) fn ending_the_line(mut self) -> Self {
        self.message.push('\n');
        self
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let headers = [
            (header::CONTENT_TYPE, "text/plain; charset=utf-8"),
            (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        ];
        (self.status, headers, self.message).into_response()
    }
}

/// 499 is the word of proxies for "the client has gone".
fn client_gone() -> StatusCode {
    StatusCode::from_u16(499).unwrap_or(StatusCode::BAD_REQUEST)
}

impl From<QueryError> for ApiError {
    fn from(error: QueryError) -> Self {
        let message = error.to_string();
        let status = match error.kind() {
            // The pool's own bound: others ask too much, not this query.
            QueryErrorKind::Limit if message.starts_with("too many queries") => {
                return Self::new(
                    StatusCode::TOO_MANY_REQUESTS,
                    "too many outstanding requests",
                );
            }
            QueryErrorKind::BadData | QueryErrorKind::Execution | QueryErrorKind::Limit => {
                StatusCode::BAD_REQUEST
            }
            QueryErrorKind::Timeout => StatusCode::GATEWAY_TIMEOUT,
            QueryErrorKind::Canceled => client_gone(),
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, message)
    }
}

impl From<headwater_storage::Error> for ApiError {
    fn from(error: headwater_storage::Error) -> Self {
        Self::from(QueryError::from(error))
    }
}

impl From<PushError> for ApiError {
    fn from(error: PushError) -> Self {
        let status =
            StatusCode::from_u16(error.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        Self::new(status, error.message).ending_the_line()
    }
}

impl From<TenantError> for ApiError {
    fn from(error: TenantError) -> Self {
        let status = match error {
            TenantError::Missing => StatusCode::UNAUTHORIZED,
            _ => StatusCode::BAD_REQUEST,
        };
        Self::new(status, error.to_string()).ending_the_line()
    }
}

impl From<headwater_logql::ParseError> for ApiError {
    fn from(error: headwater_logql::ParseError) -> Self {
        Self::bad(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_have_their_statuses() {
        let status = |kind, text: &str| ApiError::from(QueryError::new(kind, text)).status();
        assert_eq!(status(QueryErrorKind::Limit, "too much"), 400);
        assert_eq!(status(QueryErrorKind::Limit, "too many queries: 5"), 429);
        assert_eq!(status(QueryErrorKind::Timeout, ""), 504);
        assert_eq!(status(QueryErrorKind::Canceled, ""), 499);
        assert_eq!(ApiError::from(TenantError::Missing).status(), 401);
        assert_eq!(ApiError::from(PushError::new(260, "")).status(), 260);
    }
}
