//! Answers against what was expected.

use headwater_model::{FloatHistogram, HistogramRef, Labels, Timestamp, is_stale_nan};
use headwater_query::{Answer, Point, Value};

use super::script::{Eval, Expect, Pattern};
use super::values::SequenceValue;

/// Relative difference up to which floats are equal.
const EPSILON: f64 = 1e-6;

fn same_float(a: f64, b: f64) -> bool {
    if is_stale_nan(a) || is_stale_nan(b) {
        return is_stale_nan(a) && is_stale_nan(b);
    }
    if a == b || (a.is_nan() && b.is_nan()) {
        return true;
    }
    let (sum, difference) = (a.abs() + b.abs(), (a - b).abs());
    if a == 0.0 || b == 0.0 || sum < f64::MIN_POSITIVE {
        return difference < EPSILON * f64::MIN_POSITIVE;
    }
    difference / sum.min(f64::MAX) < EPSILON
}

fn same_histogram(expected: &FloatHistogram, found: &FloatHistogram, hinted: bool) -> bool {
    let (mut a, mut b) = (expected.clone(), found.clone());
    a.compact();
    b.compact();
    let counts = |a: &[f64], b: &[f64]| {
        a.len() == b.len() && a.iter().zip(b).all(|(a, b)| same_float(*a, *b))
    };
    a.schema == b.schema
        && same_float(a.count, b.count)
        && same_float(a.sum, b.sum)
        && a.custom_values == b.custom_values
        && a.zero_threshold == b.zero_threshold
        && same_float(a.zero_count, b.zero_count)
        && a.positive_spans == b.positive_spans
        && a.negative_spans == b.negative_spans
        && counts(&a.positive_buckets, &b.positive_buckets)
        && counts(&a.negative_buckets, &b.negative_buckets)
        && (!hinted || a.reset_hint == b.reset_hint)
}

fn same_point(expected: &SequenceValue, found: &Point) -> bool {
    match (expected, found) {
        (SequenceValue::Float(expected), Point::Float(found)) => same_float(*expected, *found),
        (SequenceValue::Histogram(expected, hinted), Point::Histogram(found)) => {
            same_histogram(expected, found, *hinted)
        }
        _ => false,
    }
}

fn shown(point: &Point) -> String {
    match point {
        Point::Float(value) => value.to_string(),
        Point::Histogram(histogram) => format!(
            "{histogram} schema {} {:?}",
            histogram.schema, histogram.reset_hint
        ),
    }
}

fn shown_expected(value: &SequenceValue) -> String {
    match value {
        SequenceValue::Omitted => "_".to_owned(),
        SequenceValue::Float(value) => value.to_string(),
        SequenceValue::Histogram(histogram, _) => shown(&Point::Histogram(histogram.clone())),
    }
}

/// Whether warnings and infos are those expected.
pub(super) fn check_notes(expect: &Expect, answer: &Answer) -> Result<(), String> {
    check_kind("warn", &expect.warn, expect.no_warn, &answer.warnings)?;
    check_kind("info", &expect.info, expect.no_info, &answer.infos)
}

fn check_kind(
    kind: &str,
    patterns: &[Pattern],
    none: bool,
    found: &[String],
) -> Result<(), String> {
    if none && !found.is_empty() {
        return Err(format!("unexpected {kind} annotations: {found:?}"));
    }
    if patterns.is_empty() {
        return Ok(());
    }
    if let Some(pattern) = patterns
        .iter()
        .find(|pattern| !found.iter().any(|text| pattern.matches(text)))
    {
        return Err(format!(
            "expected {kind} annotation {pattern:?}, found {found:?}"
        ));
    }
    match found
        .iter()
        .find(|text| !patterns.iter().any(|pattern| pattern.matches(text)))
    {
        Some(text) => Err(format!("unexpected {kind} annotation {text:?}")),
        None => Ok(()),
    }
}

/// Whether the value is the one expected.
pub(super) fn check_value(eval: &Eval, value: &Value) -> Result<(), String> {
    let expect = &eval.expect;
    match value {
        Value::Scalar { value, .. } => match expect.scalar {
            Some(expected) if same_float(expected, *value) => Ok(()),
            expected => Err(format!("expected {expected:?}, got scalar {value}")),
        },
        Value::String { value, .. } if expect.text.as_ref() == Some(value) => Ok(()),
        Value::String { value, .. } => {
            Err(format!("expected {:?}, got string {value:?}", expect.text))
        }
        Value::Vector(_) | Value::Matrix(_) if expect.scalar.is_some() => {
            Err(format!("expected a scalar, got {}", value.kind()))
        }
        Value::Vector(samples) => {
            let found = samples.iter().map(|sample| {
                (
                    sample.labels.clone(),
                    vec![(eval.start, sample.point.clone())],
                )
            });
            let found: Vec<Found> = found.collect();
            if expect.ordered {
                let order = |labels: Vec<&Labels>| labels.into_iter().cloned().collect::<Vec<_>>();
                let expected = order(expect.series.iter().map(|(labels, _)| labels).collect());
                let got = order(found.iter().map(|(labels, _)| labels).collect());
                if expected != got {
                    return Err(format!("expected the order {expected:?}, got {got:?}"));
                }
            }
            check_series(expect, &found, (eval.start, eval.start, 1))
        }
        Value::Matrix(series) => {
            let found: Vec<Found> = series
                .iter()
                .map(|series| (series.labels.clone(), points(&series.columns)))
                .collect();
            let sorted = found.windows(2).all(|pair| pair[0].0 <= pair[1].0);
            if !sorted {
                return Err("matrix is not sorted by labels".to_owned());
            }
            let times = expect
                .range_vector
                .unwrap_or((eval.start, eval.end, eval.step.max(1)));
            check_series(expect, &found, times)
        }
    }
}

type Found = (Labels, Vec<(Timestamp, Point)>);

/// The points of a series in order of time.
pub(crate) fn points(columns: &headwater_model::SeriesColumns) -> Vec<(Timestamp, Point)> {
    let floats = columns.floats.times.iter().zip(&columns.floats.values);
    let mut points: Vec<(Timestamp, Point)> = floats
        .map(|(time, value)| (*time, Point::Float(*value)))
        .collect();
    for (at, time) in columns.histograms.times().iter().enumerate() {
        debug_assert!(matches!(
            columns.histograms.get(at),
            HistogramRef::Integer(_) | HistogramRef::Float(_)
        ));
        points.push((*time, Point::Histogram(columns.histograms.float(at))));
    }
    points.sort_by_key(|(time, _)| *time);
    points
}

fn check_series(
    expect: &Expect,
    found: &[Found],
    (start, _, step): (i64, i64, i64),
) -> Result<(), String> {
    for (labels, points) in found {
        let Some((_, values)) = expect
            .series
            .iter()
            .find(|(expected, _)| expected == labels)
        else {
            let points: Vec<String> = points.iter().map(|(_, point)| shown(point)).collect();
            return Err(format!(
                "unexpected metric {labels} in result, has {points:?}"
            ));
        };
        let expected: Vec<(Timestamp, &SequenceValue)> = values
            .iter()
            .enumerate()
            .filter(|(_, value)| **value != SequenceValue::Omitted)
            .map(|(at, value)| (start + at as i64 * step, value))
            .collect();
        let same = expected.len() == points.len()
            && expected
                .iter()
                .zip(points)
                .all(|((t1, expected), (t2, found))| t1 == t2 && same_point(expected, found));
        if !same {
            let expected: Vec<String> = expected
                .iter()
                .map(|(t, value)| format!("{} @{t}", shown_expected(value)))
                .collect();
            let points: Vec<String> = points
                .iter()
                .map(|(t, point)| format!("{} @{t}", shown(point)))
                .collect();
            return Err(format!(
                "expected {expected:?} for {labels}, got {points:?}"
            ));
        }
    }
    match expect
        .series
        .iter()
        .find(|(labels, _)| !found.iter().any(|(other, _)| other == labels))
    {
        Some((labels, values)) => {
            let values: Vec<String> = values.iter().map(shown_expected).collect();
            Err(format!(
                "expected metric {labels} with {values:?} not found"
            ))
        }
        None => Ok(()),
    }
}
