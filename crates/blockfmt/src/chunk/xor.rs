//! Encoding 1, XOR: the Gorilla encoding of floats as Prometheus writes it.
//!
//! | field | form |
//! |---|---|
//! | number of samples | u16, big-endian |
//! | time 0, value 0 | varint, 64 bits |
//! | time 1 | uvarint difference to time 0 |
//! | time n | difference of differences: `0`; `10`, `110`, `1110` with 14, 17, 20 bits; `1111` with 64 |
//! | value n | XOR with the value before: `0` same; `10` bits in the last window; `11`, 5 bits of leading zeros, 6 bits of width, bits |
//!
//! Two things surprise: the range of an n-bit difference is −(2^(n−1)−1) to 2^(n−1), so reading
//! re-biases the two's complement; and a width of 64 is stored as 0.
//! Sources: Pelkonen et al., "Gorilla", VLDB 2015; Prometheus, `tsdb/docs/format/chunks.md`.

use bytes::Bytes;
use headwater_model::{FloatColumn, TimeRange, Timestamp};

use super::Encoding;
use super::fill::fill;
use super::value::{self, Window};
use crate::bits::{BitReader, BitWriter};
use crate::error::{ChunkError, DecodeError};

const PART: &str = "xor chunk";
/// Bytes of the sample count.
const HEADER: usize = 2;

/// Bits of the time's difference of differences, by the number of ones before the first zero.
const DOD_BITS: [u32; 5] = [0, 14, 17, 20, 64];

/// Writes an XOR chunk sample by sample. 48 bytes and the chunk itself, so that a head can keep
/// one in each series; what was written can be read at any time.
#[derive(Clone, Debug)]
pub struct XorAppender {
    bits: BitWriter,
    time: Timestamp,
    delta: i64,
    value: u64,
    count: u16,
    window: Window,
    /// Always false. Its other values let an enum around the appender keep its tag here, in what
    /// would be padding: a series of a head pays for the appender alone.
    _tag_space: bool,
}

impl Default for XorAppender {
    fn default() -> Self {
        Self::new()
    }
}

impl XorAppender {
    /// The most samples that the header can count.
    pub const MAX_SAMPLES: usize = u16::MAX as usize;

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
        bits.write_short(0, 16);
        Self {
            bits,
            time: 0,
            delta: 0,
            value: 0,
            count: 0,
            window: Window::NONE,
            _tag_space: false,
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
        reader.walk(|_, _| true)?;
        Ok(Self {
            bits: BitWriter::resume(data, reader.state.bits.position()),
            time: reader.state.time,
            delta: reader.state.delta,
            value: reader.state.value,
            count: reader.count as u16,
            window: reader.state.window.for_writer(),
            _tag_space: false,
        })
    }

    /// Appends a sample; `time` must be later than that of the sample before.
    ///
    /// # Panics
    /// The chunk already holds [`XorAppender::MAX_SAMPLES`].
    #[inline]
    pub fn append(&mut self, time: Timestamp, value: f64) {
        assert!(
            usize::from(self.count) < Self::MAX_SAMPLES,
            "an xor chunk counts 65535 samples at most"
        );
        let bits = value.to_bits();
        match self.count {
            0 => self.write_first(time, bits),
            1 => self.write_second(time, bits),
            _ => self.write_next(time, bits),
        }
        self.time = time;
        self.value = bits;
        // The chunk's own count is written when the chunk is asked for: an append then changes
        // one cache line of it, its last.
        self.count += 1;
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
        f64::from_bits(self.value)
    }

    /// The length of the chunk so far in bytes.
    #[expect(
        clippy::len_without_is_empty,
        reason = "it is never empty: the count comes first"
    )]
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// The address of the byte that the next sample goes to, for those who fetch memory ahead.
    pub fn tail_address(&self) -> usize {
        self.bits.bytes().as_ptr().addr() + self.bits.len()
    }

    /// Bytes of memory beside the appender itself.
    pub fn heap_bytes(&self) -> usize {
        self.bits.capacity()
    }

    /// The chunk so far, whole and readable, in an allocation of its own size.
    pub fn to_bytes(&self) -> Bytes {
        let mut data = self.bits.bytes().to_vec();
        data[..HEADER].copy_from_slice(&self.count.to_be_bytes());
        data.into()
    }

    /// The encoding of what is written.
    pub const ENCODING: Encoding = Encoding::Xor;

    fn write_first(&mut self, time: Timestamp, value: u64) {
        self.bits.write_varint(time);
        self.bits.write(value, 64);
    }

    fn write_second(&mut self, time: Timestamp, value: u64) {
        self.delta = time.wrapping_sub(self.time);
        self.bits.write_uvarint(self.delta as u64);
        value::write(&mut self.bits, (0, 0), &mut self.window, self.value, value);
    }

    fn write_next(&mut self, time: Timestamp, value: u64) {
        let delta = time.wrapping_sub(self.time);
        let dod = delta.wrapping_sub(self.delta);
        self.delta = delta;
        let (code, bits) = match dod {
            0 => (0, 1),
            -0x1fff..=0x2000 => (0b10 << 14 | dod as u64 & 0x3fff, 16),
            -0xffff..=0x1_0000 => (0b110 << 17 | dod as u64 & 0x1_ffff, 20),
            -0x7_ffff..=0x8_0000 => (0b1110 << 20 | dod as u64 & 0xf_ffff, 24),
            _ => {
                self.bits.write_short(0b1111, 4);
                self.bits.write(dod as u64, 64);
                (0, 0)
            }
        };
        value::write(
            &mut self.bits,
            (code, bits),
            &mut self.window,
            self.value,
            value,
        );
    }
}

/// Reads a chunk, one sample after the other.
struct Reader<'a> {
    data: &'a [u8],
    count: usize,
    state: State<'a>,
}

/// What changes from sample to sample. The loop works on a copy: nothing may borrow it, or the
/// compiler would keep it in memory instead of registers, at twice the time.
#[derive(Clone, Copy)]
struct State<'a> {
    bits: BitReader<'a>,
    time: Timestamp,
    delta: i64,
    value: u64,
    window: Window,
    ascends: bool,
}

impl<'a> Reader<'a> {
    /// Reads the count and checks it against the length: every sample takes two bits or more,
    /// so a damaged count cannot ask for much memory.
    fn new(data: &'a [u8]) -> Result<Self, ChunkError> {
        let head = data
            .first_chunk::<HEADER>()
            .ok_or(DecodeError::truncated(PART, 0))?;
        let count = usize::from(u16::from_be_bytes(*head));
        if count > data.len() * 4 {
            return Err(DecodeError::truncated(PART, data.len()));
        }
        let state = State {
            bits: BitReader::new(data, HEADER),
            time: 0,
            delta: 0,
            value: 0,
            window: Window::ALL,
            ascends: true,
        };
        Ok(Self { data, count, state })
    }

    /// Gives `each` all samples, or those up to the first for which it answers false.
    #[inline(always)]
    fn walk(&mut self, mut each: impl FnMut(Timestamp, u64) -> bool) -> Result<(), ChunkError> {
        for at in 0..self.count.min(2) {
            self.state = head(self.state, at)?;
            if !each(self.state.time, self.state.value) {
                return self.finish();
            }
        }
        let mut state = self.state;
        for _ in 2..self.count {
            if !state.next() {
                return Err(too_wide(state.bits.byte_offset()));
            }
            if !each(state.time, state.value) {
                break;
            }
        }
        self.state = state;
        self.finish()
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

/// The first two samples, which are written differently.
fn head(mut state: State<'_>, at: usize) -> Result<State<'_>, ChunkError> {
    let offset = state.bits.byte_offset();
    let unending = || DecodeError::invalid(PART, offset, "a time's varint does not end");
    if at == 0 {
        state.time = state.bits.varint().ok_or_else(unending)?;
        state.value = state.bits.read(64);
        return Ok(state);
    }
    state.delta = state.bits.uvarint().ok_or_else(unending)? as i64;
    let word = state.bits.peek();
    if !state.next_value(word) {
        return Err(too_wide(state.bits.byte_offset()));
    }
    state.advance();
    Ok(state)
}

#[cold]
fn too_wide(offset: usize) -> DecodeError {
    DecodeError::invalid(PART, offset, "a value has more than 64 bits")
}

impl State<'_> {
    /// The third sample and all that follow; false if a value's window is impossible.
    #[inline(always)]
    fn next(&mut self) -> bool {
        let word = self.bits.peek();
        let rest = if word >> 63 == 0 {
            self.bits.skip(1);
            word << 1
        } else {
            self.next_uneven(word)
        };
        self.advance();
        self.next_value(rest)
    }

    #[inline(always)]
    fn advance(&mut self) {
        let before = self.time;
        self.time = before.wrapping_add(self.delta);
        self.ascends &= before < self.time;
    }

    /// Reads a difference of differences that is not 0; answers the bits behind it.
    #[inline(always)]
    fn next_uneven(&mut self, word: u64) -> u64 {
        let ones = (!word).leading_zeros();
        if ones >= 4 {
            self.bits.skip(4);
            let dod = self.bits.read(64) as i64;
            self.delta = self.delta.wrapping_add(dod);
            return self.bits.peek();
        }
        let (prefix, width) = (ones + 1, DOD_BITS[ones as usize]);
        let stored = ((word << prefix) >> (64 - width)) as i64;
        // The upper half stands for negative numbers, except for its first.
        let negative = stored > 1 << (width - 1);
        self.delta = self
            .delta
            .wrapping_add(stored - (i64::from(negative) << width));
        self.bits.skip(prefix + width);
        word << (prefix + width)
    }

    /// Reads a value, of which `word` has the first bits; false if its window is impossible.
    #[inline(always)]
    fn next_value(&mut self, word: u64) -> bool {
        if word >> 63 == 0 {
            self.bits.skip(1);
            return true;
        }
        if word >> 62 == 0b11 {
            let Some(window) = Window::from_code(word >> 51) else {
                return false;
            };
            self.window = window;
            self.bits.skip(13);
        } else {
            self.bits.skip(2);
        }
        self.value ^= value::read_significant(&mut self.bits, self.window);
        true
    }
}

pub(super) fn decode(
    data: &[u8],
    range: TimeRange,
    into: &mut FloatColumn,
) -> Result<(), ChunkError> {
    let mut reader = Reader::new(data)?;
    fill(into, range, reader.count, false, |room| {
        reader.walk(|time, value| room.put(time, value))
    })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn encode(samples: &[(Timestamp, f64)]) -> XorAppender {
        let mut appender = XorAppender::new();
        for &(time, value) in samples {
            appender.append(time, value);
        }
        appender
    }

    fn decode_all(data: &[u8]) -> Result<FloatColumn, ChunkError> {
        let mut column = FloatColumn::default();
        decode(data, TimeRange::ALL, &mut column).map(|()| column)
    }

    fn column(samples: &[(Timestamp, f64)]) -> FloatColumn {
        let mut column = FloatColumn::default();
        for &(time, value) in samples {
            column.push(time, value);
        }
        column
    }

    /// By hand: 3 samples 1000 ms apart; 1.0, 1.0, 2.0, whose XOR has 1 leading zero and
    /// 11 significant bits (`0x3ff0...` ^ `0x4000...` = `0x7ff0...`).
    #[test]
    fn bytes_are_as_the_format_says() {
        let appender = encode(&[(0, 1.0), (1000, 1.0), (2000, 2.0)]);
        let value = 1.0f64.to_bits().to_be_bytes();
        let mut expected = vec![0, 3, 0];
        expected.extend(value);
        expected.extend([0xe8, 0x07]); // uvarint 1000
        // 0 (same value) 0 (even) 11 00001 001011 then 11 ones
        expected.extend([0b0011_0000, 0b1001_0111, 0b1111_1111, 0b1100_0000]);
        assert_eq!(appender.to_bytes(), expected);
    }

    #[test]
    fn an_empty_chunk_has_no_samples() {
        assert_eq!(
            decode_all(&XorAppender::new().to_bytes()).unwrap(),
            FloatColumn::default()
        );
    }

    #[test]
    fn ranges_are_closed_and_leave_earlier_samples_alone() {
        let appender = encode(&[(10, 1.0), (20, 2.0), (30, 3.0), (40, 4.0)]);
        let mut into = FloatColumn::default();
        into.push_with_start(5, 0.0, 1);
        decode(&appender.to_bytes(), TimeRange::new(20, 30), &mut into).unwrap();
        assert_eq!(into.times, [5, 20, 30]);
        assert_eq!(into.values, [0.0, 2.0, 3.0]);
        assert_eq!(into.starts, [1, 0, 0]);
        for empty in [
            TimeRange::new(41, 90),
            TimeRange::new(0, 9),
            TimeRange::new(21, 29),
            TimeRange::new(30, 20),
        ] {
            decode(&appender.to_bytes(), empty, &mut into).unwrap();
        }
        assert_eq!(into.len(), 3);
    }

    #[test]
    fn damage_is_refused_and_leaves_the_column_alone() {
        let appender = encode(&[(10, 1.0), (20, 2.5), (35, 3.1)]);
        let whole = appender.to_bytes();
        for len in 0..whole.len() {
            let mut into = column(&[(1, 1.0)]);
            assert!(
                decode(&whole[..len], TimeRange::ALL, &mut into).is_err(),
                "{len} bytes"
            );
            assert_eq!(into, column(&[(1, 1.0)]));
        }
        let mut many = whole.to_vec();
        many[..2].fill(0xff);
        assert_eq!(
            decode_all(&many).unwrap_err().cause,
            crate::Cause::Truncated
        );
    }

    #[test]
    fn times_must_ascend() {
        let error = decode_all(&encode(&[(10, 1.0), (10, 2.0)]).to_bytes()).unwrap_err();
        assert_eq!(error.to_string(), "xor chunk, byte 2: times do not ascend");
    }

    #[test]
    fn a_chunk_that_is_gone_on_with_is_as_small_as_another() {
        let mut whole = XorAppender::new();
        let mut resumed = XorAppender::new();
        for n in 0..120 {
            whole.append(n * 15_000, n as f64);
            resumed.append(n * 15_000, n as f64);
            resumed = XorAppender::resume(&resumed.to_bytes()).unwrap();
        }
        assert_eq!(resumed.to_bytes(), whole.to_bytes());
    }

    #[test]
    fn state_stays_small() {
        assert!(size_of::<XorAppender>() <= 56);
        assert_eq!(size_of::<Option<XorAppender>>(), size_of::<XorAppender>());
    }

    fn samples() -> impl Strategy<Value = Vec<(Timestamp, f64)>> {
        let step = prop_oneof![4 => Just(15_000i64), 4 => 14_000i64..16_000, 1 => 1i64..1 << 40];
        let value = prop_oneof![
            3 => Just(1.0f64),
            3 => (0u32..100_000).prop_map(f64::from),
            2 => any::<u64>().prop_map(f64::from_bits),
            1 => Just(headwater_model::stale_nan()),
        ];
        let start = -1i64 << 41..1 << 41;
        (start, proptest::collection::vec((step, value), 0..150)).prop_map(|(mut time, steps)| {
            let add = |(step, value)| {
                time += step;
                (time, value)
            };
            steps.into_iter().map(add).collect()
        })
    }

    proptest! {
        #[test]
        fn samples_come_back(samples in samples()) {
            let appender = encode(&samples);
            prop_assert_eq!(decode_all(&appender.to_bytes()).unwrap(), column(&samples));
        }

        #[test]
        fn a_resumed_chunk_goes_on_alike(samples in samples(), at: prop::sample::Index) {
            let at = if samples.is_empty() { 0 } else { at.index(samples.len()) };
            let mut resumed = XorAppender::resume(&encode(&samples[..at]).to_bytes()).unwrap();
            for &(time, value) in &samples[at..] {
                resumed.append(time, value);
            }
            prop_assert_eq!(resumed.count(), samples.len());
            prop_assert_eq!(decode_all(&resumed.to_bytes()).unwrap(), column(&samples));
        }

        #[test]
        fn any_bytes_are_read_or_refused(data in proptest::collection::vec(any::<u8>(), 0..200)) {
            if let Ok(column) = decode_all(&data) {
                prop_assert!(column.len() <= data.len() * 4);
            }
            let _ = XorAppender::resume(&data);
        }
    }
}
