//! A batch of samples, sorted and appended series by series.

use headwater_model::{FloatHistogram, Histogram, Timestamp};

use crate::head::Head;
use crate::head::commit::{CHUNK_AHEAD, SLOT_AHEAD};
use crate::head::rules::Rules;
use crate::head::series::Series;
use crate::head::slots::Walk;

/// A histogram is much larger than a float: a batch has this many times fewer.
const FLOATS_PER_HISTOGRAM: usize = 16;

/// Where the kind of a sample stands in its slot number, which is smaller.
const KIND: u32 = 1 << 30;
const INTEGER: u32 = KIND;
const FLOAT_HISTOGRAM: u32 = 2 * KIND;

/// Sixteen bytes, because they are written twice and read twice.
#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    /// Slot and kind.
    slot: u32,
    /// Milliseconds since the base of the batch.
    time: u32,
    /// The bits of a float, or the place of a histogram.
    bits: u64,
}

impl Sample {
    fn slot(self) -> u32 {
        self.slot & (KIND - 1)
    }
}

/// Samples in the order of the log.
#[derive(Debug, Default)]
pub(super) struct Batch {
    /// Times count from here, for 49 days.
    base: Timestamp,
    samples: Vec<Sample>,
    integers: Vec<Histogram>,
    float_histograms: Vec<FloatHistogram>,
    /// How many of the samples that were here were new.
    pub(super) applied: u64,
}

impl Batch {
    /// Begins an empty batch around `time`.
    pub(super) fn begin(&mut self, time: Timestamp, limit: usize) {
        // All arithmetic on times wraps, so that none is out of bounds.
        self.base = time.wrapping_sub(1 << 31);
        if self.samples.capacity() / 2 > limit {
            // Nothing is in it that would be worth copying.
            self.samples = Vec::new();
        }
        self.samples.reserve_exact(limit);
    }

    /// Whether a sample of this time can be added.
    #[inline]
    pub(super) fn takes(&self, time: Timestamp, limit: usize) -> bool {
        let histograms = self.integers.len() + self.float_histograms.len();
        self.samples.len() + histograms * FLOATS_PER_HISTOGRAM < limit.min(self.samples.capacity())
            && time.wrapping_sub(self.base) as u64 <= u64::from(u32::MAX)
    }

    #[inline]
    fn push(&mut self, slot: u32, time: Timestamp, bits: u64) {
        let time = time.wrapping_sub(self.base) as u32;
        self.samples.push(Sample { slot, time, bits });
    }

    #[inline]
    pub(super) fn push_float(&mut self, slot: u32, time: Timestamp, value: f64) {
        self.push(slot, time, value.to_bits());
    }

    pub(super) fn push_integer(&mut self, slot: u32, time: Timestamp, value: Histogram) {
        self.push(slot | INTEGER, time, self.integers.len() as u64);
        self.integers.push(value);
    }

    pub(super) fn push_float_histogram(
        &mut self,
        slot: u32,
        time: Timestamp,
        value: FloatHistogram,
    ) {
        let at = self.float_histograms.len() as u64;
        self.push(slot | FLOAT_HISTOGRAM, time, at);
        self.float_histograms.push(value);
    }

    pub(super) fn is_empty(&self) -> bool {
        self.samples.is_empty()
    }

    pub(super) fn clear(&mut self) {
        self.samples.clear();
        self.integers.clear();
        self.float_histograms.clear();
    }

    /// Appends one sample to its series; says whether it was new.
    #[inline]
    fn append(&self, sample: Sample, series: &mut Series, rules: Rules) -> bool {
        let time = self.base.wrapping_add(i64::from(sample.time));
        let at = sample.bits as usize;
        match sample.slot / KIND {
            0 => series.push_float(time, f64::from_bits(sample.bits), rules),
            1 => series.push_integer(time, &self.integers[at], 0, rules),
            _ => series.push_float_histogram(time, &self.float_histograms[at], 0, rules),
        }
    }
}

/// Sorts batches and appends what is in them, with memory that is used again.
#[derive(Debug, Default)]
pub(super) struct Sorter {
    starts: Vec<u32>,
    sorted: Vec<Sample>,
}

impl Sorter {
    /// Appends everything to its series and says how many samples were new.
    pub(super) fn apply(&mut self, head: &Head, batch: &Batch) -> u64 {
        self.sort(&batch.samples);
        let rules = head.rules();
        let (mut applied, mut at) = (0, 0);
        let slot_at = |at: usize| self.sorted.get(at).and_then(|s| head.slots.get(s.slot()));
        let mut walk = Walk::new(&head.slots);
        for samples in self.sorted.chunk_by(|a, b| a.slot() == b.slot()) {
            at += samples.len();
            if let Some(later) = slot_at(at + SLOT_AHEAD) {
                later.prefetch();
            }
            if let Some(soon) = slot_at(at + CHUNK_AHEAD) {
                soon.prefetch_chunk();
            }
            let Some((series, slot)) = samples.first().and_then(|s| walk.series(s.slot())) else {
                continue;
            };
            for sample in samples {
                applied += u64::from(batch.append(*sample, series, rules));
            }
            slot.note_chunk(series);
        }
        applied
    }

    /// Sorts by slot, keeping the order within a series: a counting sort.
    fn sort(&mut self, samples: &[Sample]) {
        let slots = samples.iter().map(|s| s.slot());
        let (first, last) = slots.fold((u32::MAX, 0), |(a, b), s| (a.min(s), b.max(s)));
        let place = |sample: &Sample| (sample.slot() - first) as usize;
        let starts = &mut self.starts;
        starts.clear();
        starts.resize(last.wrapping_sub(first).wrapping_add(2) as usize, 0);
        for sample in samples {
            starts[place(sample) + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        if self.sorted.capacity() / 2 > samples.len() {
            self.sorted = Vec::new();
        }
        let more = samples.len().saturating_sub(self.sorted.len());
        self.sorted.reserve_exact(more);
        self.sorted.resize(samples.len(), Sample::default());
        for sample in samples {
            let to = &mut starts[place(sample)];
            self.sorted[*to as usize] = *sample;
            *to += 1;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn samples_stay_small() {
        assert_eq!(size_of::<Sample>(), 16);
        const { assert!(crate::head::slots::MAX_SERIES <= KIND) };
    }

    #[test]
    fn a_batch_spans_days_around_its_first_time() {
        for time in [0, -1, i64::MIN, i64::MAX, 1_700_000_000_000] {
            let mut batch = Batch::default();
            assert!(!batch.takes(time, 1), "it was not begun");
            batch.begin(time, 1);
            assert!(batch.takes(time, 1));
            assert!(batch.takes(time.wrapping_add(86_400_000), 1));
            assert!(!batch.takes(time.wrapping_add(1 << 40), 1));
            batch.push_float(5, time, 1.5);
            assert!(!batch.takes(time, 1), "it is full");
            let sample = batch.samples[0];
            assert_eq!(batch.base.wrapping_add(i64::from(sample.time)), time);
        }
    }

    #[test]
    fn sorting_keeps_the_order_within_a_series() {
        let mut batch = Batch::default();
        batch.begin(0, 100);
        for time in 0..10 {
            for slot in [700, 3, 9] {
                batch.push_float(slot, time, 0.0);
            }
            batch.push_integer(3, time, Histogram::default());
        }
        let mut sorter = Sorter::default();
        sorter.sort(&batch.samples);
        let found: Vec<_> = sorter.sorted.iter().map(|s| (s.slot(), s.time)).collect();
        let mut wanted: Vec<_> = batch.samples.iter().map(|s| (s.slot(), s.time)).collect();
        wanted.sort();
        assert_eq!(found, wanted);
        sorter.sort(&[]);
        assert!(sorter.sorted.is_empty());
    }
}
