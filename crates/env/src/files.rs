use std::fmt;
use std::path::{Path, PathBuf};

use crate::{Region, Result};

/// How a file is opened.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OpenMode {
    /// An existing file, for reading only.
    Read,
    /// For reading and writing; made if missing, kept as it is otherwise.
    Write,
    /// For reading and writing; fails if the file exists.
    CreateNew,
    /// For reading and writing; made if missing, emptied otherwise.
    Truncate,
}

/// A name in a directory.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DirEntry {
    /// The name alone, without the directory. Names that are not UTF-8 are
    /// left out of listings: nothing here ever makes one.
    pub name: String,
    /// Whether the name is a directory.
    pub is_dir: bool,
}

/// An open file.
///
/// Reads and writes name their offset, so a handle can be shared between
/// threads. The contract on crashes: bytes are durable once [`File::sync`]
/// has returned *and* the name of the file is durable, which takes
/// [`Files::sync_dir`] on its directory after the file was made or renamed.
pub trait File: Send + Sync + fmt::Debug {
    /// Reads up to `buf.len()` bytes from `offset`; 0 means end of file.
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize>;

    /// Writes all of `buf` at `offset`; a gap before it reads as zeros.
    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()>;

    /// The length in bytes.
    fn len(&self) -> Result<u64>;

    /// Makes the contents and length durable.
    fn sync(&self) -> Result<()>;

    /// Cuts the file, or grows it with zeros. Never call this on a file that
    /// may be mapped.
    fn set_len(&self, len: u64) -> Result<()>;

    /// Reserves space so that writes below `len` will not run out of it. The
    /// file becomes at least `len` bytes long. Where the system cannot
    /// reserve, only the length changes.
    fn preallocate(&self, len: u64) -> Result<()>;

    /// Takes the exclusive advisory lock; false if another handle holds it.
    /// The lock ends with the handle.
    fn try_lock(&self) -> Result<bool>;

    /// Whether the file is empty.
    fn is_empty(&self) -> Result<bool> {
        Ok(self.len()? == 0)
    }
}

/// A file system.
pub trait Files: Send + Sync + fmt::Debug {
    /// Opens a file.
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>>;

    /// The bytes of a file that nobody will change while the region lives.
    fn map(&self, path: &Path) -> Result<Region>;

    /// Lists a directory, sorted by name.
    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>>;

    /// Makes a directory and those above it. It is fine if it exists.
    fn create_dir_all(&self, dir: &Path) -> Result<()>;

    /// Makes the names in a directory durable.
    fn sync_dir(&self, dir: &Path) -> Result<()>;

    /// Renames a file or directory, atomically replacing a file at `to`.
    fn rename(&self, from: &Path, to: &Path) -> Result<()>;

    /// Removes a file.
    fn remove_file(&self, path: &Path) -> Result<()>;

    /// Removes a directory and everything in it.
    fn remove_dir_all(&self, dir: &Path) -> Result<()>;

    /// Gives the file at `from` a second name.
    fn hard_link(&self, from: &Path, to: &Path) -> Result<()>;

    /// The length of the file at `path`, or `None` if there is no such file
    /// or it is a directory.
    fn file_len(&self, path: &Path) -> Result<Option<u64>>;

    /// Whether there is a directory at `path`.
    fn is_dir(&self, path: &Path) -> bool;

    /// Bytes free for this process on the file system that holds `path`.
    fn free_space(&self, path: &Path) -> Result<u64>;

    /// All bytes, used and free, of the file system that holds `path`.
    fn total_space(&self, path: &Path) -> Result<u64>;
}

/// Whole-file conveniences on any [`Files`].
pub trait FilesExt: Files {
    /// Reads a whole file.
    fn read(&self, path: &Path) -> Result<Vec<u8>> {
        let file = self.open(path, OpenMode::Read)?;
        let len = usize::try_from(file.len()?).unwrap_or(usize::MAX);
        let mut out = vec![0; len];
        let filled = read_full(file.as_ref(), 0, &mut out)?;
        out.truncate(filled);
        Ok(out)
    }

    /// Writes a file so that a crash leaves the old contents or the new, and
    /// returns once the new are durable: a temporary file beside it, synced,
    /// renamed, the directory synced.
    fn write_atomic(&self, path: &Path, bytes: &[u8]) -> Result<()> {
        let tmp = with_suffix(path, ".tmp");
        let file = self.open(&tmp, OpenMode::Truncate)?;
        file.write_at(0, bytes)?;
        file.sync()?;
        drop(file);
        self.rename(&tmp, path)?;
        self.sync_dir(parent(path))
    }

    /// Makes a directory and those above it, and their names durable.
    fn create_dir_durable(&self, dir: &Path) -> Result<()> {
        let missing: Vec<&Path> = dir.ancestors().take_while(|d| !self.is_dir(d)).collect();
        self.create_dir_all(dir)?;
        missing
            .into_iter()
            .try_for_each(|d| self.sync_dir(parent(d)))
    }

    /// The bytes of all files below a directory.
    fn dir_size(&self, dir: &Path) -> Result<u64> {
        let mut total = 0;
        for entry in self.list(dir)? {
            let path = dir.join(&entry.name);
            total += if entry.is_dir {
                self.dir_size(&path)?
            } else {
                self.file_len(&path)?.unwrap_or(0)
            };
        }
        Ok(total)
    }

    /// Whether there is a file or directory at `path`.
    fn exists(&self, path: &Path) -> Result<bool> {
        Ok(self.is_dir(path) || self.file_len(path)?.is_some())
    }
}

impl<F: Files + ?Sized> FilesExt for F {}

/// Reads until `buf` is full or the file ends, and says how much it got.
pub(crate) fn read_full(file: &dyn File, offset: u64, buf: &mut [u8]) -> Result<usize> {
    let mut filled = 0;
    while filled < buf.len() {
        match file.read_at(offset + filled as u64, &mut buf[filled..])? {
            0 => break,
            n => filled += n,
        }
    }
    Ok(filled)
}

/// The directory of `path`; the current one for a bare name.
pub(crate) fn parent(path: &Path) -> &Path {
    match path.parent() {
        Some(dir) if !dir.as_os_str().is_empty() => dir,
        _ => Path::new("."),
    }
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(suffix);
    PathBuf::from(name)
}
