//! Records of the write-ahead log, read to their last entry.
#![no_main]

use headwater_blockfmt::record::Record;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let Ok(record) = Record::parse(data) else { return };
    let mut labels = Vec::new();
    match record {
        Record::Series(mut entries) => while let Ok(Some(_)) = entries.next_into(&mut labels) {},
        Record::Exemplars(mut entries) => while let Ok(Some(_)) = entries.next_into(&mut labels) {},
        Record::Samples(entries) => entries.for_each(drop),
        Record::Tombstones(entries) => entries.for_each(drop),
        Record::MmapMarkers(entries) => entries.for_each(drop),
        Record::Metadata(entries) => entries.for_each(drop),
        Record::Histograms(entries) => entries.for_each(drop),
        Record::FloatHistograms(entries) => entries.for_each(drop),
        _ => {}
    }
});
