//! What should be said beside an answer: warnings and hints, in Prometheus's words, each once,
//! with the place in the query that caused it; of several places the last one, as in Prometheus.

use std::collections::{BTreeMap, BTreeSet};

use headwater_model::Timestamp;
use headwater_model::number::{format_float_go, format_float_short};
use headwater_model::quote::go_quoted;
use parking_lot::Mutex;

use crate::functions::buckets::Raised;
use crate::plan::Alias;
use crate::syntax::position::PosRange;

/// What two histograms were combined for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    Addition,
    Subtraction,
    Aggregation,
}

impl Operation {
    const fn word(self) -> &'static str {
        match self {
            Self::Addition => "addition",
            Self::Subtraction => "subtraction",
            Self::Aggregation => "aggregation",
        }
    }
}

/// Something to say. Names are those of metrics; an empty one is left out where Prometheus does.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Note<'a> {
    InvalidQuantile(f64),
    InvalidRatio {
        given: f64,
        used: f64,
    },
    BadBucketLabel {
        metric: &'a str,
        value: &'a str,
    },
    MixedFloatsHistograms(&'a str),
    MixedFloatsHistogramsInAggregation,
    MixedClassicNative(&'a str),
    NativeNotCounter(&'a str),
    NativeNotGauge(&'a str),
    MixedExponentialCustom(&'a str),
    IncompatibleBuckets(&'a str),
    SortInRange,
    ResetConflict(Operation),
    StartOverlap(&'a str),
    NotCounter(&'a str),
    NotCounterType {
        metric: &'a str,
        found: &'a str,
    },
    ForcedMonotonicity {
        metric: &'a str,
        raised: Raised,
        /// The step.
        time: Timestamp,
    },
    IncompatibleTypes {
        left: &'a str,
        op: &'a str,
        right: &'a str,
    },
    HistogramIgnored(&'a str),
    HistogramsIgnoredInRange(&'a str),
    NanQuantile(&'a str),
    SkewedQuantile(&'a str),
    NanFraction(&'a str),
    BoundsReconciled(Operation),
}

impl Note<'_> {
    const fn is_info(&self) -> bool {
        matches!(
            self,
            Self::NotCounter(_)
                | Self::NotCounterType { .. }
                | Self::ForcedMonotonicity { .. }
                | Self::IncompatibleTypes { .. }
                | Self::HistogramIgnored(_)
                | Self::HistogramsIgnoredInRange(_)
                | Self::NanQuantile(_)
                | Self::SkewedQuantile(_)
                | Self::NanFraction(_)
                | Self::BoundsReconciled(_)
        )
    }

    fn text(&self) -> String {
        let number = format_float_go;
        let for_metric = |metric: &str| match metric {
            "" => String::new(),
            metric => format!(" for metric name {}", go_quoted(metric)),
        };
        match *self {
            Self::InvalidQuantile(q) => format!(
                "quantile value should be between 0 and 1, got {}",
                number(q)
            ),
            Self::InvalidRatio { given, used } => format!(
                "ratio value should be between -1 and 1, got {}, capping to {}",
                number(given),
                number(used)
            ),
            Self::BadBucketLabel { metric, value } => format!(
                "bucket label \"le\" is missing or has a malformed value of {}{}",
                go_quoted(value),
                for_metric(metric)
            ),
            Self::MixedFloatsHistograms(metric) => {
                format!(
                    "encountered a mix of histograms and floats for metric name {}",
                    go_quoted(metric)
                )
            }
            Self::MixedFloatsHistogramsInAggregation => {
                "encountered a mix of histograms and floats for aggregation".to_owned()
            }
            Self::MixedClassicNative(metric) => {
                format!(
                    "vector contains a mix of classic and native histograms{}",
                    for_metric(metric)
                )
            }
            Self::NativeNotCounter(metric) => {
                format!(
                    "this native histogram metric is not a counter: {}",
                    go_quoted(metric)
                )
            }
            Self::NativeNotGauge(metric) => {
                format!(
                    "this native histogram metric is not a gauge: {}",
                    go_quoted(metric)
                )
            }
            Self::MixedExponentialCustom(metric) => format!(
                "vector contains a mix of histograms with exponential and custom buckets schemas for metric name {}",
                go_quoted(metric)
            ),
            Self::IncompatibleBuckets(op) => {
                format!("incompatible bucket layout encountered for binary operator {op}")
            }
            Self::SortInRange => {
                "sort is ineffective for range queries since results are always ordered by labels"
                    .to_owned()
            }
            Self::ResetConflict(operation) => {
                format!(
                    "conflicting counter resets during histogram {}",
                    operation.word()
                )
            }
            Self::StartOverlap(metric) => format!(
                "sample has start time that overlaps with previous sample timestamp{}",
                for_metric(metric).replacen(" for metric name", " for metric", 1)
            ),
            Self::NotCounter(metric) => format!(
                "metric might not be a counter, name does not end in _total/_sum/_count/_bucket: {}",
                go_quoted(metric)
            ),
            Self::NotCounterType { metric, found } => format!(
                "metric might not be a counter, __type__ label is not set to \"counter\" or \"histogram\", got {}: {}",
                go_quoted(found),
                go_quoted(metric)
            ),
            Self::ForcedMonotonicity { metric, .. } => format!(
                "input to histogram_quantile needed to be fixed for monotonicity (see https://prometheus.io/docs/prometheus/latest/querying/functions/#histogram_quantile){}",
                for_metric(metric)
            ),
            Self::IncompatibleTypes { left, op, right } => format!(
                "incompatible sample types encountered for binary operator \"{op}\": {left} {op} {right}"
            ),
            Self::HistogramIgnored(operation) => {
                format!("ignored histogram in {operation} aggregation")
            }
            Self::HistogramsIgnoredInRange(metric) => format!(
                "ignored histograms in a range containing both floats and histograms for metric name {}",
                go_quoted(metric)
            ),
            Self::NanQuantile(metric) => {
                format!(
                    "input to histogram_quantile has NaN observations, result is NaN{}",
                    for_metric(metric)
                )
            }
            Self::SkewedQuantile(metric) => format!(
                "input to histogram_quantile has NaN observations, result is skewed higher{}",
                for_metric(metric)
            ),
            Self::NanFraction(metric) => format!(
                "input to histogram_fraction has NaN observations, which are excluded from all fractions{}",
                for_metric(metric)
            ),
            Self::BoundsReconciled(operation) => {
                format!(
                    "mismatched custom buckets were reconciled during {}",
                    operation.word()
                )
            }
        }
    }
}

/// The most different notes that are kept; a query over strange data could make one a series.
const MAX_NOTES: usize = 1000;

/// What was said during one evaluation.
#[derive(Debug, Default)]
pub(crate) struct Notes {
    said: Mutex<Said>,
}

#[derive(Debug, Default)]
struct Said {
    warnings: BTreeSet<(String, u32)>,
    infos: BTreeSet<(String, u32)>,
    /// What all notes of one text about raised buckets amount to.
    raised: BTreeMap<String, RaisedOverTime>,
}

/// Buckets that had to be raised, at all steps and in all histograms.
#[derive(Clone, Copy, Debug)]
struct RaisedOverTime {
    raised: Raised,
    times: (Timestamp, Timestamp),
    samples: u64,
}

impl RaisedOverTime {
    const fn new(raised: Raised, time: Timestamp) -> Self {
        let times = (time, time);
        Self {
            raised,
            times,
            samples: 0,
        }
    }

    fn add(&mut self, new: Raised, time: Timestamp) {
        let Raised {
            from,
            to,
            difference,
        } = &mut self.raised;
        (*from, *to) = (from.min(new.from), to.max(new.to));
        *difference = difference.max(new.difference);
        self.times = (self.times.0.min(time), self.times.1.max(time));
        self.samples += 1;
    }

    fn text(&self) -> String {
        let number = format_float_go;
        let time = |millis: Timestamp| crate::functions::date::rfc3339(millis / 1000);
        format!(
            ", from buckets {} to {}, with a max diff of {}, over {} samples from {} to {}",
            number(self.raised.from),
            number(self.raised.to),
            format_float_short(self.raised.difference, 2),
            self.samples,
            time(self.times.0),
            time(self.times.1)
        )
    }
}

impl Notes {
    /// Says something about the expression at `place`; what was said already is not said again.
    pub(crate) fn add(&self, note: Note<'_>, place: PosRange) {
        let mut said = self.said.lock();
        if let Note::ForcedMonotonicity { raised, time, .. } = note
            && said.raised.len() < MAX_NOTES
        {
            let all = said.raised.entry(note.text());
            all.or_insert_with(|| RaisedOverTime::new(raised, time))
                .add(raised, time);
        }
        let set = if note.is_info() {
            &mut said.infos
        } else {
            &mut said.warnings
        };
        if set.len() < MAX_NOTES {
            set.insert((note.text(), place.start));
        }
    }

    /// Warnings and infos as they are shown.
    pub(crate) fn texts(&self, query: &str, aliases: &[Alias]) -> (Vec<String>, Vec<String>) {
        let said = self.said.lock();
        let show = |set: &BTreeSet<(String, u32)>, severity: &str| -> Vec<String> {
            let place = |start: u32| PosRange::new(start, start).locate(query);
            let mut all: BTreeMap<&str, u32> = BTreeMap::new();
            for (text, start) in set {
                let others = aliases.iter().filter_map(|alias| alias.other(*start));
                let last = others.fold(*start, u32::max);
                let known = all.entry(text).or_default();
                *known = last.max(*known);
            }
            let more = |text: &str| said.raised.get(text).map_or_else(String::new, |r| r.text());
            all.into_iter()
                .map(|(text, start)| {
                    format!("PromQL {severity}: {text}{} ({})", more(text), place(start))
                })
                .collect()
        };
        (show(&said.warnings, "warning"), show(&said.infos, "info"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn notes_are_said_once_with_their_place() {
        let notes = Notes::default();
        for _ in 0..2 {
            notes.add(Note::InvalidQuantile(2.0), PosRange::new(9, 10));
            notes.add(Note::HistogramIgnored("max"), PosRange::new(4, 6));
        }
        let (warnings, infos) = notes.texts("quantile(2, up)", &[]);
        assert_eq!(
            warnings,
            ["PromQL warning: quantile value should be between 0 and 1, got 2 (1:10)"]
        );
        assert_eq!(
            infos,
            ["PromQL info: ignored histogram in max aggregation (1:5)"]
        );
    }

    #[test]
    fn of_one_note_the_last_place_is_said() {
        let notes = Notes::default();
        for start in [14, 4] {
            notes.add(
                Note::HistogramIgnored("max"),
                PosRange::new(start, start + 2),
            );
        }
        let (_, infos) = notes.texts("max(up) + max(up)", &[]);
        assert_eq!(
            infos,
            ["PromQL info: ignored histogram in max aggregation (1:15)"]
        );
    }

    #[test]
    fn raised_buckets_are_summed_up() {
        let notes = Notes::default();
        for (from, to, difference, time) in [
            (5.0, 50.0, 0.125, 1_700_000_000_000),
            (2.5, 10.0, 3.0, 1_600_000_000_000),
        ] {
            let raised = Raised {
                from,
                to,
                difference,
            };
            notes.add(
                Note::ForcedMonotonicity {
                    metric: "h_bucket",
                    raised,
                    time,
                },
                PosRange::new(4, 6),
            );
        }
        let (_, infos) = notes.texts("max(up)", &[]);
        let expected = " for metric name \"h_bucket\", from buckets 2.5 to 50, with a max diff of 3, over 2 samples from 2020-09-13T12:26:40Z to 2023-11-14T22:13:20Z (1:5)";
        assert!(infos[0].ends_with(expected), "{infos:?}");
    }
}
