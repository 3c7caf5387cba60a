//! What a histogram must fulfil before it is stored.

use super::{CUSTOM_BUCKETS_SCHEMA, FloatHistogram, Histogram, Span, is_exponential_schema};

/// The first invariant that a histogram breaks.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum HistogramError {
    /// Neither exponential nor custom.
    #[error(
        "histogram has an invalid schema, which must be between -4 and 8 for exponential buckets, or -53 for custom buckets: {0}"
    )]
    Schema(i32),
    /// A later span overlaps the one before.
    #[error(
        "{side} side: span number {number} with offset {offset}: histogram has a span whose offset is negative"
    )]
    SpanOffset {
        /// `positive` or `negative`.
        side: &'static str,
        /// Counted from one.
        number: usize,
        /// The offset that is below zero.
        offset: i32,
    },
    /// Spans and buckets disagree in number.
    #[error(
        "{side} side: spans need {spans} buckets, have {buckets} buckets: histogram spans specify different number of buckets than provided"
    )]
    SpanBuckets {
        /// `positive` or `negative`.
        side: &'static str,
        /// Buckets that the spans describe.
        spans: u64,
        /// Buckets that are there.
        buckets: usize,
    },
    /// A count below zero.
    #[error(
        "{side} side: bucket number {number} has observation count of {count}: histogram has a bucket whose observation count is negative"
    )]
    NegativeCount {
        /// `positive`, `negative`, `zero` or `total`.
        side: &'static str,
        /// Counted from one.
        number: usize,
        /// The count.
        count: f64,
    },
    /// Buckets hold more observations than the total says.
    #[error(
        "{buckets} observations found in buckets, but the Count field is {count}: histogram's observation count should equal the number of observations found in the buckets (in absence of NaN)"
    )]
    Count {
        /// Observations in buckets.
        buckets: u64,
        /// The total.
        count: u64,
    },
    /// Custom bounds out of order, not finite, or without need.
    #[error("custom buckets: {0}")]
    CustomBounds(&'static str),
}

impl Histogram {
    /// Checks the invariants that every store relies on.
    ///
    /// # Errors
    /// The first invariant that does not hold.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(
            self.schema,
            self.zero_threshold,
            &self.custom_values,
            [&self.positive_spans, &self.negative_spans],
        )?;
        check_spans("positive", &self.positive_spans, self.positive_deltas.len())?;
        check_spans("negative", &self.negative_spans, self.negative_deltas.len())?;
        let positive = sum_deltas("positive", &self.positive_deltas)?;
        let negative = sum_deltas("negative", &self.negative_deltas)?;
        let buckets = positive
            .saturating_add(negative)
            .saturating_add(self.zero_count);
        // A NaN observation counts in the total and lies in no bucket.
        let wrong = if self.sum.is_nan() {
            buckets > self.count
        } else {
            buckets != self.count
        };
        if wrong && !crate::sample::is_stale_nan(self.sum) {
            return Err(HistogramError::Count {
                buckets,
                count: self.count,
            });
        }
        Ok(())
    }
}

impl FloatHistogram {
    /// Checks the invariants that every store relies on.
    ///
    /// # Errors
    /// The first invariant that does not hold. Float counts carry rounding errors,
    /// so their sum is not compared with the total.
    pub fn validate(&self) -> Result<(), HistogramError> {
        check_layout(
            self.schema,
            self.zero_threshold,
            &self.custom_values,
            [&self.positive_spans, &self.negative_spans],
        )?;
        check_spans(
            "positive",
            &self.positive_spans,
            self.positive_buckets.len(),
        )?;
        check_spans(
            "negative",
            &self.negative_spans,
            self.negative_buckets.len(),
        )?;
        check_counts("positive", &self.positive_buckets)?;
        check_counts("negative", &self.negative_buckets)?;
        check_counts("zero", &[self.zero_count])?;
        check_counts("total", &[self.count])
    }
}

fn check_layout(
    schema: i32,
    zero_threshold: f64,
    bounds: &[f64],
    spans: [&Vec<Span>; 2],
) -> Result<(), HistogramError> {
    let custom = |what| Err(HistogramError::CustomBounds(what));
    if schema == CUSTOM_BUCKETS_SCHEMA {
        if !spans[1].is_empty() {
            return custom("must not have negative buckets");
        }
        if zero_threshold != 0.0 {
            return custom("must have a zero threshold of 0");
        }
        if bounds
            .iter()
            .any(|bound| bound.is_nan() || *bound == f64::INFINITY)
        {
            return custom("bounds must be numbers below +Inf");
        }
        if bounds.windows(2).any(|pair| pair[0] >= pair[1]) {
            return custom("bounds must be in increasing order");
        }
        let needed: i64 = spans[0]
            .iter()
            .map(|span| i64::from(span.offset) + i64::from(span.length))
            .sum();
        if needed > bounds.len() as i64 + 1 {
            return custom("only as many buckets as bounds, and one more, may be used");
        }
        return Ok(());
    }
    if !is_exponential_schema(schema) {
        return Err(HistogramError::Schema(schema));
    }
    if bounds.is_empty() {
        Ok(())
    } else {
        custom("an exponential histogram has no bounds of its own")
    }
}

fn check_spans(side: &'static str, spans: &[Span], buckets: usize) -> Result<(), HistogramError> {
    for (at, span) in spans.iter().enumerate().skip(1) {
        if span.offset < 0 {
            return Err(HistogramError::SpanOffset {
                side,
                number: at + 1,
                offset: span.offset,
            });
        }
    }
    let needed: u64 = spans.iter().map(|span| u64::from(span.length)).sum();
    if needed == buckets as u64 {
        Ok(())
    } else {
        Err(HistogramError::SpanBuckets {
            side,
            spans: needed,
            buckets,
        })
    }
}

fn sum_deltas(side: &'static str, deltas: &[i64]) -> Result<u64, HistogramError> {
    let (mut count, mut total) = (0i64, 0u64);
    for (at, delta) in deltas.iter().enumerate() {
        count = count.wrapping_add(*delta);
        let Ok(here) = u64::try_from(count) else {
            return Err(HistogramError::NegativeCount {
                side,
                number: at + 1,
                count: count as f64,
            });
        };
        total = total.saturating_add(here);
    }
    Ok(total)
}

fn check_counts(side: &'static str, counts: &[f64]) -> Result<(), HistogramError> {
    match counts.iter().position(|count| *count < 0.0) {
        Some(at) => Err(HistogramError::NegativeCount {
            side,
            number: at + 1,
            count: counts[at],
        }),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Histogram {
        Histogram {
            count: 6,
            zero_count: 1,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_deltas: vec![2, 1],
            ..Histogram::default()
        }
    }

    #[test]
    fn a_sound_histogram_passes_both_ways() {
        small().validate().unwrap();
        small().to_float().validate().unwrap();
        assert_eq!(small().to_float().positive_buckets, [2.0, 3.0]);
    }

    #[test]
    fn every_fault_is_named() {
        type Fault = (fn(&mut Histogram), &'static str);
        let faults: [Fault; 5] = [
            (|h| h.schema = 9, "invalid schema"),
            (
                |h| {
                    h.positive_spans.push(Span {
                        offset: -1,
                        length: 0,
                    })
                },
                "offset is negative",
            ),
            (|h| h.positive_deltas.push(0), "different number of buckets"),
            (|h| h.positive_deltas[1] = -3, "negative"),
            (|h| h.count = 5, "Count field"),
        ];
        for (damage, words) in faults {
            let mut histogram = small();
            damage(&mut histogram);
            let error = histogram.validate().unwrap_err().to_string();
            assert!(error.contains(words), "{error}");
        }
    }

    #[test]
    fn custom_bounds_are_checked() {
        let mut histogram = Histogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            custom_values: [1.0, 1.0].into(),
            ..Histogram::default()
        };
        assert!(histogram.validate().is_err());
        histogram.custom_values = [1.0, 2.0].into();
        histogram.validate().unwrap();
    }
}
