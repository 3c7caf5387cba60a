//! Files that settings point at: contents read, changes noticed.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use parking_lot::Mutex;

/// How long a look at the files' dates is good for.
pub(crate) const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// What tells one version of a file from the next without reading it.
#[derive(Clone, PartialEq, Eq, Debug)]
struct Version {
    modified: Option<SystemTime>,
    len: u64,
    inode: u64,
}

fn version(path: &Path) -> Option<Version> {
    let meta = std::fs::metadata(path).ok()?;
    #[cfg(unix)]
    let inode = std::os::unix::fs::MetadataExt::ino(&meta);
    #[cfg(not(unix))]
    let inode = 0;
    Some(Version {
        modified: meta.modified().ok(),
        len: meta.len(),
        inode,
    })
}

/// A set of files whose contents are kept in memory, and that may change on disk.
#[derive(Debug)]
pub(crate) struct Watched {
    paths: Vec<PathBuf>,
    seen: Mutex<(Instant, Vec<Option<Version>>)>,
    look_again: Duration,
}

impl Watched {
    /// Notes the files as they are now; call this before reading them.
    pub(crate) fn new(paths: Vec<PathBuf>, look_again: Duration) -> Self {
        let versions = paths.iter().map(|path| version(path)).collect();
        Self {
            paths,
            seen: Mutex::new((Instant::now(), versions)),
            look_again,
        }
    }

    /// Watches more files, from now on.
    pub(crate) fn add(&mut self, paths: Vec<PathBuf>) {
        let seen = self.seen.get_mut();
        seen.1.extend(paths.iter().map(|path| version(path)));
        self.paths.extend(paths);
    }

    /// True, once, if a file changed since the last look. Looks at most every `look_again`.
    pub(crate) fn changed(&self) -> bool {
        if self.paths.is_empty() {
            return false;
        }
        let Some(mut seen) = self.seen.try_lock() else {
            return false;
        };
        if seen.0.elapsed() < self.look_again {
            return false;
        }
        let now: Vec<_> = self.paths.iter().map(|path| version(path)).collect();
        let changed = now != seen.1;
        *seen = (Instant::now(), now);
        changed
    }
}

/// Reads a file that holds one secret; space around it does not count.
pub(crate) async fn read_trimmed(path: &str) -> io::Result<String> {
    let text = tokio::fs::read_to_string(path).await?;
    Ok(text.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_change_is_seen_once() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("a");
        std::fs::write(&path, "1").unwrap();
        let watched = Watched::new(vec![path.clone()], Duration::ZERO);
        assert!(!watched.changed());
        std::fs::write(&path, "12").unwrap();
        assert!(watched.changed());
        assert!(!watched.changed());
        std::fs::remove_file(&path).unwrap();
        assert!(watched.changed());
    }
}
