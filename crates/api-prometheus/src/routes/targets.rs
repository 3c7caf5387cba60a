//! `/api/v1/targets`, `/api/v1/targets/metadata`, `/api/v1/scrape_pools` and their configuration.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use headwater_model::quote::go_quoted;
use headwater_model::{Labels, Matcher, Metadata};
use serde::Serialize;
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::params::plain_number;
use crate::parts::{Parts, TargetView};
use crate::selectors::selector;
use crate::state::Api;
use crate::time::format_rfc3339;

/// What Go prints for a time that was never set.
const NEVER: &str = "0001-01-01T00:00:00Z";

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct ActiveTarget {
    discovered_labels: Labels,
    labels: Labels,
    scrape_pool: String,
    scrape_url: String,
    global_url: String,
    last_error: String,
    last_scrape: String,
    last_scrape_duration: f64,
    health: &'static str,
    scrape_interval: String,
    scrape_timeout: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct DroppedTarget {
    discovered_labels: Labels,
    scrape_pool: String,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Targets {
    active_targets: Vec<ActiveTarget>,
    dropped_targets: Vec<DroppedTarget>,
    dropped_target_counts: Option<BTreeMap<String, usize>>,
}

/// Targets, by state and pool.
pub(crate) async fn targets(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    // There may be tens of thousands of them.
    api.read(async move |parts| Ok(success(&collect(&parts, &form))))
        .await
}

fn collect(parts: &Parts, form: &Form) -> Targets {
    let state = form.first("state").to_ascii_lowercase();
    let shows = |which: &str| matches!(state.as_str(), "" | "any") || state == which;
    let wanted = form.first("scrapePool");
    let pools: Vec<String> = parts.scraping.pools();
    let chosen: Vec<&String> = pools
        .iter()
        .filter(|pool| wanted.is_empty() || *pool == wanted)
        .collect();
    let mut answer = Targets {
        active_targets: Vec::new(),
        dropped_targets: Vec::new(),
        dropped_target_counts: shows("dropped").then(|| dropped_counts(parts, &pools)),
    };
    for pool in chosen {
        if shows("active") {
            let targets = parts.scraping.active(pool);
            answer
                .active_targets
                .extend(targets.into_iter().map(|target| active(pool, target)));
        }
        if shows("dropped") {
            answer.dropped_targets.extend(dropped(parts, pool));
        }
    }
    answer
}

fn active(pool: &str, target: TargetView) -> ActiveTarget {
    let began = target.last_scrape.map(format_rfc3339);
    ActiveTarget {
        discovered_labels: target.discovered,
        labels: target.labels,
        scrape_pool: pool.to_owned(),
        scrape_url: target.url,
        global_url: target.global_url,
        last_error: target.last_error,
        last_scrape: began.unwrap_or_else(|| NEVER.to_owned()),
        last_scrape_duration: target.last_duration,
        health: target.health.as_str(),
        scrape_interval: target.interval,
        scrape_timeout: target.timeout,
    }
}

fn dropped(parts: &Parts, pool: &str) -> impl Iterator<Item = DroppedTarget> {
    let targets = parts.scraping.dropped(pool).targets;
    let pool = pool.to_owned();
    targets
        .into_iter()
        .map(move |discovered_labels| DroppedTarget {
            discovered_labels,
            scrape_pool: pool.clone(),
        })
}

fn dropped_counts(parts: &Parts, pools: &[String]) -> BTreeMap<String, usize> {
    pools
        .iter()
        .map(|pool| (pool.clone(), parts.scraping.dropped(pool).total))
        .collect()
}

/// Names of the scrape pools.
pub(crate) async fn pools(State(api): State<Api>) -> Response {
    success(&json!({"scrapePools": api.parts.scraping.pools()}))
}

/// The configuration of one scrape pool.
pub(crate) async fn pool_config(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let pool = form.first("scrapePool");
    if pool.is_empty() {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    }
    let yaml = api.parts.scraping.config(pool).ok_or_else(|| {
        let quoted = go_quoted(pool);
        ApiError::bad_data(format_args!(
            "error retrieving scrape config: scrape pool {quoted} not found"
        ))
    })?;
    Ok(success(&json!({"yaml": yaml})))
}

#[derive(Serialize)]
struct MetricMetadata {
    target: Labels,
    #[serde(skip_serializing_if = "String::is_empty")]
    metric: String,
    #[serde(rename = "type")]
    metric_type: &'static str,
    help: String,
    unit: String,
}

/// What targets say about metrics, by target.
pub(crate) async fn metadata(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let bound = match plain_number(&form, "limit")? {
        Some(limit) => usize::try_from(limit).unwrap_or(usize::MAX),
        None => usize::MAX,
    };
    let matchers = match form.first("match_target") {
        "" => Vec::new(),
        text => {
            selector(text, api.parts.syntax).map_err(|error| error.in_parameter("match_target"))?
        }
    };
    api.read(async move |parts| {
        let found = said(&parts, &matchers, form.first("metric"), bound);
        Ok(success(&found))
    })
    .await
}

/// What targets that fulfil all matchers say about one metric, or about all if it has no name.
fn said(parts: &Parts, matchers: &[Matcher], metric: &str, bound: usize) -> Vec<MetricMetadata> {
    let mut found = Vec::new();
    let pools = parts.scraping.pools();
    for target in pools.iter().flat_map(|pool| parts.scraping.metadata(pool)) {
        if !fulfils(&target.target, matchers) {
            continue;
        }
        let room = bound - found.len();
        let entries = target.entries.into_iter();
        let entries = entries.filter(|(name, _)| metric.is_empty() || name == metric);
        found.extend(entries.take(room).map(|(name, metadata)| {
            let shown = if metric.is_empty() {
                name
            } else {
                String::new()
            };
            entry(&target.target, shown, metadata)
        }));
    }
    found
}

fn entry(target: &Labels, metric: String, metadata: Metadata) -> MetricMetadata {
    MetricMetadata {
        target: target.clone(),
        metric,
        metric_type: metadata.metric_type.as_str(),
        help: metadata.help,
        unit: metadata.unit,
    }
}

fn fulfils(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|matcher| matcher.matches(labels.get(&matcher.name).unwrap_or("")))
}
