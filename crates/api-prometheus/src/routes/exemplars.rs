//! `/api/v1/query_exemplars`.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use headwater_model::{Exemplar, TimeRange};
use headwater_storage::ExemplarSeries;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::{success, success_raw};
use crate::json::text::{PushText, push_labels, push_time, push_value};
use crate::routes::query::agent_only;
use crate::selectors::selectors_in;
use crate::state::Api;
use crate::time::{MAX_TIME, MIN_TIME, time_parameter};

/// Exemplars of all series that an expression reads.
pub(crate) async fn exemplars(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let start = time_parameter(&form, "start", MIN_TIME)?;
    let end = time_parameter(&form, "end", MAX_TIME)?;
    if end < start {
        let message = "end timestamp must not be before start timestamp";
        return Err(ApiError::bad_data(message));
    }
    let selectors = api
        .descend(move |parts| selectors_in(form.first("query"), parts.syntax))
        .await?;
    if selectors.is_empty() {
        return Ok(StatusCode::NO_CONTENT.into_response());
    }
    if api.parts.engine.is_none() {
        return Err(agent_only());
    }
    let Some(store) = api.parts.exemplars.clone() else {
        return Ok(success(&[(); 0]));
    };
    let found = api
        .read(async move |_| {
            Ok(store
                .exemplars(selectors, TimeRange::new(start, end))
                .await?)
        })
        .await?;
    Ok(success_raw(&written(&found), &[], &[]))
}

fn written(found: &[ExemplarSeries]) -> Vec<u8> {
    let mut out = b"[".to_vec();
    for (at, series) in found.iter().enumerate() {
        out.push_str(if at > 0 { "," } else { "" });
        out.push_str("{\"seriesLabels\":");
        push_labels(&mut out, &series.labels);
        out.push_str(",\"exemplars\":[");
        for (at, exemplar) in series.exemplars.iter().enumerate() {
            out.push_str(if at > 0 { "," } else { "" });
            push_exemplar(&mut out, exemplar);
        }
        out.push_str("]}");
    }
    out.push(b']');
    out
}

fn push_exemplar(out: &mut Vec<u8>, exemplar: &Exemplar) {
    out.push_str("{\"labels\":");
    push_labels(out, &exemplar.labels);
    out.push_str(",\"value\":");
    push_value(out, exemplar.value);
    out.push_str(",\"timestamp\":");
    push_time(out, exemplar.time.unwrap_or_default());
    out.push(b'}');
}
