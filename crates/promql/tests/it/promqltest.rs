//! Scripts in Prometheus's test language.

use headwater_promql::corpus;

use crate::corpora;

#[test]
fn every_recorded_answer_is_given() {
    let Some(folder) = corpora::folder("prometheus/promql") else { return };
    let report = headwater_promql::golden::run(&folder).unwrap();
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
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
