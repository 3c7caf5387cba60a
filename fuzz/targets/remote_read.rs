//! Requests of remote read, and frames of its answers.
#![no_main]

use headwater_wire::{chunked, read, snappy};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut plain = Vec::new();
    if snappy::decompress(data, 1 << 20, &mut plain).is_ok() {
        let _ = read::decode(&plain);
    }
    let _ = read::decode(data);
    let mut stream = data;
    while let Ok(Some(_)) = chunked::next_frame(&mut stream, 1 << 16) {}
});
