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

/// Deletes samples of the series that fulfil any of the selectors. One that fails does not keep the
/// others from being done: the answer says which are not.
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
        let mut failed: Option<ApiError> = None;
        for (matchers, text) in selectors.into_iter().zip(form.all("match[]")) {
            let done = admin.delete(matchers, TimeRange::new(start, end)).await;
            if let Err(error) = done {
                let error = ApiError::from(error);
                let so_far = failed.map_or(String::new(), |failed| format!("{failed}; "));
                let what = format!("{so_far}{text}: {error}");
                failed = Some(ApiError::new(error.kind(), what));
            }
        }
        failed.map_or(Ok(()), Err)
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
    let skip_head = switch(&form, "skip_head")?;
    let name = api
        .read(async move |_| Ok(admin.snapshot(skip_head).await?))
        .await?;
    Ok(success(&json!({"name": name})))
}

/// Mends damaged blocks for good; not in Prometheus, which does not start with them.
pub(crate) async fn mend_blocks(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let admin = admin(&api)?;
    form.strict()?;
    let verify = switch(&form, "verify")?;
    let blocks: Vec<String> = form.all("block").map(str::to_owned).collect();
    let mending = api
        .read(async move |_| Ok(admin.mend_blocks(blocks, verify).await?))
        .await?;
    Ok(success(&mending))
}

fn switch(form: &Form, name: &'static str) -> Result<bool, ApiError> {
    match form.first(name) {
        "" => Ok(false),
        text => go_bool(text).map_err(|error| {
            ApiError::parameter(name, format_args!("unable to parse boolean: {error}"))
        }),
    }
}

fn admin(api: &Api) -> Result<Arc<dyn Admin>, ApiError> {
    let off = || ApiError::new(ErrorType::Unavailable, "admin APIs disabled");
    api.parts.admin.clone().ok_or_else(off)
}
