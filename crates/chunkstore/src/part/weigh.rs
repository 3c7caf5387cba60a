//! How much entries weigh, as Loki's chunks count it.

use std::collections::HashSet;

use headwater_model::Labels;

/// Bytes of a pair of structured metadata: two references to texts.
const PAIR_BYTES: usize = 8;

/// Adds up entries.
#[derive(Debug, Default)]
pub(crate) struct Weigher<'a> {
    pub(crate) entries: usize,
    /// Bytes of lines and of names and values of structured metadata.
    pub(crate) bytes: usize,
    /// Bytes of lines, eight for each pair of structured metadata, and every text of it once.
    pub(crate) weight: usize,
    texts: HashSet<&'a str>,
}

impl<'a> Weigher<'a> {
    pub(crate) fn add(&mut self, line_bytes: usize, metadata: Option<&'a Labels>) {
        self.add_lines(1, line_bytes);
        if let Some(metadata) = metadata {
            self.add_metadata(1, metadata);
        }
    }

    pub(crate) const fn add_lines(&mut self, entries: usize, bytes: usize) {
        self.entries += entries;
        self.bytes += bytes;
        self.weight += bytes;
    }

    /// Adds the metadata that so many entries share.
    pub(crate) fn add_metadata(&mut self, entries: usize, metadata: &'a Labels) {
        for (name, value) in metadata {
            self.bytes += entries * (name.len() + value.len());
            self.weight += entries * PAIR_BYTES;
            for text in [name, value] {
                if self.texts.insert(text) {
                    self.weight += text.len();
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shared_texts_weigh_once() {
        let metadata = Labels::from_pairs([("level", "info")]);
        let mut weigher = Weigher::default();
        weigher.add(10, Some(&metadata));
        weigher.add(20, Some(&metadata));
        weigher.add(5, None);
        assert_eq!(
            (weigher.entries, weigher.bytes, weigher.weight),
            (3, 35 + 18, 35 + 16 + 9)
        );
        let mut together = Weigher::default();
        together.add_lines(3, 35);
        together.add_metadata(2, &metadata);
        assert_eq!(
            (together.bytes, together.weight),
            (weigher.bytes, weigher.weight)
        );
    }
}
