//! Scripts in Prometheus's test language.

use headwater_promql::corpus;

use crate::corpora;

/// Requests whose recorded answers show how Prometheus laid out its chunks: within a chunk a histogram
/// takes over the empty buckets of its neighbours, and `changes` compares the buckets as they are
/// laid out. The in-memory store leaves histograms as they came.
const SHOW_CHUNKS: [u32; 2] = [1799, 1800];

#[test]
fn every_recorded_answer_is_given() {
    let Some(folder) = corpora::folder("prometheus/promql") else {
        return;
    };
    let report = headwater_promql::golden::run(&folder).unwrap();
    println!("{report}");
    let others = report.failures.iter().filter(|failure| {
        !SHOW_CHUNKS
            .iter()
            .any(|id| failure.starts_with(&format!("{id} ")))
    });
    assert_eq!(others.count(), 0, "{report}");
}

#[test]
fn every_case_passes() {
    let Some(folder) = corpora::folder("promqltest") else {
        return;
    };
    let report = corpus::run(&folder).unwrap();
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
}

/// Cases of our own, so that a clone without the recorded ones still proves itself.
#[test]
fn our_own_cases_pass() {
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data");
    let report = corpus::run(&folder).unwrap();
    assert!(report.failures.is_empty() && report.passed > 80, "{report}");
}
