//! Classic histograms as native ones with custom bounds.

use std::collections::BTreeMap;

use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::number::parse_float;
use headwater_model::{FloatHistogram, Labels, LabelsBuilder, Span, Timestamp};

use super::script::Load;
use super::values::SequenceValue;

/// What is known of a histogram at one time.
#[derive(Default)]
struct Parts {
    /// Counts up to each bound.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
}

impl Parts {
    fn build(mut self) -> FloatHistogram {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        self.buckets.dedup_by(|b, a| a.0 == b.0);
        let count = self
            .count
            .or(self.buckets.last().map(|(_, count)| *count))
            .unwrap_or(0.0);
        if self
            .buckets
            .last()
            .is_none_or(|(bound, _)| *bound != f64::INFINITY)
        {
            self.buckets.push((f64::INFINITY, count));
        }
        let bounds: Vec<f64> = self
            .buckets
            .iter()
            .map(|(bound, _)| *bound)
            .filter(|bound| bound.is_finite())
            .collect();
        let mut below = 0.0;
        let mut counts = Vec::with_capacity(self.buckets.len());
        for (_, upto) in &self.buckets {
            counts.push(upto - below);
            below = *upto;
        }
        let mut histogram = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![Span {
                offset: 0,
                length: counts.len() as u32,
            }],
            positive_buckets: counts,
            custom_values: bounds.into(),
            ..FloatHistogram::default()
        };
        histogram.compact();
        histogram
    }
}

/// The native series of the classic histograms of a load.
pub(super) fn convert(load: &Load) -> Vec<(Labels, Vec<(Timestamp, FloatHistogram)>)> {
    let mut families: BTreeMap<Labels, BTreeMap<Timestamp, Parts>> = BTreeMap::new();
    for series in &load.series {
        let Some(name) = series.labels.metric_name() else {
            continue;
        };
        let Some((base, suffix)) = ["_bucket", "_sum", "_count"]
            .iter()
            .find_map(|suffix| Some((name.strip_suffix(suffix)?, *suffix)))
        else {
            continue;
        };
        let bound = series.labels.get("le").and_then(parse_float);
        if suffix == "_bucket" && bound.is_none_or(f64::is_nan) {
            continue;
        }
        let mut labels = LabelsBuilder::new();
        labels.reset_to(&series.labels);
        labels.remove("le").set("__name__", base);
        let family = families.entry(labels.build()).or_default();
        for (at, value) in series.values.iter().enumerate() {
            let SequenceValue::Float(value) = value else {
                continue;
            };
            let parts = family.entry(at as i64 * load.step).or_default();
            match (suffix, bound) {
                ("_bucket", Some(bound)) => parts.buckets.push((bound, *value)),
                ("_count", _) => parts.count = Some(*value),
                _ => parts.sum = *value,
            }
        }
    }
    let build = |(labels, times): (Labels, BTreeMap<Timestamp, Parts>)| {
        (
            labels,
            times
                .into_iter()
                .map(|(time, parts)| (time, parts.build()))
                .collect(),
        )
    };
    families.into_iter().map(build).collect()
}
