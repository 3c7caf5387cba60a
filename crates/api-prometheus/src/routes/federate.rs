//! `/federate`: the newest sample of chosen series, for another server to scrape.

use std::borrow::Cow;
use std::collections::BTreeMap;

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::Response;
use headwater_exposition::{
    Escaping, Format, Metric, MetricFamily, MetricValue, Protocol, negotiate, write_body,
};
use headwater_model::label::METRIC_NAME;
use headwater_model::{
    FloatHistogram, Labels, Matcher, MetricType, ResetHint, SeriesColumns, TimeRange, Timestamp,
    is_stale_nan,
};
use headwater_query::Point;
use headwater_storage::{Select, SelectRequest};

use crate::error::{ApiError, ErrorType};
use crate::form::Form;
use crate::parts::Parts;
use crate::routes::metrics::exposition;
use crate::selectors::match_parameters;
use crate::serve::plain::error_text;
use crate::state::Api;

/// Set on what leaves this server even if it has no value, so that a receiver that keeps labels
/// does not take its own for missing ones.
const INSTANCE: &str = "instance";

/// Newest samples by metric name, then labels. Families must stand together in the body.
type Found = BTreeMap<(String, Labels), (Timestamp, Point)>;

/// The newest samples of the series that fulfil any of the selectors.
pub(crate) async fn federate(State(api): State<Api>, headers: HeaderMap, form: Form) -> Response {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let (protocol, escaping) = protocol_for(accept.unwrap_or(""));
    match body(&api, &form, protocol, escaping).await {
        Ok(body) => exposition(body, protocol, escaping),
        Err(error) => refuse(&error),
    }
}

/// As the original, OpenMetrics is not offered: it could not carry untyped metrics with the
/// samples of counters.
fn protocol_for(accept: &str) -> (Protocol, Escaping) {
    let (protocol, escaping) = negotiate(accept);
    match protocol.format() {
        Format::OpenMetrics => (Protocol::PrometheusText0_0_4, Escaping::Underscores),
        _ => (protocol, escaping),
    }
}

async fn body(
    api: &Api,
    form: &Form,
    protocol: Protocol,
    escaping: Escaping,
) -> Result<Vec<u8>, ApiError> {
    form.strict()?;
    let parts = &api.parts;
    let selectors = match_parameters(form, parts.syntax, parts.settings.max_selectors)?;
    let store = parts.samples.clone().ok_or_else(|| {
        ApiError::new(
            ErrorType::Internal,
            "unsupported operation with WAL-only storage",
        )
    })?;
    api.read(async move |parts| {
        let found = newest(&*store, selectors, range(&parts)).await?;
        let families = families(found, &parts.server.external_labels(), protocol.format());
        Ok(write_body(&families, protocol, escaping))
    })
    .await
}

fn range(parts: &Parts) -> TimeRange {
    let now = parts.clock.unix_millis();
    let lookback = i64::try_from(parts.settings.lookback.as_millis()).unwrap_or(i64::MAX);
    TimeRange::new(now.saturating_sub(lookback), now)
}

async fn newest(
    store: &dyn Select,
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
) -> Result<Found, ApiError> {
    let mut found = Found::new();
    let mut columns = SeriesColumns::default();
    for matchers in selectors {
        let mut cursor = store.select(SelectRequest::new(matchers, range)).await?;
        while let Some(labels) = cursor.advance()? {
            let Some(name) = labels.metric_name().map(str::to_owned) else {
                continue;
            };
            cursor.read(&mut columns)?;
            if let Some(sample) = last(&columns) {
                found.insert((name, labels), sample);
            }
        }
    }
    Ok(found)
}

/// The newest sample, unless it says that the series has ended.
fn last(columns: &SeriesColumns) -> Option<(Timestamp, Point)> {
    let (floats, histograms) = (&columns.floats, &columns.histograms);
    if histograms.times().last() > floats.times.last() {
        let at = histograms.len() - 1;
        let alive = !histograms.get(at).is_stale();
        return alive.then(|| {
            (
                histograms.times()[at],
                Point::Histogram(histograms.float(at)),
            )
        });
    }
    let (time, value) = (*floats.times.last()?, *floats.values.last()?);
    (!is_stale_nan(value)).then_some((time, Point::Float(value)))
}

/// Neighbours of one name and kind become a family. Text cannot carry histograms.
fn families(found: Found, external: &Labels, format: Format) -> Vec<MetricFamily> {
    let mut families: Vec<MetricFamily> = Vec::new();
    for ((name, labels), (time, point)) in found {
        let (metric_type, value) = match point {
            Point::Float(value) => (MetricType::Unknown, MetricValue::Number(value)),
            Point::Histogram(_) if format != Format::Protobuf => continue,
            Point::Histogram(histogram) => (
                type_of(&histogram),
                MetricValue::FloatHistogram(FloatHistogram::clone(&histogram)),
            ),
        };
        let continues = families
            .last()
            .is_some_and(|family| family.name == name && family.metric_type == metric_type);
        if !continues {
            families.push(MetricFamily::new(name, "", metric_type));
        }
        if let Some(family) = families.last_mut() {
            family
                .metrics
                .push(metric(&labels, external, value).at(time));
        }
    }
    families
}

fn type_of(histogram: &FloatHistogram) -> MetricType {
    match histogram.reset_hint {
        ResetHint::Gauge => MetricType::GaugeHistogram,
        _ => MetricType::Histogram,
    }
}

/// The series' own labels, then those of this server that the series lacks.
fn metric(labels: &Labels, external: &Labels, value: MetricValue) -> Metric {
    let mut metric = Metric::new(value);
    let own = labels.iter().filter(|(name, _)| *name != METRIC_NAME);
    let mut added: BTreeMap<&str, &str> = external.iter().collect();
    added.entry(INSTANCE).or_insert("");
    let added = added.into_iter().filter(|(name, _)| !labels.has(name));
    for (name, value) in own.chain(added) {
        metric
            .labels
            .push((Cow::Owned(name.to_owned()), value.to_owned()));
    }
    metric
}

/// Errors are text here, because those who ask are scrapers.
fn refuse(error: &ApiError) -> Response {
    let status = match error.kind() {
        ErrorType::BadData | ErrorType::TooLarge => error.kind().word_and_status().1,
        _ => StatusCode::INTERNAL_SERVER_ERROR,
    };
    error_text(status, format!("{error}\n"))
}
