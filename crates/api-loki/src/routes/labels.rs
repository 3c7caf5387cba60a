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
    let names = collect(&api, &headers, &form, take_names);
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
    texts(api, tenant, matchers, up_to(start, end), take).await
}

/// The range of a question whose end counts.
pub(crate) const fn up_to(start: i64, end: i64) -> NanoRange {
    NanoRange::new(start, end.saturating_add(1))
}

/// As `collect`, for those who know what is asked.
pub(crate) async fn texts(
    api: &Api,
    tenant: String,
    matchers: Vec<Matcher>,
    range: NanoRange,
    take: impl Fn(&Labels, &mut BTreeSet<String>) + Send + 'static,
) -> Result<Vec<String>, ApiError> {
    api.read(move |api| {
        let mut found = BTreeSet::new();
        for labels in api.store().streams_in(&tenant, &matchers, range) {
            take(&labels, &mut found);
        }
        Ok(found.into_iter().collect())
    })
    .await
}

/// Adds the names of labels that are not known yet.
pub(crate) fn take_names(labels: &Labels, names: &mut BTreeSet<String>) {
    for (name, _) in labels {
        if !names.contains(name) {
            names.insert(name.to_owned());
        }
    }
}

/// Labels of the streams that one of the selectors selects; of all without a selector.
pub(crate) async fn streams(
    api: &Api,
    tenant: String,
    mut sets: Vec<Vec<Matcher>>,
    range: NanoRange,
) -> Result<BTreeSet<Labels>, ApiError> {
    if sets.is_empty() {
        sets.push(Vec::new());
    }
    api.read(move |api| {
        let mut all = BTreeSet::new();
        for matchers in &sets {
            all.extend(api.store().streams_in(&tenant, matchers, range));
        }
        Ok(all)
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
    let sets = form
        .all(&["match[]", "match"])
        .map(selector::any)
        .collect::<Result<_, _>>()?;
    let found = streams(&api, tenant, sets, up_to(start, end)).await?;
    Ok(label_sets(&found))
}
