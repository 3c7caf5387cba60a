//! What a parser reports, one thing at a time.

use headwater_model::{Exemplar, FloatHistogram, Histogram, LabelsBuilder, MetricType, Timestamp};

use super::error::ParseError;
use super::labels::{read_plain, read_series};
use super::protobuf::SeriesLabels;
use super::scan::Scanner;

/// One thing that a body says.
#[derive(Debug)]
#[non_exhaustive]
pub enum Event<'p> {
    /// What a metric family is about.
    Help {
        /// The family's name.
        family: &'p str,
        /// One sentence, unescaped.
        help: &'p str,
    },
    /// The type of a metric family.
    Type {
        /// The family's name.
        family: &'p str,
        /// The type.
        metric_type: MetricType,
    },
    /// The unit of a metric family.
    Unit {
        /// The family's name.
        family: &'p str,
        /// The unit, e.g. `seconds`.
        unit: &'p str,
    },
    /// One sample of one series.
    Sample(Sample<'p>),
}

/// The value of a sample.
#[derive(Debug, Clone, Copy)]
pub enum Value<'p> {
    /// A float. A NaN is the ordinary one, or the stale marker if the body is protobuf and says so.
    Float(f64),
    /// A native histogram with whole counts.
    Histogram(&'p Histogram),
    /// A native histogram with float counts.
    FloatHistogram(&'p FloatHistogram),
}

/// One sample of one series.
#[derive(Debug)]
pub struct Sample<'p> {
    /// The series as bytes of the body, or a key made of them: equal keys mean equal labels
    /// within one format. The same labels can have several keys (spaces, order).
    pub series: &'p [u8],
    /// The value.
    pub value: Value<'p>,
    /// The time that the target gave, if it gave one.
    pub time: Option<Timestamp>,
    /// When the counting began, if the target said so.
    pub start: Option<Timestamp>,
    /// The name of the metric family, if it was declared before.
    pub family: &'p str,
    /// The type of that family.
    pub metric_type: MetricType,
    pub(crate) source: Source<'p>,
}

/// Where labels and exemplars come from.
#[derive(Debug)]
pub(crate) enum Source<'p> {
    Text {
        body: &'p str,
        series_at: usize,
        exemplar: Option<RawExemplar>,
    },
    Protobuf {
        labels: SeriesLabels<'p>,
        exemplars: &'p [Exemplar],
    },
}

/// An exemplar whose labels have not been read yet.
#[derive(Debug, Clone, Copy)]
pub(crate) struct RawExemplar {
    pub(crate) labels_at: usize,
    pub(crate) value: f64,
    pub(crate) time: Option<Timestamp>,
}

impl Sample<'_> {
    /// Appends the labels to `out`, the metric's name as `__name__` among them. Bounds and
    /// quantiles are in their canonical form. A name that stands twice is pushed twice: see
    /// [`LabelsBuilder::duplicate`].
    ///
    /// # Errors
    /// The labels break the grammar. (Finding where a series ends needs no look at them, so
    /// that series which are known already cost nothing.)
    pub fn labels(&self, out: &mut LabelsBuilder) -> Result<(), ParseError> {
        match &self.source {
            Source::Text {
                body, series_at, ..
            } => {
                let mut scanner = Scanner {
                    text: body,
                    at: *series_at,
                };
                let read = read_series(&mut scanner, self.metric_type, out);
                read.map_err(|fault| fault.locate(body.as_bytes()))
            }
            Source::Protobuf { labels, .. } => {
                labels.push_to(out);
                Ok(())
            }
        }
    }

    /// Whether there is an exemplar.
    pub fn has_exemplars(&self) -> bool {
        match &self.source {
            Source::Text { exemplar, .. } => exemplar.is_some(),
            Source::Protobuf { exemplars, .. } => !exemplars.is_empty(),
        }
    }

    /// Appends the exemplars to `out`: one at most, except for native histograms.
    ///
    /// # Errors
    /// The labels of an exemplar break the grammar.
    pub fn exemplars(&self, out: &mut Vec<Exemplar>) -> Result<(), ParseError> {
        match &self.source {
            Source::Text { exemplar: None, .. } => Ok(()),
            Source::Text {
                body,
                exemplar: Some(raw),
                ..
            } => {
                let mut builder = LabelsBuilder::new();
                let mut scanner = Scanner {
                    text: body,
                    at: raw.labels_at,
                };
                read_plain(&mut scanner, &mut builder)
                    .map_err(|fault| fault.locate(body.as_bytes()))?;
                out.push(Exemplar {
                    labels: builder.build(),
                    value: raw.value,
                    time: raw.time,
                });
                Ok(())
            }
            Source::Protobuf { exemplars, .. } => {
                out.extend_from_slice(exemplars);
                Ok(())
            }
        }
    }
}
