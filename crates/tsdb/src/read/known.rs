//! Labels of series in blocks, kept from query to query.
//!
//! An index has labels as numbers of symbols. To put them together takes ten times as long as to
//! find them here, and a dashboard asks for the same series again and again. Series that the head
//! has too share its labels, so that they mostly take 24 bytes a series and block, and two lists
//! that name the same series are merged without a look at texts.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Weak};

use headwater_model::Labels;
use parking_lot::{Mutex, RwLock};

use crate::block::Block;

/// Bytes that are kept of all blocks together.
const MOST_BYTES: usize = 64 << 20;
/// References of a block that share a page: those of about fifty series.
const PAGE: u32 = 256;
/// Bytes of a shared text beside it.
const TEXT_OVERHEAD: usize = 16;

/// What is kept of all blocks.
#[derive(Debug, Default)]
pub(crate) struct KnownSeries {
    blocks: Mutex<Vec<Entry>>,
    clock: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    block: Weak<Block>,
    known: Arc<KnownOfBlock>,
    used: u64,
}

/// What is kept of one block.
#[derive(Debug, Default)]
pub(crate) struct KnownOfBlock {
    pages: RwLock<BTreeMap<u32, Page>>,
    bytes: AtomicUsize,
}

/// Labels of series whose references lie side by side.
#[derive(Debug, Default)]
struct Page {
    /// Bits of the references that are here.
    present: [u64; PAGE as usize / 64],
    /// Their labels, ascending by reference.
    labels: Vec<Labels>,
}

/// Labels that were read from an index.
pub(crate) struct Fresh {
    pub(crate) reference: u32,
    pub(crate) labels: Labels,
    /// Whether the text is that of a series of the head.
    pub(crate) is_shared: bool,
}

impl KnownSeries {
    /// What is known of a block.
    pub(crate) fn of(&self, block: &Arc<Block>) -> Arc<KnownOfBlock> {
        let now = self.clock.fetch_add(1, Ordering::Relaxed);
        let mut blocks = self.blocks.lock();
        blocks.retain(|entry| entry.block.strong_count() > 0);
        let same = |entry: &&mut Entry| std::ptr::eq(entry.block.as_ptr(), Arc::as_ptr(block));
        if let Some(entry) = blocks.iter_mut().find(same) {
            entry.used = now;
            return Arc::clone(&entry.known);
        }
        let known = Arc::<KnownOfBlock>::default();
        blocks.push(Entry {
            block: Arc::downgrade(block),
            known: Arc::clone(&known),
            used: now,
        });
        known
    }

    /// Bytes that are kept.
    pub(crate) fn bytes(&self) -> usize {
        self.blocks.lock().iter().map(|e| e.known.bytes()).sum()
    }

    /// Keeps labels of a block. To make room, those of blocks that were not asked for longest go;
    /// if that is not enough, no more are kept.
    pub(crate) fn keep(&self, of: &KnownOfBlock, fresh: Vec<Fresh>) {
        let wanted = fresh.iter().map(Fresh::bytes).sum();
        if self.make_room(of, wanted) {
            of.add(fresh);
        }
    }

    fn make_room(&self, of: &KnownOfBlock, wanted: usize) -> bool {
        let mut blocks = self.blocks.lock();
        blocks.sort_by_key(|entry| entry.used);
        let mut free = MOST_BYTES.saturating_sub(blocks.iter().map(|e| e.known.bytes()).sum());
        for entry in blocks.iter() {
            if free >= wanted {
                break;
            }
            if !std::ptr::eq(Arc::as_ptr(&entry.known), of) {
                free += entry.known.clear();
            }
        }
        free >= wanted
    }
}

impl Fresh {
    fn bytes(&self) -> usize {
        let text = match self.is_shared {
            true => 0,
            false => self.labels.packed_len() + TEXT_OVERHEAD,
        };
        size_of::<Labels>() + text
    }
}

impl KnownOfBlock {
    fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Appends the labels of series, ascending, with empty ones for those that are not known; says
    /// where in `into` those are.
    pub(crate) fn look_up(&self, references: &[u32], into: &mut Vec<Labels>) -> Vec<usize> {
        let pages = self.pages.read();
        let mut missing = Vec::new();
        let mut page: Option<(u32, Option<&Page>)> = None;
        for reference in references {
            let number = reference / PAGE;
            if page.is_none_or(|(same, _)| same != number) {
                page = Some((number, pages.get(&number)));
            }
            let found = page.and_then(|(_, page)| page?.get(reference % PAGE));
            if found.is_none() {
                missing.push(into.len());
            }
            into.push(found.cloned().unwrap_or_default());
        }
        missing
    }

    fn add(&self, fresh: Vec<Fresh>) {
        let mut pages = self.pages.write();
        for fresh in fresh {
            let bytes = fresh.bytes();
            let page = pages.entry(fresh.reference / PAGE).or_default();
            if page.insert(fresh.reference % PAGE, fresh.labels) {
                self.bytes.fetch_add(bytes, Ordering::Relaxed);
            }
        }
    }

    /// Forgets all; says how many bytes that were.
    fn clear(&self) -> usize {
        let mut pages = self.pages.write();
        pages.clear();
        self.bytes.swap(0, Ordering::Relaxed)
    }
}

impl Page {
    /// Whether a reference is here, and how many there are before it.
    fn place(&self, at: u32) -> (bool, usize) {
        let (word, bit) = ((at / 64) as usize, at % 64);
        let before: u32 = self.present[..word].iter().map(|w| w.count_ones()).sum();
        let lower = self.present[word] & ((1 << bit) - 1);
        let there = self.present[word] >> bit & 1 == 1;
        (there, (before + lower.count_ones()) as usize)
    }

    fn get(&self, at: u32) -> Option<&Labels> {
        let (there, place) = self.place(at);
        self.labels.get(place).filter(|_| there)
    }

    fn insert(&mut self, at: u32, labels: Labels) -> bool {
        let (there, place) = self.place(at);
        if !there {
            self.present[(at / 64) as usize] |= 1 << (at % 64);
            self.labels.insert(place, labels);
        }
        !there
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fresh(reference: u32) -> Fresh {
        Fresh {
            reference,
            labels: Labels::from_pairs([("n", reference.to_string())]),
            is_shared: false,
        }
    }

    #[test]
    fn what_is_kept_is_found_again() {
        let known = KnownOfBlock::default();
        let references = [3, 64, 200, 255, 256, 70_000];
        known.add([70_000, 255, 3, 200, 256, 3].map(fresh).into());
        let mut found = Vec::new();
        assert_eq!(known.look_up(&references, &mut found), [1]);
        for (reference, labels) in references.iter().zip(&found) {
            match reference {
                64 => assert!(labels.is_empty()),
                _ => assert_eq!(labels.get("n"), Some(reference.to_string().as_str())),
            }
        }
        assert_eq!(known.bytes(), 5 * (24 + 16) + 4 + 3 * 6 + 8);
        assert_eq!(known.clear(), 230);
        assert_eq!(known.look_up(&references, &mut Vec::new()).len(), 6);
    }
}
