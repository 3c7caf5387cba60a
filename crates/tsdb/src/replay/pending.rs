//! Samples between log and head, sorted by series.

use headwater_model::{FloatHistogram, Histogram, Timestamp};

use crate::head::Head;
use crate::head::commit::{CHUNK_AHEAD, SLOT_AHEAD};

/// Samples that are collected before they are applied. 24 bytes each, twice
/// while they are sorted: a bound on what a replay needs beside the head.
const CAPACITY: usize = 1 << 20;
/// Below this many samples, threads cost more than they bring.
const WORTH_THREADS: usize = 1 << 15;

#[derive(Clone, Copy, Debug, Default)]
struct Sample {
    slot: u32,
    kind: Kind,
    time: Timestamp,
    /// The bits of a float, or the place of a histogram.
    bits: u64,
}

#[derive(Clone, Copy, Debug, Default)]
enum Kind {
    #[default]
    Float,
    Integer,
    FloatHistogram,
}

/// Samples in the order of the log.
#[derive(Debug)]
pub(crate) struct PendingSamples {
    samples: Vec<Sample>,
    sorted: Vec<Sample>,
    integers: Vec<Histogram>,
    float_histograms: Vec<FloatHistogram>,
    threads: usize,
}

impl PendingSamples {
    pub(crate) fn new(threads: usize) -> PendingSamples {
        PendingSamples {
            samples: Vec::new(),
            sorted: Vec::new(),
            integers: Vec::new(),
            float_histograms: Vec::new(),
            threads: threads.max(1),
        }
    }

    pub(crate) fn is_full(&self) -> bool {
        // A histogram is much larger than a float.
        self.samples.len() + 16 * (self.integers.len() + self.float_histograms.len()) >= CAPACITY
    }

    #[inline]
    pub(crate) fn push_float(&mut self, slot: u32, time: Timestamp, value: f64) {
        self.samples.push(Sample {
            slot,
            kind: Kind::Float,
            time,
            bits: value.to_bits(),
        });
    }

    pub(crate) fn push_integer(&mut self, slot: u32, time: Timestamp, value: Histogram) {
        self.samples.push(Sample {
            slot,
            kind: Kind::Integer,
            time,
            bits: self.integers.len() as u64,
        });
        self.integers.push(value);
    }

    pub(crate) fn push_float_histogram(
        &mut self,
        slot: u32,
        time: Timestamp,
        value: FloatHistogram,
    ) {
        self.samples.push(Sample {
            slot,
            kind: Kind::FloatHistogram,
            time,
            bits: self.float_histograms.len() as u64,
        });
        self.float_histograms.push(value);
    }

    /// Appends everything to its series and says how many samples were new.
    pub(crate) fn apply(&mut self, head: &Head) -> u64 {
        self.sort(head.slots.len() as usize);
        let applied = match self.sorted.len() < WORTH_THREADS {
            true => self.apply_run(head, &self.sorted),
            false => self.apply_in_parallel(head),
        };
        self.samples.clear();
        self.integers.clear();
        self.float_histograms.clear();
        applied
    }

    /// Sorts by slot, keeping the order within a series: a counting sort.
    fn sort(&mut self, slots: usize) {
        let mut starts = vec![0u32; slots + 1];
        for sample in &self.samples {
            starts[sample.slot as usize + 1] += 1;
        }
        for at in 1..starts.len() {
            starts[at] += starts[at - 1];
        }
        self.sorted.clear();
        self.sorted.resize(self.samples.len(), Sample::default());
        for sample in &self.samples {
            let place = &mut starts[sample.slot as usize];
            self.sorted[*place as usize] = *sample;
            *place += 1;
        }
    }

    fn apply_in_parallel(&self, head: &Head) -> u64 {
        let size = self.sorted.len().div_ceil(self.threads);
        let mut rest = &self.sorted[..];
        std::thread::scope(|scope| {
            let mut workers = Vec::new();
            while !rest.is_empty() {
                // All samples of a series go to one thread.
                let mut end = size.min(rest.len());
                let last = rest[end - 1].slot;
                end += rest[end..].partition_point(|s| s.slot == last);
                let (run, tail) = rest.split_at(end);
                rest = tail;
                workers.push(scope.spawn(move || self.apply_run(head, run)));
            }
            workers.into_iter().map(|w| w.join().unwrap_or(0)).sum()
        })
    }

    fn apply_run(&self, head: &Head, run: &[Sample]) -> u64 {
        let range = head.bounds.chunk_range;
        let (mut applied, mut at) = (0, 0);
        let slot_at = |at: usize| run.get(at).and_then(|s| head.slots.get(s.slot));
        for samples in run.chunk_by(|a, b| a.slot == b.slot) {
            at += samples.len();
            if let Some(later) = slot_at(at + SLOT_AHEAD) {
                later.prefetch();
            }
            if let Some(soon) = slot_at(at + CHUNK_AHEAD) {
                soon.prefetch_chunk();
            }
            let Some(cell) = samples.first().and_then(|s| head.slots.get(s.slot)) else {
                continue;
            };
            let mut series = cell.lock();
            for sample in samples {
                let at = sample.bits as usize;
                let new = match sample.kind {
                    Kind::Float => {
                        series.push_float(sample.time, f64::from_bits(sample.bits), range)
                    }
                    Kind::Integer => series.push_integer(sample.time, &self.integers[at], range),
                    Kind::FloatHistogram => {
                        let value = &self.float_histograms[at];
                        series.push_float_histogram(sample.time, value, range)
                    }
                };
                applied += u64::from(new);
            }
            cell.note_chunk(&series);
        }
        applied
    }
}
