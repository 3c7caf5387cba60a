//! Comparing shapes: which fields there are, and of which types.

use serde_json::Value;

/// Where answers hold maps: their keys are data, not fields, and only the types of values count.
/// A path is matched at its end, list positions left out.
const MAPS: [&str; 8] = [
    ".metric",
    ".labels",
    ".target",
    ".discoveredLabels",
    ".seriesLabels",
    ".annotations",
    ".droppedTargetCounts",
    ".steps.output",
];

/// Where `ours` differs in shape from `theirs`; `None` if it does not. `maps` names one more place
/// that holds a map, as `.data`.
pub(crate) fn difference(theirs: &Value, ours: &Value, maps: Option<&str>) -> Option<String> {
    Shapes { maps }.compare("", theirs, ours)
}

struct Shapes<'a> {
    maps: Option<&'a str>,
}

impl Shapes<'_> {
    fn is_map(&self, path: &str) -> bool {
        self.maps == Some(path) || MAPS.iter().any(|end| path.ends_with(end))
    }

    fn compare(&self, path: &str, theirs: &Value, ours: &Value) -> Option<String> {
        match (theirs, ours) {
            (Value::Object(a), Value::Object(b)) if self.is_map(path) => {
                let sample = a.values().next()?;
                b.values()
                    .find_map(|value| self.compare(path, sample, value))
            }
            (Value::Object(a), Value::Object(b)) => {
                if let Some(missing) = a.keys().find(|name| !b.contains_key(*name)) {
                    return Some(format!("{path}.{missing} is missing"));
                }
                b.iter().find_map(|(name, value)| match a.get(name) {
                    None => Some(format!("{path}.{name} is not in the original")),
                    Some(theirs) => self.compare(&format!("{path}.{name}"), theirs, value),
                })
            }
            (Value::Array(a), Value::Array(b)) => self.compare_lists(path, a, b),
            (a, b) if std::mem::discriminant(a) == std::mem::discriminant(b) => None,
            (a, b) => Some(format!("{path}: {b} where {a} is expected")),
        }
    }

    /// Lists of mixed types are tuples; in other lists each element is like one of the original's.
    fn compare_lists(&self, path: &str, a: &[Value], b: &[Value]) -> Option<String> {
        if a.is_empty() != b.is_empty() {
            return Some(format!(
                "{path}: {} elements there, {} here",
                a.len(),
                b.len()
            ));
        }
        let mixed = a
            .windows(2)
            .any(|two| std::mem::discriminant(&two[0]) != std::mem::discriminant(&two[1]));
        if mixed && a.len() == b.len() {
            return a.iter().zip(b).find_map(|(a, b)| self.compare(path, a, b));
        }
        b.iter().find_map(|ours| {
            let mut reasons = a.iter().map(|theirs| self.compare(path, theirs, ours));
            let first = reasons.next()?;
            if reasons.all(|reason| reason.is_some()) {
                first
            } else {
                None
            }
        })
    }
}

#[test]
fn sees_differences() {
    use serde_json::json;
    let theirs =
        json!({"data": {"result": [{"metric": {"a": "b"}, "value": [1, "2"]}], "flag": true}});
    let same = json!({"data": {"result": [{"metric": {}, "value": [3.5, "NaN"]}], "flag": false}});
    assert_eq!(difference(&theirs, &same, None), None);
    for (ours, reason) in [
        (
            json!({"data": {"result": [], "flag": true}}),
            ".data.result: 1 elements there, 0 here",
        ),
        (
            json!({"data": {"result": [{"metric": {"c": 1}, "value": [1, "2"]}], "flag": true}}),
            ".data.result.metric: 1 where",
        ),
        (
            json!({"data": {"result": [{"metric": {}, "value": [1, 2]}], "flag": true}}),
            ".data.result.value: 2 where",
        ),
        (json!({"data": {"flag": true}}), ".data.result is missing"),
    ] {
        let found = difference(&theirs, &ours, None).expect("a difference");
        assert!(found.starts_with(reason), "{found}");
    }
    assert_eq!(
        difference(
            &json!({"data": {"a": "b"}}),
            &json!({"data": {"c": "d"}}),
            Some(".data")
        ),
        None
    );
}
