//! Answers in plain text.

use axum::http::{HeaderName, HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

const TEXT: (HeaderName, HeaderValue) = (
    header::CONTENT_TYPE,
    HeaderValue::from_static("text/plain; charset=utf-8"),
);
const NO_SNIFFING: (HeaderName, HeaderValue) = (
    header::X_CONTENT_TYPE_OPTIONS,
    HeaderValue::from_static("nosniff"),
);

/// Text that is not an error.
pub(crate) fn text(status: StatusCode, text: &'static str) -> Response {
    (status, [TEXT], text).into_response()
}

/// Text of an error. Browsers must not take it for a page: it may repeat what the request said.
pub(crate) fn error_text(status: StatusCode, text: impl Into<String>) -> Response {
    (status, [TEXT, NO_SNIFFING], text.into()).into_response()
}

/// No such route.
pub(crate) async fn not_found() -> Response {
    error_text(StatusCode::NOT_FOUND, "404 page not found\n")
}
