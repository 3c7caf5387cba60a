//! `/api/v1/explain`, which Prometheus does not have: how a query would be evaluated, or was.

use axum::extract::State;
use axum::response::Response;
use headwater_query::Explain;
use serde_json::json;

use super::query::{instant_request, range_request};
use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::serve::asker::Asker;
use crate::state::Api;

/// With `step` a range query, else one at a moment, with the parameters of those.
pub(crate) async fn explain(
    State(api): State<Api>,
    asker: Asker,
    form: Form,
) -> Result<Response, ApiError> {
    let how = match form.first("analyze") {
        "" | "false" | "0" => Explain::Estimate,
        "true" | "1" => Explain::Analyze,
        other => {
            let message = format!("expected \"true\" or \"false\", got {other:?}");
            return Err(ApiError::parameter("analyze", message));
        }
    };
    let mut request = if form.first("step").is_empty() {
        instant_request(&api, &form)?
    } else {
        range_request(&form)?
    };
    request.origin = Some(asker.0);
    let plan = api.ask(&form, request, |engine, request| {
        engine.explain(request, how)
    });
    Ok(success(&json!({"plan": plan.await?})))
}
