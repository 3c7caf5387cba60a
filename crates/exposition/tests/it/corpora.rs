//! Real bodies from the corpora.

use std::path::PathBuf;

use headwater_exposition::{Format, Options};

use crate::events;

/// The folder of exposition texts, or `None` with a message (a failure where `HEADWATER_STRICT` is 1).
fn folder() -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let folder = root.join("prometheus/textparse");
    if folder.is_dir() {
        return Some(folder);
    }
    assert!(
        std::env::var("HEADWATER_STRICT").as_deref() != Ok("1"),
        "no corpora at {}",
        folder.display()
    );
    eprintln!("skipped: no corpora at {}", folder.display());
    None
}

#[test]
fn every_line_is_understood() {
    let Some(folder) = folder() else { return };
    for (file, format) in [
        ("alltypes.237mfs.prom.txt", Format::Text),
        ("alltypes.237mfs.nometa.prom.txt", Format::Text),
        ("alltypes.5mfs.om.txt", Format::OpenMetrics),
        ("1histogram.om.txt", Format::OpenMetrics),
    ] {
        let body = std::fs::read_to_string(folder.join(file)).expect(file);
        let expected = body
            .lines()
            .filter(|line| !line.is_empty() && *line != "# EOF")
            .count();
        let mut body = body.into_bytes();
        let read = match events(&body, format, Options::default()) {
            Ok(read) => read,
            // A text cut from a longer one lacks its end.
            Err(error) if error.message().contains("# EOF") => {
                body.extend_from_slice(b"# EOF\n");
                events(&body, format, Options::default()).expect(file)
            }
            Err(error) => panic!("{file}: {error}"),
        };
        assert_eq!(read.len(), expected, "{file}");
    }
}
