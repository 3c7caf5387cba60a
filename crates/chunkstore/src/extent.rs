//! How much a tenant has: streams, entries and bytes, from footers and heads alone.

use std::collections::{BTreeMap, BTreeSet};

use headwater_model::{Labels, Matcher};
use headwater_storage::Result;
use headwater_storage::logs::NanoRange;

use crate::head::HeadBlock;
use crate::part::{Run, Weigher};
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
    /// What Loki's index would say of it: see [`Extent::indexed_bytes`].
    weight: Weight,
}

/// Bytes as Loki's chunks count them: lines, eight bytes for each pair of structured metadata (two
/// references), and every distinct text of the metadata once.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Weight {
    /// Of everything that lies together with what was asked for.
    whole: f64,
    /// The part of it that lies in the range.
    inside: f64,
}

impl Extent {
    /// Bytes as Loki's index knows them: a chunk's size in whole KiB, of which a range has the share of
    /// time that it has of the chunk.
    pub fn indexed_bytes(&self) -> f64 {
        if self.weight.whole <= 0.0 {
            return 0.0;
        }
        let kib = (self.weight.whole / 1024.0).round();
        kib * 1024.0 * self.weight.inside / self.weight.whole
    }
}

impl ChunkStore {
    /// What the streams of a tenant that fulfil all matchers have in a range, sorted by labels.
    /// Streams without an entry there are left out. Of parts nothing but footers is looked at.
    ///
    /// # Errors
    /// None for now: footers are at hand.
    pub fn extents(
        &self,
        tenant: &str,
        matchers: &[Matcher],
        range: NanoRange,
    ) -> Result<Vec<Extent>> {
        let mut found = BTreeMap::<Labels, Extent>::new();
        self.walk(tenant, matchers, range, &mut |labels, place| {
            let Some(size) = place.size(range) else {
                return;
            };
            let extent = found.entry(labels.clone()).or_insert_with(|| Extent {
                labels: labels.clone(),
                blocks: 0,
                entries: 0.0,
                bytes: 0.0,
                weight: Weight::default(),
            });
            extent.blocks += 1;
            extent.entries += size.entries;
            extent.bytes += size.bytes;
            extent.weight.whole += size.weight.whole;
            extent.weight.inside += size.weight.inside;
        });
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
        self.walk(tenant, matchers, range, &mut |labels, place| {
            if !found.contains(labels) && place.is_in(range) {
                found.insert(labels.clone());
            }
        });
        found
    }

    /// Visits every run and every head block of the streams wanted.
    fn walk(
        &self,
        tenant: &str,
        matchers: &[Matcher],
        range: NanoRange,
        visit: &mut dyn FnMut(&Labels, Place<'_>),
    ) {
        let Some(tenant) = self.find(tenant) else {
            return;
        };
        let (parts, heads) = {
            let state = tenant.state.read();
            let heads = state.heads();
            let heads: Vec<_> = heads
                .flat_map(|head| head.snapshot(|labels| wanted(labels, matchers)))
                .collect();
            (state.parts.clone(), heads)
        };
        for part in &parts {
            let streams = part.streams().iter();
            let chosen: Vec<bool> = streams.map(|labels| wanted(labels, matchers)).collect();
            for run in part.blocks().iter().flat_map(|block| &block.runs) {
                if chosen[run.stream as usize] && run.overlaps(range) {
                    visit(&part.streams()[run.stream as usize], Place::Part(run));
                }
            }
        }
        for (labels, blocks) in &heads {
            for block in blocks {
                visit(labels, Place::Head(block));
            }
        }
    }
}

/// How much of a range lies in one place.
struct Size {
    entries: f64,
    bytes: f64,
    weight: Weight,
}

/// Where entries of a stream lie.
enum Place<'a> {
    Head(&'a HeadBlock),
    Part(&'a Run),
}

impl Place<'_> {
    fn is_in(&self, range: NanoRange) -> bool {
        match self {
            Self::Head(block) => block.times.iter().any(|time| range.contains(*time)),
            Self::Part(run) => run.overlaps(range),
        }
    }

    /// What lies in the range; `None` if there is nothing.
    fn size(&self, range: NanoRange) -> Option<Size> {
        match self {
            Self::Head(block) => count(block, range),
            Self::Part(run) => {
                let (share, whole) = (share(run, range), run.weight as f64);
                Some(Size {
                    entries: f64::from(run.rows) * share,
                    bytes: run.bytes as f64 * share,
                    weight: Weight {
                        whole,
                        inside: whole * share,
                    },
                })
            }
        }
    }
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

fn count(block: &HeadBlock, range: NanoRange) -> Option<Size> {
    let (mut inside, mut whole) = (Weigher::default(), Weigher::default());
    for (row, time) in block.times.iter().enumerate() {
        let (line, metadata) = (block.line(row).len(), block.metadata(row));
        whole.add(line, metadata);
        if range.contains(*time) {
            inside.add(line, metadata);
        }
    }
    (inside.entries > 0).then_some(Size {
        entries: inside.entries as f64,
        bytes: inside.bytes as f64,
        weight: Weight {
            whole: whole.weight as f64,
            inside: inside.weight as f64,
        },
    })
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
        let indexed = |app: &str| {
            let matcher = [Matcher::equal("app", app)];
            store.extents("t", &matcher, NanoRange::ALL).unwrap()[0].indexed_bytes()
        };
        assert_eq!((indexed("a"), indexed("b")), (0.0, 1024.0), "whole KiB");
        store.flush().unwrap();
        assert_eq!((indexed("a"), indexed("b")), (0.0, 1024.0));
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
