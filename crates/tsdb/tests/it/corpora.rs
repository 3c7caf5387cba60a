//! Directories that Prometheus has left.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_env::Env;
use headwater_model::{SeriesColumns, TimeRange, is_stale_nan};
use headwater_storage::{Select, SelectRequest, block_on};
use headwater_tsdb::Db;

use crate::support::{builder, copy_tree, corpora, dump, labels};

/// What `series.json` of the corpora says of a series.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    floats: u64,
    histograms: u64,
    stale_markers: u64,
    min_time: i64,
    max_time: i64,
    hash: String,
}

/// FNV-1a with 64 bits over times and values, little-endian.
fn fnv(columns: &SeriesColumns) -> String {
    let mut hash = 0xcbf2_9ce4_8422_2325u64;
    let floats = &columns.floats;
    for (time, value) in floats.times.iter().zip(&floats.values) {
        for byte in time
            .to_le_bytes()
            .into_iter()
            .chain(value.to_bits().to_le_bytes())
        {
            hash = (hash ^ u64::from(byte)).wrapping_mul(0x100_0000_01b3);
        }
    }
    format!("{hash:016x}")
}

fn facts_of(db: &Db) -> BTreeMap<String, Facts> {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    let mut columns = SeriesColumns::default();
    let mut out = BTreeMap::new();
    while let Some(labels) = cursor.advance().unwrap() {
        cursor.read(&mut columns).unwrap();
        let (floats, histograms) = (&columns.floats, &columns.histograms);
        let times = || floats.times.iter().chain(histograms.times());
        let Some(min_time) = times().min() else {
            continue;
        };
        let stale = floats.values.iter().filter(|v| is_stale_nan(**v)).count()
            + (0..histograms.len())
                .filter(|at| histograms.get(*at).is_stale())
                .count();
        let facts = Facts {
            floats: floats.len() as u64,
            histograms: histograms.len() as u64,
            stale_markers: stale as u64,
            min_time: *min_time,
            max_time: *times().max().unwrap(),
            hash: fnv(&columns),
        };
        out.insert(labels.to_string(), facts);
    }
    assert!(cursor.take_warnings().is_empty());
    out
}

fn wanted(expected: &Path) -> BTreeMap<String, Facts> {
    let text = std::fs::read(expected.join("series.json")).unwrap();
    let json: serde_json::Value = serde_json::from_slice(&text).unwrap();
    let mut out = BTreeMap::new();
    for series in json["series"].as_array().unwrap() {
        let pairs: Vec<(&str, &str)> = series["labels"]
            .as_object()
            .unwrap()
            .iter()
            .map(|(name, value)| (name.as_str(), value.as_str().unwrap()))
            .collect();
        let number = |name: &str| series[name].as_u64().unwrap();
        let facts = Facts {
            floats: number("floats"),
            histograms: number("histograms") + number("float_histograms"),
            stale_markers: number("stale_markers"),
            min_time: series["min_time"].as_i64().unwrap(),
            max_time: series["max_time"].as_i64().unwrap(),
            hash: match series["float_fnv1a64"].as_str() {
                Some(hash) => hash.to_owned(),
                None => format!("{:016x}", 0xcbf2_9ce4_8422_2325u64),
            },
        };
        out.insert(labels(&pairs).to_string(), facts);
    }
    out
}

/// Opens a copy of a directory and tells how it differs from what is expected.
fn differences(root: &Path, name: &str) -> Vec<String> {
    let dir = tempfile::tempdir().unwrap();
    copy_tree(&root.join(name), dir.path());
    let db = builder(dir.path(), Env::real()).open().unwrap();
    let mut out: Vec<String> = db.damage().to_vec();
    let (found, wanted) = (
        facts_of(&db),
        wanted(&root.join(format!("{name}.expected"))),
    );
    for (series, facts) in &wanted {
        if found.get(series) != Some(facts) {
            let got = found.get(series);
            out.push(format!("{series}: wanted {facts:?}, got {got:?}"));
        }
    }
    let more = found.keys().filter(|series| !wanted.contains_key(*series));
    out.extend(more.map(|series| format!("{series}: not expected")));
    out
}

#[test]
fn directories_of_prometheus_hold_what_they_should() {
    let Some(root) = corpora("prometheus/datadirs") else {
        return;
    };
    let mut failed = Vec::new();
    for name in [
        "prom-2.42",
        "prom-3.14-default",
        "prom-3.14-snapshot",
        "prom-3.14-st",
        "prom-3.14-xor2-zstd",
    ] {
        let differences = differences(&root, name);
        for line in differences.iter().take(5) {
            println!("{name}: {line}");
        }
        if !differences.is_empty() {
            failed.push((name, differences.len()));
        }
    }
    assert!(failed.is_empty(), "{failed:?}");
}

#[test]
fn logs_of_prometheus_open_without_damage() {
    let Some(root) = corpora("prometheus/datadirs") else {
        return;
    };
    for name in ["prom-2.42", "prom-3.14-default", "prom-3.14-xor2-zstd"] {
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&root.join(name).join("wal"), &dir.path().join("wal"));
        let db = builder(dir.path(), Env::real()).open().unwrap();
        let series = dump(&db).len();
        assert!(series > 50, "{name}: {series} series");
        assert!(db.damage().is_empty(), "{name}: {:?}", db.damage());
    }
}

/// Applies the file operations of a fault to a copy of a directory.
fn apply(operations: &serde_json::Value, dir: &Path) {
    for operation in operations.as_array().unwrap() {
        let path = dir.join(operation["path"].as_str().unwrap());
        let number = |name: &str| operation[name].as_u64().unwrap() as usize;
        let edit = |change: &dyn Fn(&mut Vec<u8>)| {
            let mut bytes = std::fs::read(&path).unwrap_or_default();
            change(&mut bytes);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(&path, bytes).unwrap();
        };
        match operation["op"].as_str().unwrap() {
            "xor" => edit(&|bytes| bytes[number("offset")] ^= number("mask") as u8),
            "truncate" => edit(&|bytes| bytes.truncate(number("size"))),
            "write_zeros" => edit(&|bytes| *bytes = vec![0; number("size")]),
            "remove" => std::fs::remove_file(&path).unwrap(),
            "mkdir" => std::fs::create_dir_all(&path).unwrap(),
            "copy" => {
                let from = std::fs::read(dir.join(operation["from"].as_str().unwrap())).unwrap();
                edit(&|bytes| bytes.clone_from(&from));
            }
            other => panic!("unknown operation {other}"),
        }
    }
}

/// How many samples there are, and whether something is said to be missing.
fn count(db: &Db) -> (u64, bool) {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    let mut columns = SeriesColumns::default();
    let mut samples = 0;
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut columns).unwrap();
        samples += columns.len() as u64;
    }
    let warned = !cursor.take_warnings().is_empty();
    (samples, warned || !db.damage().is_empty())
}

/// Every fault: the store opens, serves at least what Prometheus still does,
/// and says so if something is missing.
#[test]
fn damaged_directories_open_and_serve_the_rest() {
    let Some(root) = corpora("prometheus/datadirs/damaged") else {
        return;
    };
    const WHOLE: u64 = 19_978;
    let mut cases: Vec<_> = std::fs::read_dir(&root)
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .filter(|name| name.ends_with(".observed.json") && name.as_str() < "50")
        .collect();
    cases.sort();
    assert!(cases.len() > 20);
    for case in cases {
        let observed = std::fs::read(root.join(&case)).unwrap();
        let observed: serde_json::Value = serde_json::from_slice(&observed).unwrap();
        let dir = tempfile::tempdir().unwrap();
        copy_tree(&root.join("00-base"), dir.path());
        apply(&observed["operations"], dir.path());
        let db = builder(dir.path(), Env::real())
            .open()
            .unwrap_or_else(|e| panic!("{case}: {e}"));
        let (samples, said) = count(&db);
        let of_prometheus = observed["totals_after"]["samples"].as_u64().unwrap_or(0);
        println!(
            "{case}: {samples} of {WHOLE}, Prometheus {of_prometheus}, {:?}",
            db.damage()
        );
        assert!(samples >= of_prometheus, "{case}: {samples}");
        assert!(samples == WHOLE || said, "{case}: {samples} in silence");
        // Even if a whole block is lost, the log has the rest.
        assert!(samples > 8_000, "{case}: {samples}");
        db.maintain().unwrap_or_else(|e| panic!("{case}: {e}"));
        assert_eq!(count(&db).0, samples, "{case}: after maintenance");
        drop(db);
        // The repairs hold.
        let db = builder(dir.path(), Env::real()).open().unwrap();
        assert_eq!(count(&db).0, samples, "{case}: after reopening");
    }
}
