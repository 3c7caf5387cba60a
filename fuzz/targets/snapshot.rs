//! Records of chunk snapshots: what is read can be written and read again, and is the same.
#![no_main]

use headwater_blockfmt::snapshot::{SnapshotRecord, put_series, put_tombstones};
use headwater_blockfmt::{Encoding, decode};
use headwater_model::{Labels, SeriesColumns, TimeRange};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|data: &[u8]| {
    let mut again = Vec::new();
    match SnapshotRecord::parse(data) {
        Ok(SnapshotRecord::Series(series)) => {
            if let Some(chunk) = &series.chunk {
                let mut columns = SeriesColumns::default();
                let _ = decode(chunk.encoding, chunk.data, TimeRange::ALL, &mut columns);
            }
            let labels = Labels::from_pairs(series.labels.iter().copied());
            put_series(&mut again, series.reference, &labels, series.chunk.as_ref());
            let Ok(SnapshotRecord::Series(same)) = SnapshotRecord::parse(&again) else {
                panic!("a series is lost");
            };
            let histograms = series.chunk.as_ref().is_some_and(|chunk| {
                !matches!(chunk.encoding, Encoding::Xor | Encoding::Xor2)
            });
            // Histograms may have sums that are NaN, which equal nothing.
            assert!(histograms || format!("{:?}", same.chunk) == format!("{:?}", series.chunk));
        }
        Ok(SnapshotRecord::Tombstones(entries)) => {
            put_tombstones(&mut again, entries.clone());
            let Ok(SnapshotRecord::Tombstones(same)) = SnapshotRecord::parse(&again) else {
                panic!("tombstones are lost");
            };
            assert_eq!(same, entries);
        }
        Ok(SnapshotRecord::Exemplars(mut exemplars)) => {
            let mut labels = Vec::new();
            while let Ok(Some(_)) = exemplars.next_into(&mut labels) {}
        }
        _ => {}
    }
});
