//! How failures of files and logs become errors of the store.

use std::path::Path;

use headwater_env::{FileError, FileErrorKind};
use headwater_storage::{Error, ErrorKind};
use headwater_wal::WalError;

pub(crate) fn file(error: FileError) -> Error {
    let kind = match error.kind() {
        FileErrorKind::NoSpace => ErrorKind::NoSpace,
        FileErrorKind::UnexpectedEnd => ErrorKind::Corrupt,
        _ => ErrorKind::Io,
    };
    let mut out = Error::new(kind, error.to_string()).at_path(error.path.clone());
    if let Some(offset) = error.offset {
        out = out.at_offset(offset);
    }
    out.because(error)
}

pub(crate) fn log(error: WalError) -> Error {
    let kind = match error {
        WalError::File(error) => return file(error),
        WalError::NotDurable { .. } => ErrorKind::Io,
        WalError::TooLarge { .. } => ErrorKind::Limit,
        WalError::Closed => ErrorKind::NotReady,
        _ => ErrorKind::Internal,
    };
    Error::new(kind, error.to_string()).because(error)
}

pub(crate) fn locked(dir: &Path) -> Error {
    let message = format!(
        "data directory {} is in use by another process; stop it or choose another directory",
        dir.display()
    );
    Error::new(ErrorKind::Locked, message).at_path(dir)
}

pub(crate) fn closed() -> Error {
    Error::new(ErrorKind::NotReady, "the store is closed")
}

pub(crate) fn starts_need_xor2() -> Error {
    let what = "start timestamps are kept in XOR2 chunks only: encode floats as XOR2";
    Error::new(ErrorKind::Invalid, what)
}
