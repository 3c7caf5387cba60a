//! Tombstones (type 3) and mmap markers (type 5): what is gone, and what is elsewhere.

use headwater_model::{TimeRange, Timestamp};

use super::{RecordType, SeriesRef};
use crate::error::DecodeError;
use crate::input::{Input, put_be64, put_varint};

/// A deleted range of one series, closed on both sides.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TombstoneEntry {
    /// The series.
    pub reference: SeriesRef,
    /// What is deleted.
    pub range: TimeRange,
}

/// The samples of a series that came before in the out-of-order log are in a chunk of a head
/// chunk file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MmapMarker {
    /// The series.
    pub reference: SeriesRef,
    /// Number of the file in the upper 32 bits, offset in it in the lower.
    pub chunk: u64,
}

/// An iterator over entries of a record that ends with the first error.
macro_rules! entries {
    ($(#[$doc:meta])* $name:ident, $item:ty, $read:expr) => {
        $(#[$doc])*
        #[derive(Clone, Debug)]
        pub struct $name<'a> {
            input: Input<'a>,
        }

        impl<'a> $name<'a> {
            pub(super) fn new(input: Input<'a>) -> Self {
                Self { input }
            }
        }

        impl Iterator for $name<'_> {
            type Item = Result<$item, DecodeError>;

            /// After an error, nothing follows.
            fn next(&mut self) -> Option<Self::Item> {
                if self.input.is_empty() {
                    return None;
                }
                let entry: Self::Item = $read(&mut self.input);
                if entry.is_err() {
                    self.input.end();
                }
                Some(entry)
            }
        }
    };
}

entries!(
    /// The tombstones of a record.
    Tombstones,
    TombstoneEntry,
    |input: &mut Input<'_>| {
        let reference = input.be64()?;
        let range = TimeRange::new(input.varint()?, input.varint()?);
        Ok(TombstoneEntry { reference, range })
    }
);

entries!(
    /// The mmap markers of a record.
    MmapMarkers,
    MmapMarker,
    |input: &mut Input<'_>| Ok(MmapMarker { reference: input.be64()?, chunk: input.be64()? })
);

/// Writes a tombstones record.
#[derive(Debug)]
pub struct TombstonesWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> TombstonesWriter<'a> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(RecordType::Tombstones.number());
        Self { out }
    }

    /// Adds a deleted range, closed on both sides.
    pub fn push(&mut self, reference: SeriesRef, first: Timestamp, last: Timestamp) {
        put_be64(self.out, reference);
        put_varint(self.out, first);
        put_varint(self.out, last);
    }
}

/// Writes a record of mmap markers.
#[derive(Debug)]
pub struct MmapMarkersWriter<'a> {
    out: &'a mut Vec<u8>,
}

impl<'a> MmapMarkersWriter<'a> {
    /// Begins a record at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        out.push(RecordType::MmapMarkers.number());
        Self { out }
    }

    /// Adds a marker.
    pub fn push(&mut self, marker: MmapMarker) {
        put_be64(self.out, marker.reference);
        put_be64(self.out, marker.chunk);
    }
}

#[cfg(test)]
mod tests {
    use super::super::Record;
    use super::*;

    #[test]
    fn tombstones_come_back() {
        let mut out = Vec::new();
        let mut writer = TombstonesWriter::new(&mut out);
        writer.push(7, -1, 64);
        writer.push(8, i64::MIN, i64::MAX);
        assert_eq!(out[..12], [3, 0, 0, 0, 0, 0, 0, 0, 7, 1, 0x80, 1]);
        let Record::Tombstones(read) = Record::parse(&out).unwrap() else {
            panic!("tombstones")
        };
        let read: Result<Vec<_>, _> = read.collect();
        let expected = [
            TombstoneEntry {
                reference: 7,
                range: TimeRange::new(-1, 64),
            },
            TombstoneEntry {
                reference: 8,
                range: TimeRange::ALL,
            },
        ];
        assert_eq!(read.unwrap(), expected);
    }

    #[test]
    fn markers_come_back_and_a_torn_one_is_noticed() {
        let marker = MmapMarker {
            reference: 1,
            chunk: 2 << 32 | 8,
        };
        let mut out = Vec::new();
        MmapMarkersWriter::new(&mut out).push(marker);
        assert_eq!(out, [5, 0, 0, 0, 0, 0, 0, 0, 1, 0, 0, 0, 2, 0, 0, 0, 8]);
        out.push(1);
        let Record::MmapMarkers(mut read) = Record::parse(&out).unwrap() else {
            panic!("markers")
        };
        assert_eq!(read.next().unwrap().unwrap(), marker);
        assert!(read.next().unwrap().is_err());
        assert!(read.next().is_none());
    }
}
