//! `/loki/api/v1/format_query`.

use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};
use headwater_logql::parse;
use serde_json::json;

use crate::form::Form;
use crate::json::JSON;

/// A query as people write it.
pub(crate) async fn format(form: Form) -> Response {
    let (status, body) = match parse(form.first("query")) {
        Ok(expr) => (
            StatusCode::OK,
            json!({ "status": "success", "data": expr.pretty() }),
        ),
        Err(error) => (
            StatusCode::BAD_REQUEST,
            json!({ "status": "invalid-query", "error": error.to_string() }),
        ),
    };
    (status, [(header::CONTENT_TYPE, JSON)], body.to_string()).into_response()
}
