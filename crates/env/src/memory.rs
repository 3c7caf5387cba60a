use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use parking_lot::Mutex;

use crate::disk::{Disk, UNLIMITED, fail};
use crate::error::Context;
use crate::{DirEntry, File, FileError, Files, OpenMode, Region, Result};

/// Files in memory, for tests and for stores that need no disk.
///
/// Clones share the files.
#[derive(Clone, Debug, Default)]
pub struct MemoryFiles {
    disk: Arc<Mutex<Disk>>,
}

impl MemoryFiles {
    /// An empty file system.
    pub fn new() -> MemoryFiles {
        MemoryFiles::default()
    }

    pub(crate) fn with<T>(&self, act: impl FnOnce(&mut Disk) -> T) -> T {
        act(&mut self.disk.lock())
    }
}

#[derive(Debug)]
struct MemoryFile {
    disk: Arc<Mutex<Disk>>,
    id: u64,
    generation: u64,
    handle: u64,
    writable: bool,
    path: PathBuf,
}

impl MemoryFile {
    fn with<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> Result<T> {
        let mut disk = self.disk.lock();
        if disk.generation != self.generation {
            return Err(io::Error::other("the handle is from before the crash"))
                .on(operation, &self.path);
        }
        act(&mut disk).on(operation, &self.path)
    }

    fn change<T>(
        &self,
        operation: &'static str,
        act: impl FnOnce(&mut Disk) -> io::Result<T>,
    ) -> Result<T> {
        if !self.writable {
            return fail(io::ErrorKind::PermissionDenied).on(operation, &self.path);
        }
        self.with(operation, act)
    }
}

impl File for MemoryFile {
    fn read_at(&self, offset: u64, buf: &mut [u8]) -> Result<usize> {
        self.with("read", |disk| {
            disk.readable(&self.path)?;
            disk.read(self.id, offset, buf)
        })
        .map_err(|e| e.at(offset))
    }

    fn write_at(&self, offset: u64, buf: &[u8]) -> Result<()> {
        self.change("write", |disk| disk.write(self.id, offset, buf))
            .map_err(|e: FileError| e.at(offset))
    }

    fn len(&self) -> Result<u64> {
        self.with("stat", |disk| Ok(disk.file(self.id)?.data.len() as u64))
    }

    fn sync(&self) -> Result<()> {
        self.with("sync", |disk| disk.sync(self.id))
    }

    fn set_len(&self, len: u64) -> Result<()> {
        self.change("truncate", |disk| {
            disk.change()?;
            let len = usize::try_from(len).map_err(|_| io::ErrorKind::FileTooLarge)?;
            disk.file_mut(self.id)?.set_len(len);
            Ok(())
        })
    }

    fn preallocate(&self, len: u64) -> Result<()> {
        if self.len()? < len {
            self.set_len(len)?;
        }
        Ok(())
    }

    fn try_lock(&self) -> Result<bool> {
        self.with("lock", |disk| {
            let file = disk.file_mut(self.id)?;
            let free = file.lock.is_none_or(|holder| holder == self.handle);
            if free {
                file.lock = Some(self.handle);
            }
            Ok(free)
        })
    }
}

impl Drop for MemoryFile {
    fn drop(&mut self) {
        let mut disk = self.disk.lock();
        if disk.generation == self.generation
            && let Ok(file) = disk.file_mut(self.id)
            && file.lock == Some(self.handle)
        {
            file.lock = None;
        }
    }
}

impl Files for MemoryFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        let mut disk = self.disk.lock();
        let id = disk.open(path, mode).on("open", path)?;
        disk.next += 1;
        Ok(Box::new(MemoryFile {
            disk: Arc::clone(&self.disk),
            id,
            generation: disk.generation,
            handle: disk.next,
            writable: mode != OpenMode::Read,
            path: path.to_path_buf(),
        }))
    }

    fn map(&self, path: &Path) -> Result<Region> {
        self.with(|disk| {
            disk.readable(path)?;
            let id = disk.find(path).ok_or(io::ErrorKind::NotFound)?;
            Ok(Region::from(disk.file(id)?.data.clone()))
        })
        .on("map", path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.with(|disk| disk.list(dir)).on("list", dir)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        self.with(|disk| disk.create_dir_all(dir))
            .on("create directory", dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.with(|disk| {
            disk.change()?;
            let node = disk.dir(dir)?;
            node.durable = node.names.clone();
            Ok(())
        })
        .on("sync directory", dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.with(|disk| disk.rename(from, to)).on("rename", from)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.with(|disk| disk.remove(path, false))
            .on("remove", path)
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        self.with(|disk| disk.remove(dir, true)).on("remove", dir)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        self.with(|disk| disk.hard_link(from, to)).on("link", to)
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        Ok(self.with(|disk| {
            let id = disk.find(path)?;
            disk.file(id).ok().map(|file| file.data.len() as u64)
        }))
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.with(|disk| disk.dir(path).is_ok())
    }

    fn free_space(&self, _path: &Path) -> Result<u64> {
        Ok(self.with(|disk| disk.space()))
    }

    fn total_space(&self, _path: &Path) -> Result<u64> {
        Ok(UNLIMITED)
    }
}
