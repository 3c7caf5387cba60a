//! Type, unit and help of the metrics of a target.

use std::collections::BTreeMap;

use headwater_model::{Metadata, MetricType};

/// For how many scrapes the metadata of a metric that has gone is kept.
const KEEP_SCRAPES: u64 = 10;
/// Most metrics that are remembered for one target, against bodies of nothing but comments.
const MAX_METRICS: usize = 100_000;

/// Most bytes of text that are remembered for one target.
const MAX_BYTES: usize = 16 << 20;

/// What a target has said about its metrics.
#[derive(Debug, Default)]
pub(crate) struct MetadataCache {
    entries: BTreeMap<String, Entry>,
    bytes: usize,
}

#[derive(Debug)]
struct Entry {
    metadata: Metadata,
    seen: u64,
}

impl MetadataCache {
    pub(crate) fn set_type(&mut self, scrape: u64, family: &str, metric_type: MetricType) {
        self.update(scrape, family, 0, |metadata| {
            metadata.metric_type = metric_type
        });
    }

    pub(crate) fn set_help(&mut self, scrape: u64, family: &str, help: &str) {
        self.update(scrape, family, help.len(), |metadata| {
            if metadata.help != help {
                help.clone_into(&mut metadata.help);
            }
        });
    }

    pub(crate) fn set_unit(&mut self, scrape: u64, family: &str, unit: &str) {
        self.update(scrape, family, unit.len(), |metadata| {
            if metadata.unit != unit {
                unit.clone_into(&mut metadata.unit);
            }
        });
    }

    /// `text` is the length of what is to be remembered.
    fn update(
        &mut self,
        scrape: u64,
        family: &str,
        text: usize,
        change: impl FnOnce(&mut Metadata),
    ) {
        let full = self.bytes + family.len() + text > MAX_BYTES;
        if !self.entries.contains_key(family) {
            if full || self.entries.len() >= MAX_METRICS {
                return;
            }
            let metadata = Metadata::default();
            self.entries.insert(
                family.to_owned(),
                Entry {
                    metadata,
                    seen: scrape,
                },
            );
            self.bytes += family.len();
        }
        let Some(entry) = self.entries.get_mut(family) else {
            return;
        };
        entry.seen = scrape;
        let old = size(&entry.metadata);
        if full && text > old {
            return;
        }
        change(&mut entry.metadata);
        self.bytes = self.bytes - old + size(&entry.metadata);
    }

    /// Forgets what has not been said for some scrapes.
    pub(crate) fn expire(&mut self, scrape: u64) {
        let bytes = &mut self.bytes;
        self.entries.retain(|family, entry| {
            let keep = scrape - entry.seen <= KEEP_SCRAPES;
            if !keep {
                *bytes -= family.len() + size(&entry.metadata);
            }
            keep
        });
    }

    pub(crate) fn get(&self, family: &str) -> Option<&Metadata> {
        self.entries.get(family).map(|entry| &entry.metadata)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &Metadata)> {
        self.entries
            .iter()
            .map(|(family, entry)| (family.as_str(), &entry.metadata))
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Bytes of text.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }
}

fn size(metadata: &Metadata) -> usize {
    metadata.help.len() + metadata.unit.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn remembers_for_some_scrapes() {
        let mut cache = MetadataCache::default();
        cache.set_help(1, "a", "Help.");
        cache.set_help(1, "a", "Longer help.");
        cache.set_type(1, "a", MetricType::Gauge);
        cache.set_unit(1, "b", "bytes");
        assert_eq!(
            cache.get("a").map(|m| (m.metric_type, m.help.as_str())),
            Some((MetricType::Gauge, "Longer help."))
        );
        assert_eq!((cache.len(), cache.bytes()), (2, 19));
        cache.set_help(11, "b", "");
        cache.expire(11);
        assert_eq!(cache.len(), 2);
        cache.expire(12);
        assert_eq!(
            cache.iter().map(|(family, _)| family).collect::<Vec<_>>(),
            ["b"]
        );
        assert_eq!(cache.bytes(), 6);
    }
}
