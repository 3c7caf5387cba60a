//! Scripts in Prometheus's test language.

use headwater_promql::corpus;

use crate::corpora;

#[test]
fn every_case_passes() {
    let Some(folder) = corpora::folder("promqltest") else {
        return;
    };
    let report = corpus::run(&folder).unwrap();
    println!("{report}");
    assert!(report.failures.is_empty(), "{report}");
}
