//! Series records, type 1.

use headwater_model::Labels;

use super::{LabelPairs, RecordType, SeriesRef, put_labels, read_labels};
use crate::error::DecodeError;
use crate::input::{Input, put_be64};

/// The series of a record.
#[derive(Clone, Debug)]
pub struct Series<'a> {
    input: Input<'a>,
}

impl<'a> Series<'a> {
    pub(super) fn new(input: Input<'a>) -> Self {
        Self { input }
    }

    /// The reference of the next series; its labels replace what `labels` holds.
    /// `None` behind the last.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn next_into(
        &mut self,
        labels: &mut LabelPairs<'a>,
    ) -> Result<Option<SeriesRef>, DecodeError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let reference = self.input.be64()?;
        read_labels(&mut self.input, labels)?;
        Ok(Some(reference))
    }
}

/// Writes a series record.
#[derive(Debug)]
pub struct SeriesWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> SeriesWriter<'a> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(RecordType::Series.number());
        Self { out }
    }

    /// Adds a series.
    pub fn push(&mut self, reference: SeriesRef, labels: &Labels) {
        put_be64(self.out, reference);
        put_labels(self.out, labels);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    #[test]
    fn bytes_are_as_the_format_says_and_come_back() {
        let mut out = vec![0xaa];
        let mut writer = SeriesWriter::new(&mut out);
        writer.push(7, &Labels::from_pairs([("a", "bc")]));
        writer.push(8, &Labels::empty());
        let record = &out[1..];
        assert_eq!(
            record,
            [
                1, 0, 0, 0, 0, 0, 0, 0, 7, 1, 1, b'a', 2, b'b', b'c', 0, 0, 0, 0, 0, 0, 0, 8, 0
            ]
        );
        let Record::Series(mut series) = Record::parse(record).unwrap() else {
            panic!("a series record")
        };
        let mut labels = Vec::new();
        assert_eq!(series.next_into(&mut labels).unwrap(), Some(7));
        assert_eq!(labels, [("a", "bc")]);
        assert_eq!(series.next_into(&mut labels).unwrap(), Some(8));
        assert!(labels.is_empty());
        assert_eq!(series.next_into(&mut labels).unwrap(), None);
    }

    #[test]
    fn errors_name_their_place() {
        let record = [1, 0, 0, 0, 0, 0, 0, 0, 7, 200, 1];
        let Record::Series(mut series) = Record::parse(&record).unwrap() else {
            panic!("a series record")
        };
        let error = series.next_into(&mut Vec::new()).unwrap_err();
        assert_eq!((error.part, error.offset), ("series record", 9));
    }
}
