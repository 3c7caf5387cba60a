//! Float samples, types 2 and 11, and the references and times that histograms share with them.

use headwater_model::Timestamp;
use integer_encoding::VarInt;

use super::{RecordType, SeriesRef};
use crate::bits::{unzigzag, zigzag};
use crate::error::DecodeError;
use crate::input::{Input, put_be64, put_float, put_varint};

/// The sample has no start timestamp.
const NO_START: u8 = 0;
/// The start timestamp is that of the entry before.
const SAME_START: u8 = 1;
/// The start timestamp follows, as difference to that of the first entry.
const OTHER_START: u8 = 2;

/// Two varints of ten bytes and a value.
const LONGEST_ENTRY: usize = 28;
/// Bytes that are put together before they are added to a record.
const PIECE: usize = 1024;

/// One float of one series.
#[derive(Clone, Copy, Debug)]
pub struct SampleEntry {
    /// The series.
    pub reference: SeriesRef,
    /// Time in milliseconds.
    pub time: Timestamp,
    /// Start timestamp, 0 for none.
    pub start: Timestamp,
    /// The value; may be a stale marker.
    pub value: f64,
}

/// Where an entry stands: what floats and histograms have in common.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Place {
    pub(super) reference: SeriesRef,
    pub(super) time: Timestamp,
    pub(super) start: Timestamp,
}

/// Reads places.
///
/// Without starts (types 2, 7 to 10) the record begins with a reference and a time of eight
/// bytes, and every entry has differences to these. With starts (types 11 to 13) the first entry
/// has varints of reference, time and start; the others have the difference to the reference
/// before, to the first time, and a byte for the start: 0 none, 1 as before, 2 followed by the
/// difference to the first start.
#[derive(Clone, Debug)]
pub(super) struct Places {
    first: Place,
    before: Place,
    with_starts: bool,
    any: bool,
}

impl Places {
    pub(super) fn read_head(input: &mut Input<'_>, with_starts: bool) -> Result<Self, DecodeError> {
        let mut first = Place::default();
        if !with_starts && !input.is_empty() {
            first.reference = input.be64()?;
            first.time = input.be64()? as Timestamp;
        }
        Ok(Self {
            first,
            before: first,
            with_starts,
            any: false,
        })
    }

    #[inline]
    pub(super) fn read(&mut self, input: &mut Input<'_>) -> Result<Place, DecodeError> {
        if self.with_starts {
            return self.read_with_start(input);
        }
        Ok(Place {
            reference: self.first.reference.wrapping_add_signed(input.varint()?),
            time: self.first.time.wrapping_add(input.varint()?),
            start: 0,
        })
    }

    fn read_with_start(&mut self, input: &mut Input<'_>) -> Result<Place, DecodeError> {
        let reference = self.before.reference.wrapping_add_signed(input.varint()?);
        let time = self.first.time.wrapping_add(input.varint()?);
        let start = if !self.any {
            input.varint()?
        } else {
            match input.byte()? {
                NO_START => 0,
                SAME_START => self.before.start,
                // Prometheus takes any other marker for this one.
                _ => self.first.start.wrapping_add(input.varint()?),
            }
        };
        self.before = Place {
            reference,
            time,
            start,
        };
        if !self.any {
            self.first = self.before;
            self.any = true;
        }
        Ok(self.before)
    }
}

/// Writes places.
#[derive(Debug)]
pub(super) struct PlaceWriter {
    first: Place,
    before: Place,
    with_starts: bool,
    any: bool,
}

impl PlaceWriter {
    pub(super) fn new(with_starts: bool) -> Self {
        Self {
            first: Place::default(),
            before: Place::default(),
            with_starts,
            any: false,
        }
    }

    #[inline]
    pub(super) fn write(&mut self, out: &mut Vec<u8>, place: Place) {
        if !self.any {
            self.write_first(out, place);
        } else if self.with_starts {
            put_varint(
                out,
                place.reference.wrapping_sub(self.before.reference) as i64,
            );
            put_varint(out, place.time.wrapping_sub(self.first.time));
            self.write_start(out, place.start);
        } else {
            put_varint(
                out,
                place.reference.wrapping_sub(self.first.reference) as i64,
            );
            put_varint(out, place.time.wrapping_sub(self.first.time));
        }
        self.before = place;
    }

    fn write_first(&mut self, out: &mut Vec<u8>, place: Place) {
        self.first = place;
        self.any = true;
        if self.with_starts {
            put_varint(out, place.reference as i64);
            put_varint(out, place.time);
            put_varint(out, place.start);
        } else {
            put_be64(out, place.reference);
            put_be64(out, place.time as u64);
            // The first entry follows like any other, with no difference to itself.
            out.extend_from_slice(&[0, 0]);
        }
    }

    fn write_start(&self, out: &mut Vec<u8>, start: Timestamp) {
        if start == 0 {
            out.push(NO_START);
        } else if start == self.before.start {
            out.push(SAME_START);
        } else {
            out.push(OTHER_START);
            put_varint(out, start.wrapping_sub(self.first.start));
        }
    }
}

/// The floats of a record.
#[derive(Clone, Debug)]
pub struct Samples<'a> {
    input: Input<'a>,
    places: Places,
}

impl<'a> Samples<'a> {
    pub(super) fn new(mut input: Input<'a>, with_starts: bool) -> Result<Self, DecodeError> {
        let places = Places::read_head(&mut input, with_starts)?;
        Ok(Self { input, places })
    }

    /// The most samples that the record can still have; a bound to reserve memory by.
    pub fn max_len(&self) -> usize {
        // Reference and time take a byte each, the value eight.
        self.input.remaining() / 10
    }

    /// Gives every sample to `each`: the fast way through a record.
    ///
    /// # Errors
    /// The record is damaged; the samples before the damage were given.
    #[inline]
    pub fn try_for_all(mut self, mut each: impl FnMut(SampleEntry)) -> Result<(), DecodeError> {
        if !self.places.with_starts {
            // The last samples go the slow way, and so does what is damaged.
            while let Some((sample, len)) = self.peek_plain() {
                self.input.bytes(len)?;
                each(sample);
            }
        }
        self.try_for_each(|sample| sample.map(&mut each))
    }

    /// The next sample of a record without starts, and its length, if the
    /// longest one would fit.
    #[inline]
    fn peek_plain(&self) -> Option<(SampleEntry, usize)> {
        let entry = self.input.rest().first_chunk::<LONGEST_ENTRY>()?;
        let (reference, at) = short(entry, 0)?;
        let (time, len) = short(entry, at)?;
        let value = entry[at + len..].first_chunk()?;
        let sample = SampleEntry {
            reference: self.places.first.reference.wrapping_add_signed(reference),
            time: self.places.first.time.wrapping_add(time),
            start: 0,
            value: f64::from_bits(u64::from_be_bytes(*value)),
        };
        Some((sample, at + len + 8))
    }

    #[inline]
    fn read(&mut self) -> Result<SampleEntry, DecodeError> {
        let Place {
            reference,
            time,
            start,
        } = self.places.read(&mut self.input)?;
        let value = self.input.float()?;
        Ok(SampleEntry {
            reference,
            time,
            start,
            value,
        })
    }
}

impl Iterator for Samples<'_> {
    type Item = Result<SampleEntry, DecodeError>;

    /// After an error, nothing follows.
    #[inline]
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

/// Writes a samples record.
#[derive(Debug)]
pub struct SamplesWriter<'a> {
    out: &'a mut Vec<u8>,
    places: PlaceWriter,
}

impl<'a> SamplesWriter<'a> {
    /// Begins a record without start timestamps, type 2, at the end of `out`.
    pub fn new(out: &'a mut Vec<u8>) -> Self {
        Self::begin(out, RecordType::Samples)
    }

    /// Begins a record with start timestamps, type 11, which Prometheus before 3.11 skips silently.
    pub fn with_starts(out: &'a mut Vec<u8>) -> Self {
        Self::begin(out, RecordType::SamplesWithStarts)
    }

    fn begin(out: &'a mut Vec<u8>, record_type: RecordType) -> Self {
        out.push(record_type.number());
        Self {
            out,
            places: PlaceWriter::new(record_type == RecordType::SamplesWithStarts),
        }
    }

    /// Adds a sample. Its start timestamp is kept only in a record with starts.
    #[inline]
    pub fn push(&mut self, sample: SampleEntry) {
        let SampleEntry {
            reference,
            time,
            start,
            value,
        } = sample;
        if self.places.any && !self.places.with_starts {
            return self.push_plain(reference, time, value);
        }
        self.places.write(
            self.out,
            Place {
                reference,
                time,
                start,
            },
        );
        put_float(self.out, value);
    }

    /// Adds samples, as [`SamplesWriter::push`] does, in half the time: they are put together in
    /// pieces of which the bounds are known.
    pub fn extend(&mut self, samples: impl IntoIterator<Item = SampleEntry>) {
        let mut samples = samples.into_iter();
        if !self.places.any
            && let Some(first) = samples.next()
        {
            self.push(first);
        }
        if self.places.with_starts {
            return samples.for_each(|sample| self.push(sample));
        }
        let first = self.places.first;
        let (mut piece, mut end) = ([0; PIECE], 0);
        for sample in samples {
            if end > PIECE - LONGEST_ENTRY {
                self.out.extend_from_slice(&piece[..end]);
                end = 0;
            }
            end += put_plain(&mut piece, end, &first, &sample);
        }
        self.out.extend_from_slice(&piece[..end]);
    }

    #[inline]
    fn push_plain(&mut self, reference: SeriesRef, time: Timestamp, value: f64) {
        let sample = SampleEntry {
            reference,
            time,
            start: 0,
            value,
        };
        let mut piece = [0; LONGEST_ENTRY];
        let end = put_plain(&mut piece, 0, &self.places.first, &sample);
        self.out.extend_from_slice(&piece[..end]);
    }
}

/// Puts an entry of a record without starts at `at`; says how many bytes it takes. Both differences
/// nearly always take four bytes at most: then they are made without a loop and stored at once.
#[inline(always)]
fn put_plain<const N: usize>(
    piece: &mut [u8; N],
    at: usize,
    first: &Place,
    sample: &SampleEntry,
) -> usize {
    let reference = sample.reference.wrapping_sub(first.reference) as i64;
    let time = sample.time.wrapping_sub(first.time);
    let (a, b) = (zigzag(reference), zigzag(time));
    let len = if (a | b) >> SHORT_BITS == 0 {
        let ((a, a_bits), (b, b_bits)) = (short_varint(a), short_varint(b));
        let both = a | b << a_bits;
        piece[at..at + 8].copy_from_slice(&both.to_le_bytes());
        ((a_bits + b_bits) / 8) as usize
    } else {
        let len = reference.encode_var(&mut piece[at..]);
        len + time.encode_var(&mut piece[at + len..])
    };
    let value = sample.value.to_bits().to_be_bytes();
    piece[at + len..at + len + 8].copy_from_slice(&value);
    len + 8
}

/// A varint of up to eight bytes at `at`, and its length: eight are read at once and their sevens of
/// bits are pushed together.
#[inline(always)]
fn short(entry: &[u8; LONGEST_ENTRY], at: usize) -> Option<(i64, usize)> {
    let word = u64::from_le_bytes(*entry[at..].first_chunk()?);
    let last = (!word & 0x8080_8080_8080_8080).trailing_zeros();
    if last == 64 {
        return None;
    }
    let bits = word & 0x7f7f_7f7f_7f7f_7f7f & u64::MAX >> (63 - last);
    let bits = (bits & 0x007f_007f_007f_007f) | ((bits & 0x7f00_7f00_7f00_7f00) >> 1);
    let bits = (bits & 0x0000_3fff_0000_3fff) | ((bits & 0x3fff_0000_3fff_0000) >> 2);
    let bits = (bits & 0x0fff_ffff) | ((bits & 0x0fff_ffff_0000_0000) >> 4);
    Some((unzigzag(bits), last as usize / 8 + 1))
}

/// Numbers below 2 to this power are varints of up to four bytes.
const SHORT_BITS: u32 = 28;

/// A varint of up to four bytes as a little-endian number, and its length in bits.
#[inline(always)]
fn short_varint(number: u64) -> (u64, u32) {
    debug_assert!(number >> SHORT_BITS == 0);
    let spread = number & 0x7f
        | (number & 0x3f80) << 1
        | (number & 0x1f_c000) << 2
        | (number & 0xfe0_0000) << 3;
    let bits = (64 - (spread | 1).leading_zeros() + 7) & !7;
    // All bytes but the last say that more follows.
    (spread | 0x8080_8080 & ((1 << (bits - 8)) - 1), bits)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::super::Record;
    use super::*;

    fn read(record: &[u8]) -> Vec<(u64, i64, i64, u64)> {
        let Record::Samples(samples) = Record::parse(record).unwrap() else {
            panic!("a samples record")
        };
        let plain = |it: SampleEntry| (it.reference, it.time, it.start, it.value.to_bits());
        let mut fast = Vec::new();
        let done = samples.clone().try_for_all(|it| fast.push(plain(it)));
        let slow: Vec<_> = samples.map(|sample| plain(sample.unwrap())).collect();
        assert_eq!((done, &fast), (Ok(()), &slow));
        slow
    }

    #[test]
    fn bytes_are_as_the_format_says() {
        let mut out = Vec::new();
        let mut writer = SamplesWriter::new(&mut out);
        writer.push(SampleEntry {
            reference: 5,
            time: 1000,
            start: 0,
            value: 1.0,
        });
        writer.push(SampleEntry {
            reference: 4,
            time: 1064,
            start: 0,
            value: 0.0,
        });
        let mut expected = vec![2, 0, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0, 0, 0, 3, 232];
        expected.extend([0, 0, 0x3f, 0xf0, 0, 0, 0, 0, 0, 0]);
        expected.extend([1, 0x80, 1, 0, 0, 0, 0, 0, 0, 0, 0]);
        assert_eq!(out, expected);
    }

    #[test]
    fn bytes_with_starts_are_as_the_format_says() {
        let mut out = Vec::new();
        let mut writer = SamplesWriter::with_starts(&mut out);
        for (reference, time, start) in [(5, 100, 90), (6, 100, 90), (7, 101, 0), (9, 101, 95)] {
            writer.push(SampleEntry {
                reference,
                time,
                start,
                value: 0.0,
            });
        }
        let zero = [0; 8];
        let mut expected = vec![11, 10, 200, 1, 180, 1];
        expected.extend(zero);
        expected.extend([2, 0, SAME_START]);
        expected.extend(zero);
        expected.extend([2, 2, NO_START]);
        expected.extend(zero);
        expected.extend([4, 2, OTHER_START, 10]);
        expected.extend(zero);
        assert_eq!(out, expected);
    }

    #[test]
    fn reading_ends_with_the_first_error() {
        let mut out = Vec::new();
        let mut writer = SamplesWriter::new(&mut out);
        writer.push(SampleEntry {
            reference: 5,
            time: 1000,
            start: 0,
            value: 1.0,
        });
        out.push(3);
        let Record::Samples(mut samples) = Record::parse(&out).unwrap() else {
            panic!("a samples record")
        };
        let (mut count, copy) = (0, samples.clone());
        let fast = copy.try_for_all(|_| count += 1).unwrap_err();
        assert!(samples.next().unwrap().is_ok());
        let slow = samples.next().unwrap().unwrap_err();
        assert_eq!((count, fast.offset, &fast), (1, 28, &slow));
        assert!(samples.next().is_none());
    }

    #[test]
    fn records_without_samples_are_empty() {
        assert!(read(&[2]).is_empty() && read(&[11]).is_empty());
        assert!(Record::parse(&[2, 0]).is_err());
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in proptest::collection::vec((any::<u64>(), any::<i64>(), prop_oneof![Just(0), Just(7), any::<i64>()], any::<u64>()), 0..20)) {
            let (mut plain, mut with_starts) = (Vec::new(), Vec::new());
            let mut writers = [SamplesWriter::new(&mut plain), SamplesWriter::with_starts(&mut with_starts)];
            for &(reference, time, start, value) in &samples {
                let value = f64::from_bits(value);
                writers.iter_mut().for_each(|it| it.push(SampleEntry { reference, time, start, value }));
            }
            prop_assert_eq!(read(&with_starts), samples.clone());
            let without: Vec<_> = samples.into_iter().map(|(reference, time, _, value)| (reference, time, 0, value)).collect();
            prop_assert_eq!(read(&plain), without);
        }

        #[test]
        fn both_ways_to_write_give_the_same_bytes(
            base in (any::<u64>(), any::<i64>()),
            steps in proptest::collection::vec((any::<i64>(), 0u32..64, any::<i64>(), 0u32..64), 0..200),
        ) {
            let entry = |(reference, by, time, later): (i64, u32, i64, u32)| SampleEntry {
                reference: base.0.wrapping_add_signed(reference >> by),
                time: base.1.wrapping_add(time >> later),
                start: time,
                value: reference as f64,
            };
            for with_starts in [false, true] {
                let (mut one_by_one, mut together) = (Vec::new(), Vec::new());
                let mut writers = [&mut one_by_one, &mut together].map(|out| match with_starts {
                    true => SamplesWriter::with_starts(out),
                    false => SamplesWriter::new(out),
                });
                steps.iter().for_each(|step| writers[0].push(entry(*step)));
                let (early, late) = steps.split_at(steps.len() / 2);
                writers[1].extend(early.iter().map(|step| entry(*step)));
                writers[1].extend(late.iter().map(|step| entry(*step)));
                prop_assert_eq!(one_by_one, together);
            }
        }

        #[test]
        fn both_ways_to_read_find_the_same_damage(mut record in proptest::collection::vec(any::<u8>(), 20..200)) {
            record[0] = 2;
            let Ok(Record::Samples(samples)) = Record::parse(&record) else {
                panic!("a samples record")
            };
            let (mut fast, mut slow) = (Vec::new(), Vec::new());
            let bits = |it: SampleEntry| (it.reference, it.time, it.value.to_bits());
            let found = samples.clone().try_for_all(|it| fast.push(bits(it))).err();
            let wanted = samples.map(|it| it.map(|it| slow.push(bits(it)))).find_map(Result::err);
            prop_assert_eq!((fast, found), (slow, wanted));
        }
    }
}
