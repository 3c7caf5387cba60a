//! `/api/v1/admin/tsdb/…`: only where the operator switched it on.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use headwater_model::TimeRange;
use serde_json::json;

use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::json::envelope::success;
use crate::params::go_bool;
use crate::parts::Admin;
use crate::selectors::match_parameters;
use crate::state::Api;
use crate::time::{MAX_TIME, MIN_TIME, time_parameter};

/// Deletes samples of the series that fulfil any of the selectors.
pub(crate) async fn delete_series(
    State(api): State<Api>,
    form: Form,
) -> Result<Response, ApiError> {
    let admin = admin(&api)?;
    form.strict()?;
    if form.all("match[]").next().is_none() {
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let start = time_parameter(&form, "start", MIN_TIME)?;
    let end = time_parameter(&form, "end", MAX_TIME)?;
    let selectors = match_parameters(&form, api.parts.syntax, api.parts.settings.max_selectors)
        .map_err(|error| error.in_parameter("match[]"))?;
    api.read(async move |_| {
        for matchers in selectors {
            admin.delete(matchers, TimeRange::new(start, end)).await?;
        }
        Ok(())
    })
    .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Takes deleted samples off the disk.
pub(crate) async fn clean_tombstones(State(api): State<Api>) -> Result<Response, ApiError> {
    let admin = admin(&api)?;
    api.read(async move |_| Ok(admin.clean_tombstones().await?))
        .await?;
    Ok(StatusCode::NO_CONTENT.into_response())
}

/// Copies the store.
pub(crate) async fn snapshot(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let admin = admin(&api)?;
    let skip_head = match form.first("skip_head") {
        "" => false,
        text => go_bool(text).map_err(|error| {
            ApiError::parameter(
                "skip_head",
                format_args!("unable to parse boolean: {error}"),
            )
        })?,
    };
    let name = api
        .read(async move |_| Ok(admin.snapshot(skip_head).await?))
        .await?;
    Ok(success(&json!({"name": name})))
}

fn admin(api: &Api) -> Result<Arc<dyn Admin>, ApiError> {
    let off = || ApiError::new(ErrorType::Unavailable, "admin APIs disabled");
    api.parts.admin.clone().ok_or_else(off)
}
