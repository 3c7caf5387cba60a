//! Patterns of paths in settings.

use std::io;
use std::path::{Path, PathBuf};

/// Whether a path is one that [`expand`] takes: at most one `*`, and that in the last part.
pub(crate) fn is_pattern(path: &str) -> bool {
    let (before, last) = path.rsplit_once('/').unwrap_or(("", path));
    !before.contains('*') && last.matches('*').count() <= 1
}

/// The files that a path stands for, sorted; a path without `*` stands for itself if it is there.
///
/// # Errors
/// A folder that cannot be read. One that does not exist holds no files.
pub fn expand(pattern: &str) -> io::Result<Vec<PathBuf>> {
    let (dir, last) = match pattern.rsplit_once('/') {
        Some(("", last)) => (Path::new("/"), last),
        Some((dir, last)) => (Path::new(dir), last),
        None => (Path::new("."), pattern),
    };
    let Some((begin, end)) = last.split_once('*') else {
        let path = PathBuf::from(pattern);
        return Ok(if path.exists() {
            vec![path]
        } else {
            Vec::new()
        });
    };
    let entries = match std::fs::read_dir(dir) {
        Err(error)
            if matches!(
                error.kind(),
                io::ErrorKind::NotFound | io::ErrorKind::NotADirectory
            ) =>
        {
            return Ok(Vec::new());
        }
        entries => entries?,
    };
    let mut found = Vec::new();
    for entry in entries {
        let name = entry?.file_name();
        let fits = name.to_str().is_some_and(|name| {
            name.len() >= begin.len() + end.len() && name.starts_with(begin) && name.ends_with(end)
        });
        if fits {
            found.push(if pattern.contains('/') {
                dir.join(name)
            } else {
                PathBuf::from(name)
            });
        }
    }
    found.sort_unstable();
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_star_in_the_last_part() {
        for (path, good) in [
            ("a/*.rules", true),
            ("a", true),
            ("a/*/b", false),
            ("a/*x*", false),
        ] {
            assert_eq!(is_pattern(path), good, "{path}");
        }
    }

    #[test]
    fn patterns_find_files_in_order() {
        let dir = tempfile::tempdir().unwrap();
        for name in ["b.rules", "a.rules", "c.yml", ".rules"] {
            std::fs::write(dir.path().join(name), "").unwrap();
        }
        let all = expand(&format!("{}/*.rules", dir.path().display())).unwrap();
        let names: Vec<_> = all
            .iter()
            .map(|path| path.file_name().unwrap().to_str().unwrap())
            .collect();
        assert_eq!(names, [".rules", "a.rules", "b.rules"]);
        assert!(expand("/nowhere/at/all/*.yml").unwrap().is_empty());
        assert!(expand("/nowhere.yml").unwrap().is_empty());
    }
}
