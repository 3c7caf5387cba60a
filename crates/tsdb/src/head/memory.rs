//! How much memory a head takes, and when it takes no new series.
//!
//! The memory is measured by looking at every series, which takes some time.
//! So it is done only where it may make a difference: between two looks, each
//! sample is taken to need as much as it can. A head that is far from its
//! budget is never looked at.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

use headwater_model::Labels;
use parking_lot::Mutex;

use super::Head;
use super::finished::Finished;
use super::series::Series;

/// The most that a sample adds to a chunk: 4 + 64 bits of time and 13 + 64 of
/// value, and as much again because chunks grow in steps.
const SAMPLE_BYTES: u64 = 40;
/// The memory is measured anew once what samples and series since the last time
/// may have added is so large a part of the budget.
const PART_UNKNOWN: u64 = 64;
/// What a series takes in the index beside its labels' values: eight labels
/// or so, two sets for each, a few bytes in each set; and its place in the table
/// that leads from labels to series.
const INDEX_BYTES_PER_LABEL: u64 = 12;
const LOOKUP_BYTES: u64 = 16;
/// An entry of a hash map with a text of its own, the text not counted: the map
/// keeps a part of its places free.
const VALUE_BYTES: u64 = 96;
/// What an allocation takes beside what was asked for.
const ALLOCATION_BYTES: u64 = 16;
/// The first growing chunk of a series.
const FIRST_CHUNK_BYTES: u64 = 64;

/// What is known of a head's memory.
#[derive(Debug, Default)]
pub(crate) struct Memory {
    /// In bytes; 0 for none.
    budget: u64,
    /// Bytes when they were measured, and what series that were made since are
    /// taken to need.
    bytes: AtomicU64,
    /// The latter alone.
    guessed: AtomicU64,
    /// Samples that had been appended when the memory was measured.
    samples: AtomicU64,
    /// Something has become smaller since.
    outdated: AtomicBool,
    /// Bytes of chunks that are in a file, but in memory as well until it is full.
    pub(crate) written: AtomicU64,
    /// Held by whoever measures.
    measuring: Mutex<()>,
}

impl Memory {
    pub(crate) fn new(budget: u64) -> Memory {
        Memory {
            budget,
            ..Memory::default()
        }
    }

    /// The next look at the memory will find less of it.
    pub(crate) fn has_shrunk(&self) {
        self.outdated.store(true, Ordering::Relaxed);
    }

    /// The bytes that are certainly not exceeded, and what of them is unknown.
    fn at_most(&self, head: &Head) -> (u64, u64) {
        let since = samples(head).saturating_sub(self.samples.load(Ordering::Relaxed));
        let unknown = since.saturating_mul(SAMPLE_BYTES);
        let known = self.bytes.load(Ordering::Relaxed);
        let guessed = self.guessed.load(Ordering::Relaxed);
        (
            known.saturating_add(unknown),
            unknown.saturating_add(guessed),
        )
    }

    /// Makes room for a new series; says why if there is none.
    pub(crate) fn admit(&self, head: &Head, labels: &Labels) -> Result<(), String> {
        if self.budget == 0 {
            return Ok(());
        }
        let needed = series_bytes(labels);
        let (mut at_most, unknown) = self.at_most(head);
        if at_most.saturating_add(needed) > self.budget {
            let vague = unknown >= self.budget / PART_UNKNOWN;
            if vague || self.outdated.load(Ordering::Relaxed) {
                self.measure(head);
                at_most = self.at_most(head).0;
            }
            if at_most.saturating_add(needed) > self.budget {
                let (mib, budget) = (at_most >> 20, self.budget >> 20);
                return Err(format!(
                    "the head takes about {mib} MiB of the {budget} MiB that are allowed"
                ));
            }
        }
        self.bytes.fetch_add(needed, Ordering::Relaxed);
        self.guessed.fetch_add(needed, Ordering::Relaxed);
        Ok(())
    }

    /// Looks at the whole head; says how many bytes it takes.
    pub(crate) fn measure(&self, head: &Head) -> u64 {
        // Who comes second takes over what the first one has found.
        let Some(_measuring) = self.measuring.try_lock() else {
            let _wait = self.measuring.lock();
            return self.bytes.load(Ordering::Relaxed);
        };
        self.outdated.store(false, Ordering::Relaxed);
        self.samples.store(samples(head), Ordering::Relaxed);
        self.guessed.store(0, Ordering::Relaxed);
        let bytes = of_series(head)
            + of_index(head)
            + of_exemplars(head)
            + self.written.load(Ordering::Relaxed);
        self.bytes.store(bytes, Ordering::Relaxed);
        bytes
    }
}

/// Samples appended since the store was opened; histograms count for more.
pub(crate) fn samples(head: &Head) -> u64 {
    let counters = &head.counters;
    counters.floats_appended.get()
        + counters.histograms_appended.get().saturating_mul(16)
        + counters.late_appended.get()
}

/// What a new series takes, as long as nothing better is known. Two of its
/// labels may have values that are new, too.
fn series_bytes(labels: &Labels) -> u64 {
    size_of::<Series>() as u64
        + labels.packed_len() as u64
        + ALLOCATION_BYTES
        + LOOKUP_BYTES
        + labels.len() as u64 * INDEX_BYTES_PER_LABEL
        + 2 * VALUE_BYTES
        + FIRST_CHUNK_BYTES
}

fn of_series(head: &Head) -> u64 {
    let mut bytes = 0;
    for cell in (0..head.slots.len()).filter_map(|slot| head.slots.get(slot)) {
        let series = cell.lock();
        bytes += size_of::<Series>() as u64;
        if series.alive {
            bytes += LOOKUP_BYTES + of_one(&series);
        }
    }
    bytes
}

/// What hangs on a series. Finished chunks that are in files are mapped, or
/// counted with the file.
fn of_one(series: &Series) -> u64 {
    let from = (series.in_files as usize).min(series.closed.len());
    let chunks = series.closed[from..].iter();
    let chunks: u64 = chunks
        .map(|chunk| chunk.heap_bytes() as u64 + ALLOCATION_BYTES)
        .sum();
    let list = series.closed.capacity() * size_of::<Finished>();
    // One that was made just now is about to get a chunk.
    let growing = (series.open.heap_bytes() as u64).max(FIRST_CHUNK_BYTES);
    let labels = series.labels.packed_len() as u64 + ALLOCATION_BYTES;
    let rare = series.rare.as_ref().map_or(0, |rare| rare.bytes());
    chunks + list as u64 + growing + labels + rare as u64
}

fn of_index(head: &Head) -> u64 {
    let index = head.index.read();
    let mut bytes = 0;
    for (name, values) in index.names() {
        bytes += VALUE_BYTES + name.len() as u64;
        // Which series have the label at all.
        bytes += values.present().serialized_size() as u64;
        for (value, series) in values.iter() {
            bytes += VALUE_BYTES + value.len() as u64 + series.heap_bytes();
        }
    }
    bytes
}

fn of_exemplars(head: &Head) -> u64 {
    let ring = head.exemplars.lock();
    let bytes = |(_, exemplar): (_, &headwater_model::Exemplar)| {
        size_of::<headwater_model::Exemplar>() as u64
            + exemplar.labels.packed_len() as u64
            + ALLOCATION_BYTES
    };
    ring.iter().map(bytes).sum()
}
