//! What a pipeline says of itself.

use std::io::Write;

use super::pipelines::{
    TCP_IN, connect, dead_address, file_output, frames, plan, start, stat, wait_until,
};

fn reports_into(base: &std::path::Path) -> String {
    file_output("reports", base).replace("Type == 'test'", "Type == 'heka.all-report'")
}

#[test]
fn reports_come_as_messages_when_asked_and_in_time() {
    let base = tempfile::tempdir().unwrap();
    let config = format!("{TCP_IN}{}", reports_into(base.path()));
    let mut topology = start(base.path(), &config);
    let path = base.path().join("reports.log");
    let read = || std::fs::read_to_string(&path).unwrap_or_default();
    topology.route_report();
    wait_until("one report", || read().lines().count() == 1);
    let report: serde_json::Value = serde_json::from_str(read().trim_end()).unwrap();
    assert_eq!(report["inputs"][0]["Name"], "in");
    assert_eq!(report["outputs"][0]["HeldBytes"]["representation"], "B");
    // A reload may ask for one again and again.
    let plan = plan(base.path(), &config);
    let mut again = plan;
    again.hekad.report_interval = toml::from_str::<toml::Table>("every = '5ms'").unwrap()["every"]
        .clone()
        .try_into()
        .unwrap();
    topology.reload(again).unwrap();
    wait_until("more reports", || read().lines().count() > 3);
    topology.stop();
}

#[test]
fn who_holds_batches_is_known() {
    let base = tempfile::tempdir().unwrap();
    let (listener, address) = dead_address();
    drop(listener);
    let config = format!(
        "{TCP_IN}[dead]\ntype = 'TcpOutput'\naddress = '{address}'\nmessage_matcher = 'TRUE'\n\
         use_buffering = false\n{}",
        file_output("healthy", base.path())
    );
    let mut topology = start(base.path(), &config);
    connect(&topology, "in").write_all(&frames(1000)).unwrap();
    wait_until("the healthy one is done", || {
        stat(&topology, "healthy", "ProcessMessageCount") == 1000
    });
    assert_eq!(stat(&topology, "healthy", "HeldBatches"), 0);
    assert!(stat(&topology, "dead", "HeldBatches") > 0);
    assert!(stat(&topology, "dead", "HeldBytes") > 10_000);
    wait_until("the oldest ages", || {
        stat(&topology, "dead", "HeldOldestMillis") > 0
    });
    topology.stop();
}
