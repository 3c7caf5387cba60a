//! The answer of a query, written piece by piece.
//!
//! A large answer is never held as text as a whole: [`AnswerWriter::fill`] writes on from where it
//! stopped until a piece is full, so the text in memory stays near one piece however many points
//! there are, and whoever sends it can go slowly.

use headwater_model::{Labels, SeriesColumns, Timestamp};
use headwater_query::{Answer, InstantSample, Point, QueryStats, RangeSeries, Value};

use super::histogram::push_histogram;
use super::points::PointWriter;
use super::stats::{StatsDetail, push_stats};
use super::text::{
    PushText, push_labels, push_list, push_message, push_number, push_plain, push_time, push_value,
};

/// Writes one answer. Points are the unit: a piece exceeds its size by at most one point, or by
/// the labels of one series.
#[derive(Debug)]
pub(crate) struct AnswerWriter {
    kind: &'static str,
    rest: Rest,
    points: PointWriter,
    tail: Tail,
    begun: bool,
    done: bool,
}

/// What of the result was not written yet.
#[derive(Debug)]
enum Rest {
    /// A scalar or a string: its time and value, written already.
    Single(Option<Vec<u8>>),
    Vector {
        samples: std::vec::IntoIter<InstantSample>,
        first: bool,
    },
    Matrix {
        series: std::vec::IntoIter<RangeSeries>,
        current: Option<Matrix>,
        first: bool,
    },
}

/// A series of a matrix and how far it was written: first the floats, then the histograms.
#[derive(Debug)]
struct Matrix {
    columns: SeriesColumns,
    floats: usize,
    histograms: usize,
}

#[derive(Debug)]
struct Tail {
    stats: Option<(QueryStats, StatsDetail)>,
    warnings: Vec<String>,
    infos: Vec<String>,
}

impl AnswerWriter {
    /// A writer at its beginning; `detail` says whether statistics are wanted.
    pub(crate) fn new(answer: Answer, detail: Option<StatsDetail>) -> Self {
        let stats = answer.stats;
        Self {
            kind: answer.value.kind(),
            rest: Rest::new(answer.value),
            points: PointWriter::default(),
            tail: Tail {
                stats: detail.map(|detail| (stats, detail)),
                warnings: answer.warnings,
                infos: answer.infos,
            },
            begun: false,
            done: false,
        }
    }

    /// Whether everything was written.
    pub(crate) const fn is_done(&self) -> bool {
        self.done
    }

    /// Whether the answer is about this large in bytes, or larger.
    pub(crate) fn exceeds(&self, size: usize) -> bool {
        /// A point, and the labels of a short series with one.
        const POINT: usize = 16;
        const SAMPLE: usize = 64;
        match &self.rest {
            Rest::Single(_) => false,
            Rest::Vector { samples, .. } => samples.len() * SAMPLE > size,
            Rest::Matrix { series, .. } => {
                let points = series.as_slice().iter().map(|series| series.columns.len());
                points.sum::<usize>() * POINT > size
            }
        }
    }

    /// Appends until `out` holds about `size` bytes or the answer is complete.
    pub(crate) fn fill(&mut self, out: &mut Vec<u8>, size: usize) {
        if !self.begun {
            self.begun = true;
            out.push_str("{\"status\":\"success\",\"data\":{\"resultType\":\"");
            out.push_str(self.kind);
            out.push_str("\",\"result\":[");
        }
        while !self.done && out.len() < size {
            if !self.rest.push_next(out, &mut self.points, size) {
                out.push(b']');
                self.tail.push(out);
                self.done = true;
            }
        }
    }
}

impl Tail {
    fn push(&self, out: &mut Vec<u8>) {
        if let Some((stats, detail)) = &self.stats {
            out.push_str(",\"stats\":");
            push_stats(out, stats, *detail);
        }
        out.push(b'}');
        push_list(out, "warnings", &self.warnings);
        push_list(out, "infos", &self.infos);
        out.push(b'}');
    }
}

impl Rest {
    fn new(value: Value) -> Self {
        match value {
            Value::Scalar { time, value } => Self::single(time, |out| push_plain(out, value)),
            Value::String { time, value } => Self::single(time, |out| push_message(out, &value)),
            Value::Vector(samples) => Self::Vector {
                samples: samples.into_iter(),
                first: true,
            },
            Value::Matrix(series) => Self::Matrix {
                series: series.into_iter(),
                current: None,
                first: true,
            },
        }
    }

    /// The original writes scalars and strings apart from series: their times without padding,
    /// their values without exponents. Clients that compare texts see both.
    fn single(time: Timestamp, write_value: impl FnOnce(&mut Vec<u8>)) -> Self {
        let mut out = Vec::new();
        push_number(&mut out, time as f64 / 1000.0);
        out.push(b',');
        write_value(&mut out);
        Self::Single(Some(out))
    }

    /// Writes one unit, or points of one series until `out` holds `size` bytes; answers false if there was
    /// none left.
    fn push_next(&mut self, out: &mut Vec<u8>, points: &mut PointWriter, size: usize) -> bool {
        match self {
            Self::Single(text) => match text.take() {
                Some(text) => {
                    out.extend_from_slice(&text);
                    true
                }
                None => false,
            },
            Self::Vector { samples, first } => match samples.next() {
                Some(sample) => {
                    push_comma(out, first);
                    push_sample(out, &sample);
                    true
                }
                None => false,
            },
            Self::Matrix {
                series,
                current,
                first,
            } => {
                if current.is_none() {
                    let Some(next) = series.next() else {
                        return false;
                    };
                    push_comma(out, first);
                    *current = Some(Matrix::begin(out, next));
                }
                if current
                    .as_mut()
                    .is_some_and(|matrix| !matrix.push_next(out, points, size))
                {
                    *current = None;
                }
                true
            }
        }
    }
}

impl Matrix {
    fn begin(out: &mut Vec<u8>, series: RangeSeries) -> Self {
        push_metric(out, &series.labels);
        Self {
            columns: series.columns,
            floats: 0,
            histograms: 0,
        }
    }

    /// Writes points until `out` holds `size` bytes, or the end of the series and answers false.
    fn push_next(&mut self, out: &mut Vec<u8>, points: &mut PointWriter, size: usize) -> bool {
        let (floats, histograms) = (&self.columns.floats, &self.columns.histograms);
        if self.floats < floats.len() {
            if self.floats == 0 {
                out.push_str(",\"values\":[");
            }
            let rest = floats.times.iter().zip(&floats.values).skip(self.floats);
            for (time, value) in rest {
                let begun = out.len();
                points.push(out, self.floats, *time, *value);
                if self.floats == 0 {
                    // No comma before the first.
                    out.remove(begun);
                }
                self.floats += 1;
                if out.len() >= size {
                    break;
                }
            }
            return true;
        }
        if self.histograms == 0 && self.floats > 0 {
            out.push(b']');
        }
        if let Some(time) = histograms.times().get(self.histograms) {
            let opening = ",\"histograms\":[[";
            out.push_str(if self.histograms == 0 { opening } else { ",[" });
            push_time(out, *time);
            out.push(b',');
            push_histogram(out, &histograms.get(self.histograms).to_float());
            out.push(b']');
            self.histograms += 1;
            return true;
        }
        out.push_str(if self.histograms > 0 { "]}" } else { "}" });
        false
    }
}

fn push_comma(out: &mut Vec<u8>, first: &mut bool) {
    if !*first {
        out.push(b',');
    }
    *first = false;
}

/// Opens an object with its member `metric`.
fn push_metric(out: &mut Vec<u8>, labels: &Labels) {
    out.push_str("{\"metric\":");
    push_labels(out, labels);
}

fn push_sample(out: &mut Vec<u8>, sample: &InstantSample) {
    push_metric(out, &sample.labels);
    out.push_str(match sample.point {
        Point::Float(_) => ",\"value\":[",
        Point::Histogram(_) => ",\"histogram\":[",
    });
    push_time(out, sample.time);
    out.push(b',');
    match &sample.point {
        Point::Float(value) => push_value(out, *value),
        Point::Histogram(histogram) => push_histogram(out, histogram),
    }
    out.push_str("]}");
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_model::FloatHistogram;

    use super::*;

    /// The whole text, and the same again in pieces of a few bytes.
    fn written(value: Value) -> String {
        let answer = Answer {
            value,
            ..Answer::default()
        };
        let mut whole = Vec::new();
        AnswerWriter::new(answer.clone(), None).fill(&mut whole, usize::MAX);
        let (mut writer, mut pieces) = (AnswerWriter::new(answer, None), Vec::new());
        while !writer.is_done() {
            let mut piece = Vec::new();
            writer.fill(&mut piece, 3);
            pieces.append(&mut piece);
        }
        assert_eq!(whole, pieces);
        let whole = String::from_utf8(whole).unwrap();
        serde_json::from_str::<serde_json::Value>(&whole).expect("valid JSON");
        let data = whole.strip_prefix("{\"status\":\"success\",\"data\":{\"resultType\":");
        data.and_then(|data| data.strip_suffix("}}"))
            .unwrap_or(&whole)
            .to_owned()
    }

    fn labels() -> Labels {
        Labels::from_pairs([("__name__", "m"), ("a", "b")])
    }

    #[test]
    fn single_values() {
        let scalar = Value::Scalar {
            time: 1500,
            value: 2.5,
        };
        assert_eq!(written(scalar), r#""scalar","result":[1.5,"2.5"]"#);
        let large = Value::Scalar {
            time: 0,
            value: 1e21,
        };
        let digits = "1000000000000000000000";
        assert_eq!(
            written(large),
            format!(r#""scalar","result":[0,"{digits}"]"#)
        );
        let string = Value::String {
            time: 0,
            value: "a\"".into(),
        };
        assert_eq!(written(string), r#""string","result":[0,"a\""]"#);
    }

    #[test]
    fn vectors() {
        assert_eq!(written(Value::default()), r#""vector","result":[]"#);
        let sample = |point| InstantSample {
            labels: labels(),
            time: 1000,
            point,
        };
        let histogram = Point::Histogram(Arc::new(FloatHistogram::default()));
        assert_eq!(
            written(Value::Vector(vec![
                sample(Point::Float(1.0)),
                sample(histogram)
            ])),
            concat!(
                r#""vector","result":[{"metric":{"__name__":"m","a":"b"},"value":[1,"1"]},"#,
                r#"{"metric":{"__name__":"m","a":"b"},"histogram":[1,{"count":"0","sum":"0"}]}]"#
            )
        );
    }

    #[test]
    fn matrices_with_floats_histograms_both_and_neither() {
        let series = |floats: bool, histograms: bool| {
            let mut columns = SeriesColumns::default();
            if floats {
                columns.floats.push(1000, 1.0);
                columns.floats.push(2000, 2.0);
            }
            if histograms {
                columns
                    .histograms
                    .push_float(1500, FloatHistogram::default(), 0);
            }
            RangeSeries {
                labels: Labels::empty(),
                columns,
            }
        };
        let matrix = vec![
            series(true, false),
            series(false, true),
            series(true, true),
            series(false, false),
        ];
        let histograms = r#""histograms":[[1.500,{"count":"0","sum":"0"}]]"#;
        let floats = r#""values":[[1,"1"],[2,"2"]]"#;
        assert_eq!(
            written(Value::Matrix(matrix)),
            format!(
                concat!(
                    r#""matrix","result":[{{"metric":{{}},{f}}},{{"metric":{{}},{h}}},"#,
                    r#"{{"metric":{{}},{f},{h}}},{{"metric":{{}}}}]"#
                ),
                f = floats,
                h = histograms
            )
        );
    }

    #[test]
    fn warnings_come_last() {
        let answer = Answer {
            warnings: vec!["w".into()],
            infos: vec!["i".into()],
            ..Answer::default()
        };
        let mut out = Vec::new();
        AnswerWriter::new(answer, Some(StatsDetail::Totals)).fill(&mut out, usize::MAX);
        let out = String::from_utf8(out).unwrap();
        assert!(
            out.ends_with(r#""peakSamples":0}}},"warnings":["w"],"infos":["i"]}"#),
            "{out}"
        );
    }
}
