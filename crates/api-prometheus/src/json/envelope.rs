//! What stands around every answer: `{"status":"success","data":…}` or the error.

use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde::Serialize;

use crate::error::{ApiError, ErrorType};
use crate::json::text::{PushText, push_list, push_message};

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// A success around anything that serde can write.
pub(crate) fn success(data: &impl Serialize) -> Response {
    success_with(data, &[])
}

/// A success with warnings.
pub(crate) fn success_with(data: &impl Serialize, warnings: &[String]) -> Response {
    match serde_json::to_vec(data) {
        Ok(data) => success_raw(&data, warnings, &[]),
        Err(error) => ApiError::new(ErrorType::Internal, error.to_string()).into_response(),
    }
}

/// A success around JSON that was written already.
pub(crate) fn success_raw(data: &[u8], warnings: &[String], infos: &[String]) -> Response {
    let mut out = Vec::with_capacity(data.len() + 64);
    out.push_str("{\"status\":\"success\",\"data\":");
    out.extend_from_slice(data);
    push_list(&mut out, "warnings", warnings);
    push_list(&mut out, "infos", infos);
    out.push(b'}');
    json(StatusCode::OK, Body::from(out))
}

/// An error.
pub(crate) fn failure(status: StatusCode, word: &str, message: &str) -> Response {
    let mut out =
        format!("{{\"status\":\"error\",\"errorType\":\"{word}\",\"error\":").into_bytes();
    push_message(&mut out, message);
    out.push(b'}');
    json(status, Body::from(out))
}

/// A response that is JSON.
pub(crate) fn json(status: StatusCode, body: Body) -> Response {
    (status, [(header::CONTENT_TYPE, JSON)], body).into_response()
}
