//! Reading log entries in blocks of columns.
//!
//! A select is opened asynchronously, then walked synchronously, one stream
//! after the other, each in blocks. That order lets a reader run a pipeline
//! over a whole block at once; what a log query with a limit needs on top is
//! [`LogCursor::stop_at`]: entries beyond the time at which the answer is full
//! are never decoded.

pub mod conformance;
pub mod memory;
pub mod merge;

use headwater_model::{Labels, Matcher};

use crate::BoxFuture;
use crate::error::Result;

pub use memory::MemoryLogs;
pub use merge::{LogFanOut, MergeLogs};

/// A range of nanoseconds since 1970-01-01T00:00:00Z: the start is part of
/// it, the end is not.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NanoRange {
    /// First nanosecond of the range.
    pub start: i64,
    /// First nanosecond after the range.
    pub end: i64,
}

impl NanoRange {
    /// Everything but the very last nanosecond that can be told.
    pub const ALL: Self = Self {
        start: i64::MIN,
        end: i64::MAX,
    };

    /// The range from `start` up to but not including `end`.
    pub const fn new(start: i64, end: i64) -> Self {
        Self { start, end }
    }

    /// Whether `time` lies in the range.
    pub const fn contains(&self, time: i64) -> bool {
        self.start <= time && time < self.end
    }

    /// Whether the two ranges share a nanosecond.
    pub const fn overlaps(&self, other: &Self) -> bool {
        self.start < other.end && other.start < self.end
    }

    /// Whether no nanosecond lies in the range.
    pub const fn is_empty(&self) -> bool {
        self.start >= self.end
    }
}

/// The order in which the entries of a stream are delivered.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Direction {
    /// Oldest first.
    Forward,
    /// Newest first.
    #[default]
    Backward,
}

/// What is wanted.
#[derive(Clone, Debug)]
pub struct LogRequest {
    /// Conditions that a stream must fulfil, all of them.
    pub matchers: Vec<Matcher>,
    /// Entries in this range are returned.
    pub range: NanoRange,
    /// The order of entries within each stream.
    pub direction: Direction,
    /// What the caller will do with the data; a store may ignore any of it.
    pub hints: LogHints,
}

impl LogRequest {
    /// A request without hints.
    pub fn new(matchers: Vec<Matcher>, range: NanoRange, direction: Direction) -> Self {
        Self {
            matchers,
            range,
            direction,
            hints: LogHints::default(),
        }
    }
}

/// What a store may use to do less. Ignoring a hint is always correct.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogHints {
    /// Every line that matters holds at least one text of each group, byte
    /// for byte. A store with filters over its blocks skips those that lack
    /// them; it may also drop single lines.
    pub needles: Vec<Vec<Vec<u8>>>,
    /// The caller will need about so many entries of all streams together and
    /// then say [`LogCursor::stop_at`]; 0 for all. A store sizes its first
    /// blocks by it and must not cut the answer.
    pub limit: usize,
    /// How much of each line is looked at.
    pub lines: LineNeed,
    /// Whether structured metadata is looked at.
    pub without_metadata: bool,
    /// If given, no names of structured metadata but these are looked at.
    pub metadata_names: Option<Vec<String>>,
}

impl LogHints {
    /// Whether structured metadata with one of these names is looked at.
    pub fn needs_metadata(&self, names: &[String]) -> bool {
        let wanted = |name: &String| match &self.metadata_names {
            Some(wanted) => wanted.contains(name),
            None => true,
        };
        !self.without_metadata && names.iter().any(wanted)
    }
}

/// How much of each line a caller looks at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LineNeed {
    /// Only that it exists.
    Nothing,
    /// Its length in bytes.
    Length,
    /// Its bytes.
    #[default]
    Bytes,
}

/// A run of entries of one stream, in columns. Reused between reads, so that
/// a walk over millions of entries allocates a few buffers.
#[derive(Clone, Debug, Default)]
pub struct LogBlock {
    times: Vec<i64>,
    /// Start of each line in `text`; not filled where only lengths were asked for.
    starts: Vec<u32>,
    lengths: Vec<u32>,
    text: Vec<u8>,
    /// Index into `sets` of each entry; empty if no entry has metadata.
    metadata: Vec<u32>,
    sets: Vec<Labels>,
}

/// Bytes of lines in one block at most, so that positions fit 32 bits.
pub const MAX_BLOCK_BYTES: usize = 1 << 30;

/// Sets of metadata with which a new one is compared: entries of a stream
/// mostly have one of a few sets, such as their levels.
const RECENT_SETS: usize = 16;

impl LogBlock {
    /// Forgets all entries, keeps the memory.
    pub fn clear(&mut self) {
        self.times.clear();
        self.starts.clear();
        self.lengths.clear();
        self.text.clear();
        self.metadata.clear();
        self.sets.clear();
    }

    /// Number of entries.
    pub fn len(&self) -> usize {
        self.times.len()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.times.is_empty()
    }

    /// Nanoseconds of each entry, in the direction asked for.
    pub fn times(&self) -> &[i64] {
        &self.times
    }

    /// The line of an entry; empty where lines were not asked for.
    pub fn line(&self, index: usize) -> &[u8] {
        match self.starts.get(index) {
            Some(&start) => {
                let start = start as usize;
                &self.text[start..start + self.lengths[index] as usize]
            }
            None => &[],
        }
    }

    /// Bytes of each line.
    pub fn lengths(&self) -> &[u32] {
        &self.lengths
    }

    /// The bytes of all lines and what lies between them: a search over the
    /// whole block at once looks here and asks [`LogBlock::entry_at`] whose
    /// line it met.
    pub fn text(&self) -> &[u8] {
        &self.text
    }

    /// The entry whose line holds the byte at `offset` of [`LogBlock::text`].
    /// Lines of a block lie in the order of its entries.
    pub fn entry_at(&self, offset: usize) -> Option<usize> {
        let after = self
            .starts
            .partition_point(|start| *start as usize <= offset);
        let index = after.checked_sub(1)?;
        let end = self.starts[index] as usize + self.lengths[index] as usize;
        (offset < end).then_some(index)
    }

    /// The structured metadata of an entry.
    pub fn metadata(&self, index: usize) -> &Labels {
        match self.metadata.get(index) {
            Some(&set) => &self.sets[set as usize],
            None => &EMPTY,
        }
    }

    /// Which of the block's metadata sets an entry has; entries with equal
    /// numbers have equal metadata. 0 if no entry has any.
    pub fn metadata_set(&self, index: usize) -> u32 {
        self.metadata.get(index).copied().unwrap_or(0)
    }

    /// The sets of structured metadata that the numbers of
    /// [`LogBlock::metadata_set`] mean; empty if no entry has any.
    pub fn metadata_sets(&self) -> &[Labels] {
        &self.sets
    }

    /// Appends an entry. Its metadata is compared with the last few sets
    /// only, so an equal one further back may be stored again.
    pub fn push(&mut self, time: i64, line: &[u8], metadata: &Labels) {
        self.starts.push(bound(self.text.len()));
        self.text.extend_from_slice(line);
        self.push_length(time, line.len(), metadata);
    }

    /// Appends entries of which only the times matter.
    pub fn push_times(&mut self, times: impl IntoIterator<Item = i64>) {
        self.times.extend(times);
        self.lengths.resize(self.times.len(), 0);
        if !self.metadata.is_empty() {
            self.metadata.resize(self.times.len(), 0);
        }
    }

    /// Appends an entry without its line, for callers that need lengths only.
    pub fn push_length(&mut self, time: i64, length: usize, metadata: &Labels) {
        self.times.push(time);
        self.lengths.push(bound(length));
        if self.metadata.is_empty() && metadata.is_empty() {
            return;
        }
        if self.metadata.is_empty() {
            self.sets.push(Labels::empty());
            self.metadata.resize(self.times.len() - 1, 0);
        }
        let recent = self.sets.len().saturating_sub(RECENT_SETS);
        let known = self.sets[recent..].iter().rposition(|set| set == metadata);
        let set = match known {
            Some(at) => recent + at,
            None => {
                self.sets.push(metadata.clone());
                self.sets.len() - 1
            }
        };
        self.metadata.push(bound(set));
    }
}

static EMPTY: std::sync::LazyLock<Labels> = std::sync::LazyLock::new(Labels::empty);

fn bound(length: usize) -> u32 {
    debug_assert!(length <= MAX_BLOCK_BYTES);
    u32::try_from(length).expect("a block stays below MAX_BLOCK_BYTES")
}

/// A store that answers queries for log entries.
pub trait SelectLogs: Send + Sync {
    /// Finds the streams and opens a cursor on a snapshot of them. This is
    /// where a store waits for other machines; the cursor is synchronous.
    ///
    /// # Errors
    /// The request is not valid or nothing could be read. A store that can
    /// deliver a part does so and warns.
    fn select_logs(&self, request: LogRequest) -> BoxFuture<'_, Result<Box<dyn LogCursor>>>;
}

/// Walks over the streams of one select.
///
/// # Contract
/// * Streams come in ascending order of labels.
/// * Every stream is delivered once, with all its entries in the range, in the
///   direction asked for. Entries of one time keep the order in which they
///   were pushed (backward: exactly reversed), and an entry that was stored
///   several times, with equal time, line and metadata, comes once.
/// * A stream without entries in the range may be delivered or left out.
/// * Calling `advance` before `read` has answered `false` skips the rest of
///   the stream without decoding it.
/// * After an error the cursor is at its end.
pub trait LogCursor: Send {
    /// Goes to the next stream and returns its labels; `None` at the end.
    ///
    /// # Errors
    /// The stream could not be read; the answer is incomplete and must not be used.
    fn advance(&mut self) -> Result<Option<Labels>>;

    /// Decodes the next entries of the current stream into `into`, whose
    /// former content is dropped. Answers `false`, with an empty block, at the
    /// end of the stream.
    ///
    /// # Errors
    /// As [`LogCursor::advance`].
    fn read(&mut self, into: &mut LogBlock) -> Result<bool>;

    /// Tells that no entry beyond `time` is needed any more, neither of this
    /// stream nor of those to come: later ones when reading forward, earlier
    /// ones when reading backward. May be ignored.
    fn stop_at(&mut self, _time: i64) {}

    /// Divides what has not been walked over yet into at most `parts` cursors,
    /// which may be used on different threads. Each stream is in one of them.
    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn LogCursor>>;

    /// What the walk has cost so far.
    fn costs(&self) -> LogCosts {
        LogCosts::default()
    }

    /// What went wrong without making the answer useless. Asked for once, at the end.
    fn take_warnings(&mut self) -> Vec<String> {
        Vec::new()
    }
}

/// What a walk over log entries has cost.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct LogCosts {
    /// Blocks that were decoded.
    pub blocks_read: u64,
    /// Blocks that a filter or the time range ruled out.
    pub blocks_skipped: u64,
    /// Bytes as stored that were read.
    pub stored_bytes: u64,
}

impl std::ops::AddAssign for LogCosts {
    fn add_assign(&mut self, other: Self) {
        self.blocks_read += other.blocks_read;
        self.blocks_skipped += other.blocks_skipped;
        self.stored_bytes += other.stored_bytes;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn metadata_sets_are_shared_by_runs() {
        let (a, b) = (
            Labels::from_pairs([("k", "a")]),
            Labels::from_pairs([("k", "b")]),
        );
        let mut block = LogBlock::default();
        for (time, set) in [(1, &Labels::empty()), (2, &a), (3, &a), (4, &b), (5, &a)] {
            block.push(time, b"x", set);
        }
        let sets: Vec<u32> = (0..5).map(|i| block.metadata_set(i)).collect();
        assert_eq!(sets, [0, 1, 1, 2, 1]);
        assert_eq!(block.metadata_sets().len(), 3);
        assert_eq!(block.metadata(3), &b);
        assert!(block.metadata(0).is_empty());
    }

    #[test]
    fn times_alone_are_entries_too() {
        let mut block = LogBlock::default();
        block.push_times([1, 2]);
        block.push_length(3, 5, &Labels::from_pairs([("k", "a")]));
        block.push_times([4]);
        assert_eq!(
            (block.times(), block.lengths()),
            (&[1, 2, 3, 4][..], &[0, 0, 5, 0][..])
        );
        assert_eq!(block.metadata(2).get("k"), Some("a"));
        assert!(block.metadata(3).is_empty() && block.line(3).is_empty());
    }

    #[test]
    fn hints_tell_which_metadata_matters() {
        let names = ["level".to_owned(), "trace".to_owned()];
        let mut hints = LogHints::default();
        assert!(hints.needs_metadata(&names) && !hints.needs_metadata(&[]));
        hints.metadata_names = Some(vec!["app".to_owned()]);
        assert!(!hints.needs_metadata(&names));
        hints.metadata_names = Some(vec!["app".to_owned(), "trace".to_owned()]);
        assert!(hints.needs_metadata(&names));
        hints.without_metadata = true;
        assert!(!hints.needs_metadata(&names));
    }

    #[test]
    fn finds_the_entry_of_a_byte() {
        let mut block = LogBlock::default();
        for line in ["ab", "", "cde"] {
            block.push(0, line.as_bytes(), &Labels::empty());
        }
        let found: Vec<_> = (0..6).map(|at| block.entry_at(at)).collect();
        assert_eq!(found, [Some(0), Some(0), Some(2), Some(2), Some(2), None]);
        assert_eq!(block.line(2), b"cde");
    }
}
