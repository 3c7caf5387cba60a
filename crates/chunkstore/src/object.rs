//! Where parts lie: a small trait that any store of objects can fulfil, and local disk.
//!
//! Objects are immutable: written once, then read in pieces, then removed. Names are paths with `/`.

pub mod conformance;

use std::fmt::Debug;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use headwater_env::{File, FileError, FileErrorKind, Files, FilesExt, OpenMode};
use headwater_storage::{Error, ErrorKind, Result};

/// A store of objects.
///
/// # Contract
/// * An object appears under its name as a whole when its upload is finished, and survives a crash
///   from then on; an upload that is dropped leaves nothing that a listing shows.
/// * Objects never change. One that was opened can be read until it is let go of, even if it is
///   removed meanwhile.
/// * Calls may wait for disk or network: they are made on threads that may.
pub trait ObjectClient: Debug + Send + Sync {
    /// Names of all objects below a folder, sorted, with what a crash has left of uploads removed.
    ///
    /// # Errors
    /// The store cannot be asked.
    fn list(&self, folder: &str) -> Result<Vec<String>>;

    /// Begins to write an object; one of this name, left over from an attempt that failed, is replaced.
    ///
    /// # Errors
    /// The store takes none.
    fn upload(&self, name: &str) -> Result<Box<dyn Upload>>;

    /// Opens an object.
    ///
    /// # Errors
    /// There is none of this name or it cannot be read.
    fn open(&self, name: &str) -> Result<Arc<dyn Object>>;

    /// Removes an object; that there is none of this name is fine.
    ///
    /// # Errors
    /// It is still there.
    fn remove(&self, name: &str) -> Result<()>;
}

/// An object that is being written.
pub trait Upload: Send {
    /// Appends bytes.
    ///
    /// # Errors
    /// The store takes no more; the upload must be dropped.
    fn write(&mut self, bytes: &[u8]) -> Result<()>;

    /// Makes the object appear.
    ///
    /// # Errors
    /// It has not appeared.
    fn finish(self: Box<Self>) -> Result<()>;
}

/// An object that can be read.
pub trait Object: Debug + Send + Sync {
    /// Bytes.
    fn len(&self) -> u64;

    /// Whether it has none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Some of its bytes.
    ///
    /// # Errors
    /// The range lies beyond the end or cannot be read.
    fn read(&self, range: Range<u64>) -> Result<Bytes>;
}

/// An object in memory.
impl Object for Bytes {
    fn len(&self) -> u64 {
        self.as_ref().len() as u64
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        let (start, end) = (usize::try_from(range.start), usize::try_from(range.end));
        match (start, end) {
            (Ok(start), Ok(end)) if start <= end && end <= self.as_ref().len() => {
                Ok(self.slice(start..end))
            }
            _ => Err(beyond(&range, self.as_ref().len() as u64)),
        }
    }
}

/// Objects as files in a folder. What is being written has a name that ends in `.tmp`.
#[derive(Debug)]
pub struct LocalObjects {
    files: Arc<dyn Files>,
    folder: PathBuf,
}

impl LocalObjects {
    /// Objects in `folder`, which is made if it is missing.
    ///
    /// # Errors
    /// The folder cannot be made.
    pub fn new(files: Arc<dyn Files>, folder: impl Into<PathBuf>) -> Result<Self> {
        let folder = folder.into();
        let made = files.create_dir_durable(&folder);
        made.map_err(file_error(&folder, "cannot make"))?;
        Ok(Self { files, folder })
    }

    fn list_into(&self, folder: &Path, prefix: &str, names: &mut Vec<String>) -> Result<()> {
        let entries = self.files.list(folder);
        for entry in entries.map_err(file_error(folder, "cannot list"))? {
            let (path, name) = (folder.join(&entry.name), format!("{prefix}{}", entry.name));
            if entry.is_dir {
                self.list_into(&path, &format!("{name}/"), names)?;
            } else if entry.name.ends_with(".tmp") {
                let removed = self.files.remove_file(&path);
                removed.map_err(file_error(&path, "cannot remove"))?;
            } else {
                names.push(name);
            }
        }
        Ok(())
    }
}

impl ObjectClient for LocalObjects {
    fn list(&self, folder: &str) -> Result<Vec<String>> {
        let path = self.folder.join(folder);
        let mut names = Vec::new();
        if self.files.is_dir(&path) {
            let prefix = match folder {
                "" => String::new(),
                folder => format!("{folder}/"),
            };
            self.list_into(&path, &prefix, &mut names)?;
        }
        names.sort_unstable();
        Ok(names)
    }

    fn upload(&self, name: &str) -> Result<Box<dyn Upload>> {
        let path = self.folder.join(name);
        if let Some(folder) = path.parent().filter(|folder| !self.files.is_dir(folder)) {
            let made = self.files.create_dir_durable(folder);
            made.map_err(file_error(folder, "cannot make"))?;
        }
        let mut temporary = path.clone().into_os_string();
        temporary.push(".tmp");
        let temporary = PathBuf::from(temporary);
        let opened = self.files.open(&temporary, OpenMode::Truncate);
        let file = opened.map_err(file_error(&temporary, "cannot write"))?;
        Ok(Box::new(LocalUpload {
            files: self.files.clone(),
            file: Some(file),
            written: 0,
            temporary,
            path,
        }))
    }

    fn open(&self, name: &str) -> Result<Arc<dyn Object>> {
        let path = self.folder.join(name);
        let failed = file_error(&path, "cannot read");
        let file = self.files.open(&path, OpenMode::Read).map_err(&failed)?;
        let length = file.len().map_err(&failed)?;
        Ok(Arc::new(LocalObject { file, length, path }))
    }

    fn remove(&self, name: &str) -> Result<()> {
        let path = self.folder.join(name);
        match self.files.remove_file(&path) {
            Err(error) if error.kind() != FileErrorKind::NotFound => {
                Err(file_error(&path, "cannot remove")(error))
            }
            _ => Ok(()),
        }
    }
}

/// A file that is read by position. It is not mapped: a device that fails then gives an error instead
/// of killing the process, and what was read once does not count as memory of the process.
#[derive(Debug)]
struct LocalObject {
    file: Box<dyn File>,
    length: u64,
    path: PathBuf,
}

impl Object for LocalObject {
    fn len(&self) -> u64 {
        self.length
    }

    fn read(&self, range: Range<u64>) -> Result<Bytes> {
        if range.start > range.end || range.end > self.length {
            return Err(beyond(&range, self.length));
        }
        let mut bytes = vec![0; (range.end - range.start) as usize];
        let mut filled = 0;
        while filled < bytes.len() {
            let read = self
                .file
                .read_at(range.start + filled as u64, &mut bytes[filled..]);
            match read.map_err(file_error(&self.path, "cannot read"))? {
                0 => return Err(beyond(&range, range.start + filled as u64)),
                more => filled += more,
            }
        }
        Ok(bytes.into())
    }
}

pub(crate) fn beyond(range: &Range<u64>, length: u64) -> Error {
    let text = format!("bytes {range:?} of an object of {length} bytes: it was cut short");
    Error::new(ErrorKind::Corrupt, text)
}

struct LocalUpload {
    files: Arc<dyn Files>,
    /// `None` once the object has appeared.
    file: Option<Box<dyn File>>,
    written: u64,
    temporary: PathBuf,
    path: PathBuf,
}

impl Upload for LocalUpload {
    fn write(&mut self, bytes: &[u8]) -> Result<()> {
        if let Some(file) = &self.file {
            let written = file.write_at(self.written, bytes);
            written.map_err(file_error(&self.temporary, "cannot write"))?;
            self.written += bytes.len() as u64;
        }
        Ok(())
    }

    fn finish(mut self: Box<Self>) -> Result<()> {
        let failed = file_error(&self.path, "cannot write");
        if let Some(file) = &self.file {
            file.sync().map_err(&failed)?;
        }
        self.files
            .rename(&self.temporary, &self.path)
            .map_err(&failed)?;
        self.file = None;
        let folder = self.path.parent().unwrap_or(Path::new(""));
        self.files.sync_dir(folder).map_err(&failed)
    }
}

impl Drop for LocalUpload {
    fn drop(&mut self) {
        if self.file.take().is_some() {
            // What cannot be removed now is removed by the next listing.
            let _ = self.files.remove_file(&self.temporary);
        }
    }
}

/// A failure of files in the words of the store.
pub(crate) fn file_error(path: &Path, what: &str) -> impl Fn(FileError) -> Error + use<> {
    let (path, what) = (path.to_owned(), what.to_owned());
    move |error| {
        let kind = match error.kind() {
            FileErrorKind::NoSpace => ErrorKind::NoSpace,
            _ => ErrorKind::Io,
        };
        Error::new(kind, format!("{what} {}: {error}", path.display()))
            .at_path(path.clone())
            .because(error)
    }
}

#[cfg(test)]
mod tests {
    use headwater_env::MemoryFiles;

    use super::*;

    #[test]
    fn files_keep_the_contract_of_objects() {
        let files = Arc::new(MemoryFiles::new());
        conformance::check(&LocalObjects::new(files, "o").unwrap());
    }

    #[test]
    fn what_a_crash_has_left_of_an_upload_is_removed_by_a_listing() {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let objects = LocalObjects::new(files.clone(), "o").unwrap();
        let mut upload = objects.upload("t/1").unwrap();
        upload.write(b"hello ").unwrap();
        let left = Path::new("o/t/1.tmp");
        assert!(files.open(left, OpenMode::Read).is_ok());
        let reopened = LocalObjects::new(files.clone(), "o").unwrap();
        assert_eq!(reopened.list("").unwrap(), [""; 0]);
        assert!(files.open(left, OpenMode::Read).is_err());
    }
}
