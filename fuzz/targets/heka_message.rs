//! Messages as they come off the wire; what decodes is decoded to its last field.
#![no_main]

use headwater_pipeline::message::RawMessage;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    if let Ok(raw) = RawMessage::new(bytes::Bytes::copy_from_slice(data)) {
        let _ = raw.to_message();
    }
});
