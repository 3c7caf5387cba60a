//! `splitters.json`, and the streams of `frames.json`: bytes to records.

use std::io::Read;
use std::path::Path;

use bytes::Bytes;
use flate2::read::GzDecoder;
use serde_json::Value;

use crate::config::{Config, Plan};
use crate::message::{Message, record_max};
use crate::plugin::{BuildContext, Content, Splitter, cut};

use super::json::{self, bytes_of, cases, text};
use super::{Report, same};

/// Read sizes under which records must be the same.
const READS: [usize; 4] = [usize::MAX, 1, 5, 64];

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        report.judge(format!("splitters/{}", text(case, "name")), records(case));
    }
}

pub(super) fn run_streams(file: &Value, dir: &Path, report: &mut Report) {
    for case in cases(file, "streams") {
        let name = format!("frames/streams/{}", text(case, "name"));
        report.judge(name, stream(case, dir));
    }
}

/// A splitter of this type with these settings.
fn splitter(kind: &str, settings: &str, message_max: u64) -> Result<Box<dyn Splitter>, String> {
    let mut config = format!("[hekad]\nmax_message_size = {message_max}\n[S]\ntype = \"{kind}\"\n");
    // Tables of a section are written without its name.
    config.push_str(&settings.replace("[signer.", "[S.signer."));
    let config = Config::from_text("splitter", &config).map_err(|e| e.to_string())?;
    let plan = Plan::new(&config, &crate::plugins::registry()).map_err(|e| e.to_string())?;
    let cx = BuildContext::new("S", &plan.globals, &plan.services, &plan.parts, None);
    let part = plan.parts.splitters.get("S").ok_or("no splitter")?;
    (part.make)(&cx).map_err(|error| error.to_string())
}

struct Cuts {
    /// Offset in the stream and content of each record.
    records: Vec<(usize, Bytes)>,
    left: Bytes,
}

fn cut_all(
    splitter: &mut dyn Splitter,
    input: &[u8],
    read: usize,
    record_max: usize,
    keep_truncated: bool,
) -> Cuts {
    let mut records = Vec::new();
    let mut buffer: Vec<u8> = Vec::new();
    let mut base = 0;
    let mut found = Vec::new();
    let mut pass = |buffer: &mut Vec<u8>, end: bool| {
        found.clear();
        let cut = cut(
            splitter,
            buffer,
            end,
            record_max,
            keep_truncated,
            &mut found,
        );
        for &(start, stop) in &found {
            records.push((base + start, Bytes::copy_from_slice(&buffer[start..stop])));
        }
        base += cut.used;
        buffer.drain(..cut.used);
    };
    for chunk in input.chunks(read.min(input.len().max(1))) {
        buffer.extend_from_slice(chunk);
        pass(&mut buffer, false);
    }
    pass(&mut buffer, true);
    Cuts {
        records,
        left: buffer.into(),
    }
}

fn records(case: &Value) -> Result<(), String> {
    let kind = text(case, "splitter");
    let message_max = case["max_message_size"].as_u64().unwrap_or(65536);
    let built = splitter(kind, text(case, "config"), message_max);
    if case.get("init_error").is_some() {
        return same("builds", &built.is_ok(), &false);
    }
    let mut splitter = built?;
    let input = bytes_of(case, "input");
    let expected = &case["expected"];
    let wanted: Vec<Bytes> = cases(expected, "records").filter_map(json::bytes).collect();
    // What a NullSplitter returns is whatever one read brought; the recorded
    // one filled its buffer.
    let null = kind == "NullSplitter";
    let buffer = case["min_buffer_size"].as_u64().unwrap_or(65536) as usize;
    let reads = if null { vec![buffer] } else { READS.to_vec() };
    for read in reads {
        let cuts = cut_all(
            &mut *splitter,
            &input,
            read,
            record_max(message_max as usize),
            case["keep_truncated"] == true,
        );
        let got: Vec<Bytes> = cuts.records.into_iter().map(|(_, record)| record).collect();
        same(&format!("records at reads of {read}"), &got, &wanted)?;
        let left = json::bytes(&expected["remaining_at_eof"]).unwrap_or_default();
        same("left", &cuts.left, &left)?;
    }
    Ok(())
}

fn stream(case: &Value, dir: &Path) -> Result<(), String> {
    let input = match text(case, "stream_gzip_file") {
        "" => bytes_of(case, "stream"),
        file => unzipped(&dir.join(file))?,
    };
    let message_max = case["max_message_size"].as_u64().unwrap_or(65536);
    let settings = text(case, "splitter_config");
    let mut splitter = splitter("HekaFramingSplitter", settings, message_max)?;
    for read in [usize::MAX, 977, 7] {
        let max = record_max(message_max as usize);
        let cuts = cut_all(&mut *splitter, &input, read, max, false);
        same(
            "left",
            &(cuts.left.len() as u64),
            &case["bytes_left_at_eof"].as_u64().unwrap_or(0),
        )?;
        let wanted: Vec<&Value> = cases(case, "records").collect();
        same("records", &cuts.records.len(), &wanted.len())?;
        for ((offset, record), wanted) in cuts.records.iter().zip(wanted) {
            framed(&mut *splitter, *offset, record, wanted, case)?;
        }
    }
    Ok(())
}

fn framed(
    splitter: &mut dyn Splitter,
    offset: usize,
    record: &Bytes,
    wanted: &Value,
    case: &Value,
) -> Result<(), String> {
    same(
        "offset",
        &(offset as u64),
        &wanted["offset"].as_u64().unwrap_or(0),
    )?;
    same(
        "length",
        &(record.len() as u64),
        &wanted["length"].as_u64().unwrap_or(0),
    )?;
    let rejected = wanted["rejected_by_authentication"] == true;
    match splitter.content(record.clone()) {
        Content::Rejected => same("rejected", &true, &rejected),
        Content::Payload(_) => Err("a frame holds a message".to_owned()),
        Content::Message {
            bytes,
            start,
            signer,
        } => {
            same("rejected", &false, &rejected)?;
            same(
                "signer",
                &signer.as_deref().unwrap_or(""),
                &text(wanted, "signer"),
            )?;
            let decoded = Message::decode(&bytes.slice(start..));
            // heka-cat told which bodies are no messages.
            let told = format!("unmarshalling message at offset: {offset} ");
            if case["heka_cat"].to_string().contains(&told) {
                return same("decodes", &decoded.is_ok(), &false);
            }
            let message = decoded.map_err(|error| error.to_string())?;
            match text(wanted, "payload") {
                brief if brief.starts_with('(') => Ok(()),
                _ => same(
                    "payload",
                    &message.payload,
                    &json::bytes(&wanted["payload"]),
                ),
            }
        }
    }
}

fn unzipped(path: &Path) -> Result<Bytes, String> {
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut bytes = Vec::new();
    GzDecoder::new(file)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    Ok(bytes.into())
}
