//! Several stores of log entries as one, for reading: those that hold the
//! newest entries and those that hold the rest, replicas among them.

use std::sync::Arc;

use headwater_model::Labels;

use super::{Direction, LineNeed, LogBlock, LogCosts, LogCursor, LogRequest, SelectLogs};
use crate::BoxFuture;
use crate::error::Result;

/// Entries in one block of a merged read.
const BLOCK_ENTRIES: usize = 4096;

/// Reads from several stores. An entry that several of them have, with equal
/// time, line and metadata, comes once.
#[derive(Clone)]
pub struct LogFanOut {
    sources: Vec<Arc<dyn SelectLogs>>,
}

impl LogFanOut {
    /// Reads from all `sources`; none may fail.
    pub fn new(sources: Vec<Arc<dyn SelectLogs>>) -> Self {
        Self { sources }
    }
}

impl SelectLogs for LogFanOut {
    fn select_logs(&self, mut request: LogRequest) -> BoxFuture<'_, Result<Box<dyn LogCursor>>> {
        Box::pin(async move {
            if let [only] = &self.sources[..] {
                return only.select_logs(request).await;
            }
            // Entries are told apart by their lines and metadata.
            request.hints.lines = LineNeed::Bytes;
            request.hints.without_metadata = false;
            let mut cursors = Vec::with_capacity(self.sources.len());
            for source in &self.sources {
                cursors.push(source.select_logs(request.clone()).await?);
            }
            Ok(Box::new(MergeLogs::new(cursors, request.direction)?) as Box<dyn LogCursor>)
        })
    }
}

/// One of the cursors that are merged.
struct Input {
    cursor: Box<dyn LogCursor>,
    /// The stream it stands at; `None` at its end.
    labels: Option<Labels>,
    block: LogBlock,
    at: usize,
}

impl Input {
    /// The time of its next entry in the current stream.
    fn time(&mut self) -> Result<Option<i64>> {
        while self.at >= self.block.len() {
            if !self.cursor.read(&mut self.block)? {
                self.block.clear();
                self.at = 0;
                return Ok(None);
            }
            self.at = 0;
        }
        Ok(Some(self.block.times()[self.at]))
    }

    fn next_stream(&mut self) -> Result<()> {
        self.block.clear();
        self.at = 0;
        self.labels = self.cursor.advance()?;
        Ok(())
    }
}

/// Merges cursors whose streams come in ascending order of labels, as those of
/// every [`SelectLogs`] do.
pub struct MergeLogs {
    inputs: Vec<Input>,
    direction: Direction,
    /// The inputs that have the current stream.
    active: Vec<usize>,
    /// Entries of one time, in the order in which they were pushed.
    group: Vec<(Vec<u8>, Labels)>,
}

impl MergeLogs {
    /// Merges cursors that read in the same direction.
    ///
    /// # Errors
    /// A cursor could not go to its first stream.
    pub fn new(cursors: Vec<Box<dyn LogCursor>>, direction: Direction) -> Result<Self> {
        let mut inputs = Vec::with_capacity(cursors.len());
        for cursor in cursors {
            let mut input = Input {
                cursor,
                labels: None,
                block: LogBlock::default(),
                at: 0,
            };
            input.next_stream()?;
            inputs.push(input);
        }
        Ok(Self {
            inputs,
            direction,
            active: Vec::new(),
            group: Vec::new(),
        })
    }

    /// The time of the next entries, and whether only one input has any left.
    fn next_time(&mut self) -> Result<Option<i64>> {
        let mut best: Option<i64> = None;
        for &at in &self.active {
            let Some(time) = self.inputs[at].time()? else {
                continue;
            };
            best = Some(match (best, self.direction) {
                (None, _) => time,
                (Some(best), Direction::Forward) => best.min(time),
                (Some(best), Direction::Backward) => best.max(time),
            });
        }
        Ok(best)
    }

    /// Gathers all entries of a time, each once: those of earlier inputs first.
    fn gather(&mut self, time: i64) -> Result<()> {
        self.group.clear();
        for &at in &self.active {
            let input = &mut self.inputs[at];
            let before = self.group.len();
            while input.time()? == Some(time) {
                let entry = (
                    input.block.line(input.at).to_vec(),
                    input.block.metadata(input.at).clone(),
                );
                input.at += 1;
                // One source has no entry twice.
                if !self.group[..before].contains(&entry) {
                    self.group.push(entry);
                }
            }
            if self.direction == Direction::Backward {
                self.group[before..].reverse();
            }
        }
        if self.direction == Direction::Backward {
            self.group.reverse();
        }
        Ok(())
    }
}

impl LogCursor for MergeLogs {
    fn advance(&mut self) -> Result<Option<Labels>> {
        for at in std::mem::take(&mut self.active) {
            self.inputs[at].next_stream()?;
        }
        let next = self.inputs.iter().filter_map(|i| i.labels.as_ref()).min();
        let Some(next) = next.cloned() else {
            return Ok(None);
        };
        let has = |(_, input): &(usize, &Input)| input.labels.as_ref() == Some(&next);
        let active = self.inputs.iter().enumerate().filter(has);
        self.active = active.map(|(at, _)| at).collect();
        Ok(Some(next))
    }

    fn read(&mut self, into: &mut LogBlock) -> Result<bool> {
        into.clear();
        if let [only] = self.active[..] {
            return self.inputs[only].cursor.read(into);
        }
        while into.len() < BLOCK_ENTRIES {
            let Some(time) = self.next_time()? else {
                break;
            };
            self.gather(time)?;
            for (line, metadata) in &self.group {
                into.push(time, line, metadata);
            }
        }
        Ok(!into.is_empty())
    }

    fn stop_at(&mut self, time: i64) {
        for input in &mut self.inputs {
            input.cursor.stop_at(time);
        }
    }

    /// Streams lie differently in each input, so they cannot be divided.
    fn split(self: Box<Self>, _parts: usize) -> Vec<Box<dyn LogCursor>> {
        vec![self]
    }

    fn costs(&self) -> LogCosts {
        let mut costs = LogCosts::default();
        for input in &self.inputs {
            costs += input.cursor.costs();
        }
        costs
    }

    fn take_warnings(&mut self) -> Vec<String> {
        let inputs = self.inputs.iter_mut();
        inputs
            .flat_map(|input| input.cursor.take_warnings())
            .collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::MemoryLogs;
    use super::*;

    /// Two stores that share what is pushed: everything lies in one of them,
    /// every third entry in both.
    #[test]
    fn conforms() {
        super::super::conformance::check(|| {
            let stores = [MemoryLogs::new(), MemoryLogs::new()];
            let sources = stores
                .iter()
                .map(|s| Arc::new(s.clone()) as Arc<dyn SelectLogs>);
            let fan_out = LogFanOut::new(sources.collect());
            let mut count = 0;
            let push = move |stream: &Labels, time: i64, line: &str, metadata: &Labels| {
                // Entries of one time stay together: their order across stores is not told.
                let home = usize::from(time % 2 == 0);
                stores[home].push(stream, time, line, metadata);
                count += 1;
                if time > 100 && count % 3 == 0 {
                    stores[1 - home].push(stream, time, line, metadata);
                }
            };
            (fan_out, push)
        });
    }
}
