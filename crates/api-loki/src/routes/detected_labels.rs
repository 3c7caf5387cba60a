//! `/loki/api/v1/detected_labels`: labels of the streams asked about, with how many values each has.

use std::collections::{BTreeMap, BTreeSet};

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_model::Matcher;
use headwater_storage::NanoRange;
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::json;
use crate::routes::labels::up_to;
use crate::routes::range::forward_bounds;
use crate::selector;
use crate::state::Api;

/// Labels whose values are all numbers or ids tell little: Loki leaves them out, except these.
const ALWAYS: [&str; 6] = [
    "cluster",
    "namespace",
    "instance",
    "pod",
    "service_name",
    "app",
];

pub(crate) async fn labels(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let (start, end) = forward_bounds(&form, api.now())?;
    let matchers = match form.given("query") {
        Some(query) => selector::any(query)?,
        None => Vec::new(),
    };
    let rows: Vec<_> = detect(&api, tenant, matchers, up_to(start, end))
        .await?
        .into_iter()
        .map(|(name, values)| json!({ "label": name, "cardinality": values.len() }))
        .collect();
    let body = match rows.is_empty() {
        true => json!({}),
        false => json!({ "detectedLabels": rows }),
    };
    Ok(json::json(body.to_string()))
}

/// Labels that tell something, with their values.
pub(crate) async fn detect(
    api: &Api,
    tenant: String,
    matchers: Vec<Matcher>,
    range: NanoRange,
) -> Result<BTreeMap<String, BTreeSet<String>>, ApiError> {
    let found = api.read(move |api| {
        let mut found = BTreeMap::<String, BTreeSet<String>>::new();
        for labels in api.store().streams_in(&tenant, &matchers, range) {
            for (name, value) in &labels {
                found
                    .entry(name.to_owned())
                    .or_default()
                    .insert(value.to_owned());
            }
        }
        Ok(found)
    });
    let mut found = found.await?;
    found.retain(|name, values| {
        ALWAYS.contains(&name.as_str()) || !values.iter().all(|value| is_id(value))
    });
    Ok(found)
}

/// A number, or an id in hexadecimal with dashes.
fn is_id(value: &str) -> bool {
    value.parse::<f64>().is_ok()
        || (value.len() == 36
            && value
                .bytes()
                .all(|byte| byte == b'-' || byte.is_ascii_hexdigit()))
}
