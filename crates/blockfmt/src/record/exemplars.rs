//! Exemplar records, type 4; chunk snapshots hold the same body.

use headwater_model::{Labels, Timestamp};

use super::samples::{Place, PlaceWriter, Places};
use super::{LabelPairs, RecordType, SeriesRef, put_labels, read_labels};
use crate::error::DecodeError;
use crate::input::{Input, put_float};

/// One exemplar of one series, without its labels.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ExemplarEntry {
    /// The series.
    pub reference: SeriesRef,
    /// When it was observed, in milliseconds.
    pub time: Timestamp,
    /// The observed value.
    pub value: f64,
}

/// The exemplars of a record.
#[derive(Clone, Debug)]
pub struct Exemplars<'a> {
    input: Input<'a>,
    places: Places,
}

impl<'a> Exemplars<'a> {
    pub(crate) fn new(mut input: Input<'a>) -> Result<Self, DecodeError> {
        let places = Places::read_head(&mut input, false)?;
        Ok(Self { input, places })
    }

    /// The next exemplar; its labels replace what `labels` holds. `None` behind the last.
    ///
    /// # Errors
    /// The record is damaged.
    pub fn next_into(
        &mut self,
        labels: &mut LabelPairs<'a>,
    ) -> Result<Option<ExemplarEntry>, DecodeError> {
        if self.input.is_empty() {
            return Ok(None);
        }
        let Place {
            reference, time, ..
        } = self.places.read(&mut self.input)?;
        let value = self.input.float()?;
        read_labels(&mut self.input, labels)?;
        Ok(Some(ExemplarEntry {
            reference,
            time,
            value,
        }))
    }
}

/// Writes an exemplars record.
#[derive(Debug)]
pub struct ExemplarsWriter<'a> {
    out: &'a mut Vec<u8>,
    places: PlaceWriter,
}

impl<'a> ExemplarsWriter<'a> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(RecordType::Exemplars.number());
        Self::body(out)
    }

    /// Begins the body, for another record that holds it.
    pub(crate) fn body(out: &'a mut Vec<u8>) -> Self {
        Self {
            out,
            places: PlaceWriter::new(false),
        }
    }

    /// Adds an exemplar.
    pub fn push(&mut self, exemplar: ExemplarEntry, labels: &Labels) {
        let ExemplarEntry {
            reference,
            time,
            value,
        } = exemplar;
        self.places.write(
            self.out,
            Place {
                reference,
                time,
                start: 0,
            },
        );
        put_float(self.out, value);
        put_labels(self.out, labels);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    #[test]
    fn exemplars_come_back() {
        let mut out = Vec::new();
        let mut writer = ExemplarsWriter::new(&mut out);
        let labels = Labels::from_pairs([("trace_id", "x")]);
        let one = ExemplarEntry {
            reference: 3,
            time: -7,
            value: 1.5,
        };
        let two = ExemplarEntry {
            reference: 2,
            time: 9,
            value: -0.0,
        };
        writer.push(one, &labels);
        writer.push(two, &Labels::empty());
        assert_eq!(
            out[..17],
            [
                4, 0, 0, 0, 0, 0, 0, 0, 3, 255, 255, 255, 255, 255, 255, 255, 249
            ]
        );
        let Record::Exemplars(mut exemplars) = Record::parse(&out).unwrap() else {
            panic!("exemplars")
        };
        let mut pairs = Vec::new();
        assert_eq!(exemplars.next_into(&mut pairs).unwrap(), Some(one));
        assert_eq!(pairs, [("trace_id", "x")]);
        assert_eq!(exemplars.next_into(&mut pairs).unwrap(), Some(two));
        assert_eq!(exemplars.next_into(&mut pairs).unwrap(), None);
    }
}
