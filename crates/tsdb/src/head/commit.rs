//! Applying a batch to the head, once it is in the log.

use std::sync::Arc;

use headwater_model::{TimeRange, Timestamp};

use super::Head;
use super::batch::Batch;
use super::contents::Entry;
use super::late::{LateSample, LateValue};
use super::memory::samples;
use super::series::Series;
use super::slots::{Ahead, Walk};

impl Batch<'_> {
    pub(super) fn collect_new_series(&mut self) {
        self.unlogged.sort_unstable();
        self.unlogged.dedup();
        for slot in &self.unlogged {
            if let Some(cell) = self.head.slots.get(*slot) {
                let series = cell.lock();
                let labels = series.labels.clone();
                self.contents.new_series.push((series.log_ref, labels));
            }
        }
    }

    pub(super) fn mark_logged(&self) {
        for slot in &self.unlogged {
            if let Some(cell) = self.head.slots.get(*slot) {
                cell.lock().logged = true;
            }
        }
    }

    /// Applies what was logged. Another batch may have been faster with a
    /// series: what is not newer any more is dropped, here and in a replay.
    pub(super) fn apply(&mut self) {
        let head = self.head;
        let rules = head.rules();
        let (commit, keep_from) = head.isolation.begin();
        for section in &self.contents.sections {
            let starts = &section.float_starts;
            if starts.any() {
                each_series(head, self.number, &section.floats, |series, entry, at| {
                    let sample = (entry.time, entry.value, starts.at(at));
                    if series.push_float_with_start(sample, rules) {
                        series.note_commit(commit, keep_from, entry.time);
                    }
                });
            } else {
                each_series(head, self.number, &section.floats, |series, entry, _| {
                    if series.push_float(entry.time, entry.value, rules) {
                        series.note_commit(commit, keep_from, entry.time);
                    }
                });
            }
            let starts = &section.integer_starts;
            each_series(head, self.number, &section.integers, |series, entry, at| {
                if series.push_integer(entry.time, &entry.value, starts.at(at), rules) {
                    series.note_commit(commit, keep_from, entry.time);
                }
            });
            let starts = &section.float_histogram_starts;
            let entries = &section.float_histograms;
            each_series(head, self.number, entries, |series, entry, at| {
                let start = starts.at(at);
                if series.push_float_histogram(entry.time, &entry.value, start, rules) {
                    series.note_commit(commit, keep_from, entry.time);
                }
            });
        }
        self.apply_late();
        head.times.cover(self.times);
        head.isolation.complete(commit);
        self.apply_beside_samples();
        self.count();
    }

    fn apply_late(&mut self) {
        let (head, number) = (self.head, self.number);
        let mut times = TimeRange::new(Timestamp::MAX, Timestamp::MIN);
        let mut push = |series: &mut Series, sample: LateSample| {
            let time = sample.time;
            if series.push_late(time, sample.start, sample.value) {
                times = TimeRange::new(times.start.min(time), times.end.max(time));
                head.counters.late_appended.add(1);
            }
        };
        let late = &self.contents.late;
        let sample = |time, start, value| LateSample { time, start, value };
        each_series(head, number, &late.floats, |series, entry, at| {
            let value = LateValue::Float(entry.value);
            push(series, sample(entry.time, late.float_starts.at(at), value));
        });
        each_series(head, number, &late.integers, |series, entry, at| {
            let value = LateValue::Integer(Arc::clone(&entry.value));
            let start = late.integer_starts.at(at);
            push(series, sample(entry.time, start, value));
        });
        each_series(head, number, &late.float_histograms, |series, entry, at| {
            let value = LateValue::FloatHistogram(Arc::clone(&entry.value));
            let start = late.float_histogram_starts.at(at);
            push(series, sample(entry.time, start, value));
        });
        head.late_times.cover(times);
    }

    fn apply_beside_samples(&mut self) {
        let head = self.head;
        each_series(
            head,
            self.number,
            &self.contents.metadata,
            |series, entry, _| {
                let rare = series.rare.get_or_insert_default();
                rare.metadata = Some(Arc::clone(&entry.value));
            },
        );
        if !self.contents.exemplars.is_empty() {
            let mut ring = head.exemplars.lock();
            for entry in self.contents.exemplars.drain(..) {
                let (labels, exemplar) = entry.value;
                if ring.push(&labels, exemplar) {
                    head.counters.exemplars_appended.add(1);
                }
            }
        }
    }

    fn count(&self) {
        let counters = &self.head.counters;
        for section in &self.contents.sections {
            counters.floats_appended.add(section.floats.len() as u64);
            let histograms = section.integers.len() + section.float_histograms.len();
            counters.histograms_appended.add(histograms as u64);
        }
        let head = self.head;
        head.growth.note(samples(head), head.series_count());
    }

    /// Gives up the claims on series.
    fn release(&mut self) {
        for section in &self.contents.sections {
            each_series(self.head, self.number, &section.floats, |_, _, _| {});
            each_series(self.head, self.number, &section.integers, |_, _, _| {});
            each_series(
                self.head,
                self.number,
                &section.float_histograms,
                |_, _, _| {},
            );
        }
        self.contents.sections.clear();
    }
}

/// How many series ahead memory is asked for.
pub(crate) const SLOT_AHEAD: usize = 32;
pub(crate) const CHUNK_AHEAD: usize = 16;

/// Locks the series of each entry, gives up the batch's claim and acts.
#[inline]
fn each_series<V>(
    head: &Head,
    batch: u32,
    entries: &[Entry<V>],
    mut act: impl FnMut(&mut Series, &Entry<V>, usize),
) {
    let mut walk = Walk::new(&head.slots);
    let (mut slots, mut chunks) = (Ahead::new(&head.slots), Ahead::new(&head.slots));
    for (at, entry) in entries.iter().enumerate() {
        if let Some(later) = entries
            .get(at + SLOT_AHEAD)
            .and_then(|e| slots.next(e.slot))
        {
            later.prefetch();
        }
        if let Some(soon) = entries
            .get(at + CHUNK_AHEAD)
            .and_then(|e| chunks.next(e.slot))
        {
            soon.prefetch_chunk();
        }
        let Some((series, slot)) = walk.series(entry.slot) else {
            continue;
        };
        if series.pending.batch == batch {
            series.pending.batch = 0;
        }
        // The slot may have got another series if this one was forgotten.
        if series.alive && series.log_ref == entry.log_ref {
            act(series, entry, at);
            slot.note_chunk(series);
        }
    }
}

impl Drop for Batch<'_> {
    fn drop(&mut self) {
        self.release();
    }
}
