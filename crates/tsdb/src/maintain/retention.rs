//! Which blocks are too old, or too much.

use std::sync::Arc;

use headwater_env::FilesExt;
use headwater_model::Timestamp;
use headwater_storage::Result;

use crate::block::Block;
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

/// What the decision needs to know of a block.
#[derive(Clone, Copy, Debug)]
struct Size {
    max_time: Timestamp,
    bytes: u64,
}

/// What may be kept; 0 for no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Limits {
    millis: i64,
    bytes: u64,
}

/// How many of the blocks, which are sorted oldest first, are to go. Ages
/// count from the newest block. `beside` is what head and log take on disk: it
/// counts, but only blocks can go.
fn too_many(blocks: &[Size], beside: u64, limits: Limits) -> usize {
    let Some(newest) = blocks.iter().map(|b| b.max_time).max() else {
        return 0;
    };
    let too_old = |b: &&Size| newest.saturating_sub(b.max_time) > limits.millis;
    let by_age = match limits.millis {
        0 => 0,
        _ => blocks.iter().take_while(too_old).count(),
    };
    if limits.bytes == 0 {
        return by_age;
    }
    let mut total = beside + blocks.iter().map(|b| b.bytes).sum::<u64>();
    let too_much = |b: &&Size| {
        let over = total > limits.bytes;
        total -= b.bytes;
        over
    };
    by_age.max(blocks.iter().take_while(too_much).count())
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
        let all = self.blocks.all();
        let mut oldest_first: Vec<Arc<Block>> = all.to_vec();
        oldest_first.sort_by_key(|block| block.meta.max_time);
        let sizes: Vec<Size> = oldest_first
            .iter()
            .map(|block| Size {
                max_time: block.meta.max_time,
                bytes: block.bytes,
            })
            .collect();
        let retention = *self.retention.lock();
        let total = match retention.percentage > 0.0 {
            true => self.env.files.total_space(&self.dir).map_err(error::file)?,
            false => 0,
        };
        let count = too_many(&sizes, self.bytes_of_head()?, retention.limits(total));
        if count > 0 {
            tracing::info!(blocks = count, "blocks removed by retention");
            self.serve(&[], &oldest_first[..count])?;
        }
        Ok(count)
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

    #[test]
    fn age_and_size_decide() {
        let blocks = [10, 20, 30, 40].map(|max_time| Size {
            max_time,
            bytes: 100,
        });
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
            assert_eq!(
                too_many(blocks, *beside, limits),
                *wanted,
                "{beside} {limits:?}"
            );
        }
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
