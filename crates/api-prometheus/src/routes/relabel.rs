//! `/api/v1/targets/relabel_steps`: what each rule does to the labels of a target.

use std::collections::BTreeMap;

use axum::extract::State;
use axum::response::Response;
use headwater_model::quote::go_quoted;
use headwater_model::{Labels, LabelsBuilder};
use headwater_relabel::{Config, Rules};
use serde::Serialize;
use serde_json::json;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::state::Api;

#[derive(Serialize)]
struct Step<'a> {
    rule: &'a Config,
    output: Labels,
    keep: bool,
}

/// The labels after each rule; after one that drops the target nothing is left for the others.
pub(crate) async fn steps(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let pool = form.first("scrapePool");
    if pool.is_empty() {
        return Err(ApiError::bad_data("no scrapePool parameter provided"));
    }
    let mut labels = labels(form.first("labels"))?;
    let rules = api.parts.scraping.relabelling(pool).ok_or_else(|| {
        let quoted = go_quoted(pool);
        ApiError::bad_data(format_args!(
            "error retrieving scrape config: scrape pool {quoted} not found"
        ))
    })?;
    Ok(success(&json!({"steps": trace(&rules, &mut labels)})))
}

fn labels(text: &str) -> Result<LabelsBuilder, ApiError> {
    let pairs: BTreeMap<String, String> = serde_json::from_str(text).map_err(|error| {
        let words = match error.is_eof() {
            true => "unexpected end of JSON input".to_owned(),
            false => error.to_string(),
        };
        ApiError::bad_data(format_args!("error parsing labels: {words}"))
    })?;
    Ok(Labels::from_pairs(&pairs).to_builder())
}

fn trace<'a>(rules: &'a Rules, labels: &mut LabelsBuilder) -> Vec<Step<'a>> {
    let mut results = Vec::new();
    rules.trace(labels, |_, after, keep| {
        let output = match keep {
            true => after.clone().build(),
            false => Labels::empty(),
        };
        results.push((output, keep));
    });
    let dropped = std::iter::repeat((Labels::empty(), false));
    rules
        .configs()
        .zip(results.into_iter().chain(dropped))
        .map(|(rule, (output, keep))| Step { rule, output, keep })
        .collect()
}
