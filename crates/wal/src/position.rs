use std::fmt;
use std::path::{Path, PathBuf};

use headwater_env::Files;

use crate::Result;

/// A place in a log: a segment and a byte offset in it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Position {
    /// The number of the segment, which is also its file name.
    pub segment: u64,
    /// The byte offset in the segment.
    pub offset: u64,
}

impl Position {
    /// The first byte of a segment.
    pub fn start_of(segment: u64) -> Position {
        Position { segment, offset: 0 }
    }
}

impl fmt::Display for Position {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:08}:{}", self.segment, self.offset)
    }
}

/// The file of a segment: eight decimal digits.
pub fn segment_path(dir: &Path, segment: u64) -> PathBuf {
    dir.join(format!("{segment:08}"))
}

/// The numbers of the segments in a directory, in order. Other names are
/// ignored; a directory that does not exist has none.
pub fn list_segments(files: &dyn Files, dir: &Path) -> Result<Vec<u64>> {
    if !files.is_dir(dir) {
        return Ok(Vec::new());
    }
    let mut out: Vec<u64> = files
        .list(dir)?
        .into_iter()
        .filter(|entry| !entry.is_dir)
        .filter_map(|entry| parse_segment(&entry.name))
        .collect();
    out.sort_unstable();
    Ok(out)
}

fn parse_segment(name: &str) -> Option<u64> {
    let digits = name.len() >= 6 && name.bytes().all(|b| b.is_ascii_digit());
    digits.then(|| name.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use headwater_env::{MemoryFiles, OpenMode};

    #[test]
    fn only_numbers_are_segments() {
        let files = MemoryFiles::new();
        let dir = Path::new("wal");
        assert!(list_segments(&files, dir).unwrap().is_empty());
        files.create_dir_all(&dir.join("00000007")).unwrap();
        for name in ["00000010", "00000009", "00000011.tmp", "x", "12"] {
            files.open(&dir.join(name), OpenMode::Write).unwrap();
        }
        assert_eq!(list_segments(&files, dir).unwrap(), [9, 10]);
        assert_eq!(segment_path(dir, 10), dir.join("00000010"));
    }
}
