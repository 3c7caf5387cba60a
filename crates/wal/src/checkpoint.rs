use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::Files;

use crate::{Framing, Result, WholeLogWriter};

const PREFIX: &str = "checkpoint.";
const TMP: &str = ".tmp";

/// A checkpoint: a log in a directory of its own that stands for all segments
/// up to and including number `upto`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Checkpoint {
    /// The last segment it stands for.
    pub upto: u64,
    /// Its directory, `checkpoint.` and eight digits.
    pub dir: PathBuf,
}

/// The checkpoints in a log's directory, oldest first. Unfinished ones do
/// not count.
pub fn list_checkpoints(files: &dyn Files, dir: &Path) -> Result<Vec<Checkpoint>> {
    if !files.is_dir(dir) {
        return Ok(Vec::new());
    }
    let mut out: Vec<Checkpoint> = files
        .list(dir)?
        .into_iter()
        .filter(|entry| entry.is_dir)
        .filter_map(|entry| {
            let upto = entry.name.strip_prefix(PREFIX)?.parse().ok()?;
            let dir = dir.join(&entry.name);
            Some(Checkpoint { upto, dir })
        })
        .collect();
    out.sort_unstable_by_key(|c| c.upto);
    Ok(out)
}

/// Removes checkpoints before number `upto` and unfinished ones.
pub fn remove_checkpoints_before(files: &dyn Files, dir: &Path, upto: u64) -> Result<()> {
    for old in list_checkpoints(files, dir)? {
        if old.upto < upto {
            files.remove_dir_all(&old.dir)?;
        }
    }
    for entry in files.list(dir)? {
        if entry.is_dir && entry.name.starts_with(PREFIX) && entry.name.ends_with(TMP) {
            files.remove_dir_all(&dir.join(entry.name))?;
        }
    }
    Ok(files.sync_dir(dir)?)
}

/// Writes a checkpoint beside the segments; it counts once it is finished.
#[derive(Debug)]
pub struct CheckpointWriter {
    upto: u64,
    writer: WholeLogWriter,
}

impl CheckpointWriter {
    /// Begins a checkpoint for the segments up to and including `upto`.
    pub fn create(
        files: Arc<dyn Files>,
        dir: &Path,
        upto: u64,
        framing: Framing,
        segment_bytes: u64,
    ) -> Result<CheckpointWriter> {
        let target = dir.join(format!("{PREFIX}{upto:08}"));
        let writer = WholeLogWriter::create(files, &target, framing, segment_bytes)?;
        Ok(CheckpointWriter { upto, writer })
    }

    /// Appends records.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<()> {
        self.writer.append(records)
    }

    /// Makes the checkpoint durable and gives it its name, in this order: a
    /// crash leaves all of it or none.
    pub fn finish(self) -> Result<Checkpoint> {
        let dir = self.writer.finish()?;
        let upto = self.upto;
        Ok(Checkpoint { upto, dir })
    }
}

#[cfg(test)]
mod tests {
    use headwater_env::MemoryFiles;

    use super::*;
    use crate::{Compression, SegmentDecoder, segment_path};

    #[test]
    fn a_checkpoint_counts_once_finished() {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let dir = Path::new("wal");
        let framing = Framing::Pages(Compression::None);
        for upto in [3, 12] {
            let mut writer =
                CheckpointWriter::create(Arc::clone(&files), dir, upto, framing, 1 << 20).unwrap();
            writer.append(&[b"series"]).unwrap();
            assert!(list_checkpoints(files.as_ref(), dir).unwrap().len() < 2);
            writer.finish().unwrap();
        }
        let unfinished = CheckpointWriter::create(Arc::clone(&files), dir, 20, framing, 1 << 20);
        drop(unfinished.unwrap());
        let all = list_checkpoints(files.as_ref(), dir).unwrap();
        assert_eq!(all.iter().map(|c| c.upto).collect::<Vec<_>>(), [3, 12]);
        assert_eq!(all[1].dir, dir.join("checkpoint.00000012"));

        let bytes = files.map(&segment_path(&all[1].dir, 0)).unwrap();
        let mut records = SegmentDecoder::new(framing, 0, &bytes);
        assert_eq!(records.next_record(), Some(&b"series"[..]));

        remove_checkpoints_before(files.as_ref(), dir, 12).unwrap();
        let names: Vec<String> = files
            .list(dir)
            .unwrap()
            .into_iter()
            .map(|e| e.name)
            .collect();
        assert_eq!(names, ["checkpoint.00000012"]);
    }
}
