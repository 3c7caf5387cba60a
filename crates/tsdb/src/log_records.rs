//! The records of a batch, in Prometheus's format.

use std::sync::Arc;

use headwater_blockfmt::record::{
    ExemplarEntry, ExemplarsWriter, FloatHistogramsWriter, HistogramsWriter, MetadataWriter,
    SampleEntry, SamplesWriter, SeriesWriter,
};
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{FloatHistogram, Histogram};

use crate::head::contents::{Contents, Entry, Section, Starts};

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
    let starts = &section.float_starts;
    for (nth, floats) in section.floats.chunks(RECORD_ENTRIES).enumerate() {
        // Twelve bytes are usual: a difference of references, one of times
        // in a byte or two, the value.
        let mut record = Vec::with_capacity(32 + 12 * floats.len());
        let mut writer = match starts.any() {
            true => SamplesWriter::with_starts(&mut record),
            false => SamplesWriter::new(&mut record),
        };
        writer.extend(floats.iter().enumerate().map(|(at, entry)| SampleEntry {
            reference: entry.log_ref,
            time: entry.time,
            start: starts.at(nth * RECORD_ENTRIES + at),
            value: entry.value,
        }));
        records.push(record);
    }
    encode_integers(&section.integers, &section.integer_starts, records);
    encode_float_histograms(
        &section.float_histograms,
        &section.float_histogram_starts,
        records,
    );
}

/// The types of records that histograms go to: without start timestamps, those
/// with custom bounds have one of their own.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Type {
    Plain,
    Custom,
    WithStarts,
}

impl Type {
    fn of(schema: i32, starts: &Starts) -> Type {
        match (starts.any(), schema == CUSTOM_BUCKETS_SCHEMA) {
            (true, _) => Type::WithStarts,
            (false, true) => Type::Custom,
            (false, false) => Type::Plain,
        }
    }
}

fn encode_integers(entries: &[Entry<Arc<Histogram>>], starts: &Starts, records: &mut Vec<Vec<u8>>) {
    for kind in [Type::Plain, Type::Custom, Type::WithStarts] {
        let mut record = Vec::new();
        let mut writer = match kind {
            Type::Plain => HistogramsWriter::new(&mut record),
            Type::Custom => HistogramsWriter::custom(&mut record),
            Type::WithStarts => HistogramsWriter::with_starts(&mut record),
        };
        let mut any = false;
        for (at, entry) in entries.iter().enumerate() {
            if Type::of(entry.value.schema, starts) == kind {
                writer.push(entry.log_ref, entry.time, starts.at(at), &entry.value);
                any = true;
            }
        }
        if any {
            records.push(record);
        }
    }
}

fn encode_float_histograms(
    entries: &[Entry<Arc<FloatHistogram>>],
    starts: &Starts,
    records: &mut Vec<Vec<u8>>,
) {
    for kind in [Type::Plain, Type::Custom, Type::WithStarts] {
        let mut record = Vec::new();
        let mut writer = match kind {
            Type::Plain => FloatHistogramsWriter::new(&mut record),
            Type::Custom => FloatHistogramsWriter::custom(&mut record),
            Type::WithStarts => FloatHistogramsWriter::with_starts(&mut record),
        };
        let mut any = false;
        for (at, entry) in entries.iter().enumerate() {
            if Type::of(entry.value.schema, starts) == kind {
                writer.push(entry.log_ref, entry.time, starts.at(at), &entry.value);
                any = true;
            }
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
