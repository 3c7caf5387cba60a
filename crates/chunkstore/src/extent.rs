//! How much a tenant has: streams, entries and bytes, from footers and heads alone.

use std::collections::BTreeMap;

use headwater_model::{Labels, Matcher};
use headwater_storage::logs::NanoRange;

use crate::head::HeadBlock;
use crate::part::{BlockInfo, Run};
use crate::select::wanted;
use crate::store::ChunkStore;

/// What one stream has in a range of time. Heads are counted exactly; what lies in parts is counted
/// by whole runs, and by the share of the range where a run lies only partly in it.
#[derive(Clone, Debug, PartialEq)]
pub struct Extent {
    /// The stream.
    pub labels: Labels,
    /// Blocks that hold entries.
    pub blocks: u64,
    /// Entries.
    pub entries: f64,
    /// Bytes of lines.
    pub bytes: f64,
}

impl ChunkStore {
    /// What the streams of a tenant that fulfil all matchers have in a range, sorted by labels.
    /// Streams without an entry there are left out.
    pub fn extents(&self, tenant: &str, matchers: &[Matcher], range: NanoRange) -> Vec<Extent> {
        let Some(tenant) = self.find(tenant) else {
            return Vec::new();
        };
        let mut found = Found::default();
        let state = tenant.state.read();
        for part in &state.parts {
            let chosen: Vec<bool> = part
                .streams()
                .iter()
                .map(|labels| wanted(labels, matchers))
                .collect();
            for block in part.blocks() {
                let runs = block.runs.iter().filter(|run| chosen[run.stream as usize]);
                for run in runs.filter(|run| run.overlaps(range)) {
                    let (entries, bytes) = share(block, run, range);
                    found.add(&part.streams()[run.stream as usize], entries, bytes);
                }
            }
        }
        for head in state.closed.iter().map(|head| &**head).chain([&state.head]) {
            for (labels, blocks) in head.snapshot(|labels| wanted(labels, matchers)) {
                for (entries, bytes) in blocks.iter().filter_map(|block| count(block, range)) {
                    found.add(&labels, entries, bytes);
                }
            }
        }
        found.0.into_values().collect()
    }
}

#[derive(Default)]
struct Found(BTreeMap<Labels, Extent>);

impl Found {
    fn add(&mut self, labels: &Labels, entries: f64, bytes: f64) {
        let extent = self.0.entry(labels.clone()).or_insert_with(|| Extent {
            labels: labels.clone(),
            blocks: 0,
            entries: 0.0,
            bytes: 0.0,
        });
        extent.blocks += 1;
        extent.entries += entries;
        extent.bytes += bytes;
    }
}

/// Entries and bytes of a run that lie in the range, were they spread evenly.
fn share(block: &BlockInfo, run: &Run, range: NanoRange) -> (f64, f64) {
    let last = run.last_time.saturating_add(1);
    let whole = last.saturating_sub(run.first_time).max(1) as f64;
    let inside = last
        .min(range.end)
        .saturating_sub(run.first_time.max(range.start))
        .max(0) as f64;
    let entries = f64::from(run.rows) * (inside / whole).min(1.0);
    let per_entry = f64::from(block.line_bytes) / f64::from(block.rows.max(1));
    (entries, entries * per_entry)
}

fn count(block: &HeadBlock, range: NanoRange) -> Option<(f64, f64)> {
    let rows = (0..block.times.len()).filter(|row| range.contains(block.times[*row]));
    let (mut entries, mut bytes) = (0usize, 0usize);
    for row in rows {
        entries += 1;
        bytes += block.line(row).len();
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
        store.push("t", &[stream]).unwrap();
        let matcher = [Matcher::equal("app", "a")];
        let half = || store.extents("t", &matcher, NanoRange::new(0, 5));
        let head = half();
        assert_eq!((head[0].entries, head[0].bytes), (5.0, 25.0));
        store.flush().unwrap();
        assert_eq!(half(), head);
        assert_eq!(store.extents("t", &matcher, NanoRange::new(20, 30)), []);
        assert_eq!(store.extents("u", &[], NanoRange::ALL), []);
    }
}
