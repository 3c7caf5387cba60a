//! The blocks of a store.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use headwater_blockfmt::meta::HINT_OUT_OF_ORDER;
use headwater_env::Files;
use headwater_model::{TimeRange, Timestamp};
use headwater_storage::Result;
use parking_lot::RwLock;

use super::write::{CREATING, DELETING, remove_block};
use super::{Block, DamagedBlock, ulid};
use crate::error;

/// The open blocks, oldest first. Readers take the list as it is; changes
/// replace it.
#[derive(Debug, Default)]
pub(crate) struct BlockSet {
    list: RwLock<Arc<Vec<Arc<Block>>>>,
    /// Blocks that are there and cannot be served.
    unserved: Vec<DamagedBlock>,
}

/// What opening the blocks of a directory has brought.
#[derive(Debug, Default)]
pub(crate) struct Opened {
    pub(crate) blocks: Vec<Arc<Block>>,
    /// Blocks that cannot be served.
    pub(crate) unserved: Vec<DamagedBlock>,
    /// What is damaged, for people.
    pub(crate) damage: Vec<String>,
}

impl BlockSet {
    pub(crate) fn new(blocks: Vec<Arc<Block>>, unserved: Vec<DamagedBlock>) -> BlockSet {
        let set = BlockSet {
            unserved,
            ..BlockSet::default()
        };
        set.replace(blocks);
        set
    }

    /// The blocks of which something is damaged.
    pub(crate) fn damaged(&self) -> Vec<DamagedBlock> {
        let served = self.all();
        let served = served.iter().filter_map(Block::state);
        self.unserved.iter().cloned().chain(served).collect()
    }

    pub(crate) fn all(&self) -> Arc<Vec<Arc<Block>>> {
        Arc::clone(&self.list.read())
    }

    pub(crate) fn replace(&self, mut blocks: Vec<Arc<Block>>) {
        blocks.sort_by_key(|b| (b.meta.min_time, b.meta.max_time, b.meta.ulid.clone()));
        *self.list.write() = Arc::new(blocks);
    }

    /// The blocks that may have samples in a range, by rank.
    pub(crate) fn overlapping(&self, range: TimeRange) -> Vec<Arc<Block>> {
        let all = self.all();
        let found = all.iter().filter(|block| block.range().overlaps(&range));
        let mut found: Vec<Arc<Block>> = found.cloned().collect();
        found.sort_by(|a, b| a.rank().cmp(&b.rank()));
        found
    }

    /// First millisecond behind the blocks that were made in order: what the
    /// head takes lies behind it.
    pub(crate) fn in_order_end(&self, block_range: i64) -> Option<Timestamp> {
        let all = self.all();
        // A block of some series says nothing of what the others have.
        let in_order = all
            .iter()
            .filter(|block| !block.meta.has_hint(HINT_OUT_OF_ORDER) && block.part_of().is_none());
        in_order.map(|block| block.end(block_range)).max()
    }

    pub(crate) fn bytes(&self) -> u64 {
        self.all().iter().map(|block| block.bytes).sum()
    }
}

/// Opens all blocks of a data directory. One that cannot be opened is left
/// where it is and reported: it does not hide the others.
pub(crate) fn open_all(files: &dyn Files, dir: &Path) -> Result<Opened> {
    let mut opened = Opened::default();
    for entry in files.list(dir).map_err(error::file)? {
        if !entry.is_dir || !ulid::is_ulid(&entry.name) {
            continue;
        }
        match Block::open(files, &dir.join(&entry.name)) {
            Ok(block) => {
                opened.damage.extend_from_slice(&block.damage);
                opened.blocks.push(Arc::new(block));
            }
            Err(error) => {
                let line = format!("block {} is not served: {error}", entry.name);
                opened.damage.push(line.clone());
                opened.unserved.push(DamagedBlock {
                    dir: dir.join(&entry.name),
                    ulid: entry.name,
                    served: false,
                    series: 0,
                    lost_series: 0,
                    damaged_chunks: 0,
                    damage: vec![line],
                });
            }
        }
    }
    drop_superseded(files, &mut opened)?;
    Ok(opened)
}

/// Removes blocks that a compaction has replaced: a crash may have kept it
/// from removing them itself.
fn drop_superseded(files: &dyn Files, opened: &mut Opened) -> Result<()> {
    // A block that is damaged does not replace what it was made of.
    let parents: HashSet<String> = opened
        .blocks
        .iter()
        .filter(|block| block.damage.is_empty())
        .flat_map(|block| &block.meta.compaction.parents)
        .map(|parent| parent.ulid.clone())
        .collect();
    let gone =
        |block: &Arc<Block>| parents.contains(&block.meta.ulid) || block.meta.compaction.deletable;
    for block in opened.blocks.iter().filter(|block| gone(block)) {
        remove_block(files, &block.dir)?;
    }
    opened.blocks.retain(|block| !gone(block));
    Ok(())
}

/// Removes what an interrupted writer or remover has left.
pub(crate) fn remove_leftovers(files: &dyn Files, dir: &Path) -> Result<()> {
    for entry in files.list(dir).map_err(error::file)? {
        let name = entry.name.as_str();
        let base = [CREATING, DELETING, ".tmp"]
            .iter()
            .find_map(|end| name.strip_suffix(end));
        if entry.is_dir && base.is_some_and(ulid::is_ulid) {
            files.remove_dir_all(&dir.join(name)).map_err(error::file)?;
        }
    }
    Ok(())
}
