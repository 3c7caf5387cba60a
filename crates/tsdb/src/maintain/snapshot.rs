//! Copies of a store that take next to no space.

use std::path::Path;

use headwater_env::{Files, FilesExt};
use headwater_model::{TimeRange, Timestamp};
use headwater_storage::{Error, ErrorKind, Result};

use super::head_block;
use crate::db::Db;
use crate::error;

impl Db {
    /// Makes a copy in `dir`, which must not exist: blocks as hard links and,
    /// if `with_head`, the head as one more block. A store can be opened on
    /// it, here or by Prometheus.
    ///
    /// `dir` must be on the same file system; inside the directory of the
    /// store is fine, in `snapshots`, where Prometheus has them.
    ///
    /// # Errors
    /// `dir` exists, or files could not be linked or written. What was made
    /// of the copy is left and can be removed.
    pub fn snapshot(&self, dir: &Path, with_head: bool) -> Result<()> {
        let inner = &*self.inner;
        let files = inner.env.files.as_ref();
        if files.exists(dir).map_err(error::file)? {
            let message = format!("{} exists already", dir.display());
            return Err(Error::new(ErrorKind::Invalid, message).at_path(dir));
        }
        // Blocks must not come or go in the meantime.
        let _maintenance = inner.maintenance.lock();
        files.create_dir_durable(dir).map_err(error::file)?;
        for block in inner.blocks.all().iter() {
            link_tree(files, &block.dir, &dir.join(&block.meta.ulid))?;
        }
        if let Some(range) = inner.head.all_times().filter(|_| with_head) {
            head_block::write(inner, dir, range)?;
        }
        files.sync_dir(dir).map_err(error::file)
    }
}

impl crate::head::Head {
    /// First to last time of everything in the head.
    fn all_times(&self) -> Option<TimeRange> {
        let both = [self.times.range(), self.late_times.range()];
        both.into_iter().flatten().reduce(|a, b| {
            let end: Timestamp = a.end.max(b.end);
            TimeRange::new(a.start.min(b.start), end)
        })
    }
}

/// Links the files of a directory into a new one.
fn link_tree(files: &dyn Files, from: &Path, to: &Path) -> Result<()> {
    files.create_dir_all(to).map_err(error::file)?;
    for entry in files.list(from).map_err(error::file)? {
        let (from, to) = (from.join(&entry.name), to.join(&entry.name));
        if entry.is_dir {
            link_tree(files, &from, &to)?;
        } else {
            files.hard_link(&from, &to).map_err(error::file)?;
        }
    }
    files.sync_dir(to).map_err(error::file)
}
