//! Errors, by what the caller can do.

use headwater_ring::LifecycleError;

/// Why a ring could not be read or changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum KvError {
    /// The store does not answer: retry.
    #[error("the key-value store does not answer: {0}")]
    Unavailable(String),
    /// Others changed the ring every time: retry.
    #[error("the ring {ring} was changed by others {tries} times in a row")]
    Contended {
        /// Name of the ring.
        ring: String,
        /// How often it was tried.
        tries: usize,
    },
    /// What is stored under the ring's key is no ring: look at the key.
    #[error("what is stored as ring {ring} cannot be read: {cause}")]
    Corrupt {
        /// Name of the ring.
        ring: String,
        /// What is wrong with it.
        cause: String,
    },
    /// A step of a member's life that does not follow: report a bug.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
}
