//! Deletes, snapshots, mending, reload and quit: what an operator must switch on.

use headwater_storage::{BoxFuture, Delete, Error, ErrorKind};
use serde::Serialize;

/// Changes to the store that the operator asked for.
pub trait Admin: Delete {
    /// Rewrites blocks so that deleted samples leave the disk.
    ///
    /// # Errors
    /// Nothing was rewritten, or not everything.
    fn clean_tombstones(&self) -> BoxFuture<'_, headwater_storage::Result<()>>;

    /// Copies the store into a new directory and returns its name; `skip_head` leaves out what is
    /// not in a block yet.
    ///
    /// # Errors
    /// There is no complete snapshot.
    fn snapshot(&self, skip_head: bool) -> BoxFuture<'_, headwater_storage::Result<String>>;

    /// Mends damaged blocks for good: those that are named, or all that are known to be damaged.
    /// With `verify`, every block is read first, to know them all.
    ///
    /// # Errors
    /// The store is not up, or mends nothing. That one block cannot be mended is part of the
    /// answer.
    fn mend_blocks(
        &self,
        blocks: Vec<String>,
        verify: bool,
    ) -> BoxFuture<'_, headwater_storage::Result<Mending>> {
        let _ = (blocks, verify);
        let what = "this store mends no blocks";
        Box::pin(async move { Err(Error::new(ErrorKind::Invalid, what)) })
    }
}

/// What has become of blocks that were to be mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Mending {
    /// Those that were damaged, and are not served any more.
    pub mended: Vec<MendedBlock>,
    /// Those that are sound.
    pub sound: Vec<String>,
    /// Those that are as they were.
    pub failed: Vec<FailedBlock>,
}

/// A damaged block that was mended for good.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct MendedBlock {
    /// Its name.
    pub ulid: String,
    /// The block that has what was sound in it; `None` if nothing was.
    pub replaced_by: Option<String>,
    /// Where its files are now.
    pub set_aside: String,
    /// Series of the new block.
    pub num_series: u64,
    /// Series that are lost.
    pub lost_series: u64,
    /// Chunks that are lost.
    pub lost_chunks: u64,
    /// What was damaged, for people.
    pub damage: Vec<String>,
}

/// A block that could not be mended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FailedBlock {
    /// Its name.
    pub ulid: String,
    /// Why.
    pub error: String,
}

/// Reload and quit.
pub trait Lifecycle: Send + Sync {
    /// Reads the configuration again.
    ///
    /// # Errors
    /// The text for the operator; the old configuration stays.
    fn reload(&self) -> BoxFuture<'_, Result<(), String>>;

    /// Asks the process to stop; answers false if it was asked before.
    fn quit(&self) -> bool;
}
