//! Deletes, snapshots, reload and quit: what an operator must switch on.

use headwater_storage::{BoxFuture, Delete};

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
