//! Classic histograms made into native ones with custom buckets.
//!
//! A body tells a classic histogram line by line: `_bucket` with a bound, `_sum`, `_count`. Lines
//! of one histogram follow each other; when another series begins, the histogram is complete.

use std::sync::Arc;

use headwater_exposition::{ParseError, Sample, Value};
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::label::METRIC_NAME;
use headwater_model::{
    Exemplar, FloatHistogram, Histogram, Labels, LabelsBuilder, MetricType, Span, Timestamp,
};

/// The lines of one classic histogram, as far as they have been read.
#[derive(Debug, Default)]
pub(crate) struct Gathered {
    /// The histogram's labels: the family as name, without `le`.
    pub(crate) labels: Labels,
    pub(crate) time: Option<Timestamp>,
    pub(crate) start: Option<Timestamp>,
    pub(crate) exemplars: Vec<Exemplar>,
    /// Bounds and cumulative counts.
    buckets: Vec<(f64, f64)>,
    count: Option<f64>,
    sum: f64,
    active: bool,
    /// A family that the body tells as a native histogram already.
    native_family: String,
    builder: LabelsBuilder,
}

/// What a line says about a histogram.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Part {
    Bucket(f64),
    Count,
    Sum,
}

/// What a sample is to the histogram being gathered.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Belongs {
    /// It is part of this histogram and was taken in.
    Here,
    /// It begins another histogram: take this one away, then offer it again.
    Elsewhere,
    /// It is no line of a classic histogram.
    Nowhere,
}

/// A complete histogram.
#[derive(Debug, PartialEq)]
pub(crate) enum Converted {
    Integer(Histogram),
    Float(FloatHistogram),
}

impl Gathered {
    /// Whether anything has been taken in.
    pub(crate) fn is_active(&self) -> bool {
        self.active
    }

    /// Takes a sample in if it belongs to the histogram.
    pub(crate) fn offer(&mut self, sample: &Sample<'_>) -> Result<Belongs, ParseError> {
        let Value::Float(value) = sample.value else {
            sample.family.clone_into(&mut self.native_family);
            return Ok(Belongs::Nowhere);
        };
        if sample.metric_type != MetricType::Histogram || sample.family == self.native_family {
            return Ok(Belongs::Nowhere);
        }
        self.builder.clear();
        sample.labels(&mut self.builder)?;
        let Some(part) = take_part(&mut self.builder, sample.family) else {
            return Ok(Belongs::Nowhere);
        };
        let labels = self.builder.build();
        if self.active && labels != self.labels {
            return Ok(Belongs::Elsewhere);
        }
        if !self.active {
            self.active = true;
            self.labels = labels;
            self.time = sample.time;
            self.start = sample.start;
        }
        match part {
            Part::Bucket(bound) => self.buckets.push((bound, value)),
            Part::Count => self.count = Some(value),
            Part::Sum => self.sum = value,
        }
        sample.exemplars(&mut self.exemplars)?;
        Ok(Belongs::Here)
    }

    /// Begins anew, keeping the memory.
    pub(crate) fn clear(&mut self) {
        self.active = false;
        self.labels = Labels::empty();
        self.exemplars.clear();
        self.buckets.clear();
        self.count = None;
        self.sum = 0.0;
    }

    /// The histogram; `None` if its buckets make no sense, as when counts go down.
    pub(crate) fn convert(&mut self) -> Option<Converted> {
        self.buckets.sort_by(|a, b| a.0.total_cmp(&b.0));
        let last = self.buckets.last().copied();
        let count = self.count.or(last.map(|(_, count)| count))?;
        if last.is_none_or(|(bound, _)| bound != f64::INFINITY) {
            self.buckets.push((f64::INFINITY, count));
        }
        let bounds: Arc<[f64]> = self.buckets[..self.buckets.len() - 1]
            .iter()
            .map(|(bound, _)| *bound)
            .collect();
        let rising = self
            .buckets
            .windows(2)
            .all(|pair| pair[0].0 < pair[1].0 && pair[0].1 <= pair[1].1);
        let first = self.buckets.first().is_some_and(|(_, count)| *count >= 0.0);
        let total = self.buckets.last().is_some_and(|(_, last)| *last == count);
        if !(rising && first && total) {
            return None;
        }
        let span = Span {
            offset: 0,
            length: u32::try_from(self.buckets.len()).ok()?,
        };
        let float = FloatHistogram {
            schema: CUSTOM_BUCKETS_SCHEMA,
            count,
            sum: self.sum,
            positive_spans: vec![span],
            positive_buckets: differences(self.buckets.iter().map(|(_, count)| *count)),
            custom_values: bounds,
            ..FloatHistogram::default()
        };
        let whole = self
            .buckets
            .iter()
            .all(|(_, count)| count.fract() == 0.0 && *count < 2f64.powi(53));
        let converted = if whole {
            Converted::Integer(to_integer(&float))
        } else {
            Converted::Float(float)
        };
        converted.is_valid().then_some(converted)
    }
}

impl Converted {
    pub(crate) fn value(&self) -> Value<'_> {
        match self {
            Self::Integer(histogram) => Value::Histogram(histogram),
            Self::Float(histogram) => Value::FloatHistogram(histogram),
        }
    }

    fn is_valid(&self) -> bool {
        match self {
            Self::Integer(histogram) => histogram.validate().is_ok(),
            Self::Float(histogram) => histogram.validate().is_ok(),
        }
    }
}

/// Makes the labels of a line those of its histogram and tells what the line says.
fn take_part(labels: &mut LabelsBuilder, family: &str) -> Option<Part> {
    let part = match labels.get(METRIC_NAME)?.strip_prefix(family)? {
        "_bucket" => Part::Bucket(headwater_model::number::parse_float(labels.get("le")?)?),
        "_count" => Part::Count,
        "_sum" => Part::Sum,
        _ => return None,
    };
    if matches!(part, Part::Bucket(_)) {
        labels.remove("le");
    }
    labels.set(METRIC_NAME, family);
    Some(part)
}

fn differences(cumulative: impl Iterator<Item = f64>) -> Vec<f64> {
    let mut before = 0.0;
    let difference = |count: f64| count - std::mem::replace(&mut before, count);
    cumulative.map(difference).collect()
}

fn to_integer(float: &FloatHistogram) -> Histogram {
    Histogram {
        schema: float.schema,
        count: float.count as u64,
        sum: float.sum,
        positive_spans: float.positive_spans.clone(),
        positive_deltas: differences(float.positive_buckets.iter().copied())
            .into_iter()
            .map(|d| d as i64)
            .collect(),
        custom_values: float.custom_values.clone(),
        ..Histogram::default()
    }
}

#[cfg(test)]
mod tests {
    use headwater_exposition::{Event, Format, Options, Parser};

    use super::*;

    /// Gathers the first histogram of a body.
    fn gathered(body: &str) -> Gathered {
        let mut gathered = Gathered::default();
        let mut parser =
            Parser::new(body.as_bytes(), Format::Text, Options::default()).expect("text");
        while let Some(event) = parser.next_event().expect("well formed") {
            if let Event::Sample(sample) = event
                && gathered.offer(&sample).expect("well formed") == Belongs::Elsewhere
            {
                break;
            }
        }
        gathered
    }

    #[test]
    fn lines_become_one_histogram() {
        let mut gathered = gathered(
            "# TYPE h histogram\nh_bucket{a=\"b\",le=\"1\"} 2\nh_bucket{a=\"b\",le=\"2.5\"} 5\n\
             h_bucket{a=\"b\",le=\"+Inf\"} 6\nh_sum{a=\"b\"} 9.5\nh_count{a=\"b\"} 6\nh_sum{a=\"c\"} 1\n",
        );
        assert_eq!(gathered.labels.to_string(), r#"{__name__="h", a="b"}"#);
        let Some(Converted::Integer(histogram)) = gathered.convert() else {
            panic!("not an integer histogram");
        };
        assert_eq!(
            (histogram.schema, histogram.count, histogram.sum),
            (-53, 6, 9.5)
        );
        assert_eq!(*histogram.custom_values, [1.0, 2.5]);
        assert_eq!(histogram.to_float().positive_buckets, [2.0, 3.0, 1.0]);
    }

    #[test]
    fn fractions_make_a_float_histogram() {
        let mut gathered =
            gathered("# TYPE h histogram\nh_bucket{le=\"1\"} 0.5\nh_count 2\nh_sum 3\n");
        let Some(Converted::Float(histogram)) = gathered.convert() else {
            panic!("not a float histogram");
        };
        assert_eq!(histogram.positive_buckets, [0.5, 1.5]);
    }

    #[test]
    fn nonsense_is_none() {
        for body in [
            "# TYPE h histogram\nh_bucket{le=\"1\"} 5\nh_bucket{le=\"2\"} 4\nh_count 5\n",
            "# TYPE h histogram\nh_bucket{le=\"1\"} 1\nh_bucket{le=\"1\"} 1\nh_count 1\n",
            "# TYPE h histogram\nh_bucket{le=\"+Inf\"} 1\nh_count 2\n",
            "# TYPE h histogram\nh_bucket{le=\"1\"} -1\nh_count 1\n",
            "# TYPE h histogram\nh_sum 2\n",
        ] {
            assert_eq!(gathered(body).convert(), None, "{body}");
        }
    }
}
