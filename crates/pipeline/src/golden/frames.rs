//! `frames.json`: messages and frames, byte for byte.

use std::path::Path;

use bytes::Bytes;
use serde_json::Value;

use crate::event::Event;
use crate::message::{FrameHeader, HmacHash, Message, RawMessage, Signer, put_frame};

use super::json::{self, bytes_of, cases, plain_field, text};
use super::{Report, same};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "encodings") {
        let name = format!("frames/encodings/{}", text(case, "name"));
        report.judge(name, encoding(case));
    }
    for (index, case) in cases(file, "signed").enumerate() {
        report.judge(format!("frames/signed/{index}"), signed(case));
    }
    for case in cases(file, "limits") {
        report.judge(format!("frames/limits/{}", text(case, "name")), limit(case));
    }
    for case in cases(file, "headers") {
        report.judge(
            format!("frames/headers/{}", text(case, "name")),
            header(case),
        );
    }
}

fn encoding(case: &Value) -> Result<(), String> {
    let wire = bytes_of(case, "input_wire");
    let decoded = Message::decode(&wire);
    let indexed = RawMessage::new(wire.clone());
    if case.get("unmarshal_error").is_some() {
        same("decodes", &decoded.is_ok(), &false)?;
        return same("indexes", &indexed.is_ok(), &false);
    }
    let message = decoded.map_err(|error| error.to_string())?;
    let raw = Event::from(indexed.map_err(|error| error.to_string())?);
    compare(&raw, &case["message"])?;
    compare(&Event::from(message.clone()), &case["message"])?;
    same(
        "encoded",
        &Bytes::from(message.to_bytes()),
        &bytes_of(case, "reencoded"),
    )?;
    let mut frame = Vec::new();
    put_frame(&mut frame, &message.to_bytes(), None, 65536).map_err(|e| e.to_string())?;
    same("frame", &Bytes::from(frame), &bytes_of(case, "frame"))
}

/// Compares what a reader sees with the recorded message.
fn compare(event: &Event, recorded: &Value) -> Result<(), String> {
    let wanted = json::message(recorded);
    let wanted_event = Event::from(wanted.clone());
    let seen = |event: &Event| {
        (
            event.uuid().map(Bytes::copy_from_slice),
            event.timestamp(),
            Bytes::copy_from_slice(event.kind()),
            Bytes::copy_from_slice(event.logger()),
            event.severity(),
            Bytes::copy_from_slice(event.payload()),
            Bytes::copy_from_slice(event.env_version()),
            event.pid(),
            Bytes::copy_from_slice(event.hostname()),
        )
    };
    same("headers", &seen(event), &seen(&wanted_event))?;
    let known = |event: &Event| -> Vec<_> {
        let known = event
            .fields()
            .filter(|field| (0..=4).contains(&field.value_type().0));
        known.map(plain_field).collect()
    };
    // A type that heka does not know is recorded as `unknown_9`.
    if recorded["fields"].to_string().contains("unknown_") {
        return Ok(());
    }
    same("fields", &known(event), &known(&wanted_event))
}

fn signer(json: &Value) -> Signer {
    Signer {
        name: text(json, "name").to_owned(),
        version: json["version"].as_u64().unwrap_or(0) as u32,
        hash: HmacHash::from_setting(text(json, "hmac_hash")),
        key: text(json, "hmac_key").as_bytes().to_vec(),
    }
}

fn signed(case: &Value) -> Result<(), String> {
    let body = bytes_of(case, "body");
    let mut frame = Vec::new();
    let made = put_frame(&mut frame, &body, Some(&signer(&case["signer"])), 65536);
    match case.get("frame_base64") {
        None => same("signs", &made.is_ok(), &false),
        Some(_) => {
            made.map_err(|error| error.to_string())?;
            same("frame", &Bytes::from(frame), &bytes_of(case, "frame"))
        }
    }
}

fn limit(case: &Value) -> Result<(), String> {
    let size = |key: &str| case[key].as_u64().map(|n| n as usize);
    let body = vec![b'x'; size("body_length").unwrap_or(0)];
    let signer = size("signer_name_length").map(|len| Signer {
        name: "x".repeat(len),
        version: 0,
        hash: HmacHash::Md5,
        key: b"k".to_vec(),
    });
    let mut frame = Vec::new();
    let made = put_frame(
        &mut frame,
        &body,
        signer.as_ref(),
        size("max_message_size").unwrap_or(0),
    );
    match size("frame_length") {
        Some(length) => {
            made.map_err(|error| error.to_string())?;
            same("frame length", &frame.len(), &length)
        }
        None => same("frames", &made.is_ok(), &false),
    }
}

fn header(case: &Value) -> Result<(), String> {
    let bytes = bytes_of(case, "header_with_unit_separator");
    let header = &case["header"];
    let decoded = match bytes.split_last() {
        Some((0x1f, header)) => FrameHeader::decode(header).ok(),
        _ => None,
    };
    let within = decoded.filter(|header| header.message_length <= 65536);
    same("decodes", &within.is_some(), &(case["decoded"] == true))?;
    let length = header["message_length"].as_u64().unwrap_or(0) as u32;
    match decoded {
        Some(decoded) if within.is_some() => {
            same("length", &decoded.message_length, &length)?;
            same(
                "signer",
                &decoded.signer.map(Bytes::copy_from_slice),
                &json::bytes(&header["hmac_signer"]),
            )?;
            let hash = header["hmac_hash_function"].as_i64().map(|n| n as i32);
            same("hash", &decoded.hash, &hash)
        }
        _ => Ok(()),
    }
}
