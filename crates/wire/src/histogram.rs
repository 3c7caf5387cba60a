//! Native histograms, the same message in remote write 1.0, 2.0 and remote read.
//!
//! ```text
//! Histogram  count_int = 1 | count_float = 2, sum = 3, schema = 4, zero_threshold = 5,
//!            zero_count_int = 6 | zero_count_float = 7,
//!            negative_spans = 8, negative_deltas = 9, negative_counts = 10,
//!            positive_spans = 11, positive_deltas = 12, positive_counts = 13,
//!            reset_hint = 14, timestamp = 15, custom_values = 16, start_timestamp = 17
//! Span       offset = 1, length = 2
//! ```
//!
//! Source: `prompb/types.proto` of Prometheus.

use headwater_model::{FloatHistogram, Histogram, HistogramRef, ResetHint, Span, Timestamp};
use prost::Message;

use crate::error::WireError;
use crate::fields::{Fields, Value, zigzag};
use crate::messages;

/// A histogram of either kind.
#[derive(Clone, Debug, PartialEq)]
pub enum AnyHistogram {
    /// Counts are whole numbers.
    Integer(Histogram),
    /// Counts are floats.
    Float(FloatHistogram),
}

/// A histogram with its times.
#[derive(Clone, Debug, PartialEq)]
pub struct HistogramSample {
    /// Milliseconds.
    pub time: Timestamp,
    /// When the histogram began, in milliseconds; 0 if that is not known.
    pub start: Timestamp,
    /// The histogram; its invariants are not checked.
    pub histogram: AnyHistogram,
}

/// Everything that either kind may have.
#[derive(Default)]
struct Both {
    float: bool,
    integer: Histogram,
    count: f64,
    zero_count: f64,
    positive: Vec<f64>,
    negative: Vec<f64>,
    custom: Vec<f64>,
    time: Timestamp,
    start: Timestamp,
}

/// Reads the message of a histogram.
///
/// # Errors
/// The message is damaged.
pub fn decode(message: &[u8]) -> Result<HistogramSample, WireError> {
    let (mut both, mut fields) = (Both::default(), Fields::new(message));
    while let Some((number, value)) = fields.next_field()? {
        both.take(number, value)?;
    }
    Ok(both.into_sample())
}

impl Both {
    fn take(&mut self, number: u64, value: Value<'_>) -> Result<(), WireError> {
        let whole = &mut self.integer;
        match number {
            1 => (self.float, whole.count) = (false, value.varint("CountInt")?),
            2 => (self.float, self.count) = (true, value.double("CountFloat")?),
            3 => whole.sum = value.double("Sum")?,
            4 => whole.schema = zigzag(value.varint("Schema")?) as i32,
            5 => whole.zero_threshold = value.double("ZeroThreshold")?,
            6 => whole.zero_count = value.varint("ZeroCountInt")?,
            7 => self.zero_count = value.double("ZeroCountFloat")?,
            8 => whole
                .negative_spans
                .push(span(value.bytes("NegativeSpans")?)?),
            9 => deltas(value, &mut whole.negative_deltas)?,
            10 => doubles(value, &mut self.negative)?,
            11 => whole
                .positive_spans
                .push(span(value.bytes("PositiveSpans")?)?),
            12 => deltas(value, &mut whole.positive_deltas)?,
            13 => doubles(value, &mut self.positive)?,
            14 => whole.reset_hint = reset_hint(value.varint("ResetHint")?),
            15 => self.time = value.varint("Timestamp")? as Timestamp,
            16 => doubles(value, &mut self.custom)?,
            17 => self.start = value.varint("StartTimestamp")? as Timestamp,
            _ => {}
        }
        Ok(())
    }

    fn into_sample(self) -> HistogramSample {
        let whole = self.integer;
        let histogram = if self.float {
            AnyHistogram::Float(FloatHistogram {
                reset_hint: whole.reset_hint,
                schema: whole.schema,
                zero_threshold: whole.zero_threshold,
                zero_count: self.zero_count,
                count: self.count,
                sum: whole.sum,
                positive_spans: whole.positive_spans,
                negative_spans: whole.negative_spans,
                positive_buckets: self.positive,
                negative_buckets: self.negative,
                custom_values: self.custom.into(),
            })
        } else {
            AnyHistogram::Integer(Histogram {
                custom_values: self.custom.into(),
                ..whole
            })
        };
        HistogramSample {
            time: self.time,
            start: self.start,
            histogram,
        }
    }
}

fn span(message: &[u8]) -> Result<Span, WireError> {
    let (mut span, mut fields) = (Span::default(), Fields::new(message));
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => span.offset = zigzag(value.varint("Offset")?) as i32,
            2 => span.length = value.varint("Length")? as u32,
            _ => {}
        }
    }
    Ok(span)
}

/// Numbers with a sign, packed or alone.
fn deltas(value: Value<'_>, into: &mut Vec<i64>) -> Result<(), WireError> {
    match value {
        Value::Bytes(packed) => {
            let mut numbers = Fields::new(packed);
            while !numbers.rest().is_empty() {
                into.push(zigzag(numbers.varint()?));
            }
        }
        alone => into.push(zigzag(alone.varint("Deltas")?)),
    }
    Ok(())
}

/// Doubles, packed or alone.
fn doubles(value: Value<'_>, into: &mut Vec<f64>) -> Result<(), WireError> {
    match value {
        Value::Bytes(packed) => {
            let (numbers, cut) = packed.as_chunks::<8>();
            if !cut.is_empty() {
                return Err(WireError::Truncated);
            }
            into.extend(numbers.iter().map(|bytes| f64::from_le_bytes(*bytes)));
        }
        alone => into.push(alone.double("Counts")?),
    }
    Ok(())
}

fn reset_hint(number: u64) -> ResetHint {
    match number {
        1 => ResetHint::Reset,
        2 => ResetHint::NotReset,
        3 => ResetHint::Gauge,
        _ => ResetHint::Unknown,
    }
}

/// A histogram as a message, for answers to remote read and for senders.
pub fn to_message(
    time: Timestamp,
    start: Timestamp,
    histogram: HistogramRef<'_>,
) -> messages::Histogram {
    use messages::histogram::{Count, ZeroCount};
    match histogram {
        HistogramRef::Integer(h) => messages::Histogram {
            count: Some(Count::CountInt(h.count)),
            sum: h.sum,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: Some(ZeroCount::ZeroCountInt(h.zero_count)),
            negative_spans: spans(&h.negative_spans),
            negative_deltas: h.negative_deltas.clone(),
            positive_spans: spans(&h.positive_spans),
            positive_deltas: h.positive_deltas.clone(),
            reset_hint: hint_number(h.reset_hint),
            timestamp: time,
            custom_values: h.custom_values.to_vec(),
            start_timestamp: start,
            ..messages::Histogram::default()
        },
        HistogramRef::Float(h) => messages::Histogram {
            count: Some(Count::CountFloat(h.count)),
            sum: h.sum,
            schema: h.schema,
            zero_threshold: h.zero_threshold,
            zero_count: Some(ZeroCount::ZeroCountFloat(h.zero_count)),
            negative_spans: spans(&h.negative_spans),
            negative_counts: h.negative_buckets.clone(),
            positive_spans: spans(&h.positive_spans),
            positive_counts: h.positive_buckets.clone(),
            reset_hint: hint_number(h.reset_hint),
            timestamp: time,
            custom_values: h.custom_values.to_vec(),
            start_timestamp: start,
            ..messages::Histogram::default()
        },
    }
}

/// The bytes of [`to_message`].
pub(crate) fn encode(time: Timestamp, start: Timestamp, histogram: HistogramRef<'_>) -> Vec<u8> {
    to_message(time, start, histogram).encode_to_vec()
}

fn spans(spans: &[Span]) -> Vec<messages::BucketSpan> {
    let message = |span: &Span| messages::BucketSpan {
        offset: span.offset,
        length: span.length,
    };
    spans.iter().map(message).collect()
}

fn hint_number(hint: ResetHint) -> i32 {
    match hint {
        ResetHint::Unknown => 0,
        ResetHint::Reset => 1,
        ResetHint::NotReset => 2,
        ResetHint::Gauge => 3,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::messages::arbitrary;

    fn as_ref(histogram: &AnyHistogram) -> HistogramRef<'_> {
        match histogram {
            AnyHistogram::Integer(histogram) => HistogramRef::Integer(histogram),
            AnyHistogram::Float(histogram) => HistogramRef::Float(histogram),
        }
    }

    proptest! {
        #[test]
        fn comes_back(message in arbitrary::histogram()) {
            let once = decode(&message.encode_to_vec()).unwrap();
            let float = matches!(message.count, Some(messages::histogram::Count::CountFloat(_)));
            prop_assert_eq!(float, matches!(once.histogram, AnyHistogram::Float(_)));
            prop_assert_eq!(once.time, message.timestamp);
            let again = decode(&encode(once.time, once.start, as_ref(&once.histogram))).unwrap();
            prop_assert_eq!(again, once);
        }

        #[test]
        fn damage_is_no_panic(bytes: Vec<u8>) {
            let _ = decode(&bytes);
        }
    }
}
