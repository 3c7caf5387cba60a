//! Metadata records, type 6.

use headwater_model::{Metadata, MetricType};

use super::{RecordType, SeriesRef};
use crate::error::DecodeError;
use crate::input::{Input, put_text, put_uvarint};

const UNIT: &str = "UNIT";
const HELP: &str = "HELP";

/// Type, unit and help of one series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MetadataEntry<'a> {
    /// The series.
    pub reference: SeriesRef,
    /// The metric's type.
    pub metric_type: MetricType,
    /// The unit; often empty.
    pub unit: &'a str,
    /// One sentence for people; may be empty.
    pub help: &'a str,
}

/// The metadata of a record.
#[derive(Clone, Debug)]
pub struct MetadataEntries<'a> {
    input: Input<'a>,
}

impl<'a> MetadataEntries<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input }
    }

    fn read(&mut self) -> Result<MetadataEntry<'a>, DecodeError> {
        let reference = self.input.uvarint()?;
        let metric_type = metric_type(self.input.byte()?);
        let (mut unit, mut help) = ("", "");
        // A field has two lengths. Fields of other names are skipped: newer writers may have more.
        for _ in 0..self.input.count(2)? {
            let (name, text) = (self.input.text()?, self.input.text()?);
            match name {
                UNIT => unit = text,
                HELP => help = text,
                _ => {}
            }
        }
        Ok(MetadataEntry {
            reference,
            metric_type,
            unit,
            help,
        })
    }
}

impl<'a> Iterator for MetadataEntries<'a> {
    type Item = Result<MetadataEntry<'a>, DecodeError>;

    /// After an error, nothing follows.
    fn next(&mut self) -> Option<Self::Item> {
        if self.input.is_empty() {
            return None;
        }
        let entry = self.read();
        if entry.is_err() {
            self.input.end();
        }
        Some(entry)
    }
}

/// Writes a metadata record.
#[derive(Debug)]
pub struct MetadataWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> MetadataWriter<'a> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(RecordType::Metadata.number());
        Self { out }
    }

    /// Adds the metadata of a series.
    pub fn push(&mut self, reference: SeriesRef, metadata: &Metadata) {
        put_uvarint(self.out, reference);
        self.out.push(number(metadata.metric_type));
        put_uvarint(self.out, 2);
        for text in [UNIT, &metadata.unit, HELP, &metadata.help] {
            put_text(self.out, text);
        }
    }
}

fn number(metric_type: MetricType) -> u8 {
    match metric_type {
        MetricType::Unknown => 0,
        MetricType::Counter => 1,
        MetricType::Gauge => 2,
        MetricType::Histogram => 3,
        MetricType::GaugeHistogram => 4,
        MetricType::Summary => 5,
        MetricType::Info => 6,
        MetricType::StateSet => 7,
    }
}

fn metric_type(number: u8) -> MetricType {
    match number {
        1 => MetricType::Counter,
        2 => MetricType::Gauge,
        3 => MetricType::Histogram,
        4 => MetricType::GaugeHistogram,
        5 => MetricType::Summary,
        6 => MetricType::Info,
        7 => MetricType::StateSet,
        _ => MetricType::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    #[test]
    fn metadata_comes_back_and_other_fields_are_skipped() {
        let mut out = Vec::new();
        let metadata = Metadata {
            metric_type: MetricType::Counter,
            unit: "s".into(),
            help: "h".into(),
        };
        MetadataWriter::new(&mut out).push(300, &metadata);
        assert_eq!(out, *b"\x06\xac\x02\x01\x02\x04UNIT\x01s\x04HELP\x01h");
        out.extend(*b"\x05\x07\x02\x03NEW\x01x\x04HELP\x01y");
        let Record::Metadata(entries) = Record::parse(&out).unwrap() else {
            panic!("metadata")
        };
        let entries: Vec<_> = entries.map(Result::unwrap).collect();
        let expected = [
            MetadataEntry {
                reference: 300,
                metric_type: MetricType::Counter,
                unit: "s",
                help: "h",
            },
            MetadataEntry {
                reference: 5,
                metric_type: MetricType::StateSet,
                unit: "",
                help: "y",
            },
        ];
        assert_eq!(entries, expected);
    }

    #[test]
    fn types_have_their_numbers() {
        for number_of in 0..8 {
            assert_eq!(number(metric_type(number_of)), number_of);
        }
        assert_eq!(metric_type(99), MetricType::Unknown);
    }
}
