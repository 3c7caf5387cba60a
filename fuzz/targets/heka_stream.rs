//! heka's frames in a stream of anything: every record that is found lies where it is said to,
//! and what it holds is decoded.
#![no_main]

use headwater_pipeline::message::{RawMessage, Verifier, record_max};
use headwater_pipeline::plugin::{Content, Splitter, cut};
use headwater_pipeline::plugins::splitters::HekaFramingSplitter;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let bytes = bytes::Bytes::copy_from_slice(data);
    let mut splitter = HekaFramingSplitter::new(Verifier::default(), 1024);
    let mut found = Vec::new();
    let cut = cut(&mut splitter, &bytes, true, record_max(1024), false, &mut found);
    assert!(cut.used <= bytes.len());
    for (start, end) in found {
        if let Content::Message { bytes, start, .. } = splitter.content(bytes.slice(start..end))
            && let Ok(raw) = RawMessage::within(bytes, start)
        {
            let _ = raw.to_message();
        }
    }
});
