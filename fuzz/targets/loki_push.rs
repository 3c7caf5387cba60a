//! Pushed bodies in every format and encoding.
#![no_main]

use headwater_logs::push::{OtlpConfig, Sent, decode, decode_otlp, parse_labels};
use libfuzzer_sys::fuzz_target;

const TYPES: [&str; 2] = ["application/json", "application/x-protobuf"];
const ENCODINGS: [&str; 6] = ["", "gzip", "deflate", "snappy", "zstd", "lz4"];
/// Bytes of a body once decompressed.
const MAX_DECOMPRESSED: usize = 1 << 20;

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    let choice = usize::from(*choice);
    let sent = Sent {
        content_type: Some(TYPES[choice % TYPES.len()]),
        encoding: Some(ENCODINGS[choice / TYPES.len() % ENCODINGS.len()]),
        body,
        max_decompressed: MAX_DECOMPRESSED,
    };
    let _ = decode(sent);
    let _ = decode_otlp(sent, &OtlpConfig::default(), 0);
    if let Ok(labels) = parse_labels(body) {
        assert_eq!(parse_labels(labels.to_string().as_bytes()), Ok(labels));
    }
});
