//! The state of one series.

use headwater_blockfmt::EncodedChunk;
use headwater_model::{
    FloatHistogram, Histogram, HistogramRef, Labels, Metadata, SeriesColumns, TimeRange, Timestamp,
};
use headwater_storage::AppendError;
use std::sync::Arc;

use super::finished::Finished;
use super::isolation::{CommitId, Noted, PastCommits, Trace};
use super::late::{Late, LateValue};
use super::open_chunk::{Growing, OpenChunk, Started};
use super::rules::Rules;

/// What a slot holds, in three cache lines: a check of a sample looks at the
/// first, an append changes the first two, the third is for readers.
#[derive(Debug)]
#[repr(C, align(64))]
pub(crate) struct Series {
    /// Time of the newest sample, or the minimum.
    pub(crate) newest: Timestamp,
    /// The number that the log knows this series by.
    pub(crate) log_ref: u64,
    trace: Trace,
    /// The sample of an open batch that is newest.
    pub(crate) pending: Pending,
    /// Counts the series that have lived here.
    pub(crate) generation: u32,
    /// How many of the finished chunks, counted from the oldest, are in head
    /// chunk files.
    pub(crate) in_files: u32,
    /// Whether a series lives here now.
    pub(crate) alive: bool,
    /// Whether the log has the labels.
    pub(crate) logged: bool,
    /// Whether there are past commits that some reader must not see.
    has_past: bool,
    pub(crate) open: OpenChunk,
    pub(crate) labels: Labels,
    /// Finished chunks, oldest first.
    pub(crate) closed: Vec<Finished>,
    /// What most series do not have.
    pub(crate) rare: Option<Box<Rare>>,
}

/// State that most series do not have.
#[derive(Debug, Default)]
pub(crate) struct Rare {
    pub(crate) metadata: Option<Arc<Metadata>>,
    /// Deleted ranges of time, closed on both sides, sorted, disjoint.
    pub(crate) deleted: Vec<TimeRange>,
    /// Samples that came late.
    pub(crate) late: Late,
    past: PastCommits,
}

impl Rare {
    /// Bytes that this takes; metadata is shared.
    pub(crate) fn bytes(&self) -> usize {
        size_of::<Rare>()
            + self.late.heap_bytes()
            + self.deleted.capacity() * size_of::<TimeRange>()
    }
}

/// The newest sample of this series in the batch that claimed it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Pending {
    /// Number of the batch, 0 for none.
    pub(crate) batch: u32,
    pub(crate) place: Place,
}

/// Where in a batch a sample is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Place {
    pub(crate) section: u16,
    pub(crate) kind: Kind,
    pub(crate) at: u32,
}

/// The kinds of samples.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Kind {
    #[default]
    Float,
    Integer,
    FloatHistogram,
    /// With custom bounds: the log has records of their own for these.
    CustomInteger,
    CustomFloatHistogram,
}

/// What a sample is to its series.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Admission {
    New,
    /// The newest sample once more: accepted silently.
    Repeated,
}

impl Series {
    /// A slot in which no series lives yet.
    pub(crate) fn vacant() -> Series {
        Series {
            newest: Timestamp::MIN,
            log_ref: 0,
            trace: Trace::default(),
            pending: Pending::default(),
            generation: 0,
            in_files: 0,
            alive: false,
            logged: false,
            has_past: false,
            open: OpenChunk::default(),
            labels: Labels::empty(),
            closed: Vec::new(),
            rare: None,
        }
    }

    /// A series moves in.
    pub(crate) fn begin(&mut self, labels: Labels, log_ref: u64, logged: bool) {
        *self = Series {
            alive: true,
            logged,
            generation: self.generation,
            log_ref,
            labels,
            ..Series::vacant()
        };
    }

    /// The series is forgotten; its references are dead from now on.
    pub(crate) fn end(&mut self) {
        *self = Series {
            generation: self.generation.wrapping_add(1),
            ..Series::vacant()
        };
    }

    /// Whether a series lives here, of this generation.
    #[inline]
    pub(crate) fn is(&self, generation: u32) -> bool {
        self.alive && self.generation == generation
    }

    /// Notes that commit `id` has appended a sample at `time`.
    #[inline]
    pub(crate) fn note_commit(&mut self, id: CommitId, keep_from: CommitId, time: Timestamp) {
        match self.trace.note(id, keep_from, time) {
            Noted::Same => {}
            Noted::Keep(id, time) => self.keep_commit((id, time), keep_from),
            Noted::Forget if self.has_past => self.forget_commits(),
            Noted::Forget => {}
        }
    }

    #[cold]
    fn keep_commit(&mut self, commit: (CommitId, Timestamp), keep_from: CommitId) {
        let past = &mut self.rare.get_or_insert_default().past;
        past.retain(|(id, _)| *id >= keep_from);
        past.push(commit);
        self.has_past = true;
    }

    #[cold]
    fn forget_commits(&mut self) {
        self.has_past = false;
        if let Some(rare) = &mut self.rare {
            rare.past = PastCommits::new();
        }
    }

    /// The last time that a reader may see.
    pub(crate) fn visible_until(&self, sees: CommitId) -> Timestamp {
        let past = self.rare.as_ref().map_or(&[][..], |rare| &rare.past);
        self.trace.visible_until(past, sees)
    }

    /// Adds a finished chunk. There are few, and half a million series: they
    /// get the room that they need.
    fn close(&mut self, chunk: EncodedChunk) {
        if self.closed.len() == self.closed.capacity() {
            self.closed.reserve_exact(1 + self.closed.len() / 4);
        }
        self.closed.push(chunk.into());
    }

    /// Whether a float may follow what is here.
    #[inline]
    pub(crate) fn admit_float(
        &self,
        time: Timestamp,
        value: f64,
    ) -> Result<Admission, AppendError> {
        if time > self.newest {
            return Ok(Admission::New);
        }
        let same = match &self.open.growing {
            Growing::Floats(it) => it.last_value().to_bits() == value.to_bits(),
            Growing::Floats2(it) => it.last_value().to_bits() == value.to_bits(),
            _ => false,
        };
        self.not_newer(time, same)
    }

    /// Whether a histogram may follow what is here.
    pub(crate) fn admit_histogram(
        &self,
        time: Timestamp,
        value: HistogramRef<'_>,
    ) -> Result<Admission, AppendError> {
        if time > self.newest {
            return Ok(Admission::New);
        }
        let same = time == self.newest
            && match (&self.open.growing, value) {
                (Growing::Integer(it), HistogramRef::Integer(value)) => it
                    .last()
                    .is_some_and(|last| same_observations(&last.to_float(), &value.to_float())),
                (Growing::Float(it), HistogramRef::Float(value)) => it
                    .last()
                    .is_some_and(|last| same_observations(&last, value)),
                _ => false,
            };
        self.not_newer(time, same)
    }

    fn not_newer(&self, time: Timestamp, same: bool) -> Result<Admission, AppendError> {
        if time < self.newest {
            return Err(AppendError::OutOfOrder {
                newest: self.newest,
            });
        }
        match same {
            true => Ok(Admission::Repeated),
            false => Err(AppendError::DuplicateTimestamp),
        }
    }

    /// Appends a float; false if it is not newer than what is here.
    #[inline]
    pub(crate) fn push_float(&mut self, time: Timestamp, value: f64, rules: Rules) -> bool {
        if time <= self.newest {
            return false;
        }
        self.newest = time;
        if let Some(chunk) = self.open.push_float(time, value, rules) {
            self.close(chunk);
        }
        true
    }

    /// Appends a float with a start timestamp, 0 for none.
    pub(crate) fn push_float_with_start(&mut self, sample: Started, rules: Rules) -> bool {
        if sample.0 <= self.newest {
            return false;
        }
        self.newest = sample.0;
        let finished = self.open.push_float_with_start(sample, rules);
        finished.into_iter().for_each(|chunk| self.close(chunk));
        true
    }

    /// Appends an integer histogram; false if it is not newer.
    pub(crate) fn push_integer(
        &mut self,
        time: Timestamp,
        value: &Histogram,
        start: Timestamp,
        rules: Rules,
    ) -> bool {
        if time <= self.newest {
            return false;
        }
        self.newest = time;
        let finished = self.open.push_integer(time, value, start, rules);
        finished.into_iter().for_each(|chunk| self.close(chunk));
        true
    }

    /// Appends a float histogram; false if it is not newer.
    pub(crate) fn push_float_histogram(
        &mut self,
        time: Timestamp,
        value: &FloatHistogram,
        start: Timestamp,
        rules: Rules,
    ) -> bool {
        if time <= self.newest {
            return false;
        }
        self.newest = time;
        let finished = self.open.push_float_histogram(time, value, start, rules);
        finished.into_iter().for_each(|chunk| self.close(chunk));
        true
    }

    /// Takes finished chunks from files, oldest first; later samples follow
    /// them. Those that are not newer than what is here are left out.
    pub(crate) fn push_chunks(&mut self, mut chunks: Vec<Finished>) {
        let mut newest = self.newest;
        chunks.retain(|chunk| {
            let is_newer = chunk.min_time() > newest;
            newest = if is_newer { chunk.max_time() } else { newest };
            is_newer
        });
        if chunks.is_empty() {
            return;
        }
        let finished = self.open.finish();
        finished.into_iter().for_each(|chunk| self.close(chunk));
        self.newest = newest;
        match self.closed.is_empty() {
            true => self.closed = chunks,
            false => self.closed.append(&mut chunks),
        }
        self.in_files = self.closed.len() as u32;
    }

    /// The range of times of the samples here, if there are any.
    pub(crate) fn times(&self) -> Option<TimeRange> {
        let first = self.closed.first().map(Finished::min_time);
        let open = (self.open.growing.count() > 0).then_some(self.open.min_time);
        let last = self.closed.last().map(Finished::max_time);
        let newest = open.map(|_| self.open.growing.last_time());
        Some(TimeRange::new(first.or(open)?, newest.or(last)?))
    }

    /// What a reader may see of `range`.
    pub(crate) fn visible(&self, range: TimeRange, sees: CommitId) -> TimeRange {
        TimeRange::new(range.start, range.end.min(self.visible_until(sees)))
    }

    /// Takes the chunks that reach into `range` along: finished ones are
    /// shared, the growing one is copied.
    pub(crate) fn chunks_in(&self, range: TimeRange, into: &mut Vec<EncodedChunk>) {
        let from = self.closed.partition_point(|c| c.max_time() < range.start);
        let closed = self.closed[from..].iter();
        let overlapping = closed.filter(|c| c.times().overlaps(&range));
        into.extend(overlapping.map(Finished::encoded));
        let open = TimeRange::new(self.open.min_time, self.open.growing.last_time());
        if open.overlaps(&range) {
            into.extend(self.open.encoded());
        }
    }

    /// The newest sample of all if it is a plain float in `range` that a reader may see: known without
    /// decoding anything.
    pub(crate) fn newest_float(
        &self,
        range: TimeRange,
        sees: CommitId,
    ) -> Option<(Timestamp, f64)> {
        let Growing::Floats(floats) = &self.open.growing else {
            return None;
        };
        let (time, value) = (floats.last_time(), floats.last_value());
        let is_seen = floats.count() > 0 && self.visible_until(sees) >= time;
        let is_plain = self.late().is_none() && self.deleted().is_empty();
        (is_seen && is_plain && range.contains(time)).then_some((time, value))
    }

    /// The samples that came late, if there are any.
    pub(crate) fn late(&self) -> Option<&Late> {
        let late = self.rare.as_ref().map(|rare| &rare.late)?;
        (!late.is_empty()).then_some(late)
    }

    /// Takes a late sample; false if there is one at its time, or if its time
    /// is deleted: what comes late into a deleted range stays deleted.
    pub(crate) fn push_late(
        &mut self,
        time: Timestamp,
        start: Timestamp,
        value: LateValue,
    ) -> bool {
        if self.deleted().iter().any(|range| range.contains(time)) {
            return false;
        }
        let late = &mut self.rare.get_or_insert_default().late;
        late.insert(time, start, value)
    }

    /// First to last time of all samples, late ones included.
    pub(crate) fn all_times(&self) -> Option<TimeRange> {
        let late = self.late().and_then(Late::range);
        match (self.times(), late) {
            (Some(a), Some(b)) => Some(TimeRange::new(a.start.min(b.start), a.end.max(b.end))),
            (a, b) => a.or(b),
        }
    }

    /// Deleted ranges.
    pub(crate) fn deleted(&self) -> &[TimeRange] {
        self.rare.as_ref().map_or(&[], |rare| &rare.deleted)
    }

    /// Deletes a range of time.
    pub(crate) fn delete(&mut self, range: TimeRange) {
        let rare = self.rare.get_or_insert_default();
        rare.late.remove_range(range);
        add_range(&mut rare.deleted, range);
    }

    /// Forgets finished chunks that end before `time`, and the growing one
    /// if it does too. Says whether the series is empty now.
    pub(crate) fn truncate_before(&mut self, time: Timestamp) -> bool {
        let gone = self.closed.partition_point(|c| c.max_time() < time);
        if gone > 0 {
            self.in_files = self.in_files.saturating_sub(gone as u32);
            self.closed.drain(..gone);
            self.closed.shrink_to_fit();
        }
        if self.open.growing.count() > 0 && self.open.growing.last_time() < time {
            self.open = OpenChunk::default();
        }
        if let Some(rare) = &mut self.rare {
            rare.deleted.retain(|range| range.end >= time);
        }
        self.closed.is_empty() && self.open.growing.count() == 0
    }

    /// Bytes that this series takes.
    pub(crate) fn bytes(&self) -> usize {
        let closed: usize = self.closed.iter().map(|c| c.data().len()).sum();
        size_of::<Series>()
            + closed
            + self.closed.capacity() * size_of::<Finished>()
            + self.open.heap_bytes()
            + self.labels.packed_len()
    }
}

/// Adds a range to sorted disjoint ranges, joining those that touch it.
pub(crate) fn add_range(ranges: &mut Vec<TimeRange>, new: TimeRange) {
    let from = ranges.partition_point(|r| r.end < new.start.saturating_sub(1));
    let to = ranges.partition_point(|r| r.start <= new.end.saturating_add(1));
    let joined = ranges[from..to.max(from)].iter().fold(new, |a, b| {
        TimeRange::new(a.start.min(b.start), a.end.max(b.end))
    });
    ranges.splice(from..to.max(from), [joined]);
}

/// Takes the samples of deleted ranges out of columns.
pub(crate) fn remove_deleted(columns: &mut SeriesColumns, deleted: &[TimeRange]) {
    if deleted.is_empty() {
        return;
    }
    let keep = |time: Timestamp| {
        let at = deleted.partition_point(|range| range.end < time);
        deleted.get(at).is_none_or(|range| time < range.start)
    };
    super::columns::retain(columns, keep);
}

/// Whether two histograms have the same counts. A chunk may add empty buckets
/// to a histogram, and does not keep its hint.
fn same_observations(a: &FloatHistogram, b: &FloatHistogram) -> bool {
    let head = |h: &FloatHistogram| {
        let bits = [h.zero_threshold, h.zero_count, h.count, h.sum].map(f64::to_bits);
        (h.schema, bits)
    };
    let side = |spans, counts: &[f64]| -> Vec<(i32, u64)> {
        headwater_model::histogram::spans_indexes(spans)
            .zip(counts)
            .filter(|(_, count)| **count != 0.0)
            .map(|(index, count)| (index, count.to_bits()))
            .collect()
    };
    head(a) == head(b)
        && a.custom_values == b.custom_values
        && side(&a.positive_spans, &a.positive_buckets)
            == side(&b.positive_spans, &b.positive_buckets)
        && side(&a.negative_spans, &a.negative_buckets)
            == side(&b.negative_spans, &b.negative_buckets)
}

#[cfg(test)]
mod tests {
    use super::super::isolation::Isolation;
    use super::*;

    #[test]
    fn series_stay_small() {
        assert_eq!(size_of::<Series>(), 192);
        assert_eq!(std::mem::offset_of!(Series, labels), 128, "two hot lines");
    }

    #[test]
    fn a_reader_sees_what_was_complete_when_it_began() {
        let isolation = Arc::new(Isolation::default());
        let mut series = Series::vacant();
        let commit = |series: &mut Series, time| {
            let (id, keep) = isolation.begin();
            series.note_commit(id, keep, time);
            series.note_commit(id, keep, time + 1);
            id
        };
        let first = commit(&mut series, 10);
        let during = isolation.snapshot();
        assert_eq!(series.visible_until(during.sees), 9);
        isolation.complete(first);
        let after = isolation.snapshot();
        assert_eq!(series.visible_until(after.sees), Timestamp::MAX);

        for time in [20, 30, 40] {
            let id = commit(&mut series, time);
            isolation.complete(id);
        }
        assert_eq!(series.visible_until(during.sees), 9);
        assert_eq!(series.visible_until(after.sees), 19);
        drop((during, after));
        let id = commit(&mut series, 50);
        isolation.complete(id);
        let past = |series: &Series| series.rare.as_ref().map_or(0, |rare| rare.past.len());
        assert_eq!(past(&series), 0, "nobody needs the past any more");
        assert_eq!(isolation.oldest_reader(), id);
    }

    #[test]
    fn ranges_join() {
        let mut ranges = Vec::new();
        for (start, end) in [(10, 20), (40, 50), (0, 5), (21, 25), (24, 45), (6, 9)] {
            add_range(&mut ranges, TimeRange::new(start, end));
        }
        assert_eq!(ranges, [TimeRange::new(0, 50)]);
        add_range(&mut ranges, TimeRange::new(52, 60));
        assert_eq!(ranges.len(), 2);
        add_range(&mut ranges, TimeRange::ALL);
        assert_eq!(ranges, [TimeRange::ALL]);
    }

    #[test]
    fn truncation_drops_what_lies_before() {
        let mut series = Series::vacant();
        series.begin(Labels::empty(), 1, true);
        for i in 0..500 {
            assert!(series.push_float(i * 15_000, 0.0, Rules::plain(7_200_000)));
        }
        assert!(!series.push_float(3, 0.0, Rules::plain(7_200_000)));
        assert_eq!(series.times(), Some(TimeRange::new(0, 499 * 15_000)));
        assert!(!series.truncate_before(200 * 15_000));
        assert_eq!(series.times().unwrap().start, 120 * 15_000);
        assert!(series.truncate_before(600 * 15_000));
        assert_eq!(series.times(), None);
    }
}
