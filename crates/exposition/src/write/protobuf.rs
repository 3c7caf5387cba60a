//! `MetricFamily` messages, each behind its length. Numbers are those of
//! `io.prometheus.client`; see also the reader.

use headwater_model::{Exemplar, FloatHistogram, Histogram, MetricType, ResetHint, Span};

use crate::escape::Escaping;
use crate::family::{Bucket, Metric, MetricFamily, MetricValue};

pub(super) fn write(families: &[MetricFamily], escaping: Escaping) -> Vec<u8> {
    let mut body = Message::default();
    for family in families.iter().filter(|family| !family.metrics.is_empty()) {
        let message = write_family(family, escaping);
        body.raw(message.0.len() as u64);
        body.0.extend(message.0);
    }
    body.0
}

/// Bytes of a message under construction.
#[derive(Default)]
struct Message(Vec<u8>);

impl Message {
    fn raw(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn key(&mut self, number: u64, wire: u64) {
        self.raw(number << 3 | wire);
    }

    fn varint(&mut self, number: u64, value: u64) {
        self.key(number, 0);
        self.raw(value);
    }

    fn signed(&mut self, number: u64, value: i64) {
        self.varint(number, zigzag(value));
    }

    fn double(&mut self, number: u64, value: f64) {
        self.key(number, 1);
        self.0.extend(value.to_le_bytes());
    }

    fn bytes(&mut self, number: u64, bytes: &[u8]) {
        self.key(number, 2);
        self.raw(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
    }

    fn text(&mut self, number: u64, text: &str) {
        if !text.is_empty() {
            self.bytes(number, text.as_bytes());
        }
    }

    fn nested(&mut self, number: u64, fill: impl FnOnce(&mut Message)) {
        let mut message = Message::default();
        fill(&mut message);
        self.bytes(number, &message.0);
    }

    fn label(&mut self, number: u64, name: &str, value: &str) {
        self.nested(number, |label| {
            label.text(1, name);
            label.text(2, value);
        });
    }

    fn timestamp(&mut self, number: u64, milliseconds: i64) {
        self.nested(number, |time| {
            time.varint(1, milliseconds.div_euclid(1000) as u64);
            time.varint(2, milliseconds.rem_euclid(1000) as u64 * 1_000_000);
        });
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn write_family(family: &MetricFamily, escaping: Escaping) -> Message {
    let mut message = Message::default();
    message.text(1, &escaping.metric_name(&family.name));
    message.text(2, &family.help);
    message.varint(3, type_number(family));
    for metric in &family.metrics {
        message.nested(4, |message| {
            write_metric(message, metric, family.metric_type, escaping)
        });
    }
    message.text(5, &family.unit);
    message
}

fn type_number(family: &MetricFamily) -> u64 {
    let gauge = family.metrics.iter().any(|metric| match &metric.value {
        MetricValue::Histogram(histogram) => histogram.reset_hint == ResetHint::Gauge,
        MetricValue::FloatHistogram(histogram) => histogram.reset_hint == ResetHint::Gauge,
        _ => false,
    });
    match family.metric_type {
        MetricType::Counter => 0,
        MetricType::Gauge => 1,
        MetricType::Summary => 2,
        MetricType::Histogram if !gauge => 4,
        MetricType::Histogram | MetricType::GaugeHistogram => 5,
        MetricType::Unknown | MetricType::Info | MetricType::StateSet => 3,
    }
}

fn write_metric(
    message: &mut Message,
    metric: &Metric,
    metric_type: MetricType,
    escaping: Escaping,
) {
    for (name, value) in &metric.labels {
        message.label(1, &escaping.label_name(name), value);
    }
    let start = |message: &mut Message, number| {
        if let Some(start) = metric.start {
            message.timestamp(number, start);
        }
    };
    match &metric.value {
        MetricValue::Number(value) => {
            let number = match metric_type {
                MetricType::Counter => 3,
                MetricType::Gauge => 2,
                _ => 5,
            };
            message.nested(number, |message| {
                message.double(1, *value);
                if number == 3 {
                    start(message, 3);
                }
            });
        }
        MetricValue::Summary {
            count,
            sum,
            quantiles,
        } => message.nested(4, |message| {
            message.varint(1, *count);
            message.double(2, *sum);
            for (quantile, value) in quantiles {
                message.nested(3, |message| {
                    message.double(1, *quantile);
                    message.double(2, *value);
                });
            }
            start(message, 4);
        }),
        MetricValue::Buckets {
            count,
            sum,
            buckets,
        } => message.nested(7, |message| {
            message.varint(1, *count);
            message.double(2, *sum);
            buckets
                .iter()
                .for_each(|bucket| write_bucket(message, bucket));
            start(message, 15);
        }),
        MetricValue::Histogram(histogram) => message.nested(7, |message| {
            write_integers(message, histogram);
            start(message, 15);
        }),
        MetricValue::FloatHistogram(histogram) => message.nested(7, |message| {
            write_floats(message, histogram);
            start(message, 15);
        }),
    }
    if let Some(time) = metric.time {
        message.varint(6, time as u64);
    }
}

fn write_bucket(message: &mut Message, bucket: &Bucket) {
    message.nested(3, |message| {
        message.varint(1, bucket.cumulative_count);
        message.double(2, bucket.upper_bound);
        if let Some(exemplar) = &bucket.exemplar {
            write_exemplar(message, 3, exemplar);
        }
    });
}

fn write_exemplar(message: &mut Message, number: u64, exemplar: &Exemplar) {
    message.nested(number, |message| {
        exemplar
            .labels
            .iter()
            .for_each(|(name, value)| message.label(1, name, value));
        message.double(2, exemplar.value);
        if let Some(time) = exemplar.time {
            message.timestamp(3, time);
        }
    });
}

fn write_integers(message: &mut Message, histogram: &Histogram) {
    message.varint(1, histogram.count);
    message.double(2, histogram.sum);
    message.signed(5, i64::from(histogram.schema));
    message.double(6, histogram.zero_threshold);
    message.varint(7, histogram.zero_count);
    write_spans(message, 9, &histogram.negative_spans);
    write_deltas(message, 10, &histogram.negative_deltas);
    write_spans(message, 12, &histogram.positive_spans);
    write_deltas(message, 13, &histogram.positive_deltas);
    keep_native(
        message,
        histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty(),
    );
}

fn write_floats(message: &mut Message, histogram: &FloatHistogram) {
    message.double(4, histogram.count);
    message.double(2, histogram.sum);
    message.signed(5, i64::from(histogram.schema));
    message.double(6, histogram.zero_threshold);
    message.double(8, histogram.zero_count);
    write_spans(message, 9, &histogram.negative_spans);
    histogram
        .negative_buckets
        .iter()
        .for_each(|count| message.double(11, *count));
    write_spans(message, 12, &histogram.positive_spans);
    histogram
        .positive_buckets
        .iter()
        .for_each(|count| message.double(14, *count));
    keep_native(
        message,
        histogram.positive_spans.is_empty() && histogram.negative_spans.is_empty(),
    );
}

/// An empty span says that a histogram without buckets is native all the same.
fn keep_native(message: &mut Message, without_spans: bool) {
    if without_spans {
        write_spans(message, 12, &[Span::default()]);
    }
}

fn write_spans(message: &mut Message, number: u64, spans: &[Span]) {
    for span in spans {
        message.nested(number, |message| {
            message.signed(1, i64::from(span.offset));
            message.varint(2, u64::from(span.length));
        });
    }
}

fn write_deltas(message: &mut Message, number: u64, deltas: &[i64]) {
    deltas
        .iter()
        .for_each(|delta| message.signed(number, *delta));
}
