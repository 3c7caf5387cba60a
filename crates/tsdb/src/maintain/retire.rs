//! Taking out of the head what is in blocks.
//!
//! A reader that began before a block was served knows the head only, so what
//! the block has must stay in the head until that reader is gone. In between,
//! both have it, which readers do not mind.

use headwater_storage::Result;

use super::late_blocks::Taken;
use crate::db::Inner;
use crate::head::ended::Ended;

/// What waits for readers before it leaves the head.
#[derive(Debug, Default)]
pub(crate) struct Retiring {
    /// Readers of earlier epochs may need it.
    epoch: u64,
    late: Vec<Taken>,
    /// Series that are in blocks as a whole.
    ended: Vec<Ended>,
    any: bool,
}

impl Inner {
    /// Everything before the least valid time is in blocks now, and so are
    /// these late samples, and all of the series that have ended. Says whether
    /// they have left the head.
    pub(super) fn retire(&self, late: Vec<Taken>, ended: Vec<Ended>) -> Result<bool> {
        {
            let mut retiring = self.retiring.lock();
            retiring.epoch = self.head.isolation.new_epoch();
            retiring.late.extend(late);
            retiring.ended.extend(ended);
            retiring.any = true;
        }
        self.try_retire()
    }

    /// Whether something waits for readers.
    pub(super) fn is_retiring(&self) -> bool {
        self.retiring.lock().any
    }

    /// Takes out of the head what waits, unless readers still need it. Says
    /// whether nothing waits any more.
    pub(super) fn try_retire(&self) -> Result<bool> {
        let mut retiring = self.retiring.lock();
        if !retiring.any {
            return Ok(true);
        }
        if self.head.isolation.has_readers_before(retiring.epoch) {
            tracing::debug!("readers hold on to the head");
            return Ok(false);
        }
        self.forget_late(&std::mem::take(&mut retiring.late));
        self.forget_ended(&std::mem::take(&mut retiring.ended))?;
        let end = self.head.times.end_of_blocks();
        let segment = self.log.wal.position().segment;
        let gone = self.head.truncate_before(end, segment);
        tracing::debug!(series = gone, before = end, "head truncated");
        retiring.any = false;
        self.chunk_files.lock().truncate_before(end)?;
        Ok(true)
    }
}
