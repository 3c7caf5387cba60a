use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Context;
use crate::files::parent;
use crate::{DirEntry, File, FileError, Files, OpenMode, Region, Result};

/// The operating system's files.
#[derive(Clone, Copy, Debug, Default)]
pub struct RealFiles;

#[derive(Debug)]
struct RealFile {
    file: fs::File,
    path: PathBuf,
}

impl RealFile {
    fn err(&self, operation: &'static str, offset: u64) -> impl FnOnce(io::Error) -> FileError {
        move |source| FileError::new(operation, &self.path, source).at(offset)
    }
}

#[cfg(unix)]
fn read_some(file: &fs::File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(file, buf, offset)
}

#[cfg(unix)]
fn write_some(file: &fs::File, offset: u64, buf: &[u8]) -> io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(file, buf, offset)
}

#[cfg(windows)]
fn read_some(file: &fs::File, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_read(file, buf, offset)
}

#[cfg(windows)]
fn write_some(file: &fs::File, offset: u64, buf: &[u8]) -> io::Result<usize> {
    std::os::windows::fs::FileExt::seek_write(file, buf, offset)
}

impl File for RealFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        loop {
            match read_some(&self.file, offset, buf) {
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                other => return other.map_err(self.err("read", offset)),
            }
        }
    }

    fn write_at(&self, mut offset: u64, mut buf: &[u8]) -> Result<()> {
        while !buf.is_empty() {
            match write_some(&self.file, offset, buf) {
                Ok(0) => return Err(self.err("write", offset)(io::ErrorKind::WriteZero.into())),
                Ok(n) => {
                    buf = &buf[n..];
                    offset += n as u64;
                }
                Err(e) if e.kind() == io::ErrorKind::Interrupted => {}
                Err(e) => return Err(self.err("write", offset)(e)),
            }
        }
        Ok(())
    }

    fn len(&self) -> Result<u64> {
        Ok(self.file.metadata().on("stat", &self.path)?.len())
    }

    fn sync(&self) -> Result<()> {
        self.file.sync_data().on("sync", &self.path)
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.file.set_len(len).on("truncate", &self.path)
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        preallocate(&self.file, len).on("preallocate", &self.path)?;
        if self.len()? < len {
            self.set_len(len)?;
        }
        Ok(())
    }

    fn try_lock(&self) -> Result<bool> {
        match self.file.try_lock() {
            Ok(()) => Ok(true),
            Err(fs::TryLockError::WouldBlock) => Ok(false),
            Err(fs::TryLockError::Error(e)) => Err(e).on("lock", &self.path),
        }
    }
}

#[cfg(target_os = "linux")]
#[expect(unsafe_code, reason = "the standard library has no fallocate")]
fn preallocate(file: &fs::File, len: u64) -> io::Result<()> {
    use std::os::fd::AsRawFd;
    let len = libc::off_t::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
    // SAFETY: the descriptor is open for as long as `file` is borrowed, and
    // the call touches no memory of ours.
    let code = unsafe { libc::posix_fallocate(file.as_raw_fd(), 0, len) };
    match code {
        0 | libc::EOPNOTSUPP | libc::EINVAL => Ok(()),
        code => Err(io::Error::from_raw_os_error(code)),
    }
}

#[cfg(not(target_os = "linux"))]
fn preallocate(_: &fs::File, _: u64) -> io::Result<()> {
    Ok(())
}

impl Files for RealFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let mut options = fs::OpenOptions::new();
        options.read(true);
        match mode {
            OpenMode::Read => {}
            OpenMode::Write => {
                options.write(true).create(true).truncate(false);
            }
            OpenMode::CreateNew => {
                options.write(true).create_new(true);
            }
            OpenMode::Truncate => {
                options.write(true).create(true).truncate(true);
            }
        }
        let file = options.open(path).on("open", path)?;
        Ok(Box::new(RealFile {
            file,
            path: path.to_path_buf(),
        }))
    }

    #[expect(unsafe_code, reason = "mapping a file is unsafe by nature")]
    fn map(&self, path: &Path) -> Result<Region> {
        let file = fs::File::open(path).on("open", path)?;
        if file.metadata().on("stat", path)?.len() == 0 {
            return Ok(Region::from(Vec::new()));
        }
        // SAFETY: the contract of `Files::map` is that the file does not
        // change while the region lives; everything in this workspace that
        // replaces a mapped file writes a new one and renames it.
        let map = unsafe { memmap2::Mmap::map(&file) }.on("map", path)?;
        Ok(Region::mapped(map))
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        let mut out = Vec::new();
        for entry in fs::read_dir(dir).on("list", dir)? {
            let entry = entry.on("list", dir)?;
            let Ok(name) = entry.file_name().into_string() else {
                continue;
            };
            let is_dir = entry.path().is_dir();
            out.push(DirEntry { name, is_dir });
        }
        out.sort_by(|a, b| a.name.cmp(&b.name));
        Ok(out)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        fs::create_dir_all(dir).on("create directory", dir)
    }

    #[cfg(unix)]
    fn sync_dir(&self, dir: &Path) -> Result<()> {
        let handle = fs::File::open(dir).on("open", dir)?;
        handle.sync_all().on("sync directory", dir)
    }

    #[cfg(not(unix))]
    fn sync_dir(&self, _dir: &Path) -> Result<()> {
        Ok(())
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        fs::rename(from, to).on("rename", from)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        fs::remove_file(path).on("remove", path)
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        fs::remove_dir_all(dir).on("remove", dir)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        fs::hard_link(from, to).on("link", to)
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        match fs::metadata(path) {
            Ok(meta) => Ok(meta.is_file().then_some(meta.len())),
            Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(e) => Err(e).on("stat", path),
        }
    }

    fn is_dir(&self, path: &Path) -> bool {
        path.is_dir()
    }

    fn free_space(&self, path: &Path) -> Result<u64> {
        space(path).map(|(free, _)| free).on("statvfs", path)
    }

    fn total_space(&self, path: &Path) -> Result<u64> {
        space(path).map(|(_, total)| total).on("statvfs", path)
    }
}

/// Free and total bytes of the file system that holds `path`.
#[cfg(unix)]
#[expect(unsafe_code, reason = "the standard library has no statvfs")]
fn space(path: &Path) -> io::Result<(u64, u64)> {
    use std::os::unix::ffi::OsStrExt;
    let path = if path.exists() { path } else { parent(path) };
    let name = std::ffi::CString::new(path.as_os_str().as_bytes())?;
    let mut stat = std::mem::MaybeUninit::<libc::statvfs>::uninit();
    // SAFETY: `name` is a string that ends in zero and `stat` has room for
    // the answer; both outlive the call.
    let code = unsafe { libc::statvfs(name.as_ptr(), stat.as_mut_ptr()) };
    if code != 0 {
        return Err(io::Error::last_os_error());
    }
    // SAFETY: the call succeeded, so it filled `stat`.
    let stat = unsafe { stat.assume_init() };
    // The widths of these fields differ between systems.
    #[allow(clippy::unnecessary_cast, reason = "u32 on some systems")]
    let (free, total, unit) = (
        stat.f_bavail as u64,
        stat.f_blocks as u64,
        stat.f_frsize as u64,
    );
    Ok((free.saturating_mul(unit), total.saturating_mul(unit)))
}

#[cfg(not(unix))]
fn space(_: &Path) -> io::Result<(u64, u64)> {
    Err(io::ErrorKind::Unsupported.into())
}
