//! Logs written by Prometheus, read in place.

use std::path::{Path, PathBuf};

use headwater_env::{Files, RealFiles};
use headwater_wal::{
    Compression, Framing, SegmentDecoder, list_checkpoints, list_segments, segment_path,
};

/// The folder of data directories, or `None` if the corpora are not here.
fn datadirs() -> Option<PathBuf> {
    let root = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || Path::new(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let dir = root.join("prometheus/datadirs");
    if dir.is_dir() {
        return Some(dir);
    }
    assert!(
        std::env::var_os("HEADWATER_STRICT").is_none(),
        "no corpora at {}",
        dir.display()
    );
    eprintln!("skipped: no corpora at {}", dir.display());
    None
}

/// Counts records and damage of one log directory.
fn read(dir: &Path) -> (usize, usize) {
    let (mut records, mut damage) = (0, 0);
    for segment in list_segments(&RealFiles, dir).unwrap() {
        let bytes = RealFiles.map(&segment_path(dir, segment)).unwrap();
        let mut decoder = SegmentDecoder::new(Framing::Pages(Compression::None), segment, &bytes);
        while let Some(record) = decoder.next_record() {
            assert!(
                matches!(record.first(), Some(1..=13)),
                "a type byte comes first"
            );
            records += 1;
        }
        damage += decoder.damage().len();
    }
    (records, damage)
}

#[test]
fn logs_of_prometheus_are_read_without_damage() {
    let Some(root) = datadirs() else { return };
    for name in [
        "prom-2.42",
        "prom-3.14-default",
        "prom-3.14-snapshot",
        "prom-3.14-st",
        "prom-3.14-xor2-zstd",
    ] {
        for log in ["wal", "wbl"] {
            let dir = root.join(name).join(log);
            if !dir.is_dir() {
                continue;
            }
            let (records, damage) = read(&dir);
            assert!(records > 0, "{name}/{log} has records");
            // Its server was killed in the middle of a write, three times.
            assert!(damage == 0, "{name}/{log}: {damage} damaged");
            for checkpoint in list_checkpoints(&RealFiles, &dir).unwrap() {
                let (records, damage) = read(&checkpoint.dir);
                assert!(records > 0 && damage == 0, "{}", checkpoint.dir.display());
            }
        }
    }
}
