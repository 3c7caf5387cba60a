//! Histograms of the protobuf format: numbers of both kinds, and sparse buckets.

use headwater_model::{FloatHistogram, Histogram, MetricType, ResetHint, Span};

use super::event::Value;
use super::protobuf::timestamp;
use super::wire::{Fields, Malformed};

/// The fields of one `Histogram` message. Used again for the next.
#[derive(Debug, Default)]
pub(crate) struct NativeHistogram {
    integer: Histogram,
    float: FloatHistogram,
    is_float: bool,
    pub(crate) start: Option<i64>,
    pub(crate) has_classic_buckets: bool,
}

impl NativeHistogram {
    pub(crate) fn read(&mut self, message: &[u8]) -> Result<(), Malformed> {
        self.clear();
        let (integer, float) = (&mut self.integer, &mut self.float);
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => integer.count = field.integer()?,
                2 => integer.sum = field.double()?,
                3 => self.has_classic_buckets = true,
                4 => float.count = field.double()?,
                5 => integer.schema = clamped(field.signed()?),
                6 => integer.zero_threshold = field.double()?,
                7 => integer.zero_count = field.integer()?,
                8 => float.zero_count = field.double()?,
                9 => integer.negative_spans.push(span(field.bytes()?)?),
                10 => field.signed_run(&mut integer.negative_deltas)?,
                11 => field.double_run(&mut float.negative_buckets)?,
                12 => integer.positive_spans.push(span(field.bytes()?)?),
                13 => field.signed_run(&mut integer.positive_deltas)?,
                14 => field.double_run(&mut float.positive_buckets)?,
                15 => self.start = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        self.is_float = self.float.count > 0.0 || self.float.zero_count > 0.0;
        Ok(())
    }

    /// Forgets the numbers and keeps the memory.
    fn clear(&mut self) {
        let mut empty = Histogram::default();
        for (old, new) in [
            (&mut self.integer.positive_spans, &mut empty.positive_spans),
            (&mut self.integer.negative_spans, &mut empty.negative_spans),
        ] {
            old.clear();
            std::mem::swap(old, new);
        }
        for (old, new) in [
            (
                &mut self.integer.positive_deltas,
                &mut empty.positive_deltas,
            ),
            (
                &mut self.integer.negative_deltas,
                &mut empty.negative_deltas,
            ),
        ] {
            old.clear();
            std::mem::swap(old, new);
        }
        self.integer = empty;
        self.float.positive_buckets.clear();
        self.float.negative_buckets.clear();
        self.float.count = 0.0;
        self.float.zero_count = 0.0;
        self.start = None;
        self.has_classic_buckets = false;
    }

    /// Whether there is more than classic buckets: a span, perhaps an empty one, or a zero bucket.
    pub(crate) fn is_native(&self) -> bool {
        let spans =
            !self.integer.positive_spans.is_empty() || !self.integer.negative_spans.is_empty();
        let zero = self.integer.zero_threshold > 0.0
            || self.integer.zero_count > 0
            || self.float.zero_count > 0.0;
        spans || zero
    }

    /// All observations.
    pub(crate) fn total(&self) -> f64 {
        if self.is_float {
            self.float.count
        } else {
            self.integer.count as f64
        }
    }

    pub(crate) fn sum(&self) -> f64 {
        self.integer.sum
    }

    /// Completes the histogram for [`NativeHistogram::value`].
    pub(crate) fn finish(&mut self, metric_type: MetricType) {
        let gauge = metric_type == MetricType::GaugeHistogram;
        self.integer.reset_hint = if gauge {
            ResetHint::Gauge
        } else {
            ResetHint::Unknown
        };
        if self.is_float {
            let (integer, float) = (&self.integer, &mut self.float);
            float.reset_hint = integer.reset_hint;
            float.schema = integer.schema;
            float.sum = integer.sum;
            float.zero_threshold = integer.zero_threshold;
            float.positive_spans.clone_from(&integer.positive_spans);
            float.negative_spans.clone_from(&integer.negative_spans);
        }
    }

    pub(crate) fn value(&self) -> Value<'_> {
        if self.is_float {
            Value::FloatHistogram(&self.float)
        } else {
            Value::Histogram(&self.integer)
        }
    }
}

fn span(message: &[u8]) -> Result<Span, Malformed> {
    let mut span = Span::default();
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => span.offset = clamped(field.signed()?),
            2 => span.length = u32::try_from(field.integer()?).unwrap_or(u32::MAX),
            _ => {}
        }
    }
    Ok(span)
}

/// A number that should have 32 bits; one that has more is wrong at either end of the range.
fn clamped(value: i64) -> i32 {
    value.clamp(i64::from(i32::MIN), i64::from(i32::MAX)) as i32
}
