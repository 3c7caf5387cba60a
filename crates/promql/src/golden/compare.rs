//! Bodies of answers, compared.

use headwater_model::number::parse_float;
use serde_json::Value;

/// Relative difference up to which floats are equal.
const TOLERANCE: f64 = 1e-9;

type Verdict = Result<(), String>;

/// Whether two bodies say the same.
pub(super) fn bodies(expected: &Value, found: &Value, ordered: bool) -> Verdict {
    for field in ["status", "errorType", "error"] {
        if expected[field] != found[field] {
            return Err(format!(
                "expected {field} {}, got {}",
                expected[field], found[field]
            ));
        }
    }
    for field in ["warnings", "infos"] {
        let sorted = |value: &Value| {
            let mut texts: Vec<String> = value
                .as_array()
                .into_iter()
                .flatten()
                .map(ToString::to_string)
                .collect();
            texts.sort_unstable();
            texts
        };
        let (expected, found) = (sorted(&expected[field]), sorted(&found[field]));
        if expected != found {
            return Err(format!("expected {field} {expected:?}, got {found:?}"));
        }
    }
    let (expected, found) = (&expected["data"], &found["data"]);
    if expected["resultType"] != found["resultType"] {
        return Err(format!(
            "expected a {}, got a {}",
            expected["resultType"], found["resultType"]
        ));
    }
    match expected["resultType"].as_str() {
        Some("vector" | "matrix") => series(&expected["result"], &found["result"], ordered),
        _ => same(&expected["result"], &found["result"]),
    }
}

fn series(expected: &Value, found: &Value, ordered: bool) -> Verdict {
    let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
    let (mut expected, mut found) = (list(expected), list(found));
    if !ordered {
        let key = |value: &Value| value["metric"].to_string();
        expected.sort_by_key(key);
        found.sort_by_key(key);
    }
    let metrics = |list: &[Value]| {
        list.iter()
            .map(|item| item["metric"].to_string())
            .collect::<Vec<_>>()
    };
    if metrics(&expected) != metrics(&found) {
        let (expected, found) = (metrics(&expected), metrics(&found));
        let missing: Vec<_> = expected
            .iter()
            .filter(|metric| !found.contains(metric))
            .take(3)
            .collect();
        let extra: Vec<_> = found
            .iter()
            .filter(|metric| !expected.contains(metric))
            .take(3)
            .collect();
        return Err(format!(
            "expected {} series, got {}; missing {missing:?}, unexpected {extra:?}",
            expected.len(),
            found.len()
        ));
    }
    for (expected, found) in expected.iter().zip(&found) {
        same(expected, found).map_err(|message| format!("{}: {message}", expected["metric"]))?;
    }
    Ok(())
}

/// Whether two values are the same, numbers in strings within the tolerance.
fn same(expected: &Value, found: &Value) -> Verdict {
    let different = || {
        Err(format!(
            "expected {}, got {}",
            short(expected),
            short(found)
        ))
    };
    match (expected, found) {
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return different();
            }
            a.iter().zip(b).try_for_each(|(a, b)| same(a, b))
        }
        (Value::Object(a), Value::Object(b)) => {
            if !a.keys().eq(b.keys()) {
                return different();
            }
            a.iter().try_for_each(|(key, value)| same(value, &b[key]))
        }
        (Value::Number(a), Value::Number(b)) if a.as_f64() == b.as_f64() => Ok(()),
        (Value::String(a), Value::String(b)) if same_text(a, b) => Ok(()),
        (a, b) if a == b => Ok(()),
        _ => different(),
    }
}

fn short(value: &Value) -> String {
    let text = value.to_string();
    match text.char_indices().nth(200) {
        Some((at, _)) => format!("{}...", &text[..at]),
        None => text,
    }
}

fn same_text(a: &str, b: &str) -> bool {
    if a == b {
        return true;
    }
    let (Some(x), Some(y)) = (parse_float(a), parse_float(b)) else {
        return false;
    };
    x == y || (x - y).abs() <= TOLERANCE * x.abs().max(y.abs())
}
