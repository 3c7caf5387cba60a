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
use headwater_model::Timestamp;

use super::Encoding;
use super::value::{self, Window};
use super::xor_read::{self, HEADER};
use crate::bits::BitWriter;
use crate::error::ChunkError;

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
        let Some(end) = xor_read::end(data)? else {
            return Ok(Self::new());
        };
        Ok(Self {
            bits: BitWriter::resume(data, end.bits),
            time: end.time,
            delta: end.delta,
            value: end.value,
            count: end.count,
            window: end.window.for_writer(),
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
    #[inline]
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Time of the last sample; 0 if there is none.
    #[inline]
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
    #[inline]
    pub fn len(&self) -> usize {
        self.bits.len()
    }

    /// The address of the byte that the next sample goes to, for those who fetch memory ahead.
    #[inline]
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

    /// Appends the chunk so far, whole and readable, to `out`.
    pub fn copy_to(&self, out: &mut Vec<u8>) {
        let start = out.len();
        out.extend_from_slice(self.bits.bytes());
        out[start..start + HEADER].copy_from_slice(&self.count.to_be_bytes());
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

#[cfg(test)]
mod tests {
    use headwater_model::{FloatColumn, TimeRange};
    use proptest::prelude::*;

    use super::super::xor_read::decode;
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
