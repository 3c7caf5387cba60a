//! Where the recorded answers lie, if they are there.

use std::path::PathBuf;

/// A folder of the corpora; `None` (with a line that says so) if there are none.
pub(crate) fn folder(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let folder = root.join(name);
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var_os("HEADWATER_STRICT").is_none(),
        "no corpora at {}",
        folder.display()
    );
    println!("skipped: no corpora at {}", folder.display());
    None
}
