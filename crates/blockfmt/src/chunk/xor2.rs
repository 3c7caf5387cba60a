//! Encoding 4, XOR2: floats with times and values under joint control bits, and with optional
//! start timestamps. Written by Prometheus 3.11 and later if it is told to.
//!
//! | field | form |
//! |---|---|
//! | number of samples, starts | u16, big-endian; u8 (see `starts`) |
//! | time 0, value 0 | varint, 64 bits |
//! | time 1, value 1 | uvarint difference to time 0, value code |
//! | sample n | `0`: even, same value; `10`: even, other value: `0` or `1` and window, then bits; `110`, `1110`: 13 or 20 bits of difference of differences, value code; `11110`: 64 bits, value code; `11111`: even, stale marker |
//! | value code | `0` same; `10` bits in the last window; `110` window and bits; `111` stale marker |
//! | start | behind each sample, as the header says |
//!
//! Windows are those of XOR: 5 bits of leading zeros, 6 bits of width. Unlike there, differences
//! of differences are plain two's complement, and a stale marker leaves the value that the next
//! one is XORed with as it was. Source: Prometheus, `tsdb/chunkenc/xor2.go`.

use bytes::Bytes;
use headwater_model::{FloatColumn, STALE_NAN_BITS, TimeRange, Timestamp};

use super::Encoding;
use super::fill::fill;
use super::starts::Starts;
use super::value::{self, Window};
use crate::bits::{BitReader, BitWriter};
use crate::error::{ChunkError, DecodeError};

const PART: &str = "xor2 chunk";
/// Sample count and the byte for starts.
const HEADER: usize = 3;

/// Writes an XOR2 chunk sample by sample; its bytes can be read at any time.
#[derive(Clone, Debug)]
pub struct Xor2Appender {
    bits: BitWriter,
    time: Timestamp,
    delta: i64,
    /// The last value that is no stale marker.
    value: u64,
    starts: Starts,
    count: u16,
    window: Window,
    stale: bool,
    /// A window that begins with the next value.
    planned: Option<Window>,
}

impl Default for Xor2Appender {
    fn default() -> Self {
        Self::new()
    }
}

impl Xor2Appender {
    /// The most samples that the header can count.
    pub const MAX_SAMPLES: usize = u16::MAX as usize;
    /// The encoding of what is written.
    pub const ENCODING: Encoding = Encoding::Xor2;

    /// An empty chunk.
    pub fn new() -> Self {
        Self::begin(BitWriter::default())
    }

    /// An empty chunk with room for `bytes` bytes: for a writer of many chunks at once, which
    /// would otherwise let every one of them grow in steps.
    pub fn with_capacity(bytes: usize) -> Self {
        Self::begin(BitWriter::with_capacity(bytes))
    }

    fn begin(mut bits: BitWriter) -> Self {
        bits.write_short(0, HEADER as u32 * 8);
        Self {
            bits,
            time: 0,
            delta: 0,
            value: 0,
            starts: Starts::default(),
            count: 0,
            window: Window::NONE,
            stale: false,
            planned: None,
        }
    }

    /// Goes on where the chunk `data` ends.
    ///
    /// # Errors
    /// `data` is damaged.
    pub fn resume(data: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::new(data)?;
        if reader.count == 0 {
            return Ok(Self::new());
        }
        let mut last = 0;
        reader.walk(|_, value, _| {
            last = value;
            true
        })?;
        Ok(Self {
            bits: BitWriter::resume(data, reader.state.bits.position()),
            time: reader.state.time,
            delta: reader.state.delta,
            value: reader.state.value,
            starts: reader.state.starts,
            count: reader.count as u16,
            window: reader.state.window.for_writer(),
            stale: last == STALE_NAN_BITS,
            planned: None,
        })
    }

    /// Appends a sample without a start timestamp; `time` must be later than that of the sample before.
    ///
    /// # Panics
    /// The chunk already holds [`Xor2Appender::MAX_SAMPLES`].
    pub fn append(&mut self, time: Timestamp, value: f64) {
        self.append_with_start(time, value, 0);
    }

    /// Appends a sample; `start` is 0 if it has no start timestamp.
    ///
    /// # Panics
    /// As [`Xor2Appender::append`].
    pub fn append_with_start(&mut self, time: Timestamp, value: f64, start: Timestamp) {
        assert!(
            usize::from(self.count) < Self::MAX_SAMPLES,
            "an xor2 chunk counts 65535 samples at most"
        );
        let bits = value.to_bits();
        match self.count {
            0 => {
                self.bits.write_varint(time);
                self.bits.write(bits, 64);
            }
            1 => {
                self.delta = time.wrapping_sub(self.time);
                self.bits.write_uvarint(self.delta as u64);
                self.write_value((0, 0), bits);
            }
            _ => self.write_next(time, bits),
        }
        self.starts
            .write(&mut self.bits, self.count, (self.time, time), start);
        self.time = time;
        self.stale = bits == STALE_NAN_BITS;
        if !self.stale {
            self.value = bits;
        }
        self.count += 1;
        let [high, low] = self.count.to_be_bytes();
        self.bits.patch(0, &[high, low, self.starts.header()]);
    }

    fn write_next(&mut self, time: Timestamp, value: u64) {
        let delta = time.wrapping_sub(self.time);
        let dod = delta.wrapping_sub(self.delta);
        self.delta = delta;
        match dod {
            0 => self.write_even(value),
            -0x1000..=0xfff => self.write_value((0b110 << 13 | dod as u64 & 0x1fff, 16), value),
            -0x8_0000..=0x7_ffff => {
                self.write_value((0b1110 << 20 | dod as u64 & 0xf_ffff, 24), value)
            }
            _ => {
                self.bits.write_short(0b11110, 5);
                self.bits.write(dod as u64, 64);
                self.write_value((0, 0), value);
            }
        }
    }

    /// Time goes on as before: one bit says so, together with the value.
    fn write_even(&mut self, value: u64) {
        if value == STALE_NAN_BITS {
            return self.bits.write_short(0b11111, 5);
        }
        let difference = value ^ self.value;
        if difference == 0 {
            return self.bits.write_short(0, 1);
        }
        let prefix = self.window_code(difference, (0b100, 3), (0b101, 3));
        value::write_significant(&mut self.bits, prefix, self.window, difference);
    }

    fn write_value(&mut self, (prefix, bits): (u64, u32), value: u64) {
        if value == STALE_NAN_BITS {
            return self.bits.write_short(prefix << 3 | 0b111, bits + 3);
        }
        let difference = value ^ self.value;
        if difference == 0 {
            return self.bits.write_short(prefix << 1, bits + 1);
        }
        let prefix = self.window_code(
            difference,
            (prefix << 2 | 0b10, bits + 2),
            (prefix << 3 | 0b110, bits + 3),
        );
        value::write_significant(&mut self.bits, prefix, self.window, difference);
    }

    /// The code for the last window if it holds the difference, or else that for a new one.
    fn window_code(&mut self, difference: u64, last: (u64, u32), new: (u64, u32)) -> (u64, u32) {
        let planned = self.planned.take();
        let needed = Window::of(difference);
        if planned.is_none() && self.window.holds(needed) {
            return last;
        }
        self.window = planned.unwrap_or(needed);
        (new.0 << 11 | self.window.code(), new.1 + 11)
    }

    /// Begins a window with the next value that differs, which must fit into it.
    pub(super) fn begin_window(&mut self, window: Window) {
        self.planned = Some(window);
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Time of the last sample; 0 if there is none.
    pub fn last_time(&self) -> Timestamp {
        self.time
    }

    /// Value of the last sample; 0 if there is none.
    pub fn last_value(&self) -> f64 {
        f64::from_bits(if self.stale {
            STALE_NAN_BITS
        } else {
            self.value
        })
    }

    /// The chunk so far: always whole and readable.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// Bytes of memory beside the appender itself.
    pub fn heap_bytes(&self) -> usize {
        self.bits.capacity()
    }

    /// The finished chunk in an allocation of its own size.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.bytes())
    }
}

/// Reads a chunk, one sample after the other.
struct Reader<'a> {
    data: &'a [u8],
    count: usize,
    state: State<'a>,
}

/// What changes from sample to sample. The loop works on a copy that nothing borrows, as in
/// [`xor`](super::xor).
#[derive(Clone, Copy)]
struct State<'a> {
    bits: BitReader<'a>,
    time: Timestamp,
    delta: i64,
    /// The last value that is no stale marker.
    value: u64,
    window: Window,
    starts: Starts,
    ascends: bool,
}

impl<'a> Reader<'a> {
    /// Reads the header and checks the count against the length: every sample takes a bit or more.
    fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let Some(&[high, low, starts]) = data.first_chunk::<HEADER>() else {
            return Err(DecodeError::truncated(PART, 0));
        };
        let count = usize::from(u16::from_be_bytes([high, low]));
        if count > data.len() * 8 {
            return Err(DecodeError::truncated(PART, data.len()));
        }
        let state = State {
            bits: BitReader::new(data, HEADER),
            time: 0,
            delta: 0,
            value: 0,
            window: Window::ALL,
            starts: Starts::new(starts),
            ascends: true,
        };
        Ok(Self { data, count, state })
    }

    /// Gives `each` time, value and start of all samples, or those up to the first for which it
    /// answers false.
    #[inline(always)]
    fn walk(
        &mut self,
        mut each: impl FnMut(Timestamp, u64, Timestamp) -> bool,
    ) -> Result<(), ChunkError> {
        for at in 0..self.count.min(2) {
            let (state, value, start) = head(self.state, at as u16)?;
            self.state = state;
            if !each(state.time, value, start) {
                return self.finish();
            }
        }
        // Most chunks have no start timestamps, and should not pay for asking.
        let result = if self.state.starts.follow() {
            self.walk_rest::<true>(each)
        } else {
            self.walk_rest::<false>(each)
        };
        result.and_then(|()| self.finish())
    }

    #[inline(always)]
    fn walk_rest<const STARTS: bool>(
        &mut self,
        mut each: impl FnMut(Timestamp, u64, Timestamp) -> bool,
    ) -> Result<(), ChunkError> {
        let mut state = self.state;
        let mut start = state.starts.last();
        for at in 2..self.count {
            let before = state.time;
            let Some(value) = state.next() else {
                return Err(impossible(state.bits.byte_offset()));
            };
            state.ascends &= before < state.time;
            if STARTS {
                let times = (before, state.time);
                start = state.starts.read_next(&mut state.bits, at as u16, times);
            }
            if !each(state.time, value, start) {
                break;
            }
        }
        self.state = state;
        Ok(())
    }

    /// What is asked once, because asking for every sample would cost too much.
    fn finish(&self) -> Result<(), ChunkError> {
        if self.state.bits.overrun() {
            return Err(DecodeError::truncated(PART, self.data.len()));
        }
        if !self.state.ascends {
            return Err(DecodeError::invalid(PART, HEADER, "times do not ascend"));
        }
        Ok(())
    }
}

#[cold]
fn impossible(offset: usize) -> DecodeError {
    DecodeError::invalid(PART, offset, "impossible bits in a sample")
}

/// The first two samples, which are written differently: the state behind, value and start.
fn head(mut state: State<'_>, at: u16) -> Result<(State<'_>, u64, Timestamp), ChunkError> {
    let before = state.time;
    let value = if at == 0 {
        state.first()
    } else {
        state.second()
    };
    let times = (before, state.time);
    let start = value.and_then(|_| state.starts.read(&mut state.bits, at, times));
    let (Some(value), Some(start)) = (value, start) else {
        return Err(impossible(state.bits.byte_offset()));
    };
    state.ascends &= at == 0 || before < state.time;
    Ok((state, value, start))
}

impl State<'_> {
    fn first(&mut self) -> Option<u64> {
        self.time = self.bits.varint()?;
        let value = self.bits.read(64);
        if value != STALE_NAN_BITS {
            self.value = value;
        }
        Some(value)
    }

    fn second(&mut self) -> Option<u64> {
        self.delta = self.bits.uvarint()? as i64;
        self.time = self.time.wrapping_add(self.delta);
        self.read_value()
    }

    #[inline(always)]
    fn next(&mut self) -> Option<u64> {
        let word = self.bits.peek();
        if word >> 63 == 0 {
            self.bits.skip(1);
            self.time = self.time.wrapping_add(self.delta);
            return Some(self.value);
        }
        self.next_other(word)
    }

    #[inline(always)]
    fn next_other(&mut self, word: u64) -> Option<u64> {
        let ones = (!word).leading_zeros().min(5);
        let dod = match ones {
            1 => {
                self.time = self.time.wrapping_add(self.delta);
                return self.read_changed(word);
            }
            // Two's complement: shifting right keeps the sign.
            2 => {
                self.bits.skip(16);
                ((word << 3) as i64) >> 51
            }
            3 => {
                self.bits.skip(24);
                ((word << 4) as i64) >> 44
            }
            4 => {
                self.bits.skip(5);
                self.bits.read(64) as i64
            }
            _ => {
                self.bits.skip(5);
                self.time = self.time.wrapping_add(self.delta);
                return Some(STALE_NAN_BITS);
            }
        };
        self.delta = self.delta.wrapping_add(dod);
        self.time = self.time.wrapping_add(self.delta);
        self.read_value()
    }

    /// The value behind `10`, which is certain to be another.
    #[inline(always)]
    fn read_changed(&mut self, word: u64) -> Option<u64> {
        if word >> 61 & 1 == 0 {
            self.bits.skip(3);
        } else {
            self.window = Window::from_code(word >> 50)?;
            self.bits.skip(14);
        }
        self.value ^= value::read_significant(&mut self.bits, self.window);
        Some(self.value)
    }

    #[inline(always)]
    fn read_value(&mut self) -> Option<u64> {
        let word = self.bits.peek();
        match word >> 61 {
            0b000..=0b011 => {
                self.bits.skip(1);
                return Some(self.value);
            }
            0b100 | 0b101 => self.bits.skip(2),
            0b110 => {
                self.window = Window::from_code(word >> 50)?;
                self.bits.skip(14);
            }
            _ => {
                self.bits.skip(3);
                return Some(STALE_NAN_BITS);
            }
        }
        self.value ^= value::read_significant(&mut self.bits, self.window);
        Some(self.value)
    }
}

pub(super) fn decode(
    data: &[u8],
    range: TimeRange,
    into: &mut FloatColumn,
) -> Result<(), ChunkError> {
    let mut reader = Reader::new(data)?;
    let with_starts = reader.state.starts.header() != 0;
    fill(into, range, reader.count, with_starts, |room| {
        reader.walk(|time, value, start| room.put_with_start(time, value, start))
    })
}

#[cfg(test)]
mod tests {
    use headwater_model::stale_nan;
    use proptest::prelude::*;

    use super::*;

    type Sample = (Timestamp, f64, Timestamp);

    fn encode(samples: &[Sample]) -> Xor2Appender {
        let mut appender = Xor2Appender::new();
        for &(time, value, start) in samples {
            appender.append_with_start(time, value, start);
        }
        appender
    }

    fn decode_all(data: &[u8]) -> Result<FloatColumn, ChunkError> {
        let mut column = FloatColumn::default();
        decode(data, TimeRange::ALL, &mut column).map(|()| column)
    }

    fn column(samples: &[Sample]) -> FloatColumn {
        let mut column = FloatColumn::default();
        for &(time, value, start) in samples {
            column.push_with_start(time, value, start);
        }
        column
    }

    #[test]
    fn bytes_are_as_the_format_says() {
        let samples = [
            (0, 1.0, 0),
            (10, 1.0, 0),
            (20, 1.0, 0),
            (30, stale_nan(), 0),
            (41, 1.0, 0),
        ];
        let mut expected = vec![0, 5, 0, 0];
        expected.extend(1.0f64.to_be_bytes());
        // 10; same `0`; even and same `0`; even and stale `11111`; `110` and 1 in 13 bits, same `0`.
        expected.extend([10, 0b0011_1111, 0b1000_0000, 0b0000_0010]);
        assert_eq!(encode(&samples).bytes(), expected);
    }

    #[test]
    fn starts_are_written_where_they_change() {
        let samples = [
            (1000, 1.0, 900),
            (1010, 1.0, 900),
            (1020, 1.0, 1015),
            (1030, 1.0, 1015),
        ];
        let appender = encode(&samples);
        assert_eq!(appender.bytes()[2], 0x80 | 2);
        assert_eq!(decode_all(appender.bytes()).unwrap(), column(&samples));
        assert_eq!(encode(&[(1000, 1.0, 0), (1010, 1.0, 5)]).bytes()[2], 1);
        assert_eq!(encode(&[(1000, 1.0, 0), (1010, 1.0, 0)]).bytes()[2], 0);
    }

    #[test]
    fn sample_127_is_always_named() {
        let mut samples: Vec<Sample> = (0..200).map(|at| (at * 10, 1.0, 0)).collect();
        assert_eq!(encode(&samples[..127]).bytes()[2], 0);
        assert_eq!(encode(&samples[..128]).bytes()[2], 0x7f);
        assert!(
            decode_all(encode(&samples).bytes())
                .unwrap()
                .starts
                .is_empty()
        );
        samples[150].2 = 1400;
        assert_eq!(
            decode_all(encode(&samples).bytes()).unwrap(),
            column(&samples)
        );
    }

    #[test]
    fn a_range_without_starts_leaves_none() {
        let appender = encode(&[(10, 1.0, 0), (20, 2.0, 0), (30, 3.0, 15)]);
        let mut into = FloatColumn::default();
        decode(appender.bytes(), TimeRange::new(10, 20), &mut into).unwrap();
        assert!(into.starts.is_empty());
        decode(appender.bytes(), TimeRange::new(30, 30), &mut into).unwrap();
        assert_eq!(into.starts, [0, 0, 15]);
    }

    #[test]
    fn damage_is_refused_and_leaves_the_column_alone() {
        let appender = encode(&[(10, 1.0, 0), (20, 2.5, 15), (35, 3.1, 15)]);
        for len in 0..appender.bytes().len() {
            let mut into = column(&[(1, 1.0, 0)]);
            assert!(
                decode(&appender.bytes()[..len], TimeRange::ALL, &mut into).is_err(),
                "{len} bytes"
            );
            assert_eq!(into, column(&[(1, 1.0, 0)]));
        }
    }

    fn samples() -> impl Strategy<Value = Vec<Sample>> {
        let step = prop_oneof![4 => Just(15_000i64), 4 => 14_000i64..16_000, 2 => 1i64..1 << 20, 1 => 1i64..1 << 40];
        let value = prop_oneof![
            3 => Just(1.0f64),
            3 => (0u32..100_000).prop_map(f64::from),
            2 => any::<u64>().prop_map(f64::from_bits),
            2 => Just(stale_nan()),
        ];
        let start =
            prop_oneof![6 => Just(None), 1 => Just(Some(0i64)), 1 => any::<i64>().prop_map(Some)];
        let samples = proptest::collection::vec((step, value, start), 0..200);
        (-1i64 << 41..1 << 41, any::<bool>(), samples).prop_map(|(mut time, with_starts, steps)| {
            let mut current = 0;
            let add = |(step, value, start): (i64, f64, Option<i64>)| {
                time += step;
                current = start.filter(|_| with_starts).unwrap_or(current);
                (time, value, current)
            };
            steps.into_iter().map(add).collect()
        })
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in samples()) {
            let appender = encode(&samples);
            prop_assert_eq!(decode_all(appender.bytes()).unwrap(), column(&samples));
            if let Some((time, value, _)) = samples.last() {
                prop_assert_eq!((appender.last_time(), appender.last_value().to_bits()), (*time, value.to_bits()));
            }
        }

        #[test]
        fn a_resumed_chunk_goes_on_alike(samples in samples(), at: prop::sample::Index) {
            let at = if samples.is_empty() { 0 } else { at.index(samples.len()) };
            let mut resumed = Xor2Appender::resume(encode(&samples[..at]).bytes()).unwrap();
            for &(time, value, start) in &samples[at..] {
                resumed.append_with_start(time, value, start);
            }
            prop_assert_eq!(decode_all(resumed.bytes()).unwrap(), column(&samples));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            let _ = decode_all(&data);
            let _ = Xor2Appender::resume(&data);
        }
    }
}
