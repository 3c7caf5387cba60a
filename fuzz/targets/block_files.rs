//! The smaller files of a data directory: the first byte chooses one. Where a checksum would
//! keep the fuzzer out, it is put behind the input.
#![no_main]

use headwater_blockfmt::snapshot::SnapshotRecord;
use headwater_blockfmt::{head_chunks, meta, segment, tombstones};
use libfuzzer_sys::fuzz_target;

fn with_checksum(header: &[u8], body: &[u8]) -> Vec<u8> {
    let mut file = header.to_vec();
    file.extend(body);
    file.extend(crc32c::crc32c(body).to_be_bytes());
    file
}

fuzz_target!(|data: &[u8]| {
    let Some((choice, body)) = data.split_first() else { return };
    match choice % 5 {
        0 => {
            let file = with_checksum(&head_chunks::header(), body);
            head_chunks::chunks(&file).unwrap().for_each(drop);
        }
        1 => drop(segment::read_chunk(body, 0)),
        2 => {
            let file = with_checksum(&[0x01, 0x30, 0xba, 0x30, 1], body);
            if let Ok(entries) = tombstones::decode(&file) {
                assert_eq!(tombstones::decode(&tombstones::encode(entries.clone())).unwrap(), entries);
            }
        }
        3 => {
            if let Ok(meta) = meta::BlockMeta::decode(body) {
                assert_eq!(meta::BlockMeta::decode(&meta.encode()).unwrap(), meta);
            }
        }
        _ => {
            if let Ok(SnapshotRecord::Exemplars(mut exemplars)) = SnapshotRecord::parse(body) {
                let mut labels = Vec::new();
                while let Ok(Some(_)) = exemplars.next_into(&mut labels) {}
            }
        }
    }
});
