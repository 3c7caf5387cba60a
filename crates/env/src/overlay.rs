use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::error::Context;
use crate::files::{FilesExt, parent};
use crate::{DirEntry, File, Files, MemoryFiles, OpenMode, Region, Result};

/// Files of another file system, with changes that are kept in memory and
/// forgotten in the end: for tools that look at a store which they must not
/// change, and which may be in use.
///
/// What is changed is copied into memory first, as a whole. Locks are those of
/// the copies, so they never keep anybody away from the files below.
///
/// ```
/// use std::{path::Path, sync::Arc};
/// use headwater_env::{Files, FilesExt, MemoryFiles, OverlayFiles};
///
/// let below = MemoryFiles::new();
/// below.write_atomic(Path::new("a"), b"old").unwrap();
/// let overlay = OverlayFiles::new(Arc::new(below.clone()));
/// overlay.write_atomic(Path::new("a"), b"new").unwrap();
/// assert_eq!(overlay.read(Path::new("a")).unwrap(), b"new");
/// assert_eq!(below.read(Path::new("a")).unwrap(), b"old");
/// ```
#[derive(Clone, Debug)]
pub struct OverlayFiles {
    below: Arc<dyn Files>,
    above: MemoryFiles,
    /// What is removed; with a directory everything that was in it.
    gone: Arc<Mutex<BTreeSet<PathBuf>>>,
}

impl OverlayFiles {
    /// The files of `below`, unchanged so far.
    pub fn new(below: Arc<dyn Files>) -> OverlayFiles {
        OverlayFiles {
            below,
            above: MemoryFiles::new(),
            gone: Arc::default(),
        }
    }

    /// Where the file at `path` is: below if nobody changed or removed it.
    fn place(&self, path: &Path) -> Result<&dyn Files> {
        let gone = || path.ancestors().any(|dir| self.gone.lock().contains(dir));
        match self.above.exists(path)? || gone() {
            true => Ok(&self.above),
            false => Ok(&*self.below),
        }
    }

    /// Copies a file into memory, so that it can be changed; it is fine if
    /// there is none.
    fn copy_up(&self, path: &Path) -> Result<()> {
        if self.above.file_len(path)?.is_some() {
            return Ok(());
        }
        self.above.create_dir_all(parent(path))?;
        let below = self.place(path)?;
        if below.file_len(path)?.is_some() {
            let bytes = below.read(path)?;
            self.put(path, &bytes)?;
        }
        Ok(())
    }

    fn put(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let file = self.above.open(path, OpenMode::Truncate)?;
        file.write_at(0, bytes)
    }

    fn copy_tree(&self, from: &Path, to: &Path) -> Result<()> {
        self.above.create_dir_all(to)?;
        for entry in self.list(from)? {
            let (from, to) = (from.join(&entry.name), to.join(&entry.name));
            match entry.is_dir {
                true => self.copy_tree(&from, &to)?,
                false => self.put(&to, &self.read(&from)?)?,
            }
        }
        Ok(())
    }
}

impl Files for OverlayFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        match mode {
            OpenMode::Read => return self.place(path)?.open(path, mode),
            OpenMode::CreateNew if self.exists(path)? => {
                return Err(io::Error::from(io::ErrorKind::AlreadyExists)).on("open", path);
            }
            OpenMode::Write => self.copy_up(path)?,
            _ => self.above.create_dir_all(parent(path))?,
        }
        self.above.open(path, mode)
    }

    fn map(&self, path: &Path) -> Result<Region> {
        self.place(path)?.map(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let hidden = |name: &str| self.gone.lock().contains(&dir.join(name));
        let gone = dir.ancestors().any(|dir| self.gone.lock().contains(dir));
        let mut out = Vec::new();
        if !gone && self.below.is_dir(dir) {
            out = self.below.list(dir)?;
            out.retain(|entry| !hidden(&entry.name));
        } else if !self.above.is_dir(dir) {
            return self.above.list(dir);
        }
        if self.above.is_dir(dir) {
            for entry in self.above.list(dir)? {
                if out.iter().all(|known| known.name != entry.name) {
                    out.push(entry);
                }
            }
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        self.above.create_dir_all(dir)
    }

    fn sync_dir(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        if self.is_dir(from) {
            self.copy_tree(from, to)?;
            return self.remove_dir_all(from);
        }
        let bytes = self.read(from)?;
        self.above.create_dir_all(parent(to))?;
        self.put(to, &bytes)?;
        self.remove_file(from)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        if self.above.file_len(path)?.is_some() {
            self.above.remove_file(path)?;
        } else if self.place(path)?.file_len(path)?.is_none() {
            return Err(io::Error::from(io::ErrorKind::NotFound)).on("remove", path);
        }
        self.gone.lock().insert(path.to_path_buf());
        Ok(())
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        if self.above.is_dir(dir) {
            self.above.remove_dir_all(dir)?;
        }
        self.gone.lock().insert(dir.to_path_buf());
        Ok(())
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        let bytes = self.read(from)?;
        self.above.create_dir_all(parent(to))?;
        self.put(to, &bytes)
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.place(path)?.file_len(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.place(path).is_ok_and(|files| files.is_dir(path))
    }

    fn free_space(&self, path: &Path) -> Result<u64> {
        self.above.free_space(path)
    }

    fn total_space(&self, path: &Path) -> Result<u64> {
        self.below.total_space(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(files: &dyn Files, dir: &str) -> Vec<String> {
        let entries = files.list(Path::new(dir)).unwrap();
        entries.into_iter().map(|entry| entry.name).collect()
    }

    fn filled() -> (MemoryFiles, OverlayFiles) {
        let below = MemoryFiles::new();
        below.create_dir_all(Path::new("d/e")).unwrap();
        for path in ["d/a", "d/b", "d/e/c"] {
            below
                .write_atomic(Path::new(path), path.as_bytes())
                .unwrap();
        }
        let overlay = OverlayFiles::new(Arc::new(below.clone()));
        (below, overlay)
    }

    #[test]
    fn changes_stay_above() {
        let (below, overlay) = filled();
        let file = overlay.open(Path::new("d/a"), OpenMode::Write).unwrap();
        file.write_at(3, b"!").unwrap();
        overlay.write_atomic(Path::new("d/new"), b"n").unwrap();
        overlay.remove_file(Path::new("d/b")).unwrap();
        assert_eq!(overlay.read(Path::new("d/a")).unwrap(), b"d/a!");
        assert_eq!(names(&overlay, "d"), ["a", "e", "new"]);
        assert!(overlay.read(Path::new("d/b")).is_err());
        assert!(overlay.remove_file(Path::new("d/b")).is_err());
        assert!(overlay.open(Path::new("d/a"), OpenMode::CreateNew).is_err());
        assert_eq!(below.read(Path::new("d/a")).unwrap(), b"d/a");
        assert_eq!(names(&below, "d"), ["a", "b", "e"]);
    }

    #[test]
    fn directories_move_and_go() {
        let (below, overlay) = filled();
        overlay.rename(Path::new("d/e"), Path::new("d/f")).unwrap();
        assert_eq!(overlay.read(Path::new("d/f/c")).unwrap(), b"d/e/c");
        assert!(!overlay.is_dir(Path::new("d/e")));
        overlay.create_dir_all(Path::new("d/e")).unwrap();
        assert!(names(&overlay, "d/e").is_empty(), "what was there is gone");
        overlay.remove_dir_all(Path::new("d")).unwrap();
        assert!(overlay.list(Path::new("d")).is_err());
        assert_eq!(names(&below, "d/e"), ["c"]);
    }
}
