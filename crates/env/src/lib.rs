#![doc = include_str!("../README.md")]
//!
//! # Modules, in reading order
//!
//! `clock` and `rng` are one screen each. `files` holds the contract of the
//! file system; `real`, `memory` and `faulty` implement it, the latter two over
//! `disk`, `overlay` keeps changes to another away from it; `stream` puts buffered sequential reading and writing on top.

mod clock;
mod disk;
mod error;
mod faulty;
mod files;
mod memory;
mod overlay;
mod real;
mod region;
mod rng;
mod stream;

use std::sync::Arc;

pub use clock::{Clock, ManualClock, SystemClock};
pub use error::{FileError, FileErrorKind, Result};
pub use faulty::FaultyFiles;
pub use files::{DirEntry, File, Files, FilesExt, OpenMode};
pub use memory::MemoryFiles;
pub use overlay::OverlayFiles;
pub use real::RealFiles;
pub use region::{Region, release_regions};
pub use rng::{Rng, RngExt, SeededRng, SystemRng};
pub use stream::{FileReader, FileWriter};

/// Clock, randomness and files handed around together.
///
/// ```
/// let env = headwater_env::Env::real();
/// assert!(env.clock.unix_millis() > 1_500_000_000_000);
/// ```
#[derive(Clone, Debug)]
pub struct Env {
    /// Where the time comes from.
    pub clock: Arc<dyn Clock>,
    /// Where randomness comes from.
    pub rng: Arc<dyn Rng>,
    /// Where files live.
    pub files: Arc<dyn Files>,
}

impl Env {
    /// The operating system's clock, randomness and files.
    pub fn real() -> Env {
        Env {
            clock: Arc::new(SystemClock::new()),
            rng: Arc::new(SystemRng::new()),
            files: Arc::new(RealFiles),
        }
    }

    /// A world of its own, the same on every run: a clock that stands at the
    /// epoch, random numbers from `seed`, files in memory.
    pub fn in_memory(seed: u64) -> Env {
        Env {
            clock: Arc::new(ManualClock::new(0)),
            rng: Arc::new(SeededRng::new(seed)),
            files: Arc::new(MemoryFiles::new()),
        }
    }
}

impl Default for Env {
    fn default() -> Env {
        Env::real()
    }
}
