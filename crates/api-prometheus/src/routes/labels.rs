//! `/api/v1/labels`, `/api/v1/label/NAME/values` and `/api/v1/series`.

use axum::extract::{Path, State};
use axum::response::Response;
use headwater_model::TimeRange;
use headwater_model::name::{NameScheme, unescape_value_encoding};
use headwater_model::quote::go_quoted;
use headwater_storage::{LabelAnswer, LabelQueries, LabelRequest};
use serde::Serialize;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success_with;
use crate::params;
use crate::parts::Parts;
use crate::routes::query::agent_only;
use crate::selectors::match_parameters;
use crate::state::Api;
use crate::time::{MAX_TIME, MIN_TIME, time_parameter};

const TRUNCATED: &str = "results truncated due to limit";

/// Label names.
pub(crate) async fn names(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let request = request(&api, &form, |error| error)?;
    api.read(async move |parts| {
        let answer = labels(&parts)?.label_names(request).await?;
        Ok(respond(answer))
    })
    .await
}

/// Values of one label. Names that do not fit a path may be escaped: `U__a_2e_b` is `a.b`.
pub(crate) async fn values(
    State(api): State<Api>,
    Path(name): Path<String>,
    form: Form,
) -> Result<Response, ApiError> {
    let name = unescape_value_encoding(&name);
    if !NameScheme::Utf8.is_label_name(&name) {
        let quoted = go_quoted(&name);
        return Err(ApiError::bad_data(format_args!(
            "invalid label name: {quoted}"
        )));
    }
    let request = request(&api, &form, |error| error)?;
    api.read(async move |parts| {
        let answer = labels(&parts)?.label_values(&name, request).await?;
        Ok(respond(answer))
    })
    .await
}

/// Series that fulfil at least one selector.
pub(crate) async fn series(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    if form.all("match[]").next().is_none() {
        form.strict()?;
        return Err(ApiError::bad_data("no match[] parameter provided"));
    }
    let request = request(&api, &form, |error| error.in_parameter("match[]"))?;
    api.read(async move |parts| {
        let answer = labels(&parts)?.series(request).await?;
        Ok(respond(answer))
    })
    .await
}

fn request(
    api: &Api,
    form: &Form,
    name_selector: impl Fn(ApiError) -> ApiError,
) -> Result<LabelRequest, ApiError> {
    form.strict()?;
    let limit = params::limit(form)?;
    let start = time_parameter(form, "start", MIN_TIME)?;
    let end = time_parameter(form, "end", MAX_TIME)?;
    let parts = &api.parts;
    let matcher_sets = match_parameters(form, parts.syntax, parts.settings.max_selectors);
    Ok(LabelRequest {
        matcher_sets: matcher_sets.map_err(name_selector)?,
        range: TimeRange::new(start, end),
        limit,
    })
}

fn labels(parts: &Parts) -> Result<&dyn LabelQueries, ApiError> {
    parts.labels.as_deref().ok_or_else(agent_only)
}

fn respond<T: Serialize>(answer: LabelAnswer<T>) -> Response {
    let mut warnings = answer.warnings;
    if answer.truncated {
        warnings.push(TRUNCATED.to_owned());
    }
    success_with(&answer.values, &warnings)
}
