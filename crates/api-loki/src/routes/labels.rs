//! Names of labels, their values, and series.

use std::collections::BTreeSet;

use axum::extract::{Path, State};
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_model::{Labels, Matcher};
use headwater_storage::NanoRange;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::{label_sets, success};
use crate::routes::range::forward_bounds;
use crate::selector;
use crate::state::Api;

/// `/loki/api/v1/labels`.
pub(crate) async fn names(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let names = collect(&api, &headers, &form, |labels, names| {
        for (name, _) in labels {
            if !names.contains(name) {
                names.insert(name.to_owned());
            }
        }
    });
    Ok(success(&names.await?))
}

/// `/loki/api/v1/label/{name}/values`.
pub(crate) async fn values(
    State(api): State<Api>,
    Path(name): Path<String>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let values = collect(&api, &headers, &form, move |labels, values| {
        values.extend(labels.get(&name).map(str::to_owned));
    });
    Ok(success(&values.await?))
}

/// Texts that `take` finds in the labels of the streams asked about, sorted.
async fn collect(
    api: &Api,
    headers: &HeaderMap,
    form: &Form,
    take: impl Fn(&Labels, &mut BTreeSet<String>) + Send + 'static,
) -> Result<Vec<String>, ApiError> {
    let tenant = api.tenant(headers)?;
    let (start, end) = forward_bounds(form, api.now())?;
    let matchers = match form.given("query") {
        Some(query) => selector::checked(query)?,
        None => Vec::new(),
    };
    api.read(move |api| {
        let mut found = BTreeSet::new();
        let range = NanoRange::new(start, end.saturating_add(1));
        for labels in api.store().streams_in(&tenant, &matchers, range) {
            take(&labels, &mut found);
        }
        Ok(found.into_iter().collect())
    })
    .await
}

/// `/loki/api/v1/series`.
pub(crate) async fn series(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let (start, end) = forward_bounds(&form, api.now())?;
    let mut sets: Vec<Vec<Matcher>> = form
        .all(&["match[]", "match"])
        .map(selector::any)
        .collect::<Result<_, _>>()?;
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    let found = api.read(move |api| {
        let range = NanoRange::new(start, end.saturating_add(1));
        let mut all = BTreeSet::new();
        for matchers in &sets {
            all.extend(api.store().streams_in(&tenant, matchers, range));
        }
        Ok(all)
    });
    Ok(label_sets(&found.await?))
}
