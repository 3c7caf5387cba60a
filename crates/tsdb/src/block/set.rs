//! The blocks of a store.

use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_blockfmt::meta::HINT_OUT_OF_ORDER;
use headwater_env::Files;
use headwater_model::{TimeRange, Timestamp};
use headwater_storage::Result;
use parking_lot::RwLock;

use super::write::{CREATING, DELETING, remove_block, set_aside};
use super::{Block, DamagedBlock, HINT_MENDED, ulid};
use crate::error;
use crate::read::KnownSeries;

/// The open blocks, oldest first. Readers take the list as it is; changes
/// replace it.
#[derive(Debug, Default)]
pub(crate) struct BlockSet {
    list: RwLock<Arc<Vec<Arc<Block>>>>,
    /// Blocks that are there and cannot be served.
    unserved: RwLock<Vec<DamagedBlock>>,
    /// Labels that queries have read.
    pub(crate) known: KnownSeries,
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
            unserved: RwLock::new(unserved),
            ..BlockSet::default()
        };
        set.replace(blocks);
        set
    }

    /// The blocks of which something is damaged.
    pub(crate) fn damaged(&self) -> Vec<DamagedBlock> {
        let served = self.all();
        let served = served.iter().filter_map(Block::state);
        self.unserved().into_iter().chain(served).collect()
    }

    /// The blocks that are there and cannot be served.
    pub(crate) fn unserved(&self) -> Vec<DamagedBlock> {
        self.unserved.read().clone()
    }

    /// A block that could not be served is not there any more, or can be served now.
    pub(crate) fn forget_unserved(&self, ulid: &str) {
        self.unserved.write().retain(|block| block.ulid != ulid);
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
        // A block of some series says nothing of what the others have. Of one that is damaged
        // the log may have what it has lost.
        let in_order = all.iter().filter(|block| {
            let of_all = !block.meta.has_hint(HINT_OUT_OF_ORDER) && block.part_of().is_none();
            of_all && block.damage.is_empty()
        });
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

/// Removes blocks that others have replaced: a crash may have kept the one who made these from
/// removing them itself. A damaged block that was mended is set aside.
fn drop_superseded(files: &dyn Files, opened: &mut Opened) -> Result<()> {
    // A block that is damaged does not replace what it was made of.
    let (mut merged, mut mended) = (HashSet::new(), HashSet::new());
    for block in opened.blocks.iter().filter(|b| b.damage.is_empty()) {
        let parents = block.meta.compaction.parents.iter();
        let parents = parents.map(|parent| parent.ulid.clone());
        match block.meta.has_hint(HINT_MENDED) {
            true => mended.extend(parents),
            false => merged.extend(parents),
        }
    }
    let mut gone: Vec<(String, PathBuf)> = Vec::new();
    let said = &mut opened.damage;
    let mut stays = |ulid: &String, dir: &Path, damage: &[String], goes: bool| {
        let goes = goes || merged.contains(ulid) || mended.contains(ulid);
        if goes {
            gone.push((ulid.clone(), dir.to_owned()));
            said.retain(|line| !damage.contains(line));
        }
        !goes
    };
    opened.blocks.retain(|block| {
        let deletable = block.meta.compaction.deletable;
        stays(&block.meta.ulid, &block.dir, &block.damage, deletable)
    });
    opened
        .unserved
        .retain(|block| stays(&block.ulid, &block.dir, &block.damage, false));
    for (ulid, dir) in gone {
        match mended.contains(&ulid) {
            true => drop(set_aside(files, &dir)?),
            false => remove_block(files, &dir)?,
        }
    }
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
