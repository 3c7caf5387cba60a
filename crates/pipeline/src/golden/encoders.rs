//! `encoders.json`: messages to bytes.

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::event::Event;
use crate::message::{RawMessage, put_frame};
use crate::plugin::{BuildContext, Encoder};

use super::capture::plan;
use super::json::{self, cases, text};
use super::{Report, same};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        let name = format!("encoders/{}", text(case, "name"));
        report.judge(name, check(case, &file["messages"]));
    }
}

fn check(case: &Value, messages: &Value) -> Result<(), String> {
    let plan = match plan(text(case, "config_toml")) {
        Err(_) if case.get("start_error").is_some() => return Ok(()),
        plan => plan?,
    };
    same("refused", &false, &case.get("start_error").is_some())?;
    let cx = BuildContext::new("E", &plan.globals, &plan.services, &plan.parts, None);
    let make = plan.parts.encoders.get("E").ok_or("no encoder")?;
    let mut encoder = make(&cx).map_err(|error| error.to_string())?;
    let Some(outputs) = case["output"].as_object() else {
        return Err("no outputs".to_owned());
    };
    for (name, wanted) in outputs {
        let got = encoded(&mut *encoder, &messages[name], case["use_framing"] == true)?;
        let listed = cases(case, "invalid_json_for").any(|invalid| invalid == name);
        // Text that is not UTF-8 was not looked at when the list was made.
        let json = text(case, "type").starts_with("ES");
        let invalid = listed || (json && wanted.get("base64").is_some());
        let judged = if invalid {
            valid_json(&got)
        } else {
            compare(&got, wanted, text(case, "name"))
        };
        judged.map_err(|why| format!("{name}: {why}"))?;
    }
    Ok(())
}

fn encoded(encoder: &mut dyn Encoder, recorded: &Value, framing: bool) -> Result<Bytes, String> {
    let frame = Bytes::from(json::decode64(text(recorded, "frame_base64")));
    let body = 3 + usize::from(frame[1]);
    let raw = RawMessage::within(frame, body).map_err(|error| error.to_string())?;
    let raw = Event::from(raw);
    let mut out = Vec::new();
    encoder.encode(&raw, &mut out)?;
    if !encoder.writes_messages() {
        let mut again = Vec::new();
        encoder.encode(&Event::from(raw.to_message()), &mut again)?;
        same("decoded and encoded", &again, &out)?;
    }
    if framing {
        let body = std::mem::take(&mut out);
        put_frame(&mut out, &body, None, 65536).map_err(|error| error.to_string())?;
    }
    Ok(out.into())
}

fn compare(got: &Bytes, wanted: &Value, case: &str) -> Result<(), String> {
    let wanted = match wanted["base64"].as_str() {
        Some(text) => Bytes::from(json::decode64(text)),
        None => json::bytes(&wanted["text"]).unwrap_or_default(),
    };
    if case == "payload_ts_now" {
        // The prefix is the year of the clock.
        return same("text", &got.get(5..), &wanted.get(5..));
    }
    same("text", got, &wanted)
}

/// The recorded text is broken JSON; ours must not be.
fn valid_json(got: &Bytes) -> Result<(), String> {
    for line in got
        .split(|byte| *byte == b'\n')
        .filter(|line| !line.is_empty())
    {
        serde_json::from_slice::<Value>(line).map_err(|error| error.to_string())?;
    }
    Ok(())
}
