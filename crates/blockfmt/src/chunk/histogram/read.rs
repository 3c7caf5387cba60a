//! Reading histogram chunks.

use headwater_model::{HistogramColumn, ResetHint, TimeRange, Timestamp, is_stale_nan};

use super::kind::{Kind, Owned};
use super::layout::{self, Layout};
use super::track::{Signed, Track, Xored};
use super::{HEADER, reset_of_bits};
use crate::bits::BitReader;
use crate::chunk::starts::Starts;
use crate::error::{ChunkError, DecodeError};

/// What the first three bytes say.
#[derive(Clone, Copy, Debug)]
pub(super) struct Header {
    pub(super) count: u16,
    pub(super) reset: ResetHint,
    pub(super) starts: Option<Starts>,
}

impl Header {
    fn read<K: Kind>(data: &[u8], with_starts: bool) -> Result<Self, ChunkError> {
        let Some(&[first, second, third]) = data.first_chunk::<HEADER>() else {
            return Err(DecodeError::truncated(K::PART, 0));
        };
        let count = u16::from_be_bytes([first, second]);
        if with_starts {
            let starts = Some(Starts::new(third));
            return Ok(Self {
                count: count & 0x3fff,
                reset: reset_of_bits(first >> 6),
                starts,
            });
        }
        Ok(Self {
            count,
            reset: reset_of_bits(third >> 6),
            starts: None,
        })
    }
}

/// The numbers of the sample that was read or written last.
#[derive(Clone, Debug)]
pub(super) struct State<K: Kind> {
    pub(super) time: Signed,
    pub(super) count: K::Count,
    pub(super) zero_count: K::Count,
    pub(super) sum: Xored,
    pub(super) positive: Vec<K::Bucket>,
    pub(super) negative: Vec<K::Bucket>,
}

impl<K: Kind> State<K> {
    fn read_first(input: &mut BitReader<'_>, layout: &Layout) -> Self {
        let time = Signed::read_first(input);
        let (count, zero_count) = (K::Count::read_first(input), K::Count::read_first(input));
        let sum = Xored::read_first(input);
        let mut side = |spans| {
            (0..layout::buckets(spans))
                .map(|_| K::Bucket::read_first(input))
                .collect()
        };
        let positive = side(&layout.positive);
        let negative = side(&layout.negative);
        Self {
            time,
            count,
            zero_count,
            sum,
            positive,
            negative,
        }
    }

    fn read_next(&mut self, input: &mut BitReader<'_>) -> Option<()> {
        self.time.read_next(input)?;
        self.count.read_next(input)?;
        self.zero_count.read_next(input)?;
        self.sum.read_next(input)?;
        if is_stale_nan(self.sum.number()) {
            return Some(());
        }
        let buckets = self.positive.iter_mut().chain(&mut self.negative);
        buckets
            .into_iter()
            .try_for_each(|bucket| bucket.read_next(input))
    }

    /// What a writer goes on with.
    pub(super) fn for_writer(mut self) -> Self {
        self.count = self.count.for_writer();
        self.zero_count = self.zero_count.for_writer();
        self.sum = self.sum.for_writer();
        let buckets = self.positive.iter_mut().chain(&mut self.negative);
        buckets.for_each(|bucket| *bucket = bucket.for_writer());
        self
    }

    pub(super) fn buckets(tracks: &[K::Bucket]) -> Vec<<K::Bucket as Track>::Number> {
        tracks.iter().map(Track::number).collect()
    }

    /// The sample as a histogram. A stale marker is nothing but its sum.
    pub(super) fn histogram(&self, hint: ResetHint, layout: &Layout) -> K::Histogram {
        let sum = self.sum.number();
        if is_stale_nan(sum) {
            let none = Owned::stale(sum);
            return K::build(ResetHint::Unknown, &Layout::default(), none);
        }
        let numbers = Owned {
            count: self.count.number(),
            zero_count: self.zero_count.number(),
            sum,
            positive: Self::buckets(&self.positive),
            negative: Self::buckets(&self.negative),
        };
        K::build(hint, layout, numbers)
    }
}

/// Reads the samples of a chunk one after the other.
#[derive(Debug)]
pub(super) struct Reader<'a, K: Kind> {
    pub(super) header: Header,
    pub(super) layout: Layout,
    pub(super) input: BitReader<'a>,
    pub(super) state: Option<State<K>>,
    pub(super) starts: Starts,
    pub(super) read: u16,
    data: &'a [u8],
}

impl<'a, K: Kind> Reader<'a, K> {
    pub(super) fn new(data: &'a [u8], with_starts: bool) -> Result<Self, ChunkError> {
        let header = Header::read::<K>(data, with_starts)?;
        let mut input = BitReader::new(data, HEADER);
        let layout = if header.count == 0 {
            Layout::default()
        } else {
            Layout::read(K::PART, &mut input)?
        };
        // A sample takes four bits at least: time, two counts, sum.
        if usize::from(header.count) > input.remaining() / 4 {
            return Err(DecodeError::truncated(K::PART, data.len()));
        }
        let starts = header.starts.unwrap_or_default();
        Ok(Self {
            header,
            layout,
            input,
            state: None,
            starts,
            read: 0,
            data,
        })
    }

    /// Time and start of the next sample; `None` behind the last.
    pub(super) fn next(&mut self) -> Result<Option<(Timestamp, Timestamp)>, ChunkError> {
        if self.read == self.header.count {
            return Ok(None);
        }
        let impossible = |input: &BitReader<'_>| {
            DecodeError::invalid(K::PART, input.byte_offset(), "impossible bits in a sample")
        };
        let before = self.state.as_ref().map(|state| state.time.number());
        let state = match &mut self.state {
            Some(state) => {
                state
                    .read_next(&mut self.input)
                    .ok_or_else(|| impossible(&self.input))?;
                state
            }
            empty => empty.insert(State::read_first(&mut self.input, &self.layout)),
        };
        let time = state.time.number();
        let times = (before.unwrap_or(0), time);
        let start = self
            .starts
            .read(&mut self.input, self.read, times)
            .ok_or_else(|| impossible(&self.input))?;
        self.read += 1;
        if self.input.overrun() {
            return Err(DecodeError::truncated(K::PART, self.data.len()));
        }
        if before.is_some_and(|before| before >= time) {
            return Err(DecodeError::invalid(
                K::PART,
                self.input.byte_offset(),
                "times do not ascend",
            ));
        }
        Ok(Some((time, start)))
    }

    /// What is known of a reset before the sample that was read last.
    pub(super) fn hint(&self) -> ResetHint {
        match self.header.reset {
            ResetHint::Gauge => ResetHint::Gauge,
            _ if self.read > 1 => ResetHint::NotReset,
            // The chunk before may be gone by now, or others may have come in between, so that even what
            // the header says would say too much. Prometheus reads it so too (its issue 15346), and
            // its warnings about conflicting resets depend on it.
            _ => ResetHint::Unknown,
        }
    }
}

pub(in crate::chunk) fn decode<K: Kind>(
    data: &[u8],
    with_starts: bool,
    range: TimeRange,
    into: &mut HistogramColumn,
) -> Result<(), ChunkError> {
    let mut reader = Reader::<K>::new(data, with_starts)?;
    let before = into.len();
    let result = decode_all(&mut reader, range, into);
    if result.is_err() {
        into.truncate(before);
    }
    result
}

fn decode_all<K: Kind>(
    reader: &mut Reader<'_, K>,
    range: TimeRange,
    into: &mut HistogramColumn,
) -> Result<(), ChunkError> {
    while let Some((time, start)) = reader.next()? {
        if time > range.end {
            break;
        }
        if time >= range.start
            && let Some(state) = &reader.state
        {
            K::push(
                into,
                time,
                state.histogram(reader.hint(), &reader.layout),
                start,
            );
        }
    }
    Ok(())
}
