//! Histograms as one line of text, as Prometheus prints them.

use std::fmt::{self, Display, Formatter};

use super::FloatHistogram;
use super::buckets::Bucket;
use crate::number::format_float_go;

impl Display for Bucket {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        let open = if self.lower_inclusive { '[' } else { '(' };
        let close = if self.upper_inclusive { ']' } else { ')' };
        let number = format_float_go;
        write!(
            f,
            "{open}{},{}{close}:{}",
            number(self.lower),
            number(self.upper),
            number(self.count)
        )
    }
}

/// `{count:3, sum:4.5, (1,2]:3}`, empty buckets left out.
impl Display for FloatHistogram {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{{count:{}, sum:{}",
            format_float_go(self.count),
            format_float_go(self.sum)
        )?;
        let negative: Vec<Bucket> = self.negative_iter().collect();
        for bucket in negative.iter().rev().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        if self.zero_count != 0.0 {
            write!(f, ", {}", self.zero_bucket())?;
        }
        for bucket in self.positive_iter().filter(|bucket| bucket.count != 0.0) {
            write!(f, ", {bucket}")?;
        }
        f.write_str("}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::Span;
    use super::*;

    #[test]
    fn prints_like_prometheus() {
        let histogram = FloatHistogram {
            count: 3.0,
            sum: 4.5,
            positive_spans: vec![Span {
                offset: 1,
                length: 1,
            }],
            positive_buckets: vec![3.0],
            ..FloatHistogram::default()
        };
        assert_eq!(histogram.to_string(), "{count:3, sum:4.5, (1,2]:3}");
    }
}
