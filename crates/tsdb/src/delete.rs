//! Deleting samples, in all blocks and in the head.
//!
//! Each block has its deletions in a file of its own and the head has them in the log, so there is
//! no way to delete in all of them at once. Instead each place is tried, whatever happens in the
//! others, and the answer says of each what has become of it. What is deleted once may be deleted
//! again, so that who asks again finishes what was left.

use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Error, Result};

use crate::block::Block;
use crate::db::{Db, Inner};
use crate::log::Log;

/// What a deletion has come to, place by place.
#[derive(Debug)]
#[non_exhaustive]
pub struct Deletion {
    /// The blocks of the time in question that show nothing of it any more, also after a restart.
    pub done: Vec<String>,
    /// The blocks that may still show all of it, and why.
    pub failed: Vec<(String, Error)>,
    /// Whether it is deleted in the head.
    pub head: Result<()>,
    /// The blocks that cannot be served, of whatever time: nothing is deleted in them, and should
    /// their files be restored, what they have is back.
    pub unserved: Vec<String>,
}

impl Deletion {
    /// Whether nothing that is served has any of it.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.head.is_ok()
    }

    /// An error that says where it is deleted and where not, unless it is deleted everywhere.
    ///
    /// # Errors
    /// Some places failed. The kind is that of the first.
    pub fn into_result(self) -> Result<()> {
        let done = self.done.join(", ");
        let in_head = self.head.is_ok();
        let head = self.head.err().map(|error| ("the head".to_owned(), error));
        let blocks = self.failed.into_iter();
        let blocks = blocks.map(|(ulid, error)| (format!("block {ulid}"), error));
        let failed: Vec<(String, Error)> = head.into_iter().chain(blocks).collect();
        let causes: Vec<String> = failed
            .iter()
            .map(|(place, error)| format!("{place}: {error}"))
            .collect();
        let Some((_, first)) = failed.into_iter().next() else {
            return Ok(());
        };
        let done = match (in_head, done.is_empty()) {
            (true, true) => "the head".to_owned(),
            (true, false) => format!("the head and blocks {done}"),
            (false, true) => "nothing".to_owned(),
            (false, false) => format!("blocks {done}"),
        };
        let causes = causes.join("; ");
        let what = format!("not deleted in {causes}; deleted in {done}. Delete again to finish");
        let mut error = Error::new(first.kind(), what);
        if let Some(path) = first.path() {
            error = error.at_path(path);
        }
        Err(error.because(first))
    }
}

impl Db {
    /// Deletes the samples in `range` of all series that fulfil the matchers, and says of each
    /// block whether it has done so. One that fails does not keep the others from it.
    ///
    /// ```
    /// # use headwater_env::Env;
    /// # use headwater_model::{Matcher, TimeRange};
    /// # use headwater_tsdb::Db;
    /// # let db = Db::builder("data").env(Env::in_memory(1)).open().unwrap();
    /// let attic = [Matcher::equal("room", "attic")];
    /// let deletion = db.delete_series(&attic, TimeRange::new(20, 29)).unwrap();
    /// for (block, why) in &deletion.failed {
    ///     println!("{block} still has samples of the attic: {why}");
    /// }
    /// assert!(deletion.is_complete());
    /// ```
    ///
    /// # Errors
    /// The store is closed; nothing was deleted.
    pub fn delete_series(&self, matchers: &[Matcher], range: TimeRange) -> Result<Deletion> {
        let inner = &*self.inner;
        inner.writable()?;
        // No block may come out of the head, or go, in the meantime.
        let _maintenance = inner.maintenance.lock();
        let (mut done, mut failed) = (Vec::new(), Vec::new());
        for block in inner.blocks.overlapping(range) {
            // Without what is lost, all that is served can be deleted.
            let deleted = block.ask(&mut Vec::new(), |block| {
                inner.delete_in_block(block, matchers, range)
            });
            let ulid = block.meta.ulid.clone();
            match deleted {
                Ok(()) => done.push(ulid),
                Err(error) => failed.push((ulid, error)),
            }
        }
        let unserved = inner.blocks.unserved().into_iter();
        Ok(Deletion {
            done,
            failed,
            head: inner.delete_in_head(matchers, range),
            unserved: unserved.map(|block| block.ulid).collect(),
        })
    }
}

impl Inner {
    fn delete_in_block(&self, block: &Block, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let mut deleted = Vec::new();
        let mut chunks = Vec::new();
        for reference in block.matching(matchers)? {
            block.series(reference, &mut chunks)?;
            let (first, last) = (chunks.first(), chunks.last());
            let times = first
                .zip(last)
                .map(|(a, b)| TimeRange::new(a.min_time, b.max_time));
            if let Some(stone) = times.and_then(|times| clamped(range, times)) {
                deleted.push((reference, stone));
            }
        }
        match deleted.is_empty() {
            true => Ok(()),
            false => block.delete(self.env.files.as_ref(), deleted),
        }
    }

    fn delete_in_head(&self, matchers: &[Matcher], range: TimeRange) -> Result<()> {
        let _order = self.head.order.lock();
        let slots = self.slots_in(range, matchers);
        let stones: Vec<(u32, u64, TimeRange)> = slots
            .into_iter()
            .filter_map(|slot| self.stone(slot, range))
            .collect();
        if stones.is_empty() {
            return Ok(());
        }
        let named: Vec<(u64, TimeRange)> = stones.iter().map(|s| (s.1, s.2)).collect();
        let record = Log::encode_tombstones(&named);
        let ticket = self.log.write(&[record], &[])?;
        for (slot, log_ref, range) in stones {
            if let Some(cell) = self.head.slots.get(slot) {
                let mut series = cell.lock();
                if series.log_ref == log_ref {
                    series.delete(range);
                }
            }
        }
        ticket.wait()
    }

    fn stone(&self, slot: u32, range: TimeRange) -> Option<(u32, u64, TimeRange)> {
        let series = self.head.slots.get(slot)?.lock();
        let stone = clamped(range, series.all_times()?)?;
        Some((slot, series.log_ref, stone))
    }
}

/// The part of a range that lies within the times of a series: what comes
/// later is not meant by a deletion.
fn clamped(range: TimeRange, times: TimeRange) -> Option<TimeRange> {
    let both = TimeRange::new(range.start.max(times.start), range.end.min(times.end));
    (!both.is_empty()).then_some(both)
}

#[cfg(test)]
mod tests {
    use headwater_storage::ErrorKind;

    use super::*;

    fn error(what: &str) -> Error {
        Error::new(ErrorKind::NoSpace, what).at_path("somewhere")
    }

    #[test]
    fn the_error_says_what_is_done_and_what_is_not() {
        let names = |names: &[&str]| names.iter().map(|name| (*name).to_owned()).collect();
        let deletion = |done: &[&str], failed: &[&str], head: Result<()>| Deletion {
            done: names(done),
            failed: failed
                .iter()
                .map(|name| ((*name).to_owned(), error("full")))
                .collect(),
            head,
            unserved: Vec::new(),
        };
        assert!(deletion(&["A"], &[], Ok(())).into_result().is_ok());
        let told = |deletion: Deletion| {
            assert!(!deletion.is_complete());
            let error = deletion.into_result().unwrap_err();
            assert_eq!(error.kind(), ErrorKind::NoSpace);
            assert_eq!(error.path().unwrap().to_str(), Some("somewhere"));
            error.to_string()
        };
        assert_eq!(
            told(deletion(&["A", "B"], &["C"], Ok(()))),
            "not deleted in block C: full; deleted in the head and blocks A, B. Delete again to finish"
        );
        assert_eq!(
            told(deletion(&[], &["C"], Err(error("torn")))),
            "not deleted in the head: torn; block C: full; deleted in nothing. Delete again to finish"
        );
    }
}
