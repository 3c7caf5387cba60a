//! `/api/v1/format_query` and `/api/v1/parse_query`.

use axum::extract::State;
use axum::response::Response;
use headwater_promql::{Expr, parse, prettify, to_json};

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::parts::Parts;
use crate::state::Api;

/// The expression, laid out for people.
pub(crate) async fn format(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    api.descend(move |parts| Ok(success(&prettify(&parsed(parts, &form)?))))
        .await
}

/// The syntax tree.
pub(crate) async fn tree(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    api.descend(move |parts| Ok(success(&to_json(&parsed(parts, &form)?))))
        .await
}

fn parsed(parts: &Parts, form: &Form) -> Result<Expr, ApiError> {
    parse(form.first("query"), parts.syntax).map_err(|error| ApiError::parameter("query", error))
}
