//! Segments of the log in both framings: the first byte chooses one.
#![no_main]

use headwater_wal::{Compression, Framing, SegmentDecoder};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Some((choice, segment)) = data.split_first() else { return };
    let framing = if choice % 2 == 0 { Framing::Frames } else { Framing::Pages(Compression::Snappy) };
    let mut decoder = SegmentDecoder::new(framing, 0, segment);
    while decoder.next_record().is_some() {}
    let _ = decoder.damage();
});
