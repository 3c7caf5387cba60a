//! Recorded cases of hekad 0.11.0.

use std::path::PathBuf;

#[test]
fn recorded_cases_pass() {
    let corpora = std::env::var_os("HEADWATER_CORPORA").map_or_else(
        || PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared/corpora"),
        PathBuf::from,
    );
    let dir = corpora.join("heka/golden");
    if !dir.is_dir() {
        let strict = std::env::var_os("HEADWATER_STRICT").is_some_and(|value| value == "1");
        assert!(!strict, "no corpora at {}", dir.display());
        println!("skipped: no corpora at {}", dir.display());
        return;
    }
    let report = headwater_pipeline::golden::run(&dir);
    println!("{report}");
    assert!(report.total() > 0, "no recorded cases were run");
    assert!(report.failed.is_empty(), "{report}");
}
