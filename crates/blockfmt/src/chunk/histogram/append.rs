//! Writing histogram chunks.

use bytes::Bytes;
use headwater_model::{ResetHint, Timestamp, is_stale_nan};

use super::fit::{self, Chunk, Common, Fit, Side};
use super::kind::{Bucket, Kind, Numbers, Owned};
use super::layout::{self, Layout, LayoutRef};
use super::read::{Reader, State};
use super::track::{Signed, Track, Xored};
use super::{HEADER, reset_bits};
use crate::bits::BitWriter;
use crate::chunk::Encoding;
use crate::chunk::starts::Starts;
use crate::error::ChunkError;

/// A chunk cannot take a histogram: begin the next one with [`Appender::after`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cut {
    /// What the header of the next chunk says about a counter reset between the two.
    pub reset: ResetHint,
}

/// Writes a histogram chunk sample by sample; its bytes can be read at any time.
///
/// A histogram with buckets that the chunk does not have yet makes the chunk be written anew,
/// once. One that cannot share a chunk with the samples before it is refused with [`Cut`]: after
/// a counter reset, a change of schema, zero threshold or bounds, a stale marker, or a change
/// between gauge and counter.
#[derive(Clone, Debug)]
pub struct Appender<K: Kind> {
    bits: BitWriter,
    count: u16,
    reset: ResetHint,
    layout: Layout,
    state: Option<State<K>>,
    starts: Option<Starts>,
}

impl<K: Kind> Default for Appender<K> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Kind> Appender<K> {
    /// The most samples that a chunk with start timestamps can count, which is also
    /// the limit without them: far above what any store wants.
    pub const MAX_SAMPLES: usize = 0x3fff;

    /// An empty chunk with no chunk before it.
    pub fn new() -> Self {
        Self::after(Cut {
            reset: ResetHint::Unknown,
        })
    }

    /// An empty chunk behind another, which was left for `cut`.
    pub fn after(cut: Cut) -> Self {
        let mut bits = BitWriter::default();
        bits.write_short(0, HEADER as u32 * 8);
        Self {
            bits,
            count: 0,
            reset: cut.reset,
            layout: Layout::default(),
            state: None,
            starts: None,
        }
    }

    /// The same empty chunk, but with start timestamps (encodings 5 and 6, which only
    /// Prometheus 3.14 and later read).
    ///
    /// # Panics
    /// The chunk is not empty.
    #[must_use]
    pub fn with_starts(mut self) -> Self {
        assert_eq!(
            self.count, 0,
            "start timestamps are decided on before the first sample"
        );
        self.starts = Some(Starts::default());
        self
    }

    /// Goes on where the chunk `data` ends.
    ///
    /// # Errors
    /// `data` is damaged.
    pub fn resume(encoding: Encoding, data: &[u8]) -> Result<Self, ChunkError> {
        let mut reader = Reader::<K>::new(data, encoding == K::WITH_STARTS)?;
        while reader.next()?.is_some() {}
        let position = reader.input.position().max(HEADER * 8);
        Ok(Self {
            bits: BitWriter::resume(data, position),
            count: reader.header.count,
            reset: reader.header.reset,
            layout: reader.layout,
            state: reader.state.map(State::for_writer),
            starts: reader.header.starts.map(|_| reader.starts),
        })
    }

    /// Appends a histogram, whose time must be later than that of the sample before.
    ///
    /// # Errors
    /// [`Cut`] if the histogram needs a chunk of its own; this one is unchanged.
    ///
    /// # Panics
    /// Spans and buckets of the histogram disagree in number.
    pub fn append(&mut self, time: Timestamp, histogram: &K::Histogram) -> Result<(), Cut> {
        self.append_with_start(time, histogram, 0)
    }

    /// The same with a start timestamp, 0 for none. It is kept only by a chunk [`Appender::with_starts`].
    ///
    /// # Errors
    /// As [`Appender::append`].
    ///
    /// # Panics
    /// As [`Appender::append`].
    pub fn append_with_start(
        &mut self,
        time: Timestamp,
        histogram: &K::Histogram,
        start: Timestamp,
    ) -> Result<(), Cut> {
        if is_stale_nan(K::numbers(histogram).sum) {
            self.append_stale(time, histogram, start)?;
            return Ok(());
        }
        let (layout, numbers) = (K::layout(histogram), K::numbers(histogram));
        check_buckets(&layout, &numbers);
        let Some(state) = &self.state else {
            self.begin(K::hint(histogram));
            self.write_first(time, layout.to_owned(), numbers, start);
            return Ok(());
        };
        match self
            .chunk(state)
            .fit(K::hint(histogram), &layout, &numbers)?
        {
            Fit::AsItIs => self.write_next(time, numbers, start),
            Fit::Common(sides) => self.append_fitted(time, layout, numbers, start, sides),
        }
        Ok(())
    }

    /// What the header of the next chunk has to say if it begins with `histogram`: for a
    /// chunk that is cut because of its size or age.
    pub fn cut_before(&self, histogram: &K::Histogram) -> Cut {
        match K::hint(histogram) {
            hint @ (ResetHint::Gauge | ResetHint::Reset) => Cut { reset: hint },
            hint => {
                let Some(state) = &self.state else {
                    return Cut {
                        reset: ResetHint::Unknown,
                    };
                };
                let numbers = K::numbers(histogram);
                if is_stale_nan(numbers.sum) {
                    return Cut {
                        reset: ResetHint::NotReset,
                    };
                }
                match self.chunk(state).fit(hint, &K::layout(histogram), &numbers) {
                    Ok(_) => Cut {
                        reset: ResetHint::NotReset,
                    },
                    Err(cut) => cut,
                }
            }
        }
    }

    /// Number of samples.
    pub fn count(&self) -> usize {
        self.count.into()
    }

    /// Time of the last sample; 0 if there is none.
    pub fn last_time(&self) -> Timestamp {
        self.state.as_ref().map_or(0, |state| state.time.number())
    }

    /// The last sample, perhaps with empty buckets that it did not have when it was appended.
    pub fn last(&self) -> Option<K::Histogram> {
        let hint = if self.reset == ResetHint::Gauge {
            ResetHint::Gauge
        } else {
            ResetHint::Unknown
        };
        self.state
            .as_ref()
            .map(|state| state.histogram(hint, &self.layout))
    }

    /// Whether the last sample is a stale marker.
    pub fn is_stale(&self) -> bool {
        self.state
            .as_ref()
            .is_some_and(|state| is_stale_nan(state.sum.number()))
    }

    /// The chunk so far: always whole and readable.
    pub fn bytes(&self) -> &[u8] {
        self.bits.bytes()
    }

    /// The finished chunk in an allocation of its own size.
    pub fn to_bytes(&self) -> Bytes {
        Bytes::copy_from_slice(self.bytes())
    }

    /// Bytes of memory beside the appender itself.
    pub fn heap_bytes(&self) -> usize {
        let state = self.state.as_ref().map_or(0, |state| {
            state.positive.capacity() + state.negative.capacity()
        });
        let spans = self.layout.positive.capacity() + self.layout.negative.capacity();
        self.bits.capacity()
            + state * size_of::<K::Bucket>()
            + spans * size_of::<headwater_model::Span>()
    }

    /// The encoding of what is written.
    pub fn encoding(&self) -> Encoding {
        if self.starts.is_some() {
            K::WITH_STARTS
        } else {
            K::PLAIN
        }
    }

    /// Takes what the first histogram says of itself into the header.
    fn begin(&mut self, hint: ResetHint) {
        match hint {
            ResetHint::Gauge | ResetHint::Reset => self.reset = hint,
            // Only a gauge histogram makes a gauge chunk.
            _ if self.reset == ResetHint::Gauge => self.reset = ResetHint::Unknown,
            _ => {}
        }
    }

    fn append_stale(
        &mut self,
        time: Timestamp,
        histogram: &K::Histogram,
        start: Timestamp,
    ) -> Result<(), Cut> {
        if self.count == 0 {
            self.begin(K::hint(histogram));
        } else if usize::from(self.count) == Self::MAX_SAMPLES {
            return Err(Cut {
                reset: ResetHint::NotReset,
            });
        } else if K::hint(histogram) == ResetHint::Reset && self.reset != ResetHint::Gauge {
            return Err(Cut {
                reset: ResetHint::Reset,
            });
        }
        let none = Owned::<K>::stale(K::numbers(histogram).sum);
        if self.count == 0 {
            self.write_first(time, Layout::default(), none.borrow(), start);
        } else {
            self.write_next(time, none.borrow(), start);
        }
        Ok(())
    }

    /// The chunk as far as fitting is concerned.
    fn chunk<'a>(&'a self, state: &'a State<K>) -> Chunk<'a, K> {
        Chunk {
            reset: self.reset,
            layout: &self.layout,
            state,
            full: usize::from(self.count) == Self::MAX_SAMPLES,
        }
    }

    fn append_fitted(
        &mut self,
        time: Timestamp,
        layout: LayoutRef<'_>,
        numbers: Numbers<'_, K>,
        start: Timestamp,
        [positive, negative]: [Common; 2],
    ) {
        let spread = |common: &Common, spans, buckets: &[Bucket<K>]| {
            if common.sample_changes {
                return fit::spread(Side::<K> { spans, buckets }, &common.spans);
            }
            buckets.to_vec()
        };
        let owned = Owned::<K> {
            count: numbers.count,
            zero_count: numbers.zero_count,
            sum: numbers.sum,
            positive: spread(&positive, layout.positive, numbers.positive),
            negative: spread(&negative, layout.negative, numbers.negative),
        };
        if positive.chunk_changes || negative.chunk_changes {
            self.widen(&layout.with_spans(positive.spans, negative.spans));
        }
        self.write_next(time, owned.borrow(), start);
    }

    /// Writes the chunk anew with more buckets.
    fn widen(&mut self, layout: &Layout) {
        let mut wide = Self::after(Cut { reset: self.reset });
        wide.starts = self.starts.map(|_| Starts::default());
        let mut reader = Reader::<K>::new(self.bits.bytes(), self.starts.is_some())
            .expect("an appender reads what it has written");
        while let Some((time, start)) = reader
            .next()
            .expect("an appender reads what it has written")
        {
            let Some(state) = &reader.state else { continue };
            let spread = |spans: &_, tracks: &_, to: &_| {
                fit::spread(
                    Side::<K> {
                        spans,
                        buckets: &State::<K>::buckets(tracks),
                    },
                    to,
                )
            };
            let numbers = Owned::<K> {
                count: state.count.number(),
                zero_count: state.zero_count.number(),
                sum: state.sum.number(),
                positive: spread(&self.layout.positive, &state.positive, &layout.positive),
                negative: spread(&self.layout.negative, &state.negative, &layout.negative),
            };
            if wide.count == 0 {
                wide.write_first(time, layout.clone(), numbers.borrow(), start);
            } else {
                wide.write_next(time, numbers.borrow(), start);
            }
        }
        *self = wide;
    }

    /// Writes the first sample, which decides on the layout.
    fn write_first(
        &mut self,
        time: Timestamp,
        layout: Layout,
        numbers: Numbers<'_, K>,
        start: Timestamp,
    ) {
        layout.write(&mut self.bits);
        self.layout = layout;
        self.state = Some(State::write_first(&mut self.bits, time, &numbers));
        self.end_sample((0, time), start);
    }

    /// Writes a sample that fits.
    fn write_next(&mut self, time: Timestamp, numbers: Numbers<'_, K>, start: Timestamp) {
        let before = self.last_time();
        if let Some(state) = &mut self.state {
            state.write_next(&mut self.bits, time, &numbers);
        }
        self.end_sample((before, time), start);
    }

    fn end_sample(&mut self, times: (Timestamp, Timestamp), start: Timestamp) {
        if let Some(starts) = &mut self.starts {
            starts.write(&mut self.bits, self.count, times, start);
        }
        self.count += 1;
        self.write_header();
    }

    fn write_header(&mut self) {
        let [high, low] = self.count.to_be_bytes();
        let reset = reset_bits(self.reset) << 6;
        let header = match &self.starts {
            Some(starts) => [reset | high, low, starts.header()],
            None => [high, low, reset],
        };
        self.bits.patch(0, &header);
    }
}

/// A chunk whose buckets are not as many as its spans say could not be read again.
fn check_buckets<K: Kind>(layout: &LayoutRef<'_>, numbers: &Numbers<'_, K>) {
    for (spans, buckets) in [
        (layout.positive, numbers.positive.len()),
        (layout.negative, numbers.negative.len()),
    ] {
        assert_eq!(
            layout::buckets(spans),
            buckets as u64,
            "spans and buckets of a histogram disagree"
        );
    }
}

impl<K: Kind> State<K> {
    fn write_first(out: &mut BitWriter, time: Timestamp, numbers: &Numbers<'_, K>) -> Self {
        let time = Signed::write_first(out, time);
        let count = K::Count::write_first(out, numbers.count);
        let zero_count = K::Count::write_first(out, numbers.zero_count);
        let sum = Xored::write_first(out, numbers.sum);
        let mut side = |buckets: &[Bucket<K>]| {
            let write = |&bucket| K::Bucket::write_first(out, bucket);
            buckets.iter().map(write).collect()
        };
        let positive = side(numbers.positive);
        let negative = side(numbers.negative);
        Self {
            time,
            count,
            zero_count,
            sum,
            positive,
            negative,
        }
    }

    fn write_next(&mut self, out: &mut BitWriter, time: Timestamp, numbers: &Numbers<'_, K>) {
        self.time.write_next(out, time);
        if is_stale_nan(numbers.sum) {
            self.count.write_stale(out);
            self.zero_count.write_stale(out);
            return self.sum.write_next(out, numbers.sum);
        }
        self.count.write_next(out, numbers.count);
        self.zero_count.write_next(out, numbers.zero_count);
        self.sum.write_next(out, numbers.sum);
        for (track, &bucket) in self.positive.iter_mut().zip(numbers.positive) {
            track.write_next(out, bucket);
        }
        for (track, &bucket) in self.negative.iter_mut().zip(numbers.negative) {
            track.write_next(out, bucket);
        }
    }
}
