//! Whether an answer is the recorded one, each case by its own measure.

use serde_json::{Map, Value};

/// How far numbers may differ, relatively: Loki's own sums depend on the order of merging.
const TOLERANCE: f64 = 1e-9;

pub(super) fn compare(wanted: &Value, status: u16, kind: &str, body: &[u8]) -> Result<(), String> {
    let text = String::from_utf8_lossy(body);
    let wanted_status = wanted["status"].as_u64().unwrap_or_default();
    if u64::from(status) != wanted_status {
        let said: String = text.chars().take(160).collect();
        return Err(format!(
            "status {status} instead of {wanted_status}: {said}"
        ));
    }
    let wanted_kind = wanted["content_type"].as_str().unwrap_or("");
    if !kind.eq_ignore_ascii_case(wanted_kind) {
        return Err(format!("content type {kind:?} instead of {wanted_kind:?}"));
    }
    let found = match &wanted["body"] {
        Value::String(_) => Value::String(text.into_owned()),
        _ => {
            let mut found = serde_json::from_str(&text)
                .map_err(|error| format!("the body is not JSON: {error}"))?;
            without_stats(&mut found);
            found
        }
    };
    same(wanted, &found)
}

fn without_stats(body: &mut Value) {
    for holder in ["/data", ""] {
        if let Some(Value::Object(object)) = body.pointer_mut(holder) {
            object.remove("stats");
        }
    }
}

fn same(wanted: &Value, found: &Value) -> Result<(), String> {
    let body = &wanted["body"];
    match wanted["compare"].as_str().unwrap_or("exact") {
        "unordered" => equal(&sorted(body), &sorted(found), false),
        "estimate" => equal(body, found, true),
        "keys" => {
            let keys = |value: &Value| {
                value
                    .as_object()
                    .map(|object| object.keys().cloned().collect::<Vec<_>>())
            };
            match keys(body) == keys(found) {
                true => Ok(()),
                false => Err(format!("keys differ: {found}")),
            }
        }
        "pipeline_error" => {
            let text = found.as_str().unwrap_or("");
            let part = |name: &str| wanted[name].as_str().unwrap_or("");
            match text.starts_with(part("body_prefix")) && text.ends_with(part("body_suffix")) {
                true => Ok(()),
                false => Err(format!("another text: {text}")),
            }
        }
        _ => equal(body, found, false),
    }
}

/// Arrays as sets: sorted by their text, all the way down.
fn sorted(value: &Value) -> Value {
    match value {
        Value::Array(items) => {
            let mut items: Vec<Value> = items.iter().map(sorted).collect();
            items.sort_by_key(Value::to_string);
            Value::Array(items)
        }
        Value::Object(object) => Value::Object(
            object
                .iter()
                .map(|(key, value)| (key.clone(), sorted(value)))
                .collect::<Map<_, _>>(),
        ),
        other => other.clone(),
    }
}

/// Equal up to the tolerance; with `shape` numbers may be any.
fn equal(wanted: &Value, found: &Value, shape: bool) -> Result<(), String> {
    let differ = || {
        let short = |value: &Value| value.to_string().chars().take(220).collect::<String>();
        Err(format!("{} instead of {}", short(found), short(wanted)))
    };
    match (wanted, found) {
        (Value::Object(a), Value::Object(b)) => {
            if a.len() != b.len() || a.keys().any(|key| !b.contains_key(key)) {
                return differ();
            }
            a.iter()
                .try_for_each(|(key, value)| equal(value, &b[key], shape))
        }
        (Value::Array(a), Value::Array(b)) => {
            if a.len() != b.len() {
                return Err(format!(
                    "{} items instead of {}: {}",
                    b.len(),
                    a.len(),
                    differ().err().unwrap_or_default()
                ));
            }
            a.iter().zip(b).try_for_each(|(a, b)| equal(a, b, shape))
        }
        (Value::Number(a), Value::Number(b)) => match shape || near(a.as_f64(), b.as_f64()) {
            true => Ok(()),
            false => differ(),
        },
        (Value::String(a), Value::String(b)) if a == b => Ok(()),
        (Value::String(a), Value::String(b)) => {
            let numbers = (a.parse::<f64>().ok(), b.parse::<f64>().ok());
            let both = numbers.0.is_some() && numbers.1.is_some();
            match both && (shape || near(numbers.0, numbers.1)) {
                true => Ok(()),
                false => differ(),
            }
        }
        (a, b) if a == b => Ok(()),
        _ => differ(),
    }
}

fn near(a: Option<f64>, b: Option<f64>) -> bool {
    match (a, b) {
        (Some(a), Some(b)) => {
            a == b
                || (a.is_nan() && b.is_nan())
                || (a - b).abs() <= TOLERANCE * a.abs().max(b.abs())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn numbers_may_differ_in_the_last_digits_only() {
        assert!(equal(&json!([1, "0.1"]), &json!([1, "0.10000000000001"]), false).is_ok());
        assert!(equal(&json!(["0.1"]), &json!(["0.2"]), false).is_err());
        assert!(equal(&json!({"a": 5}), &json!({"a": 7}), true).is_ok());
        assert!(equal(&json!({"a": 5}), &json!({"b": 5}), true).is_err());
    }

    #[test]
    fn statuses_come_first() {
        let wanted =
            json!({"status": 200, "content_type": "text/plain", "body": "x", "compare": "exact"});
        assert!(compare(&wanted, 200, "text/plain", b"x").is_ok());
        assert!(compare(&wanted, 400, "text/plain", b"x").is_err());
        assert!(compare(&wanted, 200, "text/plain", b"y").is_err());
    }

    #[test]
    fn sets_have_no_order() {
        let wanted =
            json!({"status": 200, "content_type": "", "body": [1, 2], "compare": "unordered"});
        assert!(same(&wanted, &json!([2, 1])).is_ok());
    }
}
