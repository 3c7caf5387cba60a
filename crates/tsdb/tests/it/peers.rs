//! Directories go to Debian's Prometheus and come back.

use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

use headwater_env::Env;
use headwater_model::{Histogram, Span, stale_nan};
use headwater_storage::SampleValue;
use headwater_tsdb::Db;

use crate::support::{batch, builder, commit, labels, program};

/// What `promtool tsdb dump` prints: lines by series, sorted.
fn promtool_dump(dir: &Path) -> BTreeMap<String, Vec<(i64, String)>> {
    let output = Command::new("promtool")
        .args(["tsdb", "dump"])
        .arg(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut out: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (series, sample) = line.rsplit_once("} ").unwrap();
        let (value, time) = sample.rsplit_once(' ').unwrap();
        let time = time.parse().unwrap();
        out.entry(format!("{series}}}"))
            .or_default()
            .push((time, value.to_owned()));
    }
    out
}

const BASE: i64 = 1_767_225_600_000;

fn fill(db: &Db) -> BTreeMap<String, Vec<(i64, String)>> {
    let mut wanted: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for round in 0..300i64 {
        let time = BASE + round * 15_000;
        let mut batch = batch(db);
        for n in 0..30i64 {
            let name = labels(&[("__name__", "m"), ("job", "x \"y\""), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            let (value, text) = match (round + n) % 50 {
                49 => (stale_nan(), "NaN".to_owned()),
                48 => (f64::INFINITY, "+Inf".to_owned()),
                _ => ((round * n) as f64, (round * n).to_string()),
            };
            batch.append_float(series, time, value).unwrap();
            let text = if text.len() > 20 { panic!() } else { text };
            wanted
                .entry(name.to_string())
                .or_default()
                .push((time, text));
        }
        commit(batch);
    }
    wanted
}

#[test]
fn promtool_dumps_what_was_written() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = builder(dir.path(), Env::real()).configure(|o| o.segment_bytes = 64 << 10);
    let db = small.open().unwrap();
    let wanted = fill(&db);
    assert!(db.stats().unwrap().log_segment > 0, "several segments");
    drop(db);
    let found = promtool_dump(dir.path());
    assert_eq!(found.len(), wanted.len());
    for (series, samples) in &wanted {
        assert_eq!(&found[series], samples, "{series}");
    }
}

#[test]
fn promtool_reads_histograms_of_the_log() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = builder(dir.path(), Env::real()).open().unwrap();
    for round in 0..50i64 {
        let mut batch = batch(&db);
        let series = batch.series(&labels(&[("__name__", "h")])).unwrap();
        let histogram = Histogram {
            schema: 1,
            count: 3 + round as u64,
            sum: round as f64,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_deltas: vec![1, 1 + round],
            ..Histogram::default()
        };
        batch
            .append(
                series,
                BASE + round * 15_000,
                0,
                SampleValue::Histogram(&histogram),
            )
            .unwrap();
        let floats = batch.series(&labels(&[("__name__", "fh")])).unwrap();
        let float = histogram.to_float();
        batch
            .append(
                floats,
                BASE + round * 15_000,
                0,
                SampleValue::FloatHistogram(&float),
            )
            .unwrap();
        commit(batch);
    }
    drop(db);
    // This version prints floats only, but it reads the records: an error in
    // one of them would end the dump.
    promtool_dump(dir.path());
}
