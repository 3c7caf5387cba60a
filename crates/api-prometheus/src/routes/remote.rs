//! `/api/v1/otlp/v1/metrics` and `/api/v1/search/…` while they are switched off: senders learn why
//! nothing arrives.

use axum::http::StatusCode;
use axum::response::Response;

use crate::error::{ApiError, ErrorType};
use crate::serve::plain::error_text;

/// OTLP is off.
pub(crate) async fn otlp_off() -> Response {
    error_text(
        StatusCode::NOT_FOUND,
        "otlp write receiver needs to be enabled with --web.enable-otlp-receiver\n",
    )
}

/// Search is off.
pub(crate) async fn search_off() -> ApiError {
    ApiError::new(ErrorType::Unavailable, "search API disabled")
}
