//! What lies where it cannot be.
//!
//! A directory in place of a file, a file in place of a directory, a checkpoint that has nothing:
//! whoever has made them, they must not keep a store from starting, nor from writing the file whose
//! name they have. They get another name, which nobody looks at, and that is said.

use std::path::{Path, PathBuf};

use headwater_env::{DirEntry, Files, FilesExt};
use headwater_storage::Result;

use crate::head::chunk_files;
use crate::{error, log};

/// What stands behind the name of something that was moved away.
const STRAY: &str = ".stray";

/// Moves away what is in the way; says what, for people.
pub(crate) fn move_away(files: &dyn Files, data: &Path) -> Result<Vec<String>> {
    let mut said = Vec::new();
    for dir in [log::dir(data), log::late_dir(data), chunk_files::dir(data)] {
        if files.file_len(&dir).map_err(error::file)?.is_some() && !files.is_dir(&dir) {
            said.push(tell(files, &dir, "it is a file where a directory belongs")?);
        }
        if !files.is_dir(&dir) {
            continue;
        }
        for entry in files.list(&dir).map_err(error::file)? {
            if let Some(why) = what_is_wrong(files, &dir, &entry)? {
                said.push(tell(files, &dir.join(&entry.name), why)?);
            }
        }
    }
    Ok(said)
}

fn what_is_wrong(files: &dyn Files, dir: &Path, entry: &DirEntry) -> Result<Option<&'static str>> {
    let is_number = |name: &str| !name.is_empty() && name.bytes().all(|b| b.is_ascii_digit());
    let checkpoint = entry.name.strip_prefix("checkpoint.");
    Ok(match checkpoint {
        _ if !entry.is_dir => None,
        None => is_number(&entry.name).then_some("it is a directory where a file belongs"),
        Some(number) if is_number(number) => {
            // Whoever took it for a checkpoint would not read the segments before it.
            let inside = files.list(&dir.join(&entry.name)).map_err(error::file)?;
            let any = inside.iter().any(|inside| !inside.is_dir);
            (!any).then_some("it is a checkpoint without a segment")
        }
        Some(_) => None,
    })
}

fn tell(files: &dyn Files, path: &Path, why: &str) -> Result<String> {
    let to = rename(files, path, STRAY)?;
    let (path, to) = (path.display(), to.display());
    Ok(format!("{path} was moved to {to}: {why}"))
}

/// Puts `ending` behind the name of a file or directory, and a number behind that if the name is
/// taken; for good once this returns. Answers the new name.
pub(crate) fn rename(files: &dyn Files, path: &Path, ending: &str) -> Result<PathBuf> {
    let named = |count: u32| {
        let mut name = path.as_os_str().to_owned();
        name.push(ending);
        if count > 1 {
            name.push(format!(".{count}"));
        }
        PathBuf::from(name)
    };
    let mut count = 1;
    while files.exists(&named(count)).map_err(error::file)? {
        count += 1;
    }
    let to = named(count);
    let parent = path.parent().unwrap_or(Path::new("."));
    files
        .rename(path, &to)
        .and_then(|()| files.sync_dir(parent))
        .map_err(error::file)?;
    Ok(to)
}
