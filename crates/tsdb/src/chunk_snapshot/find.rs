//! Which snapshot a start may use.

use std::path::{Path, PathBuf};

use headwater_env::{Files, FilesExt};
use headwater_model::Timestamp;
use headwater_storage::Result;
use headwater_wal::{list_checkpoints, list_segments};

use super::{CONTENTS, Contents, PREFIX};
use crate::error;
use crate::head::chunk_files;
use crate::log;

/// A snapshot and what it stands for.
#[derive(Clone, Debug)]
pub(crate) struct Usable {
    pub(crate) dir: PathBuf,
    /// The first segment of the log that must be read beside it. Some of what
    /// is in it may be in the snapshot, too, which does no harm.
    pub(crate) segment: u64,
    /// What it says of itself; those of Prometheus say nothing.
    pub(crate) contents: Option<Contents>,
}

/// The snapshots in a data directory, newest first: segment, offset, directory.
fn list(files: &dyn Files, data: &Path) -> Result<Vec<(u64, u64, PathBuf)>> {
    let mut found = Vec::new();
    for entry in files.list(data).map_err(error::file)? {
        let place = entry.name.strip_prefix(PREFIX).and_then(|place| {
            let (segment, offset) = place.split_once('.')?;
            Some((segment.parse().ok()?, offset.parse().ok()?))
        });
        if let Some((segment, offset)) = place.filter(|_| entry.is_dir) {
            found.push((segment, offset, data.join(&entry.name)));
        }
    }
    found.sort_unstable_by(|a, b| b.cmp(a));
    Ok(found)
}

/// Removes all snapshots but one, unfinished ones too.
pub(super) fn remove_others(files: &dyn Files, data: &Path, keep: Option<&Path>) -> Result<()> {
    let mut any = false;
    for entry in files.list(data).map_err(error::file)? {
        let dir = data.join(&entry.name);
        if entry.is_dir && entry.name.starts_with(PREFIX) && keep != Some(&dir) {
            files.remove_dir_all(&dir).map_err(error::file)?;
            any = true;
        }
    }
    match any {
        true => files.sync_dir(data).map_err(error::file),
        false => Ok(()),
    }
}

/// Removes all snapshots: what they rely on is about to change.
pub(crate) fn remove_all(files: &dyn Files, data: &Path) -> Result<()> {
    remove_others(files, data, None)
}

/// The newest snapshot, if it and the log together say all that the log alone
/// says. `min_valid` is where the head begins.
///
/// It is outdated if the log ends before it, and superseded if a checkpoint
/// has replaced segments behind it; both are as in Prometheus.
pub(crate) fn find(files: &dyn Files, data: &Path, min_valid: Timestamp) -> Result<Option<Usable>> {
    let Some((segment, _, dir)) = list(files, data)?.into_iter().next() else {
        return Ok(None);
    };
    let wal = log::dir(data);
    let segments = list_segments(files, &wal).map_err(error::log)?;
    if segments.last().is_none_or(|last| *last < segment) {
        tracing::warn!("the log ends before the chunk snapshot, which is removed");
        remove_all(files, data)?;
        return Ok(None);
    }
    let checkpoint = list_checkpoints(files, &wal).map_err(error::log)?.pop();
    if checkpoint.is_some_and(|checkpoint| checkpoint.upto >= segment) {
        tracing::info!("a checkpoint is newer than the chunk snapshot, which is removed");
        remove_all(files, data)?;
        return Ok(None);
    }
    if !segments.contains(&segment) {
        tracing::warn!("the log does not go on where the chunk snapshot ends");
        return Ok(None);
    }
    let path = dir.join(CONTENTS);
    let contents = match files.exists(&path).map_err(error::file)? {
        false => None,
        true if files.is_dir(&path) => {
            tracing::warn!(path = %path.display(), "the chunk snapshot's contents are a directory");
            return Ok(None);
        }
        true => match Contents::parse(&files.read(&path).map_err(error::file)?) {
            Some(contents) => Some(contents),
            None => {
                tracing::warn!(path = %path.display(), "the chunk snapshot's contents are damaged");
                return Ok(None);
            }
        },
    };
    if let Some(contents) = &contents
        && !chunk_files_are_there(files, data, contents, min_valid)?
    {
        tracing::warn!("head chunk files that the chunk snapshot relies on are gone");
        return Ok(None);
    }
    Ok(Some(Usable {
        dir,
        segment,
        contents,
    }))
}

/// Whether the files are as long as they were, as far as anything in them is
/// needed.
fn chunk_files_are_there(
    files: &dyn Files,
    data: &Path,
    contents: &Contents,
    min_valid: Timestamp,
) -> Result<bool> {
    let dir = chunk_files::dir(data);
    for file in &contents.chunk_files {
        let path = chunk_files::file_path(&dir, file.number);
        let len = files.file_len(&path).map_err(error::file)?.unwrap_or(0);
        if file.max_time >= min_valid && len < file.bytes {
            return Ok(false);
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use headwater_env::{MemoryFiles, OpenMode};

    use super::super::contents::ChunkFile;
    use super::*;

    fn touch(files: &MemoryFiles, path: &str, len: usize) {
        let path = Path::new(path);
        files.create_dir_all(path.parent().unwrap()).unwrap();
        let file = files.open(path, OpenMode::Write).unwrap();
        file.write_at(0, &vec![0; len]).unwrap();
    }

    fn found(files: &MemoryFiles, min_valid: i64) -> Option<u64> {
        let found = find(files, Path::new("data"), min_valid).unwrap();
        found.map(|usable| usable.segment)
    }

    fn names(files: &MemoryFiles) -> Vec<String> {
        let entries = files.list(Path::new("data")).unwrap();
        let names = entries.into_iter().map(|entry| entry.name);
        names.filter(|name| name.starts_with(PREFIX)).collect()
    }

    #[test]
    fn the_newest_counts_if_the_log_goes_on_behind_it() {
        let files = MemoryFiles::new();
        touch(&files, "data/wal/00000007", 0);
        assert_eq!(found(&files, 0), None);
        for name in [
            "000005.0000000009",
            "000007.0000000001",
            "000006.0000000009",
        ] {
            touch(&files, &format!("data/chunk_snapshot.{name}/00000000"), 0);
        }
        touch(&files, "data/chunk_snapshot.000009.0000000000.tmp/0", 0);
        assert_eq!(found(&files, 0), Some(7));
        touch(&files, "data/chunk_snapshot.000008.0000000000/0", 0);
        assert_eq!(found(&files, 0), None, "the log ends before it");
        assert!(names(&files).is_empty(), "it would never be of use");
    }

    #[test]
    fn a_checkpoint_behind_it_supersedes_it() {
        let files = MemoryFiles::new();
        touch(&files, "data/wal/00000007", 0);
        touch(&files, "data/chunk_snapshot.000007.0000000000/00000000", 0);
        touch(&files, "data/wal/checkpoint.00000006/00000000", 0);
        assert_eq!(found(&files, 0), Some(7));
        touch(&files, "data/wal/00000008", 0);
        touch(&files, "data/wal/checkpoint.00000007/00000000", 0);
        assert_eq!(found(&files, 0), None);
        assert!(names(&files).is_empty());
    }

    #[test]
    fn files_that_it_relies_on_must_be_whole() {
        let files = MemoryFiles::new();
        touch(&files, "data/wal/00000001", 0);
        let contents = Contents {
            records: 1,
            chunk_files: vec![ChunkFile {
                number: 2,
                bytes: 10,
                max_time: 1000,
            }],
        };
        let path = Path::new("data/chunk_snapshot.000001.0000000000/contents");
        files.create_dir_durable(path.parent().unwrap()).unwrap();
        files
            .write_atomic(path, contents.to_text().as_bytes())
            .unwrap();
        assert_eq!(found(&files, 0), None, "file 2 is missing");
        assert_eq!(found(&files, 1001), Some(1), "nothing in it is needed");
        touch(&files, "data/chunks_head/000002", 9);
        assert_eq!(found(&files, 0), None, "it is shorter than it was");
        touch(&files, "data/chunks_head/000002", 10);
        assert_eq!(found(&files, 0), Some(1));
        touch(&files, "data/chunk_snapshot.000001.0000000000/contents", 3);
        assert_eq!(found(&files, 0), None, "the list is damaged");
    }
}
