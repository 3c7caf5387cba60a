//! How far a stream was read: heka's journal, one small JSON file a stream.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use sha1::{Digest, Sha1};

use crate::flow::{Acks, Finalizer};

/// Bytes before the position whose hash tells whether a file is the one that
/// was read.
pub(super) const HASHED: usize = 500;
/// The journal is written at most this often, and at the end.
const SAVE_EVERY: Duration = Duration::from_millis(100);

/// A place in a stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Bytes of the file that were read, of compressed ones unpacked.
    pub(super) seek: u64,
    /// The file, under the name it had.
    pub(super) file_name: PathBuf,
    /// SHA-1 of the last 500 bytes before, with zeros before them if there
    /// are fewer.
    pub(super) last_hash: String,
}

/// The hash of the bytes before a position.
pub(super) fn hash(before: &[u8]) -> String {
    let tail = &before[before.len().saturating_sub(HASHED)..];
    let mut sha = Sha1::new();
    sha.update(&[0; HASHED][tail.len()..]);
    sha.update(tail);
    sha.finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// The last bytes before a position, as many as its hash needs.
#[derive(Debug, Clone, Default)]
pub(super) struct Tail(Vec<u8>);

impl Tail {
    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn push(&mut self, bytes: &[u8]) {
        let new = &bytes[bytes.len().saturating_sub(HASHED)..];
        let surplus = (self.0.len() + new.len()).saturating_sub(HASHED);
        self.0.drain(..surplus);
        self.0.extend_from_slice(new);
    }

    pub(super) fn hash(&self) -> String {
        hash(&self.0)
    }
}

/// Writes the position up to which everything arrived. It is shared by the
/// stream and all batches under way, so the last word of the last batch is
/// still written after the stream has ended.
#[derive(Debug)]
pub(super) struct Journal {
    path: PathBuf,
    acks: Acks<Position>,
    saved: Mutex<Option<Instant>>,
}

impl Journal {
    pub(super) fn new(path: PathBuf) -> Journal {
        Journal {
            path,
            acks: Acks::new(),
            saved: Mutex::new(None),
        }
    }

    /// The position of an earlier run.
    pub(super) fn load(path: &Path) -> io::Result<Option<Position>> {
        match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice(&bytes).ok()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    /// A finalizer for a batch after which the stream stands at `position`.
    pub(super) fn expect(self: &std::sync::Arc<Journal>, position: Position) -> Finalizer {
        let journal = self.clone();
        let done = self.acks.expect(position);
        Finalizer::new(move |outcome| {
            done.call(outcome);
            journal.save_in_time();
        })
    }

    fn save_in_time(&self) {
        let mut saved = self.saved.lock();
        if saved.is_some_and(|at| at.elapsed() < SAVE_EVERY) {
            return;
        }
        *saved = Some(Instant::now());
        self.save();
    }

    /// Writes the position if it moved.
    pub(super) fn save(&self) {
        let Some(position) = self.acks.take_arrived() else {
            return;
        };
        if let Err(error) = write(&self.path, &position) {
            tracing::error!("cannot write the journal {}: {error}", self.path.display());
        }
    }

    /// Sets a position without reading anything.
    pub(super) fn set(&self, position: &Position) -> io::Result<()> {
        write(&self.path, position)
    }
}

impl Drop for Journal {
    fn drop(&mut self) {
        self.save();
    }
}

/// Writes beside and renames, so that there is always a whole journal.
fn write(path: &Path, position: &Position) -> io::Result<()> {
    let text = serde_json::to_vec(position)?;
    let beside = path.with_extension("new");
    fs::write(&beside, text)?;
    fs::rename(&beside, path)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hash_is_that_of_the_last_bytes_behind_zeros() {
        assert_eq!(hash(b"a\nb\n"), "935e0d0991ac076f5784dce2fabae2eff811a457");
        let long = vec![b'x'; 700];
        assert_eq!(hash(&long), hash(&long[..500]));
    }

    #[test]
    fn a_tail_keeps_what_the_hash_needs() {
        let bytes: Vec<u8> = (0..2000u32).map(|n| n as u8).collect();
        for chunk in [1, 333, 600, 2000] {
            let mut tail = Tail::default();
            for chunk in bytes.chunks(chunk) {
                tail.push(chunk);
            }
            assert_eq!(tail.hash(), hash(&bytes));
            assert_eq!(tail.0.len(), HASHED);
        }
    }
}
