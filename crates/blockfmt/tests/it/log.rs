//! Records of write-ahead logs, out-of-order logs, checkpoints and chunk snapshots.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_blockfmt::record::{
    ExemplarsWriter, FloatHistogramsWriter, HistogramsWriter, MetadataWriter, MmapMarkersWriter,
    Record, RecordType, SamplesWriter, SeriesWriter, TombstonesWriter,
};
use headwater_blockfmt::snapshot::{self, SnapshotRecord};
use headwater_model::{Labels, Metadata};

use crate::corpora::{data_directories, files, folders, name};

const PAGE: usize = 32 * 1024;

/// Records of a folder of segments. The log's own crate does this with care; here it is enough
/// to follow sound files.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    let (mut records, mut record) = (Vec::new(), Vec::new());
    for file in files(folder) {
        for page in std::fs::read(file).unwrap().chunks(PAGE) {
            let mut rest = page;
            while let Some((head, body)) = rest.split_first_chunk::<7>() {
                let [kind, high, low, ..] = *head;
                if kind == 0 {
                    break;
                }
                let (fragment, after) = body.split_at(u16::from_be_bytes([high, low]).into());
                record.extend_from_slice(fragment);
                if matches!(kind & 7, 1 | 4) {
                    records.push(decompress(kind, &std::mem::take(&mut record)));
                }
                rest = after;
            }
        }
    }
    records
}

fn decompress(kind: u8, record: &[u8]) -> Vec<u8> {
    match kind & 0b1_1000 {
        0b0_1000 => snap::raw::Decoder::new().decompress_vec(record).unwrap(),
        0b1_0000 => zstd::bulk::decompress(record, 1 << 24).unwrap(),
        _ => record.to_vec(),
    }
}

fn logs(directory: &Path) -> Vec<std::path::PathBuf> {
    let wal = directory.join("wal");
    let mut logs = folders(&wal);
    logs.extend([wal, directory.join("wbl")]);
    logs
}

/// Reads a record and writes it again.
fn rewrite(record: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    let record_type = RecordType::from_number(record[0]).unwrap();
    let with_starts = record_type.number() > 10;
    let custom = matches!(
        record_type,
        RecordType::CustomHistograms | RecordType::CustomFloatHistograms
    );
    let mut pairs = Vec::new();
    match Record::parse(record).unwrap() {
        Record::Series(mut series) => {
            let mut writer = SeriesWriter::new(&mut out);
            while let Some(reference) = series.next_into(&mut pairs).unwrap() {
                writer.push(reference, &Labels::from_pairs(pairs.iter().copied()));
            }
        }
        Record::Samples(samples) => {
            let mut writer = if with_starts {
                SamplesWriter::with_starts(&mut out)
            } else {
                SamplesWriter::new(&mut out)
            };
            samples.for_each(|sample| writer.push(sample.unwrap()));
        }
        Record::Tombstones(tombstones) => {
            let mut writer = TombstonesWriter::new(&mut out);
            for entry in tombstones {
                let entry = entry.unwrap();
                writer.push(entry.reference, entry.range.start, entry.range.end);
            }
        }
        Record::Exemplars(mut exemplars) => {
            let mut writer = ExemplarsWriter::new(&mut out);
            while let Some(exemplar) = exemplars.next_into(&mut pairs).unwrap() {
                writer.push(exemplar, &Labels::from_pairs(pairs.iter().copied()));
            }
        }
        Record::MmapMarkers(markers) => {
            let mut writer = MmapMarkersWriter::new(&mut out);
            markers.for_each(|marker| writer.push(marker.unwrap()));
        }
        Record::Metadata(entries) => {
            let mut writer = MetadataWriter::new(&mut out);
            for entry in entries {
                let entry = entry.unwrap();
                let metadata = Metadata {
                    metric_type: entry.metric_type,
                    unit: entry.unit.into(),
                    help: entry.help.into(),
                };
                writer.push(entry.reference, &metadata);
            }
        }
        Record::Histograms(histograms) => {
            let mut writer = match (with_starts, custom) {
                (true, _) => HistogramsWriter::with_starts(&mut out),
                (_, true) => HistogramsWriter::custom(&mut out),
                _ => HistogramsWriter::new(&mut out),
            };
            for entry in histograms {
                let entry = entry.unwrap();
                writer.push(entry.reference, entry.time, entry.start, &entry.histogram);
            }
        }
        Record::FloatHistograms(histograms) => {
            let mut writer = match (with_starts, custom) {
                (true, _) => FloatHistogramsWriter::with_starts(&mut out),
                (_, true) => FloatHistogramsWriter::custom(&mut out),
                _ => FloatHistogramsWriter::new(&mut out),
            };
            for entry in histograms {
                let entry = entry.unwrap();
                writer.push(entry.reference, entry.time, entry.start, &entry.histogram);
            }
        }
        other => panic!("unexpected {other:?}"),
    }
    out
}

#[test]
fn every_record_is_read_and_written_alike() {
    for (directory, path) in data_directories() {
        let mut seen: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for record in logs(&path).iter().flat_map(|log| records(log)) {
            let kind = RecordType::from_number(record[0]).unwrap();
            let same = rewrite(&record) == record;
            let counts = seen.entry(kind.as_str()).or_default();
            counts.0 += 1;
            counts.1 += usize::from(same);
            // Prometheus takes the base of an exponential record from a histogram that it then
            // moves to the record for custom bounds.
            let free = matches!(kind, RecordType::Histograms | RecordType::FloatHistograms);
            assert!(same || free, "{directory}: {}", kind.as_str());
        }
        println!("{directory}: records, and those equal byte by byte: {seen:?}");
        assert!(seen.len() >= 3, "{directory}");
    }
}

#[test]
fn every_snapshot_record_is_read_and_written_alike() {
    for (directory, path) in data_directories() {
        for snapshot in folders(&path)
            .iter()
            .filter(|path| name(path).starts_with("chunk_snapshot."))
        {
            let mut kinds = [0; 3];
            for record in records(snapshot) {
                let mut out = Vec::new();
                match SnapshotRecord::parse(&record).unwrap() {
                    SnapshotRecord::Series(series) => {
                        let labels = Labels::from_pairs(series.labels);
                        snapshot::put_series(
                            &mut out,
                            series.reference,
                            &labels,
                            series.chunk.as_ref(),
                        );
                        kinds[0] += 1;
                    }
                    SnapshotRecord::Tombstones(entries) => {
                        snapshot::put_tombstones(&mut out, entries);
                        kinds[1] += 1;
                    }
                    SnapshotRecord::Exemplars(mut exemplars) => {
                        let (mut pairs, mut all) = (Vec::new(), Vec::new());
                        while let Some(exemplar) = exemplars.next_into(&mut pairs).unwrap() {
                            all.push((exemplar, Labels::from_pairs(pairs.iter().copied())));
                        }
                        snapshot::put_exemplars(
                            &mut out,
                            all.iter().map(|(exemplar, labels)| (*exemplar, labels)),
                        );
                        kinds[2] += 1;
                    }
                    other => panic!("unexpected {other:?}"),
                }
                assert_eq!(out, record, "{directory}");
            }
            println!("{directory}: {kinds:?} records of series, tombstones, exemplars");
            assert!(kinds.iter().all(|&count| count > 0), "{directory}");
        }
    }
}
