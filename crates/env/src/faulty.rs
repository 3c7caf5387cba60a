use std::path::Path;
use std::sync::Arc;

use crate::error::Context;
use crate::{DirEntry, File, Files, MemoryFiles, OpenMode, Region, Result, SeededRng};

/// Files in memory that fail when told to.
///
/// A test runs its program on them until [`FaultyFiles::cut_power_after`]
/// strikes, calls [`FaultyFiles::crash`], opens the program again and looks
/// at what is left. All chance comes from the seed, so a failure repeats.
/// Clones share the files.
#[derive(Clone, Debug)]
pub struct FaultyFiles {
    inner: MemoryFiles,
    rng: Arc<SeededRng>,
}

impl FaultyFiles {
    /// An empty file system whose crashes depend on `seed` alone.
    pub fn new(seed: u64) -> FaultyFiles {
        FaultyFiles {
            inner: MemoryFiles::new(),
            rng: Arc::new(SeededRng::new(seed)),
        }
    }

    /// Cuts the power during the changing operation after the next
    /// `operations` ones. A write that is cut short reaches the disk in part.
    /// Everything fails from then on, until [`FaultyFiles::crash`].
    pub fn cut_power_after(&self, operations: u64) {
        self.inner
            .with(|disk| disk.faults.operations = Some(operations));
    }

    /// How many changing operations there have been since the last crash:
    /// run once without faults to learn how many points there are to cut.
    pub fn operations(&self) -> u64 {
        self.inner.with(|disk| disk.faults.count)
    }

    /// Lets files grow by `bytes` more before the disk is full.
    pub fn limit_space(&self, bytes: u64) {
        self.inner.with(|disk| disk.faults.space = Some(bytes));
    }

    /// Takes the limit on space away.
    pub fn free_up_space(&self) {
        self.inner.with(|disk| disk.faults.space = None);
    }

    /// Makes every read of paths that end in `path` fail.
    pub fn fail_reads_of(&self, path: &Path) {
        self.inner
            .with(|disk| disk.faults.unreadable.push(path.to_path_buf()));
    }

    /// Makes every sync fail, or work again.
    pub fn fail_syncs(&self, fail: bool) {
        self.inner.with(|disk| disk.faults.syncs_fail = fail);
    }

    /// Flips one bit (0 to 7) of the byte at `offset`.
    pub fn flip_bit(&self, path: &Path, offset: u64, bit: u8) -> Result<()> {
        self.inner
            .with(|disk| disk.flip_bit(path, offset, bit))
            .on("flip bit", path)
    }

    /// The power fails and comes back. Handles are dead, locks are free,
    /// faults are gone. Of data that was not synced, nothing, a beginning or
    /// any sectors are left; names that were not synced are all there or all
    /// gone, directory by directory.
    pub fn crash(&self) {
        self.inner.with(|disk| disk.crash(&*self.rng));
    }
}

impl Files for FaultyFiles {
    fn open(&self, path: &Path, mode: OpenMode) -> Result<Box<dyn File>> {
        self.inner.open(path, mode)
    }

    fn map(&self, path: &Path) -> Result<Region> {
        self.inner.map(path)
    }

    fn list(&self, dir: &Path) -> Result<Vec<DirEntry>> {
        self.inner.list(dir)
    }

    fn create_dir_all(&self, dir: &Path) -> Result<()> {
        self.inner.create_dir_all(dir)
    }

    fn sync_dir(&self, dir: &Path) -> Result<()> {
        self.inner.sync_dir(dir)
    }

    fn rename(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.rename(from, to)
    }

    fn remove_file(&self, path: &Path) -> Result<()> {
        self.inner.remove_file(path)
    }

    fn remove_dir_all(&self, dir: &Path) -> Result<()> {
        self.inner.remove_dir_all(dir)
    }

    fn hard_link(&self, from: &Path, to: &Path) -> Result<()> {
        self.inner.hard_link(from, to)
    }

    fn file_len(&self, path: &Path) -> Result<Option<u64>> {
        self.inner.file_len(path)
    }

    fn is_dir(&self, path: &Path) -> bool {
        self.inner.is_dir(path)
    }

    fn free_space(&self, path: &Path) -> Result<u64> {
        self.inner.free_space(path)
    }

    fn total_space(&self, path: &Path) -> Result<u64> {
        self.inner.total_space(path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FileErrorKind, FilesExt};

    fn durable(disk: &FaultyFiles, path: &Path, bytes: &[u8]) -> Box<dyn File> {
        let file = disk.open(path, OpenMode::Write).unwrap();
        file.write_at(0, bytes).unwrap();
        file.sync().unwrap();
        disk.sync_dir(Path::new("")).unwrap();
        file
    }

    #[test]
    fn synced_bytes_survive_every_crash_and_the_rest_only_some() {
        let path = Path::new("log");
        let mut lengths = std::collections::BTreeSet::new();
        for seed in 0..64 {
            let disk = FaultyFiles::new(seed);
            let file = durable(&disk, path, b"safe");
            file.write_at(4, &[7; 2000]).unwrap();
            disk.crash();
            let left = disk.read(path).unwrap();
            assert!(left.starts_with(b"safe"));
            assert!(left[4..].iter().all(|b| *b == 7 || *b == 0));
            lengths.insert(left.len());
        }
        assert!(lengths.contains(&4) && lengths.contains(&2004));
        assert!(lengths.iter().any(|len| *len > 4 && *len < 2004));
    }

    #[test]
    fn names_that_were_not_synced_may_be_lost() {
        let mut seen = [false; 2];
        for seed in 0..16 {
            let disk = FaultyFiles::new(seed);
            let file = disk.open(Path::new("a"), OpenMode::CreateNew).unwrap();
            file.sync().unwrap();
            disk.crash();
            seen[usize::from(disk.exists(Path::new("a")).unwrap())] = true;
        }
        assert_eq!(seen, [true, true]);
    }

    #[test]
    fn power_cut_tears_the_write_and_kills_the_handle() {
        let disk = FaultyFiles::new(1);
        let file = durable(&disk, Path::new("a"), b"");
        disk.cut_power_after(1);
        file.write_at(0, b"whole").unwrap();
        file.write_at(5, b"torn").unwrap_err();
        file.sync().unwrap_err();
        disk.crash();
        assert!(file.write_at(0, b"x").is_err(), "handle outlived the crash");
        assert!(disk.read(Path::new("a")).unwrap().len() <= 7);
    }

    #[test]
    fn full_disk_takes_what_fits() {
        let disk = FaultyFiles::new(1);
        let file = durable(&disk, Path::new("a"), b"12");
        disk.limit_space(3);
        let err = file.write_at(2, b"34567").unwrap_err();
        assert_eq!(err.kind(), FileErrorKind::NoSpace);
        assert_eq!(disk.read(Path::new("a")).unwrap(), b"12345");
        file.write_at(0, b"overwriting needs no space").unwrap_err();
        disk.free_up_space();
        file.write_at(5, b"67").unwrap();
        assert_eq!(file.len().unwrap(), 7.max(file.len().unwrap()));
    }

    #[test]
    fn reads_and_syncs_fail_on_request() {
        let disk = FaultyFiles::new(1);
        let file = durable(&disk, Path::new("a"), b"abc");
        disk.fail_reads_of(Path::new("a"));
        assert!(disk.read(Path::new("a")).is_err());
        assert!(disk.map(Path::new("a")).is_err());
        disk.fail_syncs(true);
        assert!(file.sync().is_err());
        disk.fail_syncs(false);
        assert!(file.sync().is_ok());
    }

    #[test]
    fn a_flipped_bit_stays_flipped() {
        let disk = FaultyFiles::new(1);
        durable(&disk, Path::new("a"), b"\0\0");
        disk.flip_bit(Path::new("a"), 1, 3).unwrap();
        disk.crash();
        assert_eq!(disk.read(Path::new("a")).unwrap(), [0, 8]);
    }
}
