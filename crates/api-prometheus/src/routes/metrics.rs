//! `/metrics` and `/api/v1/status/self_metrics`: what the server measures of itself.

use axum::extract::State;
use axum::http::{HeaderMap, HeaderValue, header};
use axum::response::{IntoResponse, Response};
use headwater_exposition::{
    Bucket, Escaping, Metric, MetricFamily, MetricValue, Protocol, content_type, negotiate,
    write_body,
};
use headwater_model::MetricType;
use headwater_regexp::Regex;
use serde_json::{Map, Value, json};

use crate::error::ApiError;
use crate::form::Form;
use crate::json::envelope::success;
use crate::state::Api;
use crate::time::format_rfc3339;

/// Everything, in the format that the caller asks for.
pub(crate) async fn metrics(
    State(api): State<Api>,
    headers: HeaderMap,
) -> Result<Response, ApiError> {
    let accept = headers
        .get(header::ACCEPT)
        .and_then(|value| value.to_str().ok());
    let (protocol, escaping) = negotiate(accept.unwrap_or(""));
    // Some values are asked for when they are told, and may take a while.
    api.read(async move |parts| {
        let body = write_body(&parts.registry.gather(), protocol, escaping);
        Ok(exposition(body, protocol, escaping))
    })
    .await
}

/// A response in an exposition format.
pub(crate) fn exposition(body: Vec<u8>, protocol: Protocol, escaping: Escaping) -> Response {
    let kind = HeaderValue::from_str(&content_type(protocol, escaping));
    let kind = kind.unwrap_or(HeaderValue::from_static("text/plain"));
    ([(header::CONTENT_TYPE, kind)], body).into_response()
}

/// The same as JSON, chosen by name.
pub(crate) async fn self_metrics(State(api): State<Api>, form: Form) -> Result<Response, ApiError> {
    let chosen = match form.first("metric_name_pattern") {
        "" => None,
        pattern => Some(Regex::new(&format!("^(?:{pattern})$")).map_err(|error| {
            ApiError::bad_data(format_args!("invalid metric_name_pattern: {error}"))
        })?),
    };
    let families = api
        .read(async move |parts| Ok(parts.registry.gather()))
        .await?;
    let shown: Vec<Value> = families
        .iter()
        .filter(|family| {
            chosen
                .as_ref()
                .is_none_or(|regex| regex.is_match(&family.name))
        })
        .map(family)
        .collect();
    Ok(success(&shown))
}

/// The JSON of a protobuf message `MetricFamily`: whole numbers of 64 bits are strings there.
fn family(family: &MetricFamily) -> Value {
    let mut object = json!({
        "name": family.name,
        "help": family.help,
        "type": type_word(family.metric_type),
    });
    let metrics: Vec<Value> = family
        .metrics
        .iter()
        .map(|each| metric(each, family.metric_type))
        .collect();
    object["metric"] = Value::Array(metrics);
    if !family.unit.is_empty() {
        object["unit"] = json!(family.unit);
    }
    object
}

fn type_word(metric_type: MetricType) -> &'static str {
    match metric_type {
        MetricType::Counter => "COUNTER",
        MetricType::Gauge => "GAUGE",
        MetricType::Summary => "SUMMARY",
        MetricType::Histogram => "HISTOGRAM",
        MetricType::GaugeHistogram => "GAUGE_HISTOGRAM",
        _ => "UNTYPED",
    }
}

fn metric(metric: &Metric, metric_type: MetricType) -> Value {
    let mut object = Map::new();
    if !metric.labels.is_empty() {
        let labels = metric.labels.iter();
        let labels: Vec<Value> = labels
            .map(|(name, value)| json!({"name": name, "value": value}))
            .collect();
        object.insert("label".to_owned(), Value::Array(labels));
    }
    let (name, mut value) = value(&metric.value, metric_type);
    if let Some(start) = metric.start {
        let nanos = start.saturating_mul(1_000_000);
        value["createdTimestamp"] = json!(format_rfc3339(nanos));
    }
    object.insert(name.to_owned(), value);
    Value::Object(object)
}

fn value(value: &MetricValue, metric_type: MetricType) -> (&'static str, Value) {
    match value {
        MetricValue::Number(number) => {
            let name = match metric_type {
                MetricType::Counter => "counter",
                MetricType::Gauge => "gauge",
                _ => "untyped",
            };
            (name, json!({"value": number_json(*number)}))
        }
        MetricValue::Summary {
            count,
            sum,
            quantiles,
        } => {
            let quantiles: Vec<Value> = quantiles
                .iter()
                .map(
                    |(quantile, value)| json!({"quantile": quantile, "value": number_json(*value)}),
                )
                .collect();
            (
                "summary",
                sum_and_count(*count, *sum, "quantile", quantiles),
            )
        }
        MetricValue::Buckets {
            count,
            sum,
            buckets,
        } => {
            let buckets = buckets.iter().map(bucket).collect();
            ("histogram", sum_and_count(*count, *sum, "bucket", buckets))
        }
        MetricValue::Histogram(histogram) => (
            "histogram",
            sum_and_count(histogram.count, histogram.sum, "bucket", Vec::new()),
        ),
        MetricValue::FloatHistogram(histogram) => (
            "histogram",
            json!({"sampleCountFloat": histogram.count, "sampleSum": number_json(histogram.sum)}),
        ),
        _ => ("untyped", json!({})),
    }
}

fn sum_and_count(count: u64, sum: f64, list: &str, parts: Vec<Value>) -> Value {
    let mut object = json!({"sampleCount": count.to_string(), "sampleSum": number_json(sum)});
    if !parts.is_empty() {
        object[list] = Value::Array(parts);
    }
    object
}

fn bucket(bucket: &Bucket) -> Value {
    json!({
        "cumulativeCount": bucket.cumulative_count.to_string(),
        "upperBound": number_json(bucket.upper_bound),
    })
}

/// What JSON has no number for is a string, as protobuf's JSON has it.
fn number_json(value: f64) -> Value {
    match value {
        v if v.is_nan() => json!("NaN"),
        f64::INFINITY => json!("Infinity"),
        f64::NEG_INFINITY => json!("-Infinity"),
        v if v.trunc() == v && v.abs() < 9e15 => json!(v as i64),
        v => json!(v),
    }
}
