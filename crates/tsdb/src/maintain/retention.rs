//! Which blocks are too old, or too much.

use std::sync::Arc;

use headwater_model::Timestamp;
use headwater_storage::Result;

use crate::block::Block;
use crate::db::Inner;

/// What the decision needs to know of a block.
#[derive(Clone, Copy, Debug)]
struct Size {
    max_time: Timestamp,
    bytes: u64,
}

/// How many of the blocks, which are sorted oldest first, are to go. Ages
/// count from the newest block. `beside` is what the log takes: it counts,
/// but only blocks can go.
fn too_many(blocks: &[Size], beside: u64, keep_millis: i64, keep_bytes: u64) -> usize {
    let Some(newest) = blocks.iter().map(|b| b.max_time).max() else {
        return 0;
    };
    let too_old = |b: &&Size| newest.saturating_sub(b.max_time) > keep_millis;
    let by_age = match keep_millis {
        0 => 0,
        _ => blocks.iter().take_while(too_old).count(),
    };
    if keep_bytes == 0 {
        return by_age;
    }
    let mut total = beside + blocks.iter().map(|b| b.bytes).sum::<u64>();
    let too_much = |b: &&Size| {
        let over = total > keep_bytes;
        total -= b.bytes;
        over
    };
    by_age.max(blocks.iter().take_while(too_much).count())
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
        let millis = i64::try_from(self.options.retention.as_millis()).unwrap_or(i64::MAX);
        let log_bytes = self.log.wal.size().map_err(crate::error::log)?;
        let count = too_many(&sizes, log_bytes, millis, self.options.retention_bytes);
        if count > 0 {
            tracing::info!(blocks = count, "blocks removed by retention");
            self.serve(&[], &oldest_first[..count])?;
        }
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn age_and_size_decide() {
        let blocks: Vec<Size> = [10, 20, 30, 40]
            .map(|max_time| Size {
                max_time,
                bytes: 100,
            })
            .to_vec();
        assert_eq!(too_many(&[], 0, 1, 1), 0);
        assert_eq!(too_many(&blocks, 0, 0, 0), 0);
        assert_eq!(too_many(&blocks, 0, 20, 0), 1);
        assert_eq!(too_many(&blocks, 0, 5, 0), 3);
        assert_eq!(too_many(&blocks, 0, 0, 400), 0);
        assert_eq!(too_many(&blocks, 1, 0, 400), 1);
        assert_eq!(too_many(&blocks, 0, 0, 150), 3);
        assert_eq!(too_many(&blocks, 0, 25, 150), 3);
    }
}
