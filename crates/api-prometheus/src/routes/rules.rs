//! `/api/v1/rules`, `/api/v1/alerts` and `/api/v1/alertmanagers`: the shapes of a server without rules.

use axum::extract::State;
use axum::response::Response;
use headwater_model::quote::go_quoted;
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::params::{go_bool, go_int};
use crate::routes::query::agent_only;
use crate::selectors::match_parameters;
use crate::state::Api;

/// Rule groups. Parameters are checked as they will be once there are rules.
pub(crate) async fn rules(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    needs_engine(&api)?;
    form.strict()?;
    match_parameters(&form, api.parts.syntax, api.parts.settings.max_selectors)?;
    check_kind(&form)?;
    check_exclude(&form)?;
    check_page(&form)?;
    Ok(success(&json!({"groups": []})))
}

fn check_kind(form: &Form) -> Result<(), ApiError> {
    match form.first("type").to_ascii_lowercase().as_str() {
        "" | "alert" | "record" => Ok(()),
        other => {
            let quoted = go_quoted(other);
            Err(ApiError::parameter(
                "type",
                format_args!("not supported value {quoted}"),
            ))
        }
    }
}

fn check_exclude(form: &Form) -> Result<(), ApiError> {
    let text = form.first("exclude_alerts");
    if text.is_empty() {
        return Ok(());
    }
    go_bool(text).map(drop).map_err(|error| {
        let message = format!("error converting exclude_alerts: {error}");
        ApiError::parameter("exclude_alerts", message)
    })
}

/// A page begins after the group that its token names; without groups no token is good.
fn check_page(form: &Form) -> Result<(), ApiError> {
    let (limit, token) = (form.first("group_limit"), form.first("group_next_token"));
    let refuse_token = |message: String| Err(ApiError::parameter("group_next_token", message));
    if limit.is_empty() && !token.is_empty() {
        return refuse_token(
            "group_limit needs to be present in order to paginate over the groups".to_owned(),
        );
    }
    if !limit.is_empty() {
        let number = go_int(limit).map_err(|error| ApiError::parameter("group_limit", error))?;
        if number <= 0 {
            let message = "group_limit needs to be greater than 0";
            return Err(ApiError::parameter("group_limit", message));
        }
    }
    if token.is_empty() {
        return Ok(());
    }
    refuse_token(format!(
        "invalid group_next_token '{token}'. were rule groups changed?"
    ))
}

/// Alerts.
pub(crate) async fn alerts(State(api): State<Api>) -> Result<Response, ApiError> {
    needs_engine(&api)?;
    Ok(success(&json!({"alerts": []})))
}

/// Alertmanagers.
pub(crate) async fn alertmanagers(State(api): State<Api>) -> Result<Response, ApiError> {
    needs_engine(&api)?;
    Ok(success(
        &json!({"activeAlertmanagers": [], "droppedAlertmanagers": []}),
    ))
}

fn needs_engine(api: &Api) -> Result<(), ApiError> {
    match api.parts.engine {
        Some(_) => Ok(()),
        None => Err(agent_only()),
    }
}
