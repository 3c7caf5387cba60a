//! `/loki/api/v1/patterns`: answered as by a Loki whose pattern ingester is switched off.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;

use crate::error::ApiError;
use crate::form::Form;
use crate::routes::query::step;
use crate::routes::range::forward_bounds;
use crate::selector;
use crate::state::Api;

/// Mistakes are told; there are no patterns.
pub(crate) async fn patterns(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    api.tenant(&headers)?;
    let (start, end) = forward_bounds(&form, api.now())?;
    step(&form, start, end)?;
    selector::any(form.first("query"))?;
    Err(ApiError::new(StatusCode::NOT_FOUND, ""))
}
