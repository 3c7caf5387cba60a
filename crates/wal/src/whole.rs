use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::Files;

use crate::{Framing, Result, SegmentWriter};

const TMP: &str = ".tmp";

/// Writes a log of its own that is there whole or not at all: a checkpoint,
/// or anything else that stands for what other files say at more length.
#[derive(Debug)]
pub struct WholeLogWriter {
    files: Arc<dyn Files>,
    target: PathBuf,
    tmp: PathBuf,
    writer: SegmentWriter,
}

impl WholeLogWriter {
    /// Begins a log in `target`; until it is finished it lies beside, under
    /// the same name and `.tmp`. What an earlier attempt left there is removed.
    pub fn create(
        files: Arc<dyn Files>,
        target: &Path,
        framing: Framing,
        segment_bytes: u64,
    ) -> Result<WholeLogWriter> {
        let mut tmp = target.as_os_str().to_owned();
        tmp.push(TMP);
        let tmp = PathBuf::from(tmp);
        if files.is_dir(&tmp) {
            files.remove_dir_all(&tmp)?;
        }
        let writer = SegmentWriter::create(Arc::clone(&files), &tmp, framing, segment_bytes)?;
        Ok(WholeLogWriter {
            files,
            target: target.to_path_buf(),
            tmp,
            writer,
        })
    }

    /// The directory as long as the log is unfinished: files put here come
    /// along. They must be durable.
    pub fn unfinished_dir(&self) -> &Path {
        &self.tmp
    }

    /// Appends records.
    pub fn append<R: AsRef<[u8]>>(&mut self, records: &[R]) -> Result<()> {
        let mut unsynced = Vec::new();
        self.writer
            .append_with(records, &mut |file| unsynced.push(file))?;
        for file in unsynced {
            file.sync()?;
        }
        Ok(())
    }

    /// Makes the log durable and gives it its name, in this order. One that
    /// had the name is replaced.
    pub fn finish(self) -> Result<PathBuf> {
        self.writer.sync()?;
        if self.files.is_dir(&self.target) {
            self.files.remove_dir_all(&self.target)?;
        }
        self.files.rename(&self.tmp, &self.target)?;
        self.files
            .sync_dir(self.target.parent().unwrap_or(Path::new("")))?;
        Ok(self.target)
    }
}

#[cfg(test)]
mod tests {
    use headwater_env::{FilesExt, MemoryFiles};

    use super::*;
    use crate::{Compression, SegmentDecoder, segment_path};

    #[test]
    fn the_log_is_there_once_it_is_finished() {
        let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
        let target = Path::new("data/whole");
        let framing = Framing::Pages(Compression::None);
        let begin = || WholeLogWriter::create(Arc::clone(&files), target, framing, 1 << 15);
        let mut abandoned = begin().unwrap();
        abandoned.append(&[b"old"]).unwrap();
        drop(abandoned);
        assert!(!files.is_dir(target));

        let mut writer = begin().unwrap();
        writer.append(&[vec![7u8; 40_000], vec![8u8]]).unwrap();
        let beside = writer.unfinished_dir().join("beside");
        files.write_atomic(&beside, b"it").unwrap();
        assert_eq!(writer.finish().unwrap(), target);
        assert_eq!(files.read(&target.join("beside")).unwrap(), b"it");
        let bytes = files.map(&segment_path(target, 0)).unwrap();
        let mut records = SegmentDecoder::new(framing, 0, &bytes);
        assert_eq!(records.next_record().unwrap().len(), 40_000);
        assert_eq!(files.list(Path::new("data")).unwrap().len(), 1);
    }
}
