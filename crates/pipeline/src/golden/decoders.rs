//! `decoders.json`: records to messages.

use std::path::Path;

use serde_json::Value;

use crate::event::Event;
use crate::message::Message;

use super::capture::{decoded, is_any, plan};
use super::json::{self, bytes_of, cases, plain_field, text};
use super::{Report, same};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        let name = format!("decoders/{}", text(case, "name"));
        report.judge(name, check(case));
    }
}

fn check(case: &Value) -> Result<(), String> {
    let plan = plan(text(case, "config_toml"))?;
    let input = bytes_of(case, "input");
    let got = decoded(&plan, text(case, "splitter"), text(case, "decoder"), &input)?;
    let wanted: Vec<&Value> = cases(case, "messages").collect();
    same("number of messages", &got.len(), &wanted.len())?;
    for (got, wanted) in got.iter().zip(wanted) {
        compare(got, wanted)?;
    }
    Ok(())
}

/// Compares headers, and fields as a set.
pub(super) fn compare(got: &Message, recorded: &Value) -> Result<(), String> {
    let wanted = json::message(recorded);
    if recorded["timestamp"].as_str().is_none() {
        same("timestamp", &got.timestamp, &wanted.timestamp)?;
    }
    if recorded["uuid"].as_str() != Some("<any>") {
        // heka writes an absent identity as an empty one.
        let bytes = |m: &Message| m.uuid.as_ref().map_or(vec![], |u| u.as_bytes().to_vec());
        same("uuid", &bytes(got), &bytes(&wanted))?;
    }
    same("severity", &got.severity, &wanted.severity)?;
    same("pid", &got.pid, &wanted.pid)?;
    for (name, got, wanted) in [
        ("type", &got.kind, &wanted.kind),
        ("logger", &got.logger, &wanted.logger),
        ("payload", &got.payload, &wanted.payload),
        ("env_version", &got.env_version, &wanted.env_version),
        ("hostname", &got.hostname, &wanted.hostname),
    ] {
        if !is_any(wanted) {
            same(name, got, wanted)?;
        }
    }
    same("fields", &fields(got), &fields(&wanted))
}

fn fields(message: &Message) -> Vec<(String, String, String, Vec<String>)> {
    let event = Event::from(message.clone());
    let mut fields: Vec<_> = event.fields().map(plain_field).collect();
    for field in &mut fields {
        // Go words this error of its protobuf library differently.
        if field.0 == "decode_error" && field.3.concat().contains("unexpected") {
            field.3 = vec!["unexpected end".to_owned()];
        }
    }
    fields.sort();
    fields
}
