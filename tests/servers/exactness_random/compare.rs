//! When two answers are the same.

use std::collections::BTreeMap;

use serde_json::Value;

/// A status and a body.
pub(super) type Answer = (u16, Value);

/// What differs, for people, or `None`.
pub(super) fn difference(ours: &Answer, theirs: &Answer) -> Option<String> {
    if tolerated(&ours.1) || equal(ours, theirs) {
        return None;
    }
    let shown = |(status, body): &Answer| {
        let text: String = body.to_string().chars().take(1500).collect();
        format!("{status} {text}")
    };
    Some(format!(
        "  ours   {}\n  theirs {}",
        shown(ours),
        shown(theirs)
    ))
}

/// Since 3.x a second match is an error also where a comparison drops it.
fn tolerated(ours: &Value) -> bool {
    error(ours).starts_with("multiple matches for labels")
}

fn equal(ours: &Answer, theirs: &Answer) -> bool {
    let (a, b) = (&ours.1, &theirs.1);
    ours.0 == theirs.0
        && a["status"] == b["status"]
        && a["errorType"] == b["errorType"]
        && error(a) == error(b)
        && data(&a["data"], &b["data"])
}

/// The error without the name of the parameter, which 2.42 does not tell, and without the pair of
/// series that happened to meet first.
fn error(body: &Value) -> &str {
    let text = body["error"].as_str().unwrap_or_default();
    let text = text
        .strip_prefix("invalid parameter \"query\": ")
        .unwrap_or(text);
    match text
        .find(" on the right hand-side")
        .or(text.find(" on the left hand-side"))
    {
        Some(end) => &text[..end.min("found duplicate series".len())],
        None => text,
    }
}

fn data(a: &Value, b: &Value) -> bool {
    match (a.get("resultType"), b.get("resultType")) {
        (None, None) => unordered(a) == unordered(b),
        (a_type, b_type) => a_type == b_type && result(&a["result"], &b["result"]),
    }
}

fn unordered(list: &Value) -> Vec<String> {
    let mut texts: Vec<String> = match list.as_array() {
        Some(rows) => rows.iter().map(Value::to_string).collect(),
        None => vec![list.to_string()],
    };
    texts.sort();
    texts
}

fn result(a: &Value, b: &Value) -> bool {
    let (Some(a_rows), Some(b_rows)) = (a.as_array(), b.as_array()) else {
        return a == b;
    };
    // A scalar is a pair of a time and a text.
    if a_rows.first().is_some_and(Value::is_number) {
        return points(a, b);
    }
    let (a, b) = (by_labels(a_rows), by_labels(b_rows));
    a.len() == a_rows.len()
        && a.len() == b.len()
        && a.iter().zip(&b).all(|((a_labels, a), (b_labels, b))| {
            a_labels == b_labels
                && match (a.get("values"), b.get("values")) {
                    (Some(a), Some(b)) => all_points(a, b),
                    _ => points(&a["value"], &b["value"]),
                }
        })
}

fn by_labels(rows: &[Value]) -> BTreeMap<String, &Value> {
    let key = |row: &Value| {
        let labels: BTreeMap<&String, &Value> =
            row["metric"].as_object().into_iter().flatten().collect();
        format!("{labels:?}")
    };
    rows.iter().map(|row| (key(row), row)).collect()
}

fn all_points(a: &Value, b: &Value) -> bool {
    match (a.as_array(), b.as_array()) {
        (Some(a), Some(b)) => a.len() == b.len() && a.iter().zip(b).all(|(a, b)| points(a, b)),
        _ => false,
    }
}

fn points(a: &Value, b: &Value) -> bool {
    let number = |value: &Value| value[1].as_str().and_then(|text| text.parse::<f64>().ok());
    match (number(a), number(b)) {
        (Some(x), Some(y)) => a[0] == b[0] && close(x, y),
        _ => a == b,
    }
}

/// Equal up to the last digits of sums, of which differences may have been taken.
fn close(x: f64, y: f64) -> bool {
    x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-8 * x.abs().max(y.abs()) + 1e-6
}
