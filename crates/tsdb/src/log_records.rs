//! The records of a batch, in Prometheus's format.

use std::sync::Arc;

use headwater_blockfmt::record::{
    ExemplarEntry, ExemplarsWriter, FloatHistogramsWriter, HistogramsWriter, MetadataWriter,
    SampleEntry, SamplesWriter, SeriesWriter,
};
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{FloatHistogram, Histogram};

use crate::head::contents::{Contents, Entry, Section};

/// Entries of one record at most: a reader holds a record in memory, and
/// damage costs records.
const RECORD_ENTRIES: usize = 16 << 10;

/// The records of a batch, in the order in which a replay needs them.
pub(crate) fn encode(contents: &Contents) -> Vec<Vec<u8>> {
    let mut records = Vec::new();
    encode_series(contents, &mut records);
    encode_metadata(contents, &mut records);
    for section in &contents.sections {
        encode_section(section, &mut records);
    }
    encode_exemplars(contents, &mut records);
    records
}

fn encode_series(contents: &Contents, records: &mut Vec<Vec<u8>>) {
    for series in contents.new_series.chunks(RECORD_ENTRIES) {
        let mut record = Vec::new();
        let mut writer = SeriesWriter::new(&mut record);
        for (log_ref, labels) in series {
            writer.push(*log_ref, labels);
        }
        records.push(record);
    }
}

/// The records of the samples of a section, kind by kind.
pub(crate) fn encode_section(section: &Section, records: &mut Vec<Vec<u8>>) {
    for floats in section.floats.chunks(RECORD_ENTRIES) {
        // Twelve bytes are usual: a difference of references, one of times
        // in a byte or two, the value.
        let mut record = Vec::with_capacity(32 + 12 * floats.len());
        let mut writer = SamplesWriter::new(&mut record);
        for entry in floats {
            writer.push(SampleEntry {
                reference: entry.log_ref,
                time: entry.time,
                start: 0,
                value: entry.value,
            });
        }
        records.push(record);
    }
    encode_integers(&section.integers, records);
    encode_float_histograms(&section.float_histograms, records);
}

fn encode_integers(entries: &[Entry<Arc<Histogram>>], records: &mut Vec<Vec<u8>>) {
    for custom in [false, true] {
        let mut record = Vec::new();
        let mut writer = match custom {
            true => HistogramsWriter::custom(&mut record),
            false => HistogramsWriter::new(&mut record),
        };
        let of_this_type = entries
            .iter()
            .filter(|e| (e.value.schema == CUSTOM_BUCKETS_SCHEMA) == custom);
        let mut any = false;
        for entry in of_this_type {
            writer.push(entry.log_ref, entry.time, 0, &entry.value);
            any = true;
        }
        if any {
            records.push(record);
        }
    }
}

fn encode_float_histograms(entries: &[Entry<Arc<FloatHistogram>>], records: &mut Vec<Vec<u8>>) {
    for custom in [false, true] {
        let mut record = Vec::new();
        let mut writer = match custom {
            true => FloatHistogramsWriter::custom(&mut record),
            false => FloatHistogramsWriter::new(&mut record),
        };
        let of_this_type = entries
            .iter()
            .filter(|e| (e.value.schema == CUSTOM_BUCKETS_SCHEMA) == custom);
        let mut any = false;
        for entry in of_this_type {
            writer.push(entry.log_ref, entry.time, 0, &entry.value);
            any = true;
        }
        if any {
            records.push(record);
        }
    }
}

fn encode_exemplars(contents: &Contents, records: &mut Vec<Vec<u8>>) {
    for exemplars in contents.exemplars.chunks(RECORD_ENTRIES) {
        let mut record = Vec::new();
        let mut writer = ExemplarsWriter::new(&mut record);
        for entry in exemplars {
            let (_, exemplar) = &entry.value;
            let head = ExemplarEntry {
                reference: entry.log_ref,
                time: entry.time,
                value: exemplar.value,
            };
            writer.push(head, &exemplar.labels);
        }
        records.push(record);
    }
}

fn encode_metadata(contents: &Contents, records: &mut Vec<Vec<u8>>) {
    for entries in contents.metadata.chunks(RECORD_ENTRIES) {
        let mut record = Vec::new();
        let mut writer = MetadataWriter::new(&mut record);
        for entry in entries {
            writer.push(entry.log_ref, &entry.value);
        }
        records.push(record);
    }
}
