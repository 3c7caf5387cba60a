use std::fmt;
use std::ops::Deref;
use std::sync::{Arc, Mutex, PoisonError, Weak};

/// All maps of this process: how much of them counts as its memory is a matter
/// of the process, not of those who read.
static MAPS: Mutex<Vec<Weak<memmap2::Mmap>>> = Mutex::new(Vec::new());

/// [`Region::release`] for all regions of this process: for one who has just
/// gone through a lot of files, or for quiet moments. Says how many there are.
///
/// Pages that are looked at again come back from the system's cache, sixteen at
/// a time, which takes about a microsecond.
pub fn release_regions() -> usize {
    let maps: Vec<_> = {
        let mut all = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|map| map.strong_count() > 0);
        all.iter().filter_map(Weak::upgrade).collect()
    };
    maps.iter().for_each(|map| release(map));
    maps.len()
}

/// The bytes of an immutable file: mapped by [`RealFiles`](crate::RealFiles),
/// a copy on the heap elsewhere. Clones share the bytes.
#[derive(Clone)]
pub struct Region {
    bytes: Bytes,
}

#[derive(Clone)]
enum Bytes {
    Mapped(Arc<memmap2::Mmap>),
    Heap(Arc<[u8]>),
}

impl Region {
    pub(crate) fn mapped(map: memmap2::Mmap) -> Region {
        let map = Arc::new(map);
        let mut all = MAPS.lock().unwrap_or_else(PoisonError::into_inner);
        if all.len() == all.capacity() {
            all.retain(|map| map.strong_count() > 0);
        }
        all.push(Arc::downgrade(&map));
        Region {
            bytes: Bytes::Mapped(map),
        }
    }

    /// Says that the bytes are not needed soon: pages of a mapped file stop
    /// counting as memory of this process, and come back when they are looked
    /// at. The bytes stay as they are.
    pub fn release(&self) {
        if let Bytes::Mapped(map) = &self.bytes {
            release(map);
        }
    }
}

#[cfg(unix)]
#[expect(
    unsafe_code,
    reason = "this advice would change what other kinds of maps hold"
)]
fn release(map: &memmap2::Mmap) {
    // SAFETY: the map is read-only and shared with its file, which does not
    // change while the region lives: a page that is dropped comes back from
    // the file as it was. Only private maps with changes would lose something.
    let done = unsafe { map.unchecked_advise(memmap2::UncheckedAdvice::DontNeed) };
    // It is advice: where it cannot be taken, the pages stay.
    let _ = done;
}

#[cfg(not(unix))]
fn release(_: &memmap2::Mmap) {}

impl From<Vec<u8>> for Region {
    fn from(bytes: Vec<u8>) -> Region {
        Region {
            bytes: Bytes::Heap(bytes.into()),
        }
    }
}

impl Deref for Region {
    type Target = [u8];

    #[inline]
    fn deref(&self) -> &[u8] {
        match &self.bytes {
            Bytes::Mapped(map) => map,
            Bytes::Heap(bytes) => bytes,
        }
    }
}

impl AsRef<[u8]> for Region {
    fn as_ref(&self) -> &[u8] {
        self
    }
}

impl fmt::Debug for Region {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Region").field("len", &self.len()).finish()
    }
}

#[cfg(test)]
mod tests {
    use crate::{Files, FilesExt, MemoryFiles, RealFiles};

    #[test]
    fn released_bytes_are_still_there() {
        let dir = tempfile::tempdir().unwrap();
        let bytes: Vec<u8> = (0..100_000u32).map(|n| (n / 7) as u8).collect();
        let all: [(&dyn Files, _); 2] = [
            (&RealFiles, dir.path().join("file")),
            (&MemoryFiles::new(), "file".into()),
        ];
        for (files, path) in all {
            files.write_atomic(&path, &bytes).unwrap();
            let region = files.map(&path).unwrap();
            assert_eq!(region[..], bytes);
            region.release();
            assert_eq!(region.clone()[..], bytes);
        }
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn what_is_released_is_no_memory_of_the_process() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("file");
        RealFiles.write_atomic(&path, &vec![7; 1 << 20]).unwrap();
        let region = RealFiles.map(&path).unwrap();
        let sum = || region.iter().map(|byte| u64::from(*byte)).sum::<u64>();
        let resident = || {
            let maps = std::fs::read_to_string("/proc/self/smaps").unwrap();
            let name = path.to_str().unwrap();
            let of_file = maps.split_once(name).unwrap().1;
            let rss = of_file.lines().find_map(|line| line.strip_prefix("Rss:"));
            let kib = rss.unwrap().split_whitespace().next().unwrap().to_owned();
            kib.parse::<u64>().unwrap()
        };
        assert_eq!(sum(), 7 << 20);
        assert_eq!(resident(), 1024);
        assert!(crate::release_regions() > 0);
        assert_eq!(resident(), 0);
        assert_eq!(sum(), 7 << 20);
    }
}
