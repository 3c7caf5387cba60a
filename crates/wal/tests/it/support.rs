use std::path::Path;
use std::sync::Arc;

use headwater_env::{FaultyFiles, Files};
use headwater_wal::{Framing, SegmentDecoder, list_segments, segment_path};

pub(crate) const DIR: &str = "log";

pub(crate) fn shared(disk: &FaultyFiles) -> Arc<dyn Files> {
    Arc::new(disk.clone())
}

/// All records at rest in the log's directory, damage skipped.
pub(crate) fn records(files: &dyn Files, framing: Framing) -> Vec<Vec<u8>> {
    let mut out = Vec::new();
    for segment in list_segments(files, Path::new(DIR)).unwrap() {
        let bytes = files.map(&segment_path(Path::new(DIR), segment)).unwrap();
        let mut decoder = SegmentDecoder::new(framing, segment, &bytes);
        while let Some(record) = decoder.next_record() {
            out.push(record.to_vec());
        }
    }
    out
}

/// Record number `i`: it says which it is, and lengths vary.
pub(crate) fn record(i: usize) -> Vec<u8> {
    let mut out = format!("record {i} ").into_bytes();
    out.resize(out.len() + (i * 7919) % 3000, i as u8);
    out
}
