//! The disk behind files in memory: what programs see, and what a power cut
//! would leave of it.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::{Component, Path, PathBuf};

use crate::{DirEntry, OpenMode, Rng, RngExt};

const ROOT: u64 = 0;
/// A device writes sectors whole; a torn write ends between two of them, or
/// anywhere if the file system grew the file byte by byte.
const SECTOR: usize = 512;
/// What a file system in memory claims to hold when no limit was set.
pub(crate) const UNLIMITED: u64 = 1 << 40;

/// Two states of every file and directory: what programs see, and what would
/// be left if the power failed now.
#[derive(Debug)]
pub(crate) struct Disk {
    nodes: HashMap<u64, Node>,
    pub(crate) next: u64,
    /// Handles of an earlier generation are dead: their machine is gone.
    pub(crate) generation: u64,
    pub(crate) faults: Faults,
}

/// Trouble that was asked for.
#[derive(Debug, Default)]
pub(crate) struct Faults {
    /// Bytes by which files may still grow.
    pub(crate) space: Option<u64>,
    /// Changing operations left before the power goes.
    pub(crate) operations: Option<u64>,
    pub(crate) power_is_off: bool,
    pub(crate) unreadable: Vec<PathBuf>,
    pub(crate) syncs_fail: bool,
    /// How many changing operations there have been.
    pub(crate) count: u64,
}

#[derive(Debug)]
enum Node {
    File(FileNode),
    Dir(DirNode),
}

#[derive(Debug, Default)]
pub(crate) struct FileNode {
    pub(crate) data: Vec<u8>,
    pub(crate) durable: Vec<u8>,
    /// Bytes below this offset are durable.
    clean: usize,
    pub(crate) lock: Option<u64>,
}

#[derive(Debug, Default)]
pub(crate) struct DirNode {
    pub(crate) names: BTreeMap<String, u64>,
    pub(crate) durable: BTreeMap<String, u64>,
}

impl Default for Disk {
    fn default() -> Disk {
        Disk {
            nodes: HashMap::from([(ROOT, Node::Dir(DirNode::default()))]),
            next: 1,
            generation: 0,
            faults: Faults::default(),
        }
    }
}

fn parts(path: &Path) -> Vec<String> {
    path.components()
        .filter_map(|part| match part {
            Component::Normal(name) => Some(name.to_string_lossy().into_owned()),
            _ => None,
        })
        .collect()
}

pub(crate) fn fail<T>(kind: io::ErrorKind) -> io::Result<T> {
    Err(kind.into())
}

impl FileNode {
    pub(crate) fn write(&mut self, offset: usize, buf: &[u8]) {
        let end = offset + buf.len();
        if self.data.len() < end {
            self.data.resize(end, 0);
        }
        self.data[offset..end].copy_from_slice(buf);
        self.clean = self.clean.min(offset);
    }

    pub(crate) fn set_len(&mut self, len: usize) {
        self.clean = self.clean.min(len).min(self.data.len());
        self.data.resize(len, 0);
    }

    pub(crate) fn sync(&mut self) {
        self.durable.truncate(self.clean.min(self.data.len()));
        let from = self.durable.len();
        self.durable.extend_from_slice(&self.data[from..]);
        self.clean = self.data.len();
    }

    /// What a power cut leaves: everything synced, and of the rest nothing,
    /// a beginning, or any of its sectors.
    pub(crate) fn crash(&mut self, rng: &dyn Rng) {
        let mut left = self.durable.clone();
        match rng.below(3) {
            0 => {}
            1 => {
                let from = self.clean.min(self.data.len());
                let keep = rng.below((self.data.len() - from) as u64 + 1) as usize;
                left.truncate(from.max(left.len().min(from + keep)));
                if left.len() < from + keep {
                    left.resize(from + keep, 0);
                }
                left[from..from + keep].copy_from_slice(&self.data[from..from + keep]);
            }
            _ => self.keep_some_sectors(rng, &mut left),
        }
        self.data.clone_from(&left);
        self.clean = left.len();
        self.durable = left;
        self.lock = None;
    }

    pub(crate) fn keep_some_sectors(&self, rng: &dyn Rng, left: &mut Vec<u8>) {
        let mut at = self.clean / SECTOR * SECTOR;
        while at < self.data.len() {
            let end = (at + SECTOR).min(self.data.len());
            if rng.below(2) == 0 {
                if left.len() < end {
                    left.resize(end, 0);
                }
                left[at..end].copy_from_slice(&self.data[at..end]);
            }
            at = end;
        }
    }
}

impl Disk {
    pub(crate) fn find(&self, path: &Path) -> Option<u64> {
        parts(path).iter().try_fold(ROOT, |id, name| {
            let Node::Dir(dir) = self.nodes.get(&id)? else {
                return None;
            };
            dir.names.get(name).copied()
        })
    }

    pub(crate) fn dir(&mut self, path: &Path) -> io::Result<&mut DirNode> {
        let id = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        match self.nodes.get_mut(&id) {
            Some(Node::Dir(dir)) => Ok(dir),
            _ => fail(io::ErrorKind::NotADirectory),
        }
    }

    /// The directory that holds `path` and the last name of it.
    pub(crate) fn place(&mut self, path: &Path) -> io::Result<(&mut DirNode, String)> {
        let name = parts(path).pop().ok_or(io::ErrorKind::InvalidInput)?;
        let parent = path.parent().unwrap_or(Path::new("")).to_path_buf();
        Ok((self.dir(&parent)?, name))
    }

    pub(crate) fn file(&self, id: u64) -> io::Result<&FileNode> {
        match self.nodes.get(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => fail(io::ErrorKind::IsADirectory),
            None => fail(io::ErrorKind::NotFound),
        }
    }

    pub(crate) fn file_mut(&mut self, id: u64) -> io::Result<&mut FileNode> {
        match self.nodes.get_mut(&id) {
            Some(Node::File(file)) => Ok(file),
            Some(Node::Dir(_)) => fail(io::ErrorKind::IsADirectory),
            None => fail(io::ErrorKind::NotFound),
        }
    }

    /// Called before every operation that changes the disk.
    pub(crate) fn change(&mut self) -> io::Result<()> {
        self.alive()?;
        self.faults.count += 1;
        match &mut self.faults.operations {
            Some(0) => {
                self.faults.power_is_off = true;
                self.alive()
            }
            Some(left) => {
                *left -= 1;
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub(crate) fn alive(&self) -> io::Result<()> {
        if self.faults.power_is_off {
            return Err(io::Error::other("the power is off"));
        }
        Ok(())
    }

    pub(crate) fn open(&mut self, path: &Path, mode: OpenMode) -> io::Result<u64> {
        self.alive()?;
        match (self.find(path), mode) {
            (Some(_), OpenMode::CreateNew) => fail(io::ErrorKind::AlreadyExists),
            (Some(id), OpenMode::Truncate) => {
                self.change()?;
                self.file_mut(id)?.set_len(0);
                Ok(id)
            }
            (Some(id), _) => self.file(id).map(|_| id),
            (None, OpenMode::Read) => fail(io::ErrorKind::NotFound),
            (None, _) => {
                self.change()?;
                let id = self.next;
                let (dir, name) = self.place(path)?;
                dir.names.insert(name, id);
                self.nodes.insert(id, Node::File(FileNode::default()));
                self.next += 1;
                Ok(id)
            }
        }
    }

    pub(crate) fn write(&mut self, id: u64, offset: u64, buf: &[u8]) -> io::Result<()> {
        let offset = usize::try_from(offset).map_err(|_| io::ErrorKind::FileTooLarge)?;
        if let Err(e) = self.change() {
            return self.tear(id, offset, buf, e);
        }
        let len = self.file(id)?.data.len();
        let growth = (offset + buf.len()).saturating_sub(len);
        let (fits, full) = self.take_space(growth);
        let keep = buf.len() - (growth - fits);
        self.file_mut(id)?.write(offset, &buf[..keep]);
        if full {
            return fail(io::ErrorKind::StorageFull);
        }
        Ok(())
    }

    /// The write during which the power goes reaches the disk in part.
    pub(crate) fn tear(
        &mut self,
        id: u64,
        at: usize,
        buf: &[u8],
        err: io::Error,
    ) -> io::Result<()> {
        let just_now = self.faults.operations.take().is_some();
        if just_now && let Ok(file) = self.file_mut(id) {
            file.write(at, &buf[..buf.len() / 2]);
        }
        Err(err)
    }

    pub(crate) fn take_space(&mut self, growth: usize) -> (usize, bool) {
        let Some(space) = &mut self.faults.space else {
            return (growth, false);
        };
        let fits = (*space).min(growth as u64);
        *space -= fits;
        (fits as usize, (fits as usize) < growth)
    }

    pub(crate) fn sync(&mut self, id: u64) -> io::Result<()> {
        self.change()?;
        if self.faults.syncs_fail {
            return Err(io::Error::other("input/output error"));
        }
        self.file_mut(id)?.sync();
        Ok(())
    }

    pub(crate) fn read(&self, id: u64, offset: u64, buf: &mut [u8]) -> io::Result<usize> {
        let data = &self.file(id)?.data;
        let from = usize::try_from(offset)
            .unwrap_or(usize::MAX)
            .min(data.len());
        let n = buf.len().min(data.len() - from);
        buf[..n].copy_from_slice(&data[from..from + n]);
        Ok(n)
    }

    pub(crate) fn readable(&self, path: &Path) -> io::Result<()> {
        self.alive()?;
        if self.faults.unreadable.iter().any(|p| path.ends_with(p)) {
            return Err(io::Error::other("input/output error"));
        }
        Ok(())
    }

    pub(crate) fn create_dir_all(&mut self, path: &Path) -> io::Result<()> {
        let mut at = PathBuf::new();
        for name in parts(path) {
            at.push(&name);
            match self.find(&at).map(|id| &self.nodes[&id]) {
                Some(Node::Dir(_)) => continue,
                Some(Node::File(_)) => return fail(io::ErrorKind::NotADirectory),
                None => {}
            }
            self.change()?;
            let id = self.next;
            let (dir, name) = self.place(&at)?;
            dir.names.insert(name, id);
            self.nodes.insert(id, Node::Dir(DirNode::default()));
            self.next += 1;
        }
        Ok(())
    }

    pub(crate) fn rename(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        let id = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        let taken = self.find(to).and_then(|old| self.nodes.get(&old));
        if matches!(taken, Some(Node::Dir(dir)) if !dir.names.is_empty()) {
            return fail(io::ErrorKind::DirectoryNotEmpty);
        }
        let (dir, name) = self.place(to)?;
        dir.names.insert(name, id);
        let (dir, name) = self.place(from)?;
        dir.names.remove(&name);
        Ok(())
    }

    pub(crate) fn remove(&mut self, path: &Path, want_dir: bool) -> io::Result<()> {
        self.change()?;
        let id = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        match (&self.nodes[&id], want_dir) {
            (Node::Dir(_), false) => return fail(io::ErrorKind::IsADirectory),
            (Node::File(_), true) => return fail(io::ErrorKind::NotADirectory),
            _ => {}
        }
        let (dir, name) = self.place(path)?;
        dir.names.remove(&name);
        Ok(())
    }

    pub(crate) fn hard_link(&mut self, from: &Path, to: &Path) -> io::Result<()> {
        self.change()?;
        let id = self.find(from).ok_or(io::ErrorKind::NotFound)?;
        if self.find(to).is_some() {
            return fail(io::ErrorKind::AlreadyExists);
        }
        let (dir, name) = self.place(to)?;
        dir.names.insert(name, id);
        Ok(())
    }

    pub(crate) fn list(&mut self, path: &Path) -> io::Result<Vec<DirEntry>> {
        self.alive()?;
        let names = self.dir(path)?.names.clone();
        let entry = |(name, id): (String, u64)| DirEntry {
            is_dir: matches!(self.nodes.get(&id), Some(Node::Dir(_))),
            name,
        };
        Ok(names.into_iter().map(entry).collect())
    }

    /// The power fails and comes back: all handles die, what was not synced
    /// is left as chance has it, and no more faults are pending.
    pub(crate) fn crash(&mut self, rng: &dyn Rng) {
        let mut ids: Vec<u64> = self.nodes.keys().copied().collect();
        ids.sort_unstable();
        for id in ids {
            match self.nodes.get_mut(&id) {
                Some(Node::File(file)) => file.crash(rng),
                Some(Node::Dir(dir)) => {
                    if rng.below(2) == 0 {
                        dir.names.clone_from(&dir.durable);
                    }
                    dir.durable.clone_from(&dir.names);
                }
                None => {}
            }
        }
        self.generation += 1;
        self.faults = Faults::default();
    }

    pub(crate) fn flip_bit(&mut self, path: &Path, offset: u64, bit: u8) -> io::Result<()> {
        let id = self.find(path).ok_or(io::ErrorKind::NotFound)?;
        let file = self.file_mut(id)?;
        let at = usize::try_from(offset).unwrap_or(usize::MAX);
        let byte = file.data.get_mut(at).ok_or(io::ErrorKind::UnexpectedEof)?;
        *byte ^= 1 << (bit & 7);
        if let Some(byte) = file.durable.get_mut(at) {
            *byte ^= 1 << (bit & 7);
        }
        Ok(())
    }

    pub(crate) fn space(&self) -> u64 {
        self.faults.space.unwrap_or(UNLIMITED)
    }
}
