//! The samples of a recorded dataset into a store.

use std::io::Result;
use std::path::Path;

use headwater_model::number::parse_float;
use headwater_model::{FloatHistogram, Histogram, Labels, ResetHint, Span, stale_nan};
use headwater_storage::{Append, AppendOptions, Appender, MemoryStore, SampleValue};
use serde_json::Value;

use super::{bad, unzip};
use crate::corpus::{split_series, stored_hint};

/// Reads both files of a folder.
pub(super) fn load(folder: &Path, store: &MemoryStore) -> Result<()> {
    let failed = |error: &dyn std::fmt::Display| bad(error.to_string());
    let mut batch = store
        .appender(AppendOptions::default())
        .map_err(|error| failed(&error))?;
    load_text(&unzip(&folder.join("dataset.om.txt.gz"))?, &mut *batch)?;
    let native = folder.join("native-histograms.jsonl.gz");
    if native.exists() {
        load_native(&unzip(&native)?, &mut *batch)?;
    }
    let ticket = batch.commit().map_err(|error| failed(&error))?;
    ticket.wait().map_err(|error| failed(&error))?;
    Ok(())
}

/// OpenMetrics text: `name{labels} value seconds`.
fn load_text(text: &str, batch: &mut dyn Appender) -> Result<()> {
    for line in text
        .lines()
        .filter(|line| !line.starts_with('#') && !line.is_empty())
    {
        let (labels, _, rest) = split_series(line).map_err(bad)?;
        let mut words = rest.split_whitespace();
        let value = words
            .next()
            .and_then(parse_float)
            .ok_or_else(|| bad(format!("no value: {line}")))?;
        let seconds = words
            .next()
            .and_then(parse_float)
            .ok_or_else(|| bad(format!("no time: {line}")))?;
        let series = batch
            .series(&labels)
            .map_err(|error| bad(error.to_string()))?;
        let time = (seconds * 1000.0).round() as i64;
        batch
            .append(series, time, 0, SampleValue::Float(value))
            .map_err(|error| bad(format!("{line}: {error}")))?;
    }
    Ok(())
}

/// One sample a line, as JSON.
fn load_native(text: &str, batch: &mut dyn Appender) -> Result<()> {
    let mut before: std::collections::HashMap<Labels, Option<FloatHistogram>> =
        std::collections::HashMap::new();
    for line in text.lines() {
        let sample: Value = serde_json::from_str(line)?;
        let pairs = sample["labels"]
            .as_object()
            .ok_or_else(|| bad(format!("no labels: {line}")))?;
        let labels = Labels::from_pairs(
            pairs
                .iter()
                .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or(""))),
        );
        let series = batch
            .series(&labels)
            .map_err(|error| bad(error.to_string()))?;
        let time = sample["t"]
            .as_i64()
            .ok_or_else(|| bad(format!("no time: {line}")))?;
        let failed = |error: headwater_storage::AppendError| bad(format!("{line}: {error}"));
        let previous = before.entry(labels).or_default();
        if sample["stale_histogram"] == true {
            let stale = Histogram {
                sum: stale_nan(),
                ..Histogram::default()
            };
            batch
                .append(series, time, 0, SampleValue::Histogram(&stale))
                .map_err(failed)?;
            *previous = Some(stale.to_float());
        } else if sample["value"].is_number()
            || sample["value"].is_string()
            || sample["stale"] == true
        {
            let value = float(&sample["value"]).unwrap_or(stale_nan());
            batch
                .append(series, time, 0, SampleValue::Float(value))
                .map_err(failed)?;
            *previous = None;
        } else {
            let mut histogram = histogram(&sample);
            histogram.reset_hint = stored_hint(previous.as_ref(), &histogram);
            batch
                .append(series, time, 0, SampleValue::FloatHistogram(&histogram))
                .map_err(failed)?;
            *previous = Some(histogram);
        }
    }
    Ok(())
}

fn float(value: &Value) -> Option<f64> {
    value.as_f64().or_else(|| parse_float(value.as_str()?))
}

fn histogram(sample: &Value) -> FloatHistogram {
    let number = |name: &str| float(&sample[name]).unwrap_or(0.0);
    let list = |name: &str| -> Vec<f64> {
        sample[name]
            .as_array()
            .map(|items| items.iter().filter_map(float).collect())
            .unwrap_or_default()
    };
    let spans = |name: &str| -> Vec<Span> {
        let span = |item: &Value| {
            let (offset, length) = (item[0].as_i64()?, item[1].as_u64()?);
            Some(Span {
                offset: offset as i32,
                length: length as u32,
            })
        };
        sample[name]
            .as_array()
            .map(|items| items.iter().filter_map(span).collect())
            .unwrap_or_default()
    };
    FloatHistogram {
        reset_hint: match sample["counter_reset_hint"].as_str() {
            Some("reset") => ResetHint::Reset,
            Some("not_reset") => ResetHint::NotReset,
            Some("gauge") => ResetHint::Gauge,
            _ => ResetHint::Unknown,
        },
        schema: sample["schema"].as_i64().unwrap_or(0) as i32,
        zero_threshold: number("zero_threshold"),
        zero_count: number("zero_count"),
        count: number("count"),
        sum: number("sum"),
        positive_spans: spans("positive_spans"),
        negative_spans: spans("negative_spans"),
        positive_buckets: list("positive_buckets"),
        negative_buckets: list("negative_buckets"),
        custom_values: list("custom_values").into(),
    }
}
