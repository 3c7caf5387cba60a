//! Log queries: the lines that pass, up to a limit.

use std::collections::{BTreeMap, BinaryHeap};
use std::sync::Arc;

use headwater_model::Labels;
use headwater_query::{Hold, QueryError};
use headwater_storage::{Direction, LogBlock, LogCursor};

use super::Scan;
use crate::pipeline::{Category, Pipeline, Record};

/// Names and values, sorted by name. Unlike [`Labels`] it may hold labels
/// without a value, which parsers make.
pub type Pairs = Vec<(String, String)>;

/// Lines with the same labels.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stream {
    /// The labels: all of them, or the stream's own if the query asked for
    /// categories.
    pub labels: Pairs,
    /// The lines in the direction asked for.
    pub entries: Vec<Entry>,
}

/// One line of an answer.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Entry {
    /// Nanoseconds since the epoch.
    pub time: i64,
    /// The line as the pipeline left it.
    pub line: Vec<u8>,
    /// Labels from structured metadata, if the query asked for categories.
    pub metadata: Pairs,
    /// Labels from parsers, if the query asked for categories.
    pub parsed: Pairs,
}

/// A line that passed. The order is that of the answer: the greatest of a
/// heap is the first to go.
struct Found {
    /// Time, negated for backward queries.
    rank: i64,
    /// The stream's labels and the number within it, to keep the order of
    /// lines of one time.
    stream: u64,
    number: usize,
    labels: Pairs,
    entry: Entry,
}

impl Found {
    fn key(&self) -> (i64, u64, usize) {
        (self.rank, self.stream, self.number)
    }
}

impl PartialEq for Found {
    fn eq(&self, other: &Self) -> bool {
        self.key() == other.key()
    }
}

impl Eq for Found {}

impl PartialOrd for Found {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Found {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        self.key().cmp(&other.key())
    }
}

/// Which lines are left out because they are close to the one before.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Thinning {
    /// Of lines closer together than this only the first is kept; 0 for all.
    pub(crate) interval: i64,
    /// Pieces of time in each of which thinning begins anew; 0 for one piece.
    pub(crate) split: i64,
}

impl Thinning {
    const fn piece(self, time: i64) -> i64 {
        match self.split {
            ..=0 => 0,
            split => time.div_euclid(split),
        }
    }
}

/// Gathers the first lines of an answer.
pub(crate) struct Collector {
    pipeline: Arc<Pipeline>,
    /// What drops most lines, reading only a few labels of each.
    probe: Option<Arc<Pipeline>>,
    direction: Direction,
    /// How many lines to keep; all if 0.
    limit: usize,
    categorize: bool,
    found: BinaryHeap<Found>,
    record: Record,
    hold: Hold,
}

impl Collector {
    pub(crate) fn new(
        pipeline: Arc<Pipeline>,
        probe: Option<Arc<Pipeline>>,
        direction: Direction,
        limit: usize,
        categorize: bool,
        hold: Hold,
    ) -> Self {
        Self {
            pipeline,
            probe,
            direction,
            limit,
            categorize,
            found: BinaryHeap::new(),
            record: Record::default(),
            hold,
        }
    }

    const fn rank(&self, time: i64) -> i64 {
        match self.direction {
            Direction::Forward => time,
            Direction::Backward => time.saturating_neg(),
        }
    }

    /// The rank and stream that a line must beat to be of use.
    fn bar(&self) -> Option<(i64, u64)> {
        let full = self.limit > 0 && self.found.len() >= self.limit;
        let worst = self.found.peek().filter(|_| full)?;
        Some((worst.rank, worst.stream))
    }

    /// Reads all streams of a cursor.
    pub(crate) fn read(
        mut self,
        mut cursor: Box<dyn LogCursor>,
        scan: &Scan,
    ) -> Result<Self, QueryError> {
        let mut block = LogBlock::default();
        while let Some(labels) = cursor.advance()? {
            self.record.start_stream(&labels);
            let stream = stream_hash(&labels);
            let mut number = 0;
            while cursor.read(&mut block)? {
                scan.check()?;
                let more = self.block(&block, stream, &mut number, scan)?;
                if let Some(bar) = self.bar() {
                    cursor.stop_at(self.rank(bar.0));
                }
                if !more {
                    break;
                }
            }
        }
        scan.costs(cursor.costs());
        scan.warn(cursor.take_warnings());
        Ok(self)
    }

    /// Runs a block; false if the rest of the stream is of no use.
    fn block(
        &mut self,
        block: &LogBlock,
        stream: u64,
        number: &mut usize,
        scan: &Scan,
    ) -> Result<bool, QueryError> {
        let mut bytes = 0;
        let start = *number;
        *number += block.len();
        let (pipeline, probe) = (self.pipeline.clone(), self.probe.clone());
        for at in super::candidates(&pipeline, block) {
            let time = block.times()[at];
            let rank = self.rank(time);
            if self.bar().is_some_and(|bar| (rank, stream) >= bar) {
                scan.read(at as u64, bytes);
                return Ok(false);
            }
            let line = block.line(at);
            bytes += line.len() as u64;
            self.record.start_line(time, block.metadata(at));
            if let Some(probe) = &probe {
                if !probe.run(line, &mut self.record) {
                    continue;
                }
                self.record.start_line(time, block.metadata(at));
            }
            if pipeline.run(line, &mut self.record) {
                scan.kept(1);
                self.keep(line, rank, stream, start + at)?;
            }
        }
        scan.read(block.len() as u64, bytes);
        Ok(true)
    }

    fn keep(
        &mut self,
        line: &[u8],
        rank: i64,
        stream: u64,
        number: usize,
    ) -> Result<(), QueryError> {
        let (labels, entry) = entry_of(&self.record, line, self.categorize);
        let text = |pairs: &Pairs| {
            pairs
                .iter()
                .map(|(n, v)| n.len() + v.len() + 48)
                .sum::<usize>()
        };
        let pairs = text(&labels) + text(&entry.metadata) + text(&entry.parsed);
        let bytes = entry.line.len() + pairs + 128;
        self.hold.grow(1, bytes as u64, "log query")?;
        self.found.push(Found {
            rank,
            stream,
            number,
            labels,
            entry,
        });
        if self.limit > 0 && self.found.len() > self.limit {
            self.found.pop();
        }
        Ok(())
    }

    /// Joins the lines of another part.
    pub(crate) fn merge(&mut self, other: Self) {
        self.found.extend(other.found);
        while self.limit > 0 && self.found.len() > self.limit {
            self.found.pop();
        }
    }

    /// The answer.
    pub(crate) fn finish(self, thinning: Thinning, limit: usize) -> Vec<Stream> {
        // Loki orders streams by the text of their labels.
        let mut streams: BTreeMap<String, Stream> = BTreeMap::new();
        let mut last: Option<(i64, i64)> = None;
        let mut count = 0;
        for found in self.found.into_sorted_vec() {
            let piece = thinning.piece(found.entry.time);
            let near = last.is_some_and(|(rank, of)| {
                of == piece && found.rank < rank.saturating_add(thinning.interval)
            });
            if near || (limit > 0 && count == limit) {
                continue;
            }
            last = Some((found.rank, piece)).filter(|_| thinning.interval > 0);
            count += 1;
            let stream = streams
                .entry(text_of(&found.labels))
                .or_insert_with(|| Stream {
                    labels: found.labels,
                    entries: Vec::new(),
                });
            stream.entries.push(found.entry);
        }
        streams.into_values().collect()
    }
}

/// The labels and the line in a record, as an answer shows them.
pub(crate) fn entry_of(record: &Record, line: &[u8], categorize: bool) -> (Pairs, Entry) {
    let mut pairs: [Pairs; 3] = Default::default();
    for (name, value, category) in record.sorted() {
        let of = match (categorize, category) {
            (false, _) | (true, Category::Stream) => 0,
            (true, Category::Metadata) => 1,
            (true, Category::Parsed) => 2,
        };
        pairs[of].push((name.to_owned(), value.to_owned()));
    }
    let [labels, metadata, parsed] = pairs;
    let line = match record.rewritten {
        true => record.line.clone(),
        false => line.to_vec(),
    };
    let entry = Entry {
        time: record.time,
        line,
        metadata,
        parsed,
    };
    (labels, entry)
}

/// Labels as Go prints them.
fn text_of(labels: &Pairs) -> String {
    let pair = |(name, value): &(String, String)| {
        format!("{name}={}", headwater_model::quote::go_quoted(value))
    };
    let pairs: Vec<String> = labels.iter().map(pair).collect();
    format!("{{{}}}", pairs.join(", "))
}

/// Where a stream stands among others with a line of the same time.
fn stream_hash(labels: &Labels) -> u64 {
    let mut bytes = Vec::new();
    for (name, value) in labels {
        for text in [name, value] {
            bytes.extend_from_slice(text.as_bytes());
            bytes.push(0xff);
        }
    }
    xxhash_rust::xxh64::xxh64(&bytes, 0)
}
