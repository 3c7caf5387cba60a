//! Log streams in memory: for tests, examples and programs that keep little.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use headwater_model::{Labels, Matcher, TimeRange};

use super::{Direction, LineNeed, LogBlock, LogCursor, LogRequest, NanoRange, SelectLogs};
use crate::error::Result;
use crate::labels::{LabelAnswer, LabelQueries, LabelRequest};
use crate::{BoxFuture, LogHints};

/// Entries in one block of a read.
const BLOCK_ENTRIES: usize = 4096;

#[derive(Clone, Debug, PartialEq, Eq)]
struct Entry {
    time: i64,
    line: Box<[u8]>,
    metadata: Labels,
}

type Streams = BTreeMap<Labels, Arc<Vec<Entry>>>;

/// Streams of log entries in memory. Cloning shares them.
#[derive(Clone, Debug, Default)]
pub struct MemoryLogs {
    streams: Arc<Mutex<Streams>>,
}

impl MemoryLogs {
    /// A store without streams.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry behind those of the same time. An entry that is there
    /// already is not added again.
    pub fn push(&self, stream: &Labels, time: i64, line: impl AsRef<[u8]>, metadata: &Labels) {
        let mut streams = self.lock();
        let entries = Arc::make_mut(streams.entry(stream.clone()).or_default());
        let entry = Entry {
            time,
            line: line.as_ref().into(),
            metadata: metadata.clone(),
        };
        let at = entries.partition_point(|other| other.time <= time);
        let twins = entries[..at].iter().rev().take_while(|e| e.time == time);
        if !twins.into_iter().any(|twin| *twin == entry) {
            entries.insert(at, entry);
        }
    }

    /// Number of entries of all streams.
    pub fn len(&self) -> usize {
        self.lock().values().map(|entries| entries.len()).sum()
    }

    /// Whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything.
    pub fn clear(&self) {
        self.lock().clear();
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Streams> {
        self.streams.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn matching(&self, matchers: &[Matcher]) -> Vec<(Labels, Arc<Vec<Entry>>)> {
        let streams = self.lock();
        streams
            .iter()
            .filter(|(labels, _)| fulfils(labels, matchers))
            .map(|(labels, entries)| (labels.clone(), entries.clone()))
            .collect()
    }

    /// The streams that a question about labels is about.
    fn asked(&self, request: &LabelRequest) -> Vec<Labels> {
        let range = nanos_of(request.range);
        let streams = self.lock();
        streams
            .iter()
            .filter(|(labels, entries)| {
                let sets = &request.matcher_sets;
                (sets.is_empty() || sets.iter().any(|set| fulfils(labels, set)))
                    && entries.iter().any(|entry| range.contains(entry.time))
            })
            .map(|(labels, _)| labels.clone())
            .collect()
    }
}

fn fulfils(labels: &Labels, matchers: &[Matcher]) -> bool {
    matchers
        .iter()
        .all(|m| m.matches(labels.get(&m.name).unwrap_or_default()))
}

/// A closed range of milliseconds as an open one of nanoseconds.
fn nanos_of(range: TimeRange) -> NanoRange {
    NanoRange {
        start: range.start.saturating_mul(1_000_000),
        end: range.end.saturating_add(1).saturating_mul(1_000_000),
    }
}

impl SelectLogs for MemoryLogs {
    fn select_logs(&self, request: LogRequest) -> BoxFuture<'_, Result<Box<dyn LogCursor>>> {
        let cursor = Cursor {
            streams: self.matching(&request.matchers).into_iter(),
            range: request.range,
            direction: request.direction,
            hints: request.hints,
            current: Arc::default(),
            rest: 0..0,
        };
        Box::pin(async { Ok(Box::new(cursor) as Box<dyn LogCursor>) })
    }
}

impl LabelQueries for MemoryLogs {
    fn label_names(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        Box::pin(async move {
            let streams = self.asked(&request);
            let names = streams.iter().flat_map(Labels::iter);
            let names = names.map(|(name, _)| name.to_owned()).collect();
            Ok(LabelAnswer::from_unsorted(names, request.limit))
        })
    }

    fn label_values(
        &self,
        name: &str,
        request: LabelRequest,
    ) -> BoxFuture<'_, Result<LabelAnswer<String>>> {
        let streams = self.asked(&request);
        let values = streams.iter().filter_map(|labels| labels.get(name));
        let values = values.map(str::to_owned).collect();
        Box::pin(async move { Ok(LabelAnswer::from_unsorted(values, request.limit)) })
    }

    fn series(&self, request: LabelRequest) -> BoxFuture<'_, Result<LabelAnswer<Labels>>> {
        Box::pin(async move {
            let streams = self.asked(&request);
            Ok(LabelAnswer::from_unsorted(streams, request.limit))
        })
    }
}

#[derive(Debug)]
struct Cursor {
    streams: std::vec::IntoIter<(Labels, Arc<Vec<Entry>>)>,
    range: NanoRange,
    direction: Direction,
    hints: LogHints,
    current: Arc<Vec<Entry>>,
    /// Indexes of entries of the current stream not yet delivered.
    rest: std::ops::Range<usize>,
}

impl Cursor {
    /// The entries of the current stream that are still wanted.
    fn cut(&mut self) {
        let entries = &self.current;
        let start = entries.partition_point(|entry| entry.time < self.range.start);
        let end = entries.partition_point(|entry| entry.time < self.range.end);
        self.rest = self.rest.start.max(start)..self.rest.end.min(end);
    }

    fn next_block(&mut self) -> std::ops::Range<usize> {
        let count = match self.hints.limit {
            0 => BLOCK_ENTRIES,
            limit => limit.clamp(16, BLOCK_ENTRIES),
        };
        let rest = self.rest.clone();
        match self.direction {
            Direction::Forward => {
                self.rest.start = rest.end.min(rest.start.saturating_add(count));
                rest.start..self.rest.start
            }
            Direction::Backward => {
                self.rest.end = rest.start.max(rest.end.saturating_sub(count));
                self.rest.end..rest.end
            }
        }
    }

    fn deliver(&self, entry: &Entry, into: &mut LogBlock) {
        match self.hints.lines {
            LineNeed::Bytes => into.push(entry.time, &entry.line, &entry.metadata),
            _ => into.push_length(entry.time, entry.line.len(), &entry.metadata),
        }
    }
}

impl LogCursor for Cursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        let Some((labels, entries)) = self.streams.next() else {
            self.rest = 0..0;
            return Ok(None);
        };
        self.rest = 0..entries.len();
        self.current = entries;
        self.cut();
        Ok(Some(labels))
    }

    fn read(&mut self, into: &mut LogBlock) -> Result<bool> {
        into.clear();
        if self.rest.is_empty() {
            return Ok(false);
        }
        let block = self.next_block();
        let entries = self.current.clone();
        match self.direction {
            Direction::Forward => entries[block].iter().for_each(|e| self.deliver(e, into)),
            Direction::Backward => entries[block]
                .iter()
                .rev()
                .for_each(|e| self.deliver(e, into)),
        }
        Ok(true)
    }

    fn stop_at(&mut self, time: i64) {
        match self.direction {
            Direction::Forward => self.range.end = self.range.end.min(time.saturating_add(1)),
            Direction::Backward => self.range.start = self.range.start.max(time),
        }
        self.cut();
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn LogCursor>> {
        let mut streams: Vec<_> = self.streams.collect();
        let size = streams.len().div_ceil(parts.max(1)).max(1);
        let mut out: Vec<Box<dyn LogCursor>> = Vec::new();
        while !streams.is_empty() || out.is_empty() {
            let part: Vec<_> = streams.drain(..size.min(streams.len())).collect();
            out.push(Box::new(Self {
                streams: part.into_iter(),
                range: self.range,
                direction: self.direction,
                hints: self.hints.clone(),
                current: Arc::default(),
                rest: 0..0,
            }));
        }
        out
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn conforms() {
        super::super::conformance::check(|| {
            let store = MemoryLogs::new();
            let writer = store.clone();
            (
                store,
                move |stream: &Labels, time, line: &str, metadata: &Labels| {
                    writer.push(stream, time, line, metadata);
                },
            )
        });
    }
}
