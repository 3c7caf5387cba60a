//! What all samples of a histogram chunk share: schema, zero threshold, spans, bounds.

use std::sync::Arc;

use headwater_model::Span;
use headwater_model::histogram::{CUSTOM_BUCKETS_SCHEMA, is_exponential_schema};

use crate::bits::{BitReader, BitWriter};
use crate::chunk::varbit;
use crate::error::{Cause, DecodeError};

/// A threshold that is not a small power of two follows in full.
const THRESHOLD_IN_FULL: u8 = 255;
/// Exponent 2^n is stored as n plus this.
const THRESHOLD_BIAS: i32 = 244;
/// Exponents that fit the byte.
const THRESHOLD_EXPONENTS: std::ops::RangeInclusive<i32> = -243..=10;
/// Bounds up to this, in thousandths, are stored as whole numbers of at most four bytes.
const MAX_WHOLE_BOUND: f64 = 33_554_430.0;
/// The most spans without buckets that a side may have. Writers make one or two at most; each
/// would cost memory in every sample and hardly any input.
const MAX_EMPTY_SPANS: usize = 64;

#[derive(Clone, Debug, Default, PartialEq)]
pub struct Layout {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: Vec<Span>,
    pub(super) negative: Vec<Span>,
    pub(super) custom_values: Arc<[f64]>,
}

/// The layout of a histogram, borrowed from it.
#[derive(Clone, Copy, Debug)]
pub struct LayoutRef<'a> {
    pub(super) schema: i32,
    pub(super) zero_threshold: f64,
    pub(super) positive: &'a [Span],
    pub(super) negative: &'a [Span],
    pub(super) custom_values: &'a Arc<[f64]>,
}

impl LayoutRef<'_> {
    /// The same with other spans.
    pub(super) fn with_spans(self, positive: Vec<Span>, negative: Vec<Span>) -> Layout {
        Layout {
            schema: self.schema,
            zero_threshold: self.zero_threshold,
            positive,
            negative,
            custom_values: self.custom_values.clone(),
        }
    }

    pub(super) fn to_owned(self) -> Layout {
        self.with_spans(self.positive.to_vec(), self.negative.to_vec())
    }
}

/// Buckets that `spans` describe.
pub(super) fn buckets(spans: &[Span]) -> u64 {
    spans.iter().map(|span| u64::from(span.length)).sum()
}

impl Layout {
    pub(super) fn write(&self, out: &mut BitWriter) {
        write_threshold(out, self.zero_threshold);
        varbit::write_int(out, self.schema.into());
        for spans in [&self.positive, &self.negative] {
            varbit::write_uint(out, spans.len() as u64);
            for span in spans {
                varbit::write_uint(out, span.length.into());
                varbit::write_int(out, span.offset.into());
            }
        }
        if self.schema == CUSTOM_BUCKETS_SCHEMA {
            varbit::write_uint(out, self.custom_values.len() as u64);
            for &bound in self.custom_values.iter() {
                write_bound(out, bound);
            }
        }
    }

    /// Reads a layout whose buckets are no more than the bits behind it.
    pub(super) fn read(part: &'static str, input: &mut BitReader<'_>) -> Result<Self, DecodeError> {
        let invalid =
            |input: &BitReader<'_>, what| DecodeError::invalid(part, input.byte_offset(), what);
        let zero_threshold = read_threshold(input);
        let schema = varbit::read_int(input);
        let known = i32::try_from(schema)
            .ok()
            .filter(|&schema| is_exponential_schema(schema) || schema == CUSTOM_BUCKETS_SCHEMA);
        let Some(schema) = known else {
            let number = schema as u64;
            let cause = Cause::Unsupported {
                what: "histogram schema",
                number,
            };
            return Err(DecodeError::new(part, input.byte_offset(), cause));
        };
        let positive =
            read_spans(input).ok_or_else(|| invalid(input, "impossible positive spans"))?;
        let negative =
            read_spans(input).ok_or_else(|| invalid(input, "impossible negative spans"))?;
        let custom_values = if schema == CUSTOM_BUCKETS_SCHEMA {
            read_bounds(input).ok_or_else(|| invalid(input, "more bounds than bits"))?
        } else {
            Arc::default()
        };
        if buckets(&positive) + buckets(&negative) > input.remaining() as u64 {
            return Err(invalid(input, "more buckets than bits"));
        }
        Ok(Self {
            schema,
            zero_threshold,
            positive,
            negative,
            custom_values,
        })
    }
}

fn write_threshold(out: &mut BitWriter, threshold: f64) {
    if threshold == 0.0 {
        return out.write_short(0, 8);
    }
    let exponent = (threshold.to_bits() >> 52) as i32 - 1023;
    let power_of_two = threshold.to_bits() << 12 == 0;
    if power_of_two && THRESHOLD_EXPONENTS.contains(&exponent) {
        return out.write_short((exponent + THRESHOLD_BIAS) as u64, 8);
    }
    out.write_short(THRESHOLD_IN_FULL.into(), 8);
    out.write(threshold.to_bits(), 64);
}

fn read_threshold(input: &mut BitReader<'_>) -> f64 {
    match input.read(8) as u8 {
        0 => 0.0,
        THRESHOLD_IN_FULL => f64::from_bits(input.read(64)),
        byte => f64::from_bits(((i32::from(byte) - THRESHOLD_BIAS + 1023) as u64) << 52),
    }
}

fn read_spans(input: &mut BitReader<'_>) -> Option<Vec<Span>> {
    let count = varbit::read_uint(input);
    // A span takes two bits at least.
    if count > input.remaining() as u64 / 2 {
        return None;
    }
    let mut spans = Vec::with_capacity(count as usize);
    let mut empty = 0;
    for _ in 0..count {
        let length = u32::try_from(varbit::read_uint(input)).ok()?;
        let offset = i32::try_from(varbit::read_int(input)).ok()?;
        empty += usize::from(length == 0);
        spans.push(Span { offset, length });
    }
    (empty <= MAX_EMPTY_SPANS).then_some(spans)
}

/// Bounds that people write have few decimals: thousandths, plus one so that the first bit is
/// set. Any other follows a zero bit in full.
fn write_bound(out: &mut BitWriter, bound: f64) {
    let thousandths = (bound * 1000.0).round();
    // The absolute value keeps -0 out.
    let exact = (thousandths.abs() / 1000.0).to_bits() == bound.to_bits();
    if exact && (0.0..=MAX_WHOLE_BOUND).contains(&thousandths) {
        return varbit::write_uint(out, thousandths as u64 + 1);
    }
    out.write_bit(false);
    out.write(bound.to_bits(), 64);
}

fn read_bounds(input: &mut BitReader<'_>) -> Option<Arc<[f64]>> {
    let count = varbit::read_uint(input);
    // A bound takes five bits at least.
    if count > input.remaining() as u64 / 5 {
        return None;
    }
    let read = |_| match varbit::read_uint(input) {
        0 => f64::from_bits(input.read(64)),
        thousandths => (thousandths - 1) as f64 / 1000.0,
    };
    Some((0..count).map(read).collect())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn thresholds_come_back_in_few_bits() {
        for (threshold, bits) in [
            (0.0, 8),
            (2f64.powi(-128), 8),
            (2f64.powi(-243), 8),
            (1024.0, 8),
            (2f64.powi(-244), 72),
            (2048.0, 72),
            (0.001, 72),
            (-1.0, 72),
            (f64::INFINITY, 72),
        ] {
            let mut out = BitWriter::default();
            write_threshold(&mut out, threshold);
            let mut input = BitReader::new(out.bytes(), 0);
            assert_eq!(read_threshold(&mut input), threshold);
            assert_eq!(input.position(), bits, "{threshold}");
        }
        let mut out = BitWriter::default();
        write_threshold(&mut out, 2f64.powi(-128));
        assert_eq!(out.bytes(), [116]);
    }

    #[test]
    fn impossible_layouts_are_refused() {
        let layout = |damage: fn(&mut Layout)| {
            let mut layout = Layout::default();
            damage(&mut layout);
            let mut out = BitWriter::default();
            layout.write(&mut out);
            Layout::read("chunk", &mut BitReader::new(out.bytes(), 0))
        };
        layout(|_| ()).unwrap();
        let many = layout(|layout| {
            layout.positive = vec![Span {
                offset: 0,
                length: 999,
            }]
        })
        .unwrap_err();
        assert!(many.to_string().ends_with("more buckets than bits"));
        let empty = layout(|layout| layout.negative = vec![Span::default(); 65]).unwrap_err();
        assert!(empty.to_string().ends_with("impossible negative spans"));
        let schema = layout(|layout| layout.schema = 9).unwrap_err();
        assert!(schema.to_string().ends_with("unknown histogram schema 9"));
    }

    proptest! {
        #[test]
        fn layouts_come_back(
            spans in proptest::collection::vec((any::<i32>(), 1u32..4), 0..6),
            bounds in proptest::collection::vec(prop_oneof![
                (0u32..40_000_000).prop_map(|n| f64::from(n) / 1000.0),
                any::<f64>(),
            ], 0..9),
            schema in -4i32..=8,
            custom: bool,
        ) {
            let layout = Layout {
                schema: if custom { CUSTOM_BUCKETS_SCHEMA } else { schema },
                positive: spans.iter().map(|&(offset, length)| Span { offset, length }).collect(),
                custom_values: if custom { bounds.into() } else { Arc::default() },
                ..Layout::default()
            };
            let mut out = BitWriter::default();
            layout.write(&mut out);
            out.write(0, 64);
            let read = Layout::read("chunk", &mut BitReader::new(out.bytes(), 0)).unwrap();
            prop_assert_eq!(format!("{read:?}"), format!("{layout:?}"));
        }
    }
}
