//! Paths in settings are relative to the settings' own file.

use std::path::{Component, Path, PathBuf};

/// Makes a relative path relative to `dir`, the folder of the settings file; an empty one stays empty.
///
/// The result is tidied without looking at the disk, as Go does it: `.` goes, and `a/..` too.
pub fn resolve(dir: &Path, path: &mut String) {
    if !path.is_empty() && Path::new(path.as_str()).is_relative() {
        *path = tidy(&dir.join(path.as_str()))
            .to_string_lossy()
            .into_owned();
    }
}

fn tidy(path: &Path) -> PathBuf {
    let mut tidy = PathBuf::new();
    for part in path.components() {
        match (part, tidy.components().next_back()) {
            (Component::CurDir, _) | (Component::ParentDir, Some(Component::RootDir)) => {}
            (Component::ParentDir, Some(Component::Normal(_))) => {
                tidy.pop();
            }
            _ => tidy.push(part),
        }
    }
    if tidy.as_os_str().is_empty() {
        PathBuf::from(".")
    } else {
        tidy
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_are_joined_and_tidied() {
        for (dir, path, want) in [
            ("/etc/p", "a.yml", "/etc/p/a.yml"),
            (".", "sd/*.yml", "sd/*.yml"),
            ("", "a", "a"),
            ("conf", "../a", "a"),
            ("conf", "../../a", "../a"),
            ("/", "../a", "/a"),
            ("/etc", "./b/./c", "/etc/b/c"),
            ("/etc", "/abs/../x", "/abs/../x"),
            ("/etc", "", ""),
            ("a", "..", "."),
        ] {
            let mut path = path.to_owned();
            resolve(Path::new(dir), &mut path);
            assert_eq!(path, want, "in {dir}");
        }
    }
}
