//! `/api/v1/metadata`: what targets say about metrics, by metric.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use headwater_model::Metadata;
use serde::Serialize;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::params::plain_number;
use crate::parts::Parts;
use crate::state::Api;

#[derive(Serialize)]
struct Entry<'a> {
    #[serde(rename = "type")]
    metric_type: &'static str,
    unit: &'a str,
    help: &'a str,
}

/// Metadata by metric; targets that say the same are told once.
pub(crate) async fn metadata(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    // Absent and negative numbers mean no bound, 0 means nothing at all.
    let bound = |number: Option<i64>| {
        number.map_or(usize::MAX, |number| {
            usize::try_from(number).unwrap_or(usize::MAX)
        })
    };
    let metrics = bound(plain_number(&form, "limit")?);
    let entries = match plain_number(&form, "limit_per_metric")? {
        Some(number) if number > 0 => bound(Some(number)),
        _ => usize::MAX,
    };
    // Every target says something about hundreds of metrics.
    api.read(async move |parts| {
        let found = collect(&parts, form.first("metric"), entries);
        let shown = found.iter().take(metrics);
        let shown: BTreeMap<&str, Vec<Entry<'_>>> = shown
            .map(|(metric, said)| (metric.as_str(), said.iter().map(entry).collect()))
            .collect();
        Ok(success(&shown))
    })
    .await
}

fn entry(metadata: &Metadata) -> Entry<'_> {
    Entry {
        metric_type: metadata.metric_type.as_str(),
        unit: &metadata.unit,
        help: &metadata.help,
    }
}

fn collect(parts: &Parts, metric: &str, entries: usize) -> BTreeMap<String, Vec<Metadata>> {
    let mut found: BTreeMap<String, Vec<Metadata>> = BTreeMap::new();
    let pools = parts.scraping.pools();
    for target in pools.iter().flat_map(|pool| parts.scraping.metadata(pool)) {
        for (name, metadata) in target.entries {
            if !metric.is_empty() && name != metric {
                continue;
            }
            let said = found.entry(name).or_default();
            if said.len() < entries && !said.contains(&metadata) {
                said.push(metadata);
            }
        }
    }
    found
}
