//! Asking a server over HTTP.

use std::collections::BTreeMap;
use std::time::Duration;

use serde_json::Value;

/// A status and a body.
#[derive(Clone, Debug)]
pub struct Answer {
    /// The HTTP status.
    pub status: u16,
    /// The body as text.
    pub body: String,
}

impl Answer {
    /// The body as JSON.
    ///
    /// # Panics
    /// It is not.
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body)
            .unwrap_or_else(|error| panic!("not JSON ({error}): {}", self.body))
    }
}

fn agent() -> ureq::Agent {
    ureq::Agent::config_builder()
        .http_status_as_error(false)
        .max_redirects(0)
        .timeout_global(Some(Duration::from_secs(60)))
        .build()
        .into()
}

/// Fetches a URL, whatever the status.
///
/// # Errors
/// There is no answer.
pub fn get(url: &str) -> Result<Answer, ureq::Error> {
    let mut response = agent().get(url).call()?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?,
    })
}

/// Posts a form, whatever the status.
///
/// # Errors
/// There is no answer.
pub fn post(url: &str, form: &[(&str, &str)]) -> Result<Answer, ureq::Error> {
    let mut response = agent().post(url).send_form(form.iter().copied())?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: response
            .body_mut()
            .with_config()
            .limit(1 << 30)
            .read_to_string()?,
    })
}

/// Posts JSON, whatever the status.
///
/// # Errors
/// There is no answer.
pub fn post_json(url: &str, body: &Value) -> Result<Answer, ureq::Error> {
    let request = agent().post(url).header("Content-Type", "application/json");
    let mut response = request.send(body.to_string())?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: response.body_mut().read_to_string()?,
    })
}

/// Posts bytes with headers, whatever the status. Bytes that are no text become replacement characters.
///
/// # Errors
/// There is no answer.
pub fn post_bytes(url: &str, headers: &[(&str, &str)], body: &[u8]) -> Result<Answer, ureq::Error> {
    let mut request = agent().post(url);
    for (name, value) in headers {
        request = request.header(*name, *value);
    }
    let mut response = request.send(body)?;
    let bytes = response.body_mut().read_to_vec()?;
    Ok(Answer {
        status: response.status().as_u16(),
        body: String::from_utf8_lossy(&bytes).into_owned(),
    })
}

/// Evaluates at one moment (seconds, `None` for now) and returns the result part of the answer.
///
/// # Panics
/// The query fails.
pub fn query(server: &str, expression: &str, time: Option<f64>) -> Value {
    let time = time.map(|time| time.to_string());
    let mut form = vec![("query", expression)];
    form.extend(time.as_deref().map(|time| ("time", time)));
    let answer = post(&format!("{server}/api/v1/query"), &form).expect("the server answers");
    assert_eq!(answer.status, 200, "{expression}: {}", answer.body);
    answer.json()["data"]["result"].clone()
}

/// The labels and values of a vector, keyed by the labels as JSON.
pub fn vector(result: &Value) -> BTreeMap<String, f64> {
    let rows = result.as_array().into_iter().flatten();
    rows.filter_map(|row| {
        Some((
            row["metric"].to_string(),
            row["value"][1].as_str()?.parse().ok()?,
        ))
    })
    .collect()
}

/// The samples of the range vector `selector[range]` at `time`, keyed by labels, each as `time value`.
pub fn samples(
    server: &str,
    selector: &str,
    range: &str,
    time: f64,
) -> BTreeMap<String, Vec<String>> {
    let result = query(server, &format!("{selector}[{range}]"), Some(time));
    let rows = result.as_array().into_iter().flatten();
    rows.map(|row| {
        let values = row["values"].as_array().into_iter().flatten();
        (
            row["metric"].to_string(),
            values
                .map(|pair| format!("{} {}", pair[0], pair[1].as_str().unwrap_or_default()))
                .collect(),
        )
    })
    .collect()
}
