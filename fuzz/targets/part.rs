//! Parts of the log store, every column of every block.
#![no_main]

use headwater_chunkstore::part::{Column, Part, Probe, Rows};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(part) = Part::open(bytes::Bytes::copy_from_slice(data)) else { return };
    let (mut rows, probe) = (Rows::default(), Probe::new(b" needle 0123456789ab"));
    for block in part.blocks() {
        let _ = part.read(block, &Column::ALL, &mut rows);
        let _ = part.may_contain(block, &probe);
    }
});
