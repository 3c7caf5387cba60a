//! Retention: entries go once they are older than their stream keeps them.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use headwater_model::Labels;
use headwater_storage::Result;

use crate::merge::of_part;
use crate::part::{BlockInfo, Column, PartWriter};
use crate::store::{ChunkStore, StoredPart};

/// A part is written anew if at least one in so many of its bytes has expired.
const WORTH: u64 = 10;

impl ChunkStore {
    /// Removes what is older than `period` says of its tenant and stream; `None` keeps it for ever.
    ///
    /// Whole blocks go, so an entry may live longer than its period, by as much as its block spans.
    /// Heads are not touched: what is in them goes once it lies in a part. Answers how many parts were
    /// removed or made smaller.
    ///
    /// # Errors
    /// A part could not be written or removed; calling again goes on.
    pub fn expire(&self, period: &dyn Fn(&str, &Labels) -> Option<Duration>) -> Result<usize> {
        let now = self.env.clock.unix_nanos();
        let mut changed = 0;
        for (name, tenant) in self.all_tenants() {
            let _one_at_a_time = tenant.rewriting.lock();
            let parts = tenant.state.read().parts.clone();
            for part in &parts {
                changed += usize::from(self.expire_part(&name, part, now, period)?);
            }
        }
        self.counts
            .expired
            .fetch_add(changed as u64, Ordering::Relaxed);
        Ok(changed)
    }

    fn expire_part(
        &self,
        tenant: &str,
        part: &Arc<StoredPart>,
        now: i64,
        period: &dyn Fn(&str, &Labels) -> Option<Duration>,
    ) -> Result<bool> {
        let oldest_kept: Vec<i64> = part
            .streams()
            .iter()
            .map(|labels| match period(tenant, labels) {
                Some(period) => {
                    now.saturating_sub(i64::try_from(period.as_nanos()).unwrap_or(i64::MAX))
                }
                None => i64::MIN,
            })
            .collect();
        let expired = |block: &BlockInfo| {
            let mut runs = block.runs.iter();
            runs.all(|run| run.last_time < oldest_kept[run.stream as usize])
        };
        let (gone, kept): (Vec<_>, Vec<_>) = part.blocks().iter().partition(|block| expired(block));
        if gone.is_empty() {
            return Ok(false);
        }
        if kept.is_empty() {
            self.replace(tenant, std::slice::from_ref(part), None)?;
            return Ok(true);
        }
        let stored = |block: &BlockInfo| {
            Column::ALL
                .map(|column| u64::from(block.place(column).stored))
                .iter()
                .sum::<u64>()
        };
        let bytes: u64 = gone.iter().map(|block| stored(block)).sum();
        if bytes * WORTH < part.len() {
            return Ok(false);
        }
        let new = self.write_part(tenant, part.flushes.next_edition(), |pass_on| {
            let used = kept.iter().flat_map(|block| &block.runs);
            let streams: BTreeSet<Labels> = used
                .map(|run| part.streams()[run.stream as usize].clone())
                .collect();
            let mut writer =
                PartWriter::with_streams(self.config.part, streams).map_err(of_part)?;
            for block in &kept {
                writer.copy_block(part, block).map_err(of_part)?;
                pass_on(&mut writer)?;
            }
            Ok(writer)
        })?;
        self.replace(tenant, std::slice::from_ref(part), Some(new))?;
        Ok(true)
    }
}
