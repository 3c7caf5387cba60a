//! Answers as the HTTP API gives them, and its parameters.

use headwater_model::number::{format_float, parse_float};
use headwater_model::{FloatHistogram, Labels};
use headwater_query::{Answer, Point, Value};
use serde_json::{Map, Value as Json, json};

/// The body of a successful answer.
pub(super) fn success(answer: &Answer) -> Json {
    let result = match &answer.value {
        Value::Scalar { time, value } => json!([seconds(*time), format_float(*value)]),
        Value::String { time, value } => json!([seconds(*time), value]),
        Value::Vector(samples) => samples
            .iter()
            .map(|sample| {
                let (name, value) = point(&sample.point);
                let name = if name == "values" {
                    "value"
                } else {
                    "histogram"
                };
                json!({"metric": metric(&sample.labels), name: [seconds(sample.time), value]})
            })
            .collect(),
        Value::Matrix(series) => series
            .iter()
            .map(|series| {
                let mut node = json!({"metric": metric(&series.labels)});
                for (time, found) in crate::corpus::points(&series.columns) {
                    let (name, value) = point(&found);
                    let points = &mut node[name];
                    if points.is_null() {
                        *points = json!([]);
                    }
                    if let Some(points) = points.as_array_mut() {
                        points.push(json!([seconds(time), value]));
                    }
                }
                node
            })
            .collect(),
    };
    let mut body =
        json!({"status": "success", "data": {"resultType": answer.value.kind(), "result": result}});
    for (name, texts) in [("warnings", &answer.warnings), ("infos", &answer.infos)] {
        if !texts.is_empty() {
            body[name] = json!(texts);
        }
    }
    body
}

fn seconds(millis: i64) -> f64 {
    millis as f64 / 1000.0
}

fn metric(labels: &Labels) -> Json {
    Json::Object(
        labels
            .iter()
            .map(|(name, value)| (name.to_owned(), json!(value)))
            .collect::<Map<_, _>>(),
    )
}

fn point(point: &Point) -> (&'static str, Json) {
    match point {
        Point::Float(value) => ("values", json!(format_float(*value))),
        Point::Histogram(histogram) => ("histograms", histogram_json(histogram)),
    }
}

fn histogram_json(histogram: &FloatHistogram) -> Json {
    let mut node =
        json!({"count": format_float(histogram.count), "sum": format_float(histogram.sum)});
    let buckets: Vec<Json> = histogram
        .all_buckets()
        .iter()
        .filter(|bucket| bucket.count != 0.0)
        .map(|bucket| {
            let bounds = match (bucket.lower_inclusive, bucket.upper_inclusive) {
                (false, true) => 0,
                (true, false) => 1,
                (false, false) => 2,
                (true, true) => 3,
            };
            json!([
                bounds,
                format_float(bucket.lower),
                format_float(bucket.upper),
                format_float(bucket.count)
            ])
        })
        .collect();
    if !buckets.is_empty() {
        node["buckets"] = json!(buckets);
    }
    node
}

/// A time in milliseconds: seconds, or a date and time of RFC 3339.
pub(super) fn time(value: &Json) -> Option<i64> {
    let text = match value {
        Json::Number(number) => {
            return number
                .as_f64()
                .map(|seconds| (seconds * 1000.0).round() as i64);
        }
        Json::String(text) => text,
        _ => return None,
    };
    if let Some(seconds) = parse_float(text) {
        return Some((seconds * 1000.0).round() as i64);
    }
    let (date, clock) = text.split_once('T')?;
    let numbers: Vec<i64> = date
        .split('-')
        .map(|part| part.parse().ok())
        .collect::<Option<_>>()?;
    let [year, month, day] = numbers[..] else {
        return None;
    };
    let (clock, zone) = match clock.find(['Z', '+', '-']) {
        Some(at) => clock.split_at(at),
        None => (clock, "Z"),
    };
    let mut parts = clock.split(':');
    let (hours, minutes) = (
        parts.next()?.parse::<i64>().ok()?,
        parts.next()?.parse::<i64>().ok()?,
    );
    let seconds = parse_float(parts.next()?)?;
    let offset = match zone {
        "Z" => 0,
        zone => {
            let (hours, minutes) = zone[1..].split_once(':')?;
            let minutes = hours.parse::<i64>().ok()? * 60 + minutes.parse::<i64>().ok()?;
            if zone.starts_with('-') {
                -minutes
            } else {
                minutes
            }
        }
    };
    let minutes = (days(year, month, day) * 24 + hours) * 60 + minutes - offset;
    Some(minutes * 60_000 + (seconds * 1000.0).round() as i64)
}

/// Days since 1970-01-01. Source: Howard Hinnant, `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

/// A duration in milliseconds: seconds, or Prometheus's notation.
pub(super) fn duration(value: &Json) -> Option<i64> {
    match value {
        Json::Number(number) => number
            .as_f64()
            .map(|seconds| (seconds * 1000.0).round() as i64),
        Json::String(text) => headwater_model::duration::parse_duration(text).ok(),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_in_every_form() {
        assert_eq!(time(&json!(1.5)), Some(1500));
        assert_eq!(
            time(&json!("2026-01-01T01:00:00.5Z")),
            Some(1_767_229_200_500)
        );
        assert_eq!(
            time(&json!("2026-01-01T03:00:00+02:00")),
            Some(1_767_229_200_000)
        );
        assert_eq!(duration(&json!("2m30s")), Some(150_000));
    }
}
