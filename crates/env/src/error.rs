use std::io;
use std::path::{Path, PathBuf};

/// The result of a file operation.
pub type Result<T> = std::result::Result<T, FileError>;

/// What went wrong with a file, where, and what was being done.
#[derive(Debug, thiserror::Error)]
#[error("{operation} {}{}: {source}", path.display(), at(*offset))]
pub struct FileError {
    /// The operation: `open`, `write`, `sync` and so on.
    pub operation: &'static str,
    /// The file or directory.
    pub path: PathBuf,
    /// The byte offset, where the operation has one.
    pub offset: Option<u64>,
    /// The cause.
    pub source: io::Error,
}

fn at(offset: Option<u64>) -> String {
    offset.map_or_else(String::new, |o| format!(" at byte {o}"))
}

/// Errors sorted by what the caller can do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum FileErrorKind {
    /// The file or directory is not there.
    NotFound,
    /// The file is there already.
    AlreadyExists,
    /// The disk or quota is full: free space, then retry.
    NoSpace,
    /// Permissions or a read-only file system: an operator must act.
    Denied,
    /// The file ends before the bytes that were asked for.
    UnexpectedEnd,
    /// Anything else: the device, the file system, a bug.
    Other,
}

impl FileError {
    /// An error of `operation` on `path`.
    pub fn new(operation: &'static str, path: &Path, source: io::Error) -> FileError {
        FileError {
            operation,
            path: path.to_path_buf(),
            offset: None,
            source,
        }
    }

    /// The same error with the byte offset where it happened.
    pub fn at(mut self, offset: u64) -> FileError {
        self.offset = Some(offset);
        self
    }

    /// What the caller can do next.
    pub fn kind(&self) -> FileErrorKind {
        use io::ErrorKind as K;
        match self.source.kind() {
            K::NotFound => FileErrorKind::NotFound,
            K::AlreadyExists => FileErrorKind::AlreadyExists,
            K::StorageFull | K::QuotaExceeded | K::FileTooLarge => FileErrorKind::NoSpace,
            K::PermissionDenied | K::ReadOnlyFilesystem => FileErrorKind::Denied,
            K::UnexpectedEof => FileErrorKind::UnexpectedEnd,
            _ => FileErrorKind::Other,
        }
    }

    /// Whether the file or directory is not there.
    pub fn is_not_found(&self) -> bool {
        self.kind() == FileErrorKind::NotFound
    }
}

impl From<FileError> for io::Error {
    fn from(err: FileError) -> io::Error {
        io::Error::new(err.source.kind(), err)
    }
}

/// Gives an [`io::Error`] the operation and path it lacks.
pub(crate) trait Context<T> {
    fn on(self, operation: &'static str, path: &Path) -> Result<T>;
}

impl<T> Context<T> for io::Result<T> {
    fn on(self, operation: &'static str, path: &Path) -> Result<T> {
        self.map_err(|source| FileError::new(operation, path, source))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn message_names_operation_path_and_offset() {
        let cause = io::Error::new(io::ErrorKind::StorageFull, "no space left");
        let err = FileError::new("write", Path::new("wal/00000001"), cause).at(42);
        assert_eq!(err.kind(), FileErrorKind::NoSpace);
        assert_eq!(
            err.to_string(),
            "write wal/00000001 at byte 42: no space left"
        );
    }
}
