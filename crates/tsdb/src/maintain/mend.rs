//! A damaged block is mended for good.
//!
//! What is sound in it is written to a new block, whose parent it is. Then the new one is served,
//! and the damaged one gets a name that nobody takes for a block. A crash before the new block has
//! its name leaves the damaged one; a crash after that leaves both, and the next start sets the
//! parent aside. So at each moment one of the two is served, and nothing is thrown away: only
//! retention removes what was set aside.

use std::path::PathBuf;
use std::sync::Arc;

use headwater_blockfmt::BlockMeta;
use headwater_blockfmt::meta::Compaction;
use headwater_storage::{Error, ErrorKind, Result};

use super::merge::{self, Damaged};
use crate::block::write::set_aside;
use crate::block::{Block, DamagedBlock, HINT_MENDED, set, ulid};
use crate::db::{Db, Inner};
use crate::error;

/// A block that was damaged, and what has become of it.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct MendedBlock {
    /// Its name.
    pub ulid: String,
    /// The block that has what was sound in it; `None` if nothing was.
    pub replaced_by: Option<String>,
    /// Where its files are now. [`Retention`](crate::Retention) counts them.
    pub set_aside: PathBuf,
    /// Series of the new block.
    pub series: u64,
    /// Series that are known to be lost.
    pub lost_series: u64,
    /// Chunks that are lost.
    pub lost_chunks: u64,
    /// What was damaged.
    pub damage: Vec<String>,
}

impl Db {
    /// Reads every block from end to end, which queries never do, and tells which are damaged.
    ///
    /// # Errors
    /// The store is closed.
    pub fn verify_blocks(&self) -> Result<Vec<DamagedBlock>> {
        self.inner.writable()?;
        for block in self.inner.blocks.all().iter() {
            if let Err(error) = block.verify() {
                tracing::error!(%error, "a block is damaged");
            }
        }
        Ok(self.damaged_blocks())
    }

    /// Mends a damaged block for good: what is sound in it becomes a new block that takes its
    /// place. The damaged one is kept beside it, in a directory whose name ends with `.damaged`,
    /// until retention removes it. Of a block that cannot be served at all nothing is left to
    /// serve, and it is set aside.
    ///
    /// `None` if the block is sound. That is also the answer if somebody has restored the files
    /// of a block that could not be served: it is served from now on.
    ///
    /// # Errors
    /// There is no such block, or files could not be read or written; then the damaged block is
    /// served as before, unless the error says that only its directory could not be moved.
    pub fn mend_block(&self, ulid: &str) -> Result<Option<MendedBlock>> {
        let inner = &*self.inner;
        inner.writable()?;
        let _maintenance = inner.maintenance.lock();
        let served = inner.blocks.all();
        if let Some(block) = served.iter().find(|block| block.meta.ulid == ulid) {
            return inner.mend(block);
        }
        let unserved = inner.blocks.unserved().into_iter();
        match { unserved }.find(|block| block.ulid == ulid) {
            Some(block) => inner.mend_unserved(block),
            None => {
                let what = format!("there is no block {ulid}");
                Err(Error::new(ErrorKind::Invalid, what))
            }
        }
    }
}

impl Inner {
    fn mend(&self, block: &Arc<Block>) -> Result<Option<MendedBlock>> {
        let readable = block.verify();
        let state = block.state();
        if readable.is_ok() && state.is_none() && !block.meta.compaction.failed {
            return Ok(None);
        }
        let mut nothing_said = Vec::new();
        let written = block.ask(&mut nothing_said, |best| {
            let meta = self.mended_meta(best);
            merge::write(self, &[Arc::clone(best)], meta, Damaged::LeftOut)
        });
        // The first try may have left the beginning of a block.
        let tidied = set::remove_leftovers(self.env.files.as_ref(), &self.dir);
        let new = written.and_then(|new| tidied.map(|()| new))?;
        let names: Vec<String> = new.iter().map(|meta| meta.ulid.clone()).collect();
        let old = std::slice::from_ref(block);
        self.serve_in_place(&names, old)?;
        let aside = self.put_aside(block.meta.ulid.as_str(), block.dir.clone())?;
        let mended = MendedBlock {
            series: new.as_ref().map_or(0, |meta| meta.stats.num_series),
            replaced_by: new.map(|meta| meta.ulid),
            lost_series: state.as_ref().map_or(0, |state| state.lost_series),
            lost_chunks: state.as_ref().map_or(0, |state| state.damaged_chunks),
            damage: state.map_or_else(Vec::new, |state| state.damage),
            ..aside
        };
        tracing::warn!(
            ulid = %mended.ulid,
            by = mended.replaced_by.as_deref().unwrap_or("nothing"),
            series = mended.series,
            lost_series = mended.lost_series,
            lost_chunks = mended.lost_chunks,
            aside = %mended.set_aside.display(),
            "a damaged block is replaced"
        );
        Ok(Some(mended))
    }

    /// Somebody may have restored what was missing; if not, there is nothing to serve.
    fn mend_unserved(&self, block: DamagedBlock) -> Result<Option<MendedBlock>> {
        let files = self.env.files.as_ref();
        if !files.is_dir(&block.dir) {
            self.blocks.forget_unserved(&block.ulid);
            return Ok(None);
        }
        let index = files.file_len(&block.dir.join("index"));
        let has_index = index.map_err(error::file)?.is_some();
        match Block::open(files, &block.dir) {
            Ok(_) => {
                self.serve_in_place(std::slice::from_ref(&block.ulid), &[])?;
                self.blocks.forget_unserved(&block.ulid);
                let served = self.blocks.all();
                let restored = served.iter().find(|b| b.meta.ulid == block.ulid);
                restored.map_or(Ok(None), |restored| self.mend(restored))
            }
            Err(error) if has_index && error.kind() != ErrorKind::Corrupt => Err(error),
            Err(_) => {
                let mended = self.put_aside(&block.ulid, block.dir)?;
                self.blocks.forget_unserved(&block.ulid);
                let (ulid, aside) = (&mended.ulid, mended.set_aside.display());
                tracing::warn!(%ulid, %aside, "a block of which nothing is sound is set aside");
                Ok(Some(MendedBlock {
                    lost_series: block.lost_series,
                    damage: block.damage,
                    ..mended
                }))
            }
        }
    }

    fn put_aside(&self, ulid: &str, dir: PathBuf) -> Result<MendedBlock> {
        let aside = set_aside(self.env.files.as_ref(), &dir).map_err(|error| {
            let what = format!(
                "{error}; {} could not be moved, the next start tries again",
                dir.display()
            );
            Error::new(error.kind(), what).at_path(dir).because(error)
        })?;
        Ok(MendedBlock {
            ulid: ulid.to_owned(),
            replaced_by: None,
            set_aside: aside,
            series: 0,
            lost_series: 0,
            lost_chunks: 0,
            damage: Vec::new(),
        })
    }

    /// The block is what it was, but for its name and its parent.
    fn mended_meta(&self, block: &Block) -> BlockMeta {
        let old = &block.meta;
        let mut hints = old.compaction.hints.clone();
        if !old.has_hint(HINT_MENDED) {
            hints.push(HINT_MENDED.to_owned());
        }
        BlockMeta {
            ulid: ulid::new(self.env.clock.as_ref(), self.env.rng.as_ref()),
            min_time: old.min_time,
            max_time: old.max_time,
            compaction: Compaction {
                level: old.compaction.level,
                sources: old.compaction.sources.clone(),
                parents: vec![merge::desc(old)],
                hints,
                ..Compaction::default()
            },
            version: headwater_blockfmt::meta::VERSION,
            ..BlockMeta::default()
        }
    }
}
