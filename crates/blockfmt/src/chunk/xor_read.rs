//! Reading encoding 1, XOR, whose form [`xor`](super::xor) describes.
//!
//! Much of a query's time goes into the loops of this file, so they do as little for a sample as
//! they can. They call nothing and their state is a copy that nothing borrows, or the compiler
//! would keep it in memory instead of registers; what is rare, or lies near the end of the chunk,
//! makes them stop and is read elsewhere. A sample is read from one word of the chunk where it
//! fits. What lies before the range is walked over and not stored. Samples that change nothing are
//! taken eight at a time. That times ascend is seen from the intervals, which seldom change.

use headwater_model::{FloatColumn, TimeRange, Timestamp};

use super::value::{self, Window};
use crate::bits::{BitReader, PEEK_BITS};
use crate::error::{ChunkError, DecodeError};

const PART: &str = "xor chunk";
/// Bytes of the sample count.
pub(super) const HEADER: usize = 2;
/// Bits of the time's difference of differences, by the number of ones before the first zero.
const DOD_BITS: [u32; 5] = [0, 14, 17, 20, 64];
/// So many samples that change nothing are read at once.
const FLAT: usize = 8;
/// Between intervals below this, 65535 of them at most, times behind a first one below
/// [`NEAR`] cannot overflow.
const SMALL_INTERVAL: i64 = 1 << 46;
const NEAR: i64 = 1 << 61;
/// The loops look at so many bytes for a sample.
const AROUND: usize = 16;
/// The end of a chunk is copied, so that there is something behind it.
const TAIL: usize = 32;

/// Where a chunk ends, for one who appends to it.
pub(super) struct End {
    pub(super) bits: usize,
    pub(super) time: Timestamp,
    pub(super) delta: i64,
    pub(super) value: u64,
    pub(super) count: u16,
    pub(super) window: Window,
}

/// Where the chunk `data` ends; `None` if it has no samples.
pub(super) fn end(data: &[u8]) -> Result<Option<End>, ChunkError> {
    let tail = Tail::of(data);
    let mut reader = Reader::new(data, &tail)?;
    while reader.seek(Timestamp::MAX)? {}
    reader.finish()?;
    let State {
        shift, trailing, ..
    } = reader.state;
    Ok((reader.count > 0).then(|| End {
        bits: reader.position(),
        time: reader.state.time,
        delta: reader.state.delta,
        value: reader.state.value,
        count: reader.count as u16,
        window: Window {
            leading: (shift - trailing) as u8,
            trailing: trailing as u8,
        },
    }))
}

/// Appends the samples of `range` to a column, which is as it was if the chunk is damaged.
pub(super) fn decode(
    data: &[u8],
    range: TimeRange,
    into: &mut FloatColumn,
) -> Result<(), ChunkError> {
    let tail = Tail::of(data);
    let mut reader = Reader::new(data, &tail)?;
    if !reader.seek(range.start)? || reader.state.time > range.end {
        return reader.finish();
    }
    let before = into.len();
    let most = before + reader.count + 1 - reader.at;
    into.times.resize(most, 0);
    into.values.resize(most, 0.0);
    let (times, values) = (&mut into.times[before..], &mut into.values[before..]);
    let taken = reader.take(range.end, times, values);
    let taken = taken.and_then(|taken| reader.finish().map(|()| taken));
    let kept = before + *taken.as_ref().unwrap_or(&0);
    into.times.truncate(kept);
    into.values.truncate(kept);
    if !into.starts.is_empty() {
        into.starts.resize(kept, 0);
    }
    taken.map(|_| ())
}

/// Reads a chunk, one sample after the other.
struct Reader<'a> {
    data: &'a [u8],
    count: usize,
    /// What is read from: the data, or near their end the tail, and where that begins in the data.
    source: &'a [u8],
    base: usize,
    tail: &'a Tail,
    /// Samples read so far; the state is that of the last.
    at: usize,
    state: State,
}

/// The end of a chunk with zeros behind it.
struct Tail {
    bytes: [u8; TAIL + AROUND],
    start: usize,
}

/// What changes from sample to sample.
#[derive(Clone, Copy)]
struct State {
    /// Bits of the source that lie before the next sample.
    position: usize,
    time: Timestamp,
    delta: i64,
    value: u64,
    /// 64 less the width of the window, and the zeros behind it.
    shift: u32,
    trailing: u32,
    /// There were times or intervals that may not ascend.
    odd: bool,
}

impl Tail {
    fn of(data: &[u8]) -> Self {
        let start = data.len().saturating_sub(TAIL);
        let mut bytes = [0; TAIL + AROUND];
        bytes[..data.len() - start].copy_from_slice(&data[start..]);
        Self { bytes, start }
    }
}

impl<'a> Reader<'a> {
    /// Reads the count and checks it against the length: every sample takes two bits or more,
    /// so a damaged count cannot ask for much memory.
    fn new(data: &'a [u8], tail: &'a Tail) -> Result<Self, ChunkError> {
        let head = data
            .first_chunk::<HEADER>()
            .ok_or(DecodeError::truncated(PART, 0))?;
        let count = usize::from(u16::from_be_bytes(*head));
        if count > data.len() * 4 {
            return Err(DecodeError::truncated(PART, data.len()));
        }
        let state = State {
            position: 8 * HEADER,
            time: 0,
            delta: 0,
            value: 0,
            shift: 0,
            trailing: 0,
            odd: false,
        };
        Ok(Self {
            data,
            count,
            source: data,
            base: 0,
            tail,
            at: 0,
            state,
        })
    }

    /// Bits of the chunk that lie before the next sample.
    fn position(&self) -> usize {
        8 * self.base + self.state.position
    }

    /// Reads on to the next sample that is not before `start`; false if there is none.
    fn seek(&mut self, start: Timestamp) -> Result<bool, ChunkError> {
        while self.at < self.count {
            let read = self.at;
            if read >= 2 {
                self.at += self.state.seek(self.source, self.count - read, start);
            }
            if self.at == read {
                self.read_one()?;
            }
            if self.state.time >= start && self.at > read {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Stores the sample that was read last and those behind it, up to `end`, and says how many.
    fn take(
        &mut self,
        end: Timestamp,
        times: &mut [Timestamp],
        values: &mut [f64],
    ) -> Result<usize, ChunkError> {
        let (mut kept, first) = (0, self.at);
        while self.state.time <= end {
            times[kept] = self.state.time;
            values[kept] = f64::from_bits(self.state.value);
            kept += 1;
            if self.at >= 2 {
                let (times, values) = (&mut times[kept..], &mut values[kept..]);
                kept += self.state.take(self.source, end, times, values);
                self.at = first + kept - 1;
            }
            if self.at == self.count || self.state.time > end {
                break;
            }
            let read = self.at;
            while self.at == read {
                self.read_one()?;
            }
        }
        Ok(kept)
    }

    /// Reads a sample that the loops do not: one of the first two, a rare one. Near the end of the
    /// data it goes over to the tail instead, once.
    #[inline(never)]
    fn read_one(&mut self) -> Result<(), ChunkError> {
        if self.at >= 2 && self.state.position / 8 + AROUND > self.source.len() {
            if self.position() > 8 * self.data.len() {
                return Err(DecodeError::truncated(PART, self.data.len()));
            }
            if self.base == 0 && self.source.len() == self.data.len() {
                self.source = &self.tail.bytes;
                self.base = self.tail.start;
                self.state.position -= 8 * self.base;
                return Ok(());
            }
        }
        let mut bits = BitReader::new(self.data, 0);
        bits.skip(self.position() as u32);
        let offset = bits.byte_offset();
        let state = &mut self.state;
        match self.at {
            0 => {
                state.time = bits.varint().ok_or_else(|| unending(offset))?;
                state.odd = !(-NEAR..NEAR).contains(&state.time);
                state.value = bits.read(64);
            }
            1 => {
                state.delta = bits.uvarint().ok_or_else(|| unending(offset))? as i64;
                state.read_value(&mut bits)?;
            }
            _ => {
                state.delta = state.delta.wrapping_add(read_dod(&mut bits));
                state.read_value(&mut bits)?;
            }
        }
        state.position = bits.position() - 8 * self.base;
        self.at += 1;
        Ok(())
    }

    /// What is asked once, because asking for every sample would cost too much.
    fn finish(&self) -> Result<(), ChunkError> {
        if self.position() > 8 * self.data.len() {
            return Err(DecodeError::truncated(PART, self.data.len()));
        }
        if self.state.odd && !self.ascends()? {
            return Err(DecodeError::invalid(PART, HEADER, "times do not ascend"));
        }
        Ok(())
    }

    /// Whether the times of the samples that were read ascend.
    #[cold]
    fn ascends(&self) -> Result<bool, ChunkError> {
        let mut again = Reader::new(self.data, self.tail)?;
        let mut before = None;
        while again.at < self.at {
            again.seek(Timestamp::MIN)?;
            if before >= Some(again.state.time) {
                return Ok(false);
            }
            before = Some(again.state.time);
        }
        Ok(true)
    }
}

#[cold]
fn unending(offset: usize) -> DecodeError {
    DecodeError::invalid(PART, offset, "a time's varint does not end")
}

#[cold]
fn too_wide(offset: usize) -> DecodeError {
    DecodeError::invalid(PART, offset, "a value has more than 64 bits")
}

/// A difference of differences of any width.
fn read_dod(bits: &mut BitReader<'_>) -> i64 {
    let ones = (!bits.peek()).leading_zeros().min(4);
    bits.skip(ones + u32::from(ones < 4));
    let width = DOD_BITS[ones as usize];
    let stored = bits.read(width) as i64;
    match ones {
        0 | 4 => stored,
        _ => signed(stored, width),
    }
}

/// The upper half stands for negative numbers, except for its first.
#[inline(always)]
fn signed(stored: i64, width: u32) -> i64 {
    stored - (i64::from(stored > 1 << (width - 1)) << width)
}

impl State {
    /// Reads at most `most` samples, up to the first that is not before `start`; says how many.
    fn seek(&mut self, source: &[u8], most: usize, start: Timestamp) -> usize {
        let (mut state, mut read) = (*self, 0);
        while read < most
            && let Some(around) = state.around(source)
        {
            let word = state.word(around);
            let behind = state.time_behind_flat();
            if is_flat(word) && read + FLAT <= most && behind < start {
                state.time = behind;
                state.position += 2 * FLAT;
                read += FLAT;
                continue;
            }
            if !state.next(around, word) {
                break;
            }
            read += 1;
            if state.time >= start {
                break;
            }
        }
        *self = state;
        read
    }

    /// Stores samples up to `end`, or as many as there is room for; says how many. That it stopped
    /// for anything else shows when the next one is asked for.
    fn take(
        &mut self,
        source: &[u8],
        end: Timestamp,
        times: &mut [Timestamp],
        values: &mut [f64],
    ) -> usize {
        let most = times.len().min(values.len());
        let (times, values) = (&mut times[..most], &mut values[..most]);
        let (mut state, mut kept) = (*self, 0);
        while kept < most
            && let Some(around) = state.around(source)
        {
            let word = state.word(around);
            if is_flat(word) && kept + FLAT <= most && state.time_behind_flat() <= end {
                for time in &mut times[kept..kept + FLAT] {
                    state.time = state.time.wrapping_add(state.delta);
                    *time = state.time;
                }
                values[kept..kept + FLAT].fill(f64::from_bits(state.value));
                state.position += 2 * FLAT;
                kept += FLAT;
                continue;
            }
            if !state.next(around, word) || state.time > end {
                break;
            }
            times[kept] = state.time;
            values[kept] = f64::from_bits(state.value);
            kept += 1;
        }
        *self = state;
        kept
    }

    /// The bytes that the next sample begins with; `None` near the end.
    #[inline(always)]
    fn around<'s>(&self, source: &'s [u8]) -> Option<&'s [u8; AROUND]> {
        let byte = self.position >> 3;
        source.get(byte..byte + AROUND)?.first_chunk()
    }

    /// The bits of the next sample, [`PEEK_BITS`] of them.
    #[inline(always)]
    fn word(&self, around: &[u8; AROUND]) -> u64 {
        word(around, 0) << (self.position & 7)
    }

    #[inline(always)]
    fn time_behind_flat(&self) -> Timestamp {
        self.time.wrapping_add(self.delta.wrapping_mul(FLAT as i64))
    }

    /// Reads the third sample or one that follows, which begins with the bits `word`; false, and
    /// nothing is changed, if it is a rare one.
    #[inline(always)]
    fn next(&mut self, around: &[u8; AROUND], word: u64) -> bool {
        if word >> 63 == 0 {
            return self.next_value(around, word << 1, 1, self.delta);
        }
        // With the usual width known beforehand, the next sample need not wait for this one.
        if word >> 62 == 0b10 {
            return self.next_uneven(around, word, 1);
        }
        let ones = (!word).leading_zeros();
        ones < 4 && self.next_uneven(around, word, ones)
    }

    #[inline(always)]
    fn next_uneven(&mut self, around: &[u8; AROUND], word: u64, ones: u32) -> bool {
        let (prefix, width) = (ones + 1, DOD_BITS[ones as usize]);
        let stored = ((word << prefix) >> (64 - width)) as i64;
        let delta = self.delta.wrapping_add(signed(stored, width));
        self.odd |= !(1..SMALL_INTERVAL).contains(&delta);
        let used = prefix + width;
        self.next_value(around, word << used, used, delta)
    }

    /// Reads a value, of which `rest` has the first bits, behind `used` bits of the sample.
    #[inline(always)]
    fn next_value(&mut self, around: &[u8; AROUND], rest: u64, used: u32, delta: i64) -> bool {
        let mut position = self.position + used as usize + 1;
        if rest >> 63 != 0 {
            let (mut shift, mut trailing, mut announced) = (self.shift, self.trailing, 2);
            if rest >> 62 == 0b11 {
                let Some(window) = Window::from_code(rest >> 51) else {
                    return false;
                };
                (shift, trailing) = (64 - window.width(), window.trailing.into());
                announced = 13;
            }
            let used = used + announced;
            let bits = if shift >= 64 - PEEK_BITS + used {
                rest << announced >> shift
            } else {
                let start = (self.position & 7) as u32 + used;
                let (byte, bit) = ((start >> 3) as usize & 7, start & 7);
                let beyond = u64::from(around[byte + 8]) >> (8 - bit);
                (word(around, byte) << bit | beyond) >> shift
            };
            (self.shift, self.trailing) = (shift, trailing);
            self.value ^= bits << trailing;
            position += (announced + 63 - shift) as usize;
        }
        self.position = position;
        self.delta = delta;
        self.time = self.time.wrapping_add(delta);
        true
    }

    /// Reads a value of any width, and goes on to its time.
    fn read_value(&mut self, bits: &mut BitReader<'_>) -> Result<(), ChunkError> {
        let mut window = Window {
            leading: (self.shift - self.trailing) as u8,
            trailing: self.trailing as u8,
        };
        let offset = bits.byte_offset();
        let value = value::read(bits, &mut window, self.value);
        self.value = value.ok_or_else(|| too_wide(offset))?;
        self.shift = 64 - window.width();
        self.trailing = window.trailing.into();
        self.odd |= !(1..SMALL_INTERVAL).contains(&self.delta);
        self.time = self.time.wrapping_add(self.delta);
        Ok(())
    }
}

/// Whether the next [`FLAT`] samples have the interval and the value of the one before.
#[inline(always)]
fn is_flat(word: u64) -> bool {
    word >> (64 - 2 * FLAT) == 0
}

#[inline(always)]
fn word(around: &[u8; AROUND], at: usize) -> u64 {
    around[at..]
        .first_chunk()
        .map_or(0, |word| u64::from_be_bytes(*word))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::chunk::XorAppender;

    /// Runs of samples that change nothing, or little, with all widths of intervals and values.
    fn runs() -> impl Strategy<Value = Vec<(Timestamp, f64)>> {
        let interval = prop_oneof![Just(15_000i64), 1i64..40_000, 1i64..1 << 45];
        let value = prop_oneof![
            (0u32..9).prop_map(f64::from),
            any::<u64>().prop_map(f64::from_bits)
        ];
        let run = (interval, value, 1usize..40);
        proptest::collection::vec(run, 1..12).prop_map(|runs| {
            let mut time = -(1 << 40);
            let mut out = Vec::new();
            for (interval, value, len) in runs {
                for _ in 0..len {
                    time += interval;
                    out.push((time, value));
                }
            }
            out
        })
    }

    proptest! {
        #[test]
        fn a_range_is_what_a_filter_leaves(samples in runs(), from: prop::sample::Index, to: prop::sample::Index, around in -1i64..2) {
            let mut appender = XorAppender::new();
            samples.iter().for_each(|(time, value)| appender.append(*time, *value));
            let start = samples[from.index(samples.len())].0 + around;
            let end = samples[to.index(samples.len())].0 - around;
            let range = TimeRange::new(start, end);
            let mut expected = FloatColumn::default();
            for (time, value) in samples.iter().filter(|sample| range.contains(sample.0)) {
                expected.push(*time, *value);
            }
            let mut found = FloatColumn::default();
            decode(&appender.to_bytes(), range, &mut found).unwrap();
            prop_assert_eq!(found, expected);
        }
    }

    #[test]
    fn the_ends_of_time_ascend_too() {
        let times = [i64::MIN, 0, 1 << 62, i64::MAX];
        let mut appender = XorAppender::new();
        times.iter().for_each(|time| appender.append(*time, 1.0));
        let mut found = FloatColumn::default();
        decode(&appender.to_bytes(), TimeRange::ALL, &mut found).unwrap();
        assert_eq!(found.times, times);
        appender.append(i64::MIN, 1.0);
        let error = decode(&appender.to_bytes(), TimeRange::ALL, &mut found).unwrap_err();
        assert_eq!(error.to_string(), "xor chunk, byte 2: times do not ascend");
        assert_eq!(found.len(), times.len());
    }
}
