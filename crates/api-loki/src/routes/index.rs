//! How much there is: statistics and volumes.

use std::collections::BTreeMap;
use std::fmt::Write;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::Response;
use headwater_chunkstore::Extent;
use headwater_logs::Limits;
use headwater_model::{Labels, Matcher};
use headwater_storage::NanoRange;

use crate::error::ApiError;
use crate::form::Form;
use crate::json::{json, push_labels, push_list, push_seconds};
use crate::routes::range::forward_bounds;
use crate::selector;
use crate::state::Api;
use crate::time::{SECOND, parse_step};

/// Rows of an answer if the request does not say.
const DEFAULT_ROWS: usize = 100;
/// Steps of one answer.
const MAX_STEPS: i64 = 11_000;

/// `/loki/api/v1/index/stats`.
pub(crate) async fn stats(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let tenant = api.tenant(&headers)?;
    let (start, end) = forward_bounds(&form, api.now())?;
    let matchers = selector::any(form.first("query"))?;
    let totals = totals(&api, tenant, matchers, NanoRange::new(start, end)).await?;
    let Totals {
        streams,
        chunks,
        bytes,
        entries,
    } = totals;
    Ok(json(format!(
        "{{\"streams\":{streams},\"chunks\":{chunks},\"bytes\":{bytes},\"entries\":{entries}}}"
    )))
}

/// What streams have together.
pub(crate) struct Totals {
    pub(crate) streams: u64,
    pub(crate) chunks: u64,
    pub(crate) bytes: u64,
    pub(crate) entries: u64,
}

/// What the streams that are selected have in a range.
pub(crate) async fn totals(
    api: &Api,
    tenant: String,
    matchers: Vec<Matcher>,
    range: NanoRange,
) -> Result<Totals, ApiError> {
    let extents = api.read(move |api| Ok(api.store().extents(&tenant, &matchers, range)?));
    let extents = extents.await?;
    let sum = |part: fn(&Extent) -> f64| extents.iter().map(part).sum::<f64>().round() as u64;
    Ok(Totals {
        streams: extents.len() as u64,
        chunks: sum(|extent| extent.blocks as f64),
        bytes: sum(|extent| extent.bytes),
        entries: sum(|extent| extent.entries),
    })
}

/// How volumes are put together.
pub(crate) struct Grouping {
    /// By single labels instead of sets of them.
    by_label: bool,
    /// Labels that count; empty for all.
    targets: Vec<String>,
    pub(crate) limit: usize,
}

impl Grouping {
    fn read(form: &Form, matchers: &[Matcher], most: usize) -> Result<Self, ApiError> {
        let targets = form
            .first("targetLabels")
            .split(',')
            .map(str::trim)
            .filter(|name| !name.is_empty())
            .map(str::to_owned)
            .collect();
        let limit = match form.given("limit").map(str::parse::<usize>) {
            None => 0,
            Some(Ok(limit)) => limit,
            Some(Err(_)) => {
                let text = form.first("limit");
                return Err(ApiError::bad(format_args!(
                    "strconv.Atoi: parsing {text:?}: invalid syntax"
                )));
            }
        };
        Self::new(form.first("aggregateBy"), targets, matchers, limit, most)
    }

    /// How to group by `by` and the labels in `targets`; at most `limit` rows (0 for as many as usual)
    /// and never more than the tenant may have.
    pub(crate) fn new(
        by: &str,
        mut targets: Vec<String>,
        matchers: &[Matcher],
        limit: usize,
        most: usize,
    ) -> Result<Self, ApiError> {
        let by_label = match by {
            "" | "series" => false,
            "labels" => true,
            _ => return Err(ApiError::bad("invalid aggregation option")),
        };
        if targets.is_empty() && !by_label {
            targets = matchers
                .iter()
                .map(|matcher| matcher.name.clone())
                .collect();
        }
        let limit = if limit == 0 { DEFAULT_ROWS } else { limit };
        Ok(Self {
            by_label,
            targets,
            limit: if most > 0 { limit.min(most) } else { limit },
        })
    }

    /// The rows that a stream counts for.
    fn rows(&self, labels: &Labels) -> Vec<Labels> {
        let wanted =
            |name: &str| self.targets.is_empty() || self.targets.iter().any(|one| one == name);
        if self.by_label {
            return labels
                .iter()
                .filter(|(name, _)| wanted(name))
                .map(|(name, _)| Labels::from_pairs([(name, NAME_ONLY)]))
                .collect();
        }
        let row = labels.project(wanted);
        if row.is_empty() {
            Vec::new()
        } else {
            vec![row]
        }
    }

    fn volumes(&self, extents: &[Extent]) -> BTreeMap<Labels, f64> {
        let mut volumes = BTreeMap::new();
        for extent in extents {
            for row in self.rows(&extent.labels) {
                *volumes.entry(row).or_insert(0.0) += extent.indexed_bytes();
            }
        }
        volumes
    }
}

/// Stands for a label of any value: rows by label name have an empty value, which [`Labels`] cannot hold.
const NAME_ONLY: &str = "\u{0}";

fn push_metric(out: &mut String, labels: &Labels) {
    out.push_str("{\"metric\":");
    let shown = |value: &str| {
        if value == NAME_ONLY {
            String::new()
        } else {
            value.to_owned()
        }
    };
    push_labels(out, labels.iter().map(|(name, value)| (name, shown(value))));
}

/// Largest first; equal ones by name.
fn ranked(volumes: BTreeMap<Labels, f64>, limit: usize) -> Vec<(Labels, f64)> {
    let mut rows: Vec<_> = volumes.into_iter().collect();
    rows.sort_by(|a, b| b.1.total_cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
    rows.truncate(limit);
    rows
}

/// Whether the tenant may ask for volumes.
pub(crate) fn check_enabled(limits: &Limits) -> Result<(), ApiError> {
    match limits.volume_enabled {
        true => Ok(()),
        false => Err(ApiError::new(
            axum::http::StatusCode::NOT_FOUND,
            "Volume feature is disabled. Please see `limits_config.volume_enabled`",
        )),
    }
}

async fn asked(
    api: &Api,
    headers: &HeaderMap,
    form: &Form,
) -> Result<(String, Vec<Matcher>, Grouping, i64, i64), ApiError> {
    let tenant = api.tenant(headers)?;
    let limits = api.limits(&tenant);
    check_enabled(&limits)?;
    let (start, end) = forward_bounds(form, api.now())?;
    let matchers = selector::any(form.first("query"))?;
    let grouping = Grouping::read(form, &matchers, limits.volume_max_series)?;
    Ok((tenant, matchers, grouping, start, end))
}

/// `/loki/api/v1/index/volume`.
pub(crate) async fn volume(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let (tenant, matchers, grouping, start, end) = asked(&api, &headers, &form).await?;
    let rows = volumes(&api, tenant, matchers, grouping, NanoRange::new(start, end)).await?;
    let mut out =
        String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"vector\",\"result\":");
    push_list(&mut out, rows, |out, (labels, bytes)| {
        push_metric(out, &labels);
        out.push_str(",\"value\":");
        push_bytes(out, end / 1_000_000, bytes);
        out.push('}');
    });
    out.push_str("}}");
    Ok(json(out))
}

/// Bytes by labels, the most first.
pub(crate) async fn volumes(
    api: &Api,
    tenant: String,
    matchers: Vec<Matcher>,
    grouping: Grouping,
    range: NanoRange,
) -> Result<Vec<(Labels, f64)>, ApiError> {
    api.read(move |api| {
        let extents = api.store().extents(&tenant, &matchers, range)?;
        Ok(ranked(grouping.volumes(&extents), grouping.limit))
    })
    .await
}

/// The labels of a row as a text: those of streams as a selector, single names as they are.
#[cfg(feature = "grpc")]
pub(crate) fn name_of(labels: &Labels) -> String {
    match labels.iter().next() {
        Some((name, NAME_ONLY)) => name.to_owned(),
        _ => labels.to_string(),
    }
}

fn push_bytes(out: &mut String, millis: i64, bytes: f64) {
    out.push('[');
    push_seconds(out, millis);
    let _ = write!(out, ",\"{}\"]", bytes.round());
}

/// `/loki/api/v1/index/volume_range`.
pub(crate) async fn volume_range(
    State(api): State<Api>,
    headers: HeaderMap,
    form: Form,
) -> Result<Response, ApiError> {
    let (tenant, matchers, grouping, start, end) = asked(&api, &headers, &form).await?;
    let step = match form.given("step") {
        Some(text) => parse_step(text)?,
        None => ((end - start) / (250 * SECOND)).max(1) * SECOND,
    };
    if step <= 0 || (end - start) / step > MAX_STEPS {
        return Err(ApiError::bad(
            "exceeded maximum resolution of 11,000 points per time series. Try increasing the value of the step parameter",
        ));
    }
    let rows = api.read(move |api| {
        let mut totals = BTreeMap::<Labels, f64>::new();
        let mut points = BTreeMap::<Labels, Vec<(i64, f64)>>::new();
        for (from, until, shown) in steps(start, end, step) {
            let extents = api
                .store()
                .extents(&tenant, &matchers, NanoRange::new(from, until))?;
            for (labels, bytes) in grouping.volumes(&extents) {
                *totals.entry(labels.clone()).or_default() += bytes;
                points.entry(labels).or_default().push((shown, bytes));
            }
        }
        let ranked = ranked(totals, grouping.limit).into_iter();
        Ok(ranked
            .filter_map(|(labels, _)| points.remove(&labels).map(|points| (labels, points)))
            .collect::<Vec<_>>())
    });
    let mut out =
        String::from("{\"status\":\"success\",\"data\":{\"resultType\":\"matrix\",\"result\":");
    push_list(&mut out, rows.await?, |out, (labels, points)| {
        push_metric(out, &labels);
        out.push_str(",\"values\":");
        push_list(out, points, |out, (millis, bytes)| {
            push_bytes(out, millis, bytes)
        });
        out.push('}');
    });
    out.push_str("}}");
    Ok(json(out))
}

/// Pieces of a range at multiples of the step: from, until, and the milliseconds under which a piece
/// is shown, which are its last, or the end of the range.
fn steps(start: i64, end: i64, step: i64) -> impl Iterator<Item = (i64, i64, i64)> {
    let mut from = start;
    std::iter::from_fn(move || {
        if from >= end {
            return None;
        }
        let until = (from - from.rem_euclid(step)).saturating_add(step).min(end);
        let shown = match until == end {
            true => end / 1_000_000,
            false => until / 1_000_000 - 1,
        };
        let piece = (from, until, shown);
        from = until;
        Some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_lie_at_multiples_of_the_step() {
        let second = SECOND;
        let pieces: Vec<_> = steps(5 * second, 25 * second, 10 * second).collect();
        assert_eq!(
            pieces,
            [
                (5 * second, 10 * second, 9_999),
                (10 * second, 20 * second, 19_999),
                (20 * second, 25 * second, 25_000),
            ]
        );
    }

    #[test]
    fn the_largest_come_first() {
        let labels = |name: &str| Labels::from_pairs([("a", name)]);
        let volumes =
            [("x", 1.0), ("y", 3.0), ("b", 1.0)].map(|(name, bytes)| (labels(name), bytes));
        let rows = ranked(volumes.into_iter().collect(), 2);
        assert_eq!(rows, [(labels("y"), 3.0), (labels("b"), 1.0)]);
    }
}
