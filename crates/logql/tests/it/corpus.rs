//! Loki's own test scripts, read from the corpora in place.

use headwater_logql::corpus::run_folder;

#[test]
fn logqltest() {
    let Some(folder) = super::golden::corpora("logqltest") else {
        return;
    };
    let mut out = Vec::new();
    let summary = run_folder(&folder, &mut out).expect("the scripts run");
    let text = String::from_utf8(out).expect("text");
    println!("{text}");
    // Four cases tell a label without a value from no label at all, which the
    // house does not.
    assert!(summary.failed <= 4, "{text}");
    assert!(summary.passed > 1000, "{text}");
}
