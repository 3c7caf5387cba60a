//! Finds the test data, which lies outside of the repository.

use std::path::{Path, PathBuf};

/// The data directories: name and path. Empty if the corpora are not there, unless
/// `HEADWATER_STRICT` is set.
pub(crate) fn data_directories() -> Vec<(String, PathBuf)> {
    let corpora = std::env::var_os("HEADWATER_CORPORA").map_or_else(default_corpora, PathBuf::from);
    let folder = corpora.join("prometheus/datadirs");
    if !folder.is_dir() {
        assert!(
            std::env::var_os("HEADWATER_STRICT").is_none_or(|strict| strict != "1"),
            "no corpora at {}",
            folder.display()
        );
        println!("skipped: no corpora at {}", folder.display());
        return Vec::new();
    }
    let expected = |path: &Path| path.with_file_name(name(path) + ".expected").is_dir();
    let paths = folders(&folder).into_iter().filter(|path| expected(path));
    paths.map(|path| (name(&path), path)).collect()
}

fn default_corpora() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora")
}

/// The last part of a path.
pub(crate) fn name(path: &Path) -> String {
    path.file_name()
        .and_then(|name| name.to_str())
        .unwrap_or_default()
        .to_owned()
}

/// Folders inside of `path`, in order.
pub(crate) fn folders(path: &Path) -> Vec<PathBuf> {
    entries(path, Path::is_dir)
}

/// Files inside of `path`, in order.
pub(crate) fn files(path: &Path) -> Vec<PathBuf> {
    entries(path, Path::is_file)
}

fn entries(path: &Path, keep: fn(&Path) -> bool) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(path) else {
        return Vec::new();
    };
    let mut paths: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| keep(path))
        .collect();
    paths.sort();
    paths
}
