//! The comparison runs, whatever the servers: a small run of every phase with our debug build.

use std::process::Command;

use headwater_tests::process::program;

#[test]
fn every_phase_of_metrics_runs() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let (server, promtool) = (program("prometheus"), program("promtool"));
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args(["metrics", "--percent=0.1", "--query-seconds=0.001"])
        .arg(format!("--json={}", json.display()))
        .arg(format!("--ours={}", server.display()))
        .arg(format!("--our-promtool={}", promtool.display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    let figures: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = figures["rows"].as_array().unwrap();
    for row in rows {
        assert!(row["figures"]["headwater"].as_f64().is_some(), "{row}");
    }
    for what in [
        "remote write: CPU",
        "sum by (rate), 6 h: CPU",
        "remote read, chunks: CPU",
        "blocks: bytes a sample",
        "scrape: CPU",
        "promtool tsdb bench write: wall",
    ] {
        assert!(
            rows.iter().any(|row| row["what"] == what),
            "{what} is missing:\n{text}"
        );
    }
}

#[test]
fn every_case_of_pipeline_runs() {
    let folder = tempfile::tempdir().unwrap();
    let json = folder.path().join("figures.json");
    let output = Command::new(env!("CARGO_BIN_EXE_compare"))
        .args([
            "pipeline",
            "--messages=20000",
            "--rounds=1",
            "--probes=5",
            "--memory-messages=20000",
        ])
        .arg(format!("--json={}", json.display()))
        .arg(format!("--ours={}", program("hekad").display()))
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "{text}\n{errors}");
    let figures: serde_json::Value =
        serde_json::from_slice(&std::fs::read(&json).unwrap()).unwrap();
    let rows = figures["rows"].as_array().unwrap();
    assert_eq!(rows.len(), 9 * 2 + 3 + 3, "{text}");
    for row in rows {
        // The system counts CPU in steps that a quick run may not reach.
        let figure = row["figures"]["headwater"].as_f64().unwrap_or(-1.0);
        let counted = row["what"]
            .as_str()
            .is_some_and(|what| what.ends_with("CPU a message"));
        assert!(figure > 0.0 || counted && figure == 0.0, "{row}");
    }
    let both = |row: &&serde_json::Value| row["figures"]["rsyslog"].as_f64().is_some();
    if std::path::Path::new("/usr/sbin/rsyslogd").exists() {
        assert_eq!(rows.iter().filter(both).count(), 4 * 2, "{text}");
    } else {
        headwater_tests::skip("rsyslogd is not installed");
    }
}
