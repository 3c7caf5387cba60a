//! The recorded pushes: their statuses, and what can be read back afterwards.

use std::path::Path;

use axum::body::Body;
use axum::http::Request;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use headwater_http::TENANT_HEADER;
use serde_json::{Map, Value, json};

use super::{Error, Server, Tally, read};

/// The bound on bodies of the instance that was recorded.
const MAX_PUSH_BYTES: usize = 300_000;

/// The statuses, and what was read back.
pub(super) async fn run(folder: &Path) -> Result<(Tally, Tally), Error> {
    let recorded: Value = serde_json::from_str(&read(&folder.join("push.json"))?)?;
    let cases = recorded["cases"]
        .as_array()
        .ok_or("push.json has no cases")?;
    let server = Server::new(
        headwater_yaml::from_str("reject_old_samples: false")?,
        |settings| {
            settings.auth_enabled = true;
            settings.max_push_bytes = MAX_PUSH_BYTES;
        },
    )?;
    let (mut statuses, mut stored) = (Tally::default(), Tally::default());
    for case in cases {
        let id = case["id"].as_str().unwrap_or_default();
        let outcome = match limits(&server, case) {
            Ok(()) => steps(&server, case).await?,
            Err(error) => Err(format!("limits: {error}")),
        };
        statuses.note(id, outcome);
        stored.note(id, read_back(&server, case).await?);
    }
    Ok((statuses, stored))
}

/// Gives the tenant of a case its limits, and takes those of the case before away.
fn limits(server: &Server, case: &Value) -> Result<(), headwater_yaml::Error> {
    let tenant = case["tenant_header"].as_str().unwrap_or_default();
    let mut overrides = Map::new();
    if case["limits"]
        .as_object()
        .is_some_and(|limits| !limits.is_empty())
    {
        overrides.insert(tenant.to_owned(), case["limits"].clone());
    }
    // JSON is YAML.
    server
        .overrides
        .load(&json!({ "overrides": overrides }).to_string())
}

async fn steps(server: &Server, case: &Value) -> Result<Result<(), String>, Error> {
    let mut outcome = Ok(());
    for (number, step) in case["steps"].as_array().into_iter().flatten().enumerate() {
        let (status, _, body) = server.ask(request(case, step)?).await?;
        let wanted = step["response"]["status"].as_u64().unwrap_or_default();
        let also = step["also_seen"]["status"].as_u64();
        if outcome.is_ok() && u64::from(status) != wanted && also != Some(status.into()) {
            let said = String::from_utf8_lossy(&body).trim_end().to_owned();
            outcome = Err(format!(
                "step {number}: status {status} instead of {wanted}: {said}"
            ));
        }
    }
    Ok(outcome)
}

/// Asks for what the case has stored.
async fn read_back(server: &Server, case: &Value) -> Result<Result<(), String>, Error> {
    let wanted = &case["readback"]["result"];
    if !wanted.is_array() {
        return Ok(Ok(()));
    }
    let mut form = form_urlencoded::Serializer::new(String::new());
    for (name, value) in case["readback"]["params"].as_object().into_iter().flatten() {
        form.append_pair(name, value.as_str().unwrap_or_default());
    }
    let mut request = Request::get(format!("/loki/api/v1/query_range?{}", form.finish()))
        .header("X-Loki-Response-Encoding-Flags", "categorize-labels");
    if let Some(tenant) = case["tenant_header"].as_str() {
        request = request.header(TENANT_HEADER, tenant.as_bytes());
    }
    let (_, _, body) = server.ask(request.body(Body::empty())?).await?;
    let found: Value = serde_json::from_slice(&body).unwrap_or_default();
    let found = &found["data"]["result"];
    Ok(match found == wanted {
        true => Ok(()),
        false => Err(format!("read back: {found} instead of {wanted}")),
    })
}

fn request(case: &Value, step: &Value) -> Result<Request<Body>, Error> {
    let mut request = Request::builder()
        .method(step["method"].as_str().unwrap_or("POST"))
        .uri(step["path"].as_str().unwrap_or_default());
    for (name, value) in step["headers"].as_object().into_iter().flatten() {
        request = request.header(name, value.as_str().unwrap_or_default());
    }
    if let Some(tenant) = case["tenant_header"].as_str() {
        request = request.header(TENANT_HEADER, tenant.as_bytes());
    }
    Ok(request.body(Body::from(body(step)?))?)
}

fn body(step: &Value) -> Result<Vec<u8>, Error> {
    if let Some(text) = step["body_text"].as_str() {
        return Ok(text.as_bytes().to_vec());
    }
    if let Some(text) = step["body_base64"].as_str() {
        return Ok(STANDARD.decode(text)?);
    }
    let text = |name: &str| step["body_repeat"][name].as_str().unwrap_or_default();
    let count = step["body_repeat"]["count"].as_u64().unwrap_or_default() as usize;
    Ok(format!(
        "{}{}{}",
        text("prefix"),
        text("repeat").repeat(count),
        text("suffix")
    )
    .into_bytes())
}
