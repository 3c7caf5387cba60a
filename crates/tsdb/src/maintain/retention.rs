//! Which blocks are too old, or too much.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_blockfmt::BlockMeta;
use headwater_env::FilesExt;
use headwater_model::Timestamp;
use headwater_storage::Result;

use crate::block::write::{self, DELETING, remove_block};
use crate::block::{Block, ulid};
use crate::db::{Db, Inner};
use crate::error;
use crate::head::chunk_files;
use crate::log;
use crate::options::Options;

/// How long samples are kept; what is reached first counts.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct Retention {
    /// See [`Options::retention`].
    pub time: std::time::Duration,
    /// See [`Options::retention_bytes`].
    pub bytes: u64,
    /// See [`Options::retention_percentage`].
    pub percentage: f64,
}

impl Retention {
    pub(crate) fn of(options: &Options) -> Retention {
        Retention {
            time: options.retention,
            bytes: options.retention_bytes,
            percentage: options.retention_percentage,
        }
    }

    /// The limits on a file system of this many bytes.
    fn limits(&self, total_space: u64) -> Limits {
        Limits {
            millis: i64::try_from(self.time.as_millis()).unwrap_or(i64::MAX),
            bytes: match self.percentage > 0.0 {
                true => (total_space as f64 * self.percentage.min(100.0) / 100.0) as u64,
                false => self.bytes,
            },
        }
    }
}

/// What the decision needs to know of a directory with samples.
#[derive(Clone, Copy, Debug)]
struct Size {
    max_time: Timestamp,
    bytes: u64,
    /// Queries are answered from it.
    served: bool,
}

/// What may be kept; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    millis: i64,
    bytes: u64,
}

/// Which of the directories are to go; they are sorted, the most dispensable first. Ages count from
/// the newest block that is served. `beside` is what head and log take on disk: it counts, but only
/// directories can go.
fn too_many(sizes: &[Size], beside: u64, limits: Limits) -> Vec<usize> {
    let served = sizes.iter().filter(|size| size.served);
    let newest = served.map(|size| size.max_time).max();
    let too_old = |size: &Size| {
        let age = newest.map_or(0, |newest| newest.saturating_sub(size.max_time));
        limits.millis > 0 && age > limits.millis
    };
    let young = sizes.iter().filter(|size| !too_old(size));
    let mut total = beside + young.map(|size| size.bytes).sum::<u64>();
    let mut goes = |size: &Size| {
        let too_much = limits.bytes > 0 && total > limits.bytes && !too_old(size);
        if too_much {
            total -= size.bytes;
        }
        too_much || too_old(size)
    };
    let places = 0..sizes.len();
    places.filter(|at| goes(&sizes[*at])).collect()
}

/// A directory that retention may remove.
enum Dir {
    Served(Arc<Block>),
    /// A block that cannot be served.
    Unserved(String),
    /// What a mended block has replaced, and the name that its block had.
    Aside(PathBuf, String),
}

impl Db {
    /// Changes how long samples are kept; the next round of maintenance
    /// removes what is too much.
    pub fn set_retention(&self, change: impl FnOnce(&mut Retention)) {
        change(&mut self.inner.retention.lock());
    }
}

impl Inner {
    /// Removes blocks that are too old or too much; says how many.
    pub(super) fn apply_retention(&self) -> Result<usize> {
        let dirs = self.dirs_by_worth()?;
        let sizes: Vec<Size> = dirs.iter().map(|(_, size)| *size).collect();
        let retention = *self.retention.lock();
        let total = match retention.percentage > 0.0 {
            true => self.env.files.total_space(&self.dir).map_err(error::file)?,
            false => 0,
        };
        let go = too_many(&sizes, self.bytes_of_head()?, retention.limits(total));
        let mut blocks = Vec::new();
        for at in &go {
            match &dirs[*at].0 {
                Dir::Served(block) => blocks.push(Arc::clone(block)),
                Dir::Unserved(ulid) => self.remove_unserved(ulid)?,
                Dir::Aside(dir, ulid) => self.remove_aside(dir, ulid)?,
            }
        }
        if !blocks.is_empty() {
            tracing::info!(blocks = blocks.len(), "blocks removed by retention");
            self.serve(&[], &blocks)?;
        }
        Ok(go.len())
    }

    /// All that retention may remove. A mended block has what was sound in what was set aside, so
    /// that goes first if all is too much; blocks go oldest first.
    fn dirs_by_worth(&self) -> Result<Vec<(Dir, Size)>> {
        let files = self.env.files.as_ref();
        let mut dirs = Vec::new();
        for entry in files.list(&self.dir).map_err(error::file)? {
            if let Some(ulid) = write::aside_of(&entry.name).filter(|_| entry.is_dir) {
                let dir = self.dir.join(&entry.name);
                let size = self.idle_size(&dir, ulid)?;
                dirs.push((Dir::Aside(dir, ulid.to_owned()), size));
            }
        }
        for block in self.blocks.unserved() {
            if files.is_dir(&block.dir) {
                let size = self.idle_size(&block.dir, &block.ulid)?;
                dirs.push((Dir::Unserved(block.ulid), size));
            }
        }
        for block in self.blocks.all().iter() {
            let size = Size {
                max_time: block.meta.max_time,
                bytes: block.bytes,
                served: true,
            };
            dirs.push((Dir::Served(Arc::clone(block)), size));
        }
        dirs.sort_by_key(|(dir, size)| (!matches!(dir, Dir::Aside(..)), size.max_time));
        Ok(dirs)
    }

    /// The size and age of a directory that is not served. If it does not say when its samples end,
    /// they are as old as its name.
    fn idle_size(&self, dir: &Path, name: &str) -> Result<Size> {
        let files = self.env.files.as_ref();
        let meta = files.read(&dir.join("meta.json")).ok();
        let meta = meta.and_then(|bytes| BlockMeta::decode(&bytes).ok());
        Ok(Size {
            max_time: meta.map_or_else(|| ulid::time(name), |meta| meta.max_time),
            bytes: files.dir_size(dir).map_err(error::file)?,
            served: false,
        })
    }

    fn remove_unserved(&self, ulid: &str) -> Result<()> {
        tracing::warn!(
            ulid,
            "a block that could not be served is removed by retention"
        );
        remove_block(self.env.files.as_ref(), &self.dir.join(ulid))?;
        self.blocks.forget_unserved(ulid);
        Ok(())
    }

    fn remove_aside(&self, dir: &Path, ulid: &str) -> Result<()> {
        let files = self.env.files.as_ref();
        tracing::warn!(dir = %dir.display(), "a damaged block that was set aside is removed by retention");
        // Under this name an interrupted removal is finished by the next start.
        let going = self.dir.join(format!("{ulid}{DELETING}"));
        files
            .rename(dir, &going)
            .and_then(|()| files.remove_dir_all(&going))
            .map_err(error::file)
    }

    /// What the head takes on disk: both logs and finished chunks.
    fn bytes_of_head(&self) -> Result<u64> {
        let dirs = [
            log::dir(&self.dir),
            log::late_dir(&self.dir),
            chunk_files::dir(&self.dir),
        ];
        let there = dirs.iter().filter(|dir| self.env.files.is_dir(dir));
        there
            .map(|dir| self.env.files.dir_size(dir).map_err(error::file))
            .sum()
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn size(max_time: Timestamp, served: bool) -> Size {
        Size {
            max_time,
            bytes: 100,
            served,
        }
    }

    #[test]
    fn age_and_size_decide() {
        let blocks = [10, 20, 30, 40].map(|max_time| size(max_time, true));
        // Blocks, what is beside, milliseconds, bytes; how many go.
        let cases: &[(&[Size], u64, i64, u64, usize)] = &[
            (&[], 0, 1, 1, 0),
            (&[], 500, 1, 1, 0),
            (&blocks, 0, 0, 0, 0),
            (&blocks, 0, 20, 0, 1),
            (&blocks, 0, 30, 0, 0),
            (&blocks, 0, 5, 0, 3),
            (&blocks, 0, 0, 400, 0),
            (&blocks, 1, 0, 400, 1),
            (&blocks, 0, 0, 150, 3),
            (&blocks, 0, 0, 1, 4),
            (&blocks, 1000, 0, 400, 4),
            // What is reached first counts.
            (&blocks, 0, 25, 150, 3),
            (&blocks, 0, 5, 350, 3),
        ];
        for (blocks, beside, millis, bytes, wanted) in cases {
            let limits = Limits {
                millis: *millis,
                bytes: *bytes,
            };
            let wanted: Vec<usize> = (0..*wanted).collect();
            assert_eq!(
                too_many(blocks, *beside, limits),
                wanted,
                "{beside} {limits:?}"
            );
        }
    }

    #[test]
    fn what_is_not_served_counts_and_goes_first() {
        // One that was set aside, then blocks, of which one cannot be served.
        let dirs = [
            size(35, false),
            size(10, true),
            size(20, false),
            size(30, true),
        ];
        let go = |millis, bytes| too_many(&dirs, 0, Limits { millis, bytes });
        assert_eq!(go(0, 400), [0; 0]);
        assert_eq!(go(0, 399), [0]);
        assert_eq!(go(0, 299), [0, 1]);
        assert_eq!(go(15, 0), [1]);
        assert_eq!(go(15, 250), [0, 1]);
        // The time of what is not served may be wrong: nothing is too old because of it.
        assert_eq!(go(5, 0), [1, 2]);
    }

    #[test]
    fn a_share_of_the_disk_beats_a_size() {
        // Time, bytes, percentage, space; milliseconds and bytes.
        let cases = [
            (1, 0, 0.0, 1000, 1000, 0),
            (0, 70, 0.0, 1000, 0, 70),
            (0, 70, 25.0, 1000, 0, 250),
            (2, 0, 0.5, 1000, 2000, 5),
            (0, 0, 100.0, 1000, 0, 1000),
            (0, 0, 150.0, 1000, 0, 1000),
        ];
        for (seconds, bytes, percentage, space, millis, wanted) in cases {
            let retention = Retention {
                time: Duration::from_secs(seconds),
                bytes,
                percentage,
            };
            let limits = Limits {
                millis,
                bytes: wanted,
            };
            assert_eq!(retention.limits(space), limits, "{retention:?}");
        }
    }
}
