//! How much a tenant has: streams, entries and bytes, from footers and heads alone.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};

use headwater_model::{Labels, Matcher};
use headwater_storage::logs::NanoRange;
use headwater_storage::{Error, ErrorKind, Result};

use crate::head::HeadBlock;
use crate::part::{BlockInfo, Column, Part, Rows, Run};
use crate::select::wanted;
use crate::store::ChunkStore;

/// What one stream has in a range of time. Heads are counted exactly. What lies in parts is counted by
/// whole runs, and by the share of the range where a run lies only partly in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Extent {
    /// The stream.
    pub labels: Labels,
    /// Blocks that hold entries.
    pub blocks: u64,
    /// Entries.
    pub entries: f64,
    /// Bytes of lines and structured metadata.
    pub bytes: f64,
}

impl ChunkStore {
    /// What the streams of a tenant that fulfil all matchers have in a range, sorted by labels.
    /// Streams without an entry there are left out. Metadata of the blocks is decoded, and lines of
    /// blocks that several streams share.
    ///
    /// # Errors
    /// A block is damaged.
    pub fn extents(
        &self,
        tenant: &str,
        matchers: &[Matcher],
        range: NanoRange,
    ) -> Result<Vec<Extent>> {
        let mut found = BTreeMap::<Labels, Extent>::new();
        self.walk(tenant, matchers, range, &mut |labels, place| {
            let Some((entries, bytes)) = place.size(range)? else {
                return Ok(());
            };
            let extent = found.entry(labels.clone()).or_insert_with(|| Extent {
                labels: labels.clone(),
                blocks: 0,
                entries: 0.0,
                bytes: 0.0,
            });
            extent.blocks += 1;
            extent.entries += entries;
            extent.bytes += bytes;
            Ok(())
        })?;
        Ok(found.into_values().collect())
    }

    /// The streams of a tenant that fulfil all matchers and have something in a range, as far as
    /// footers tell; sorted.
    pub fn streams_in(
        &self,
        tenant: &str,
        matchers: &[Matcher],
        range: NanoRange,
    ) -> BTreeSet<Labels> {
        let mut found = BTreeSet::new();
        let walked = self.walk(tenant, matchers, range, &mut |labels, place| {
            if !found.contains(labels) && place.is_in(range) {
                found.insert(labels.clone());
            }
            Ok(())
        });
        debug_assert!(walked.is_ok(), "nothing is read");
        found
    }

    /// Visits every run and every head block of the streams wanted.
    fn walk(
        &self,
        tenant: &str,
        matchers: &[Matcher],
        range: NanoRange,
        visit: &mut dyn FnMut(&Labels, Place<'_>) -> Result<()>,
    ) -> Result<()> {
        let Some(tenant) = self.find(tenant) else {
            return Ok(());
        };
        let (parts, heads) = {
            let state = tenant.state.read();
            let heads = state.closed.iter().map(|head| &**head).chain([&state.head]);
            let heads: Vec<_> = heads
                .flat_map(|head| head.snapshot(|labels| wanted(labels, matchers)))
                .collect();
            (state.parts.clone(), heads)
        };
        for part in &parts {
            let chosen: Vec<bool> = part
                .streams()
                .iter()
                .map(|labels| wanted(labels, matchers))
                .collect();
            for block in part.blocks() {
                walk_block(part, block, &chosen, range, visit)?;
            }
        }
        for (labels, blocks) in &heads {
            for block in blocks {
                visit(labels, Place::Head(block))?;
            }
        }
        Ok(())
    }
}

fn walk_block(
    part: &Part,
    block: &BlockInfo,
    chosen: &[bool],
    range: NanoRange,
    visit: &mut dyn FnMut(&Labels, Place<'_>) -> Result<()>,
) -> Result<()> {
    let (mut first_row, rows) = (0, OnceCell::new());
    for run in &block.runs {
        if chosen[run.stream as usize] && run.overlaps(range) {
            let place = Place::Part {
                part,
                block,
                run,
                first_row,
                rows: &rows,
            };
            visit(&part.streams()[run.stream as usize], place)?;
        }
        first_row += run.rows as usize;
    }
    Ok(())
}

/// Where entries of a stream lie.
enum Place<'a> {
    Head(&'a HeadBlock),
    Part {
        part: &'a Part,
        block: &'a BlockInfo,
        run: &'a Run,
        first_row: usize,
        /// What was decoded of the block, once somebody has asked for them.
        rows: &'a OnceCell<Rows>,
    },
}

impl Place<'_> {
    fn is_in(&self, range: NanoRange) -> bool {
        match self {
            Self::Head(block) => block.times.iter().any(|time| range.contains(*time)),
            Self::Part { run, .. } => run.overlaps(range),
        }
    }

    /// Entries and bytes in the range; `None` if there are none.
    fn size(&self, range: NanoRange) -> Result<Option<(f64, f64)>> {
        match self {
            Self::Head(block) => Ok(count(block, range)),
            Self::Part {
                part,
                block,
                run,
                first_row,
                rows,
            } => {
                let rows = decoded(part, block, rows)?;
                let all = *first_row..first_row + run.rows as usize;
                let lines = match block.runs.len() {
                    1 => block.line_bytes as usize,
                    _ => all.clone().map(|row| rows.line(row).len()).sum(),
                };
                let metadata: usize = all.filter_map(|row| rows.metadata(row)).map(text).sum();
                let (bytes, share) = ((lines + metadata) as f64, share(run, range));
                Ok(Some((f64::from(run.rows) * share, bytes * share)))
            }
        }
    }
}

fn decoded<'a>(part: &Part, block: &BlockInfo, rows: &'a OnceCell<Rows>) -> Result<&'a Rows> {
    if let Some(rows) = rows.get() {
        return Ok(rows);
    }
    // Lines of a block of one stream are counted in its footer.
    let columns: &[Column] = match block.runs.len() {
        1 => &[Column::Metadata],
        _ => &[Column::Lines, Column::Metadata],
    };
    let mut found = Rows::default();
    part.read(block, columns, &mut found)
        .map_err(|error| Error::new(ErrorKind::Corrupt, error.to_string()).because(error))?;
    Ok(rows.get_or_init(|| found))
}

/// Bytes of names and values.
fn text(labels: &Labels) -> usize {
    labels
        .iter()
        .map(|(name, value)| name.len() + value.len())
        .sum()
}

/// Which share of a run lies in the range, were its entries spread evenly.
fn share(run: &Run, range: NanoRange) -> f64 {
    let last = run.last_time.saturating_add(1);
    let whole = last.saturating_sub(run.first_time).max(1) as f64;
    let inside = last
        .min(range.end)
        .saturating_sub(run.first_time.max(range.start))
        .max(0) as f64;
    (inside / whole).min(1.0)
}

fn count(block: &HeadBlock, range: NanoRange) -> Option<(f64, f64)> {
    let rows = (0..block.times.len()).filter(|row| range.contains(block.times[*row]));
    let (mut entries, mut bytes) = (0usize, 0usize);
    for row in rows {
        entries += 1;
        bytes += block.line(row).len() + block.metadata.get(&(row as u32)).map_or(0, text);
    }
    (entries > 0).then_some((entries as f64, bytes as f64))
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use headwater_env::Env;

    use super::*;
    use crate::{Config, PushEntry, PushStream};

    #[test]
    fn heads_and_parts_tell_the_same() {
        let store = Arc::new(ChunkStore::open(Env::in_memory(1), Config::new("/d")).unwrap());
        let labels = Labels::from_pairs([("app", "a")]);
        let entries = (0..10).map(|time| PushEntry {
            time,
            line: b"12345".to_vec(),
            metadata: Labels::empty(),
        });
        let stream = PushStream {
            labels: labels.clone(),
            entries: entries.collect(),
        };
        let other = PushStream {
            labels: Labels::from_pairs([("app", "b")]),
            entries: vec![PushEntry {
                time: 1,
                line: vec![b'x'; 1000],
                metadata: Labels::empty(),
            }],
        };
        store.push("t", &[stream, other]).unwrap();
        let matcher = [Matcher::equal("app", "a")];
        let half = || store.extents("t", &matcher, NanoRange::new(0, 5)).unwrap();
        let head = half();
        assert_eq!((head[0].entries, head[0].bytes), (5.0, 25.0));
        store.flush().unwrap();
        assert_eq!(half(), head);
        assert_eq!(
            store
                .extents("t", &matcher, NanoRange::new(20, 30))
                .unwrap(),
            []
        );
        assert_eq!(store.extents("u", &[], NanoRange::ALL).unwrap(), []);
        let streams = |range| store.streams_in("t", &matcher, range).len();
        assert_eq!(
            (streams(NanoRange::ALL), streams(NanoRange::new(20, 30))),
            (1, 0)
        );
    }
}
