//! Faults, applied to copies of directories.
//!
//! What a fault must not do is known without knowing the fault: the store opens; it serves nothing
//! that the whole directory does not have; it serves no less than Prometheus does, and no less than
//! if the files that the fault touches were not there at all; if something is missing, it says so;
//! and maintenance and a second start change nothing of this.

use std::collections::HashMap;
use std::path::Path;

use super::samples::{Samples, all, count};
use super::{Outcome, Report, builder, copied, names, read_json};
use crate::{Builder, Db};

const DESCRIPTION: &str = ".observed.json";
/// What faults are applied to if their description does not say.
const BASE: &str = "00-base";

/// Judges every fault that is described in the folder `damaged`.
pub(super) fn run(folder: &Path, report: &mut Report) -> std::io::Result<()> {
    let damaged = folder.join("damaged");
    let mut bases = Bases::default();
    for name in names(&damaged)? {
        if let Some(case) = name.strip_suffix(DESCRIPTION) {
            let outcome = read_json(&damaged.join(&name))
                .and_then(|observed| judge(folder, &observed, &mut bases));
            report.judge(format!("damaged {case}"), outcome);
        }
    }
    Ok(())
}

/// What undamaged directories hold, by name, and what they lack without certain files.
#[derive(Default)]
struct Bases {
    whole: HashMap<String, Samples>,
    without: HashMap<(String, Vec<String>), usize>,
}

fn judge(folder: &Path, observed: &serde_json::Value, bases: &mut Bases) -> Outcome<()> {
    let name = observed["base"].as_str().unwrap_or(BASE);
    let damaged = folder.join("damaged").join(name);
    let base = match damaged.is_dir() {
        true => damaged,
        false => folder.join(name),
    };
    if !bases.whole.contains_key(name) {
        let copy = copied(&base)?;
        let whole = served(&open(copy.path())?)?.0;
        bases.whole.insert(name.to_owned(), whole);
    }
    let whole = &bases.whole[name];
    let copy = copied(&base)?;
    apply(&observed["operations"], copy.path())?;
    let left = survives(whole, copy.path(), &observed["operations"])?;
    answers(&left, &observed["queries"])?;
    let lost = count(whole).saturating_sub(count(&left));
    let of_prometheus = observed["totals_after"]["samples"].as_u64().unwrap_or(0) as usize;
    if count(&left) < of_prometheus {
        return Err(format!(
            "{lost} samples lost, Prometheus keeps {of_prometheus}"
        ));
    }
    let files = touched(&observed["operations"]);
    let most = match bases.without.get(&(name.to_owned(), files.clone())) {
        Some(known) => *known,
        None => without_files(&base, &files, whole)?,
    };
    bases.without.insert((name.to_owned(), files), most);
    if lost > most {
        return Err(format!(
            "{lost} samples lost, without the damaged files {most}"
        ));
    }
    Ok(())
}

/// The files that a fault touches.
fn touched(operations: &serde_json::Value) -> Vec<String> {
    let paths = operations.as_array().into_iter().flatten();
    let mut paths: Vec<String> = paths
        .filter_map(|operation| operation["path"].as_str().map(str::to_owned))
        .collect();
    paths.sort();
    paths
}

fn open(dir: &Path) -> Outcome<Db> {
    open_as(builder(dir))
}

fn open_as(builder: Builder) -> Outcome<Db> {
    builder
        .open()
        .map_err(|error| format!("does not open: {error}"))
}

/// What a store serves, and whether it says that something is missing.
fn served(db: &Db) -> Outcome<(Samples, bool)> {
    let (samples, warnings) = all(db)?;
    Ok((samples, !warnings.is_empty() || !db.damage().is_empty()))
}

/// What is left of a damaged directory, before and after maintenance and a second start.
fn survives(whole: &Samples, dir: &Path, operations: &serde_json::Value) -> Outcome<Samples> {
    let db = open(dir)?;
    let (left, said) = served(&db)?;
    // Without its tombstones a block shows what was deleted, and says so.
    let files = touched(operations);
    if !files.iter().any(|file| file.ends_with("tombstones")) {
        nothing_invented(whole, &left)?;
    }
    if left != *whole && !said {
        let (whole, left) = (count(whole), count(&left));
        return Err(format!("{left} of {whole} samples are served, in silence"));
    }
    db.maintain()
        .map_err(|error| format!("maintenance: {error}"))?;
    if served(&db)?.0 != left {
        return Err("maintenance changes what is served".to_owned());
    }
    drop(db);
    // Without chunk snapshots, should the first have read one.
    let second = builder(dir).configure(|options| options.snapshot_on_close = false);
    if served(&open_as(second)?)?.0 != left {
        return Err("the second start serves something else".to_owned());
    }
    Ok(left)
}

/// Numbers of samples that Prometheus counts in what is left: no fewer may be here. Only the
/// form `sum(count_over_time(METRIC[RANGE]))` is understood.
fn answers(left: &Samples, queries: &serde_json::Value) -> Outcome<()> {
    for query in queries.as_array().into_iter().flatten() {
        let text = query["query"].as_str().unwrap_or_default();
        let counted = text
            .strip_prefix("sum(count_over_time(")
            .and_then(|rest| rest.strip_suffix("]))"))
            .and_then(|rest| rest.split_once('['));
        let (Some((metric, range)), Some(time)) = (counted, query["time"].as_i64()) else {
            continue;
        };
        let wanted = query["value"].as_str().and_then(|v| v.parse().ok());
        let wanted: usize = wanted.ok_or_else(|| format!("{text} has no number"))?;
        let range = headwater_model::duration::parse_duration(range).map_err(|e| e.to_string())?;
        let found = counted_in(left, metric, time * 1000 - range, time * 1000);
        if found < wanted {
            return Err(format!("{text} is {found}, {wanted} in Prometheus"));
        }
    }
    Ok(())
}

/// Samples after `start` up to `end`. Stale markers count here, which Prometheus leaves out.
fn counted_in(samples: &Samples, metric: &str, start: i64, end: i64) -> usize {
    let of_metric = samples
        .iter()
        .filter(|(labels, _)| labels.get("__name__") == Some(metric));
    of_metric
        .flat_map(|(_, samples)| samples)
        .filter(|(time, _)| start < *time && *time <= end)
        .count()
}

fn nothing_invented(whole: &Samples, left: &Samples) -> Outcome<()> {
    for (labels, samples) in left {
        let there = whole.get(labels);
        let there = there.ok_or_else(|| format!("{labels} is invented"))?;
        let mut candidates = there.iter();
        for sample in samples {
            if !candidates.any(|candidate| candidate == sample) {
                return Err(format!("{labels} {sample:?} is invented"));
            }
        }
    }
    Ok(())
}

/// How many samples are lost if the files that a fault touches are not there.
fn without_files(base: &Path, files: &[String], whole: &Samples) -> Outcome<usize> {
    let copy = copied(base)?;
    for path in files.iter().map(|file| copy.path().join(file)) {
        if path.is_file() {
            std::fs::remove_file(&path).map_err(|e| format!("{}: {e}", path.display()))?;
        }
    }
    let (left, _) = served(&open(copy.path())?)?;
    Ok(count(whole).saturating_sub(count(&left)))
}

/// Applies the file operations of a fault.
fn apply(operations: &serde_json::Value, dir: &Path) -> Outcome<()> {
    let operations = operations.as_array().ok_or("no operations are recorded")?;
    operations.iter().try_for_each(|operation| {
        apply_one(operation, dir).map_err(|error| format!("{operation}: {error}"))
    })
}

fn apply_one(operation: &serde_json::Value, dir: &Path) -> Outcome<()> {
    let text = |name: &str| operation[name].as_str().ok_or(format!("no {name}"));
    let number = |name: &str| operation[name].as_u64().ok_or(format!("no {name}"));
    let path = dir.join(text("path")?);
    let read = || std::fs::read(&path).map_err(|e| e.to_string());
    let write = |bytes: &[u8]| {
        if let Some(parent) = path.parent() {
            std::fs::create_dir_all(parent).map_err(|e| e.to_string())?;
        }
        std::fs::write(&path, bytes).map_err(|e| e.to_string())
    };
    match text("op")? {
        "xor" => {
            let mut bytes = read()?;
            let at = number("offset")? as usize;
            *bytes.get_mut(at).ok_or("beyond the end")? ^= number("mask")? as u8;
            write(&bytes)
        }
        "truncate" => {
            let mut bytes = read()?;
            bytes.truncate(number("size")? as usize);
            write(&bytes)
        }
        "write_zeros" => write(&vec![0; number("size")? as usize]),
        "remove" => std::fs::remove_file(&path).map_err(|e| e.to_string()),
        "mkdir" => std::fs::create_dir_all(&path).map_err(|e| e.to_string()),
        "copy" => {
            let from = dir.join(text("from")?);
            write(&std::fs::read(from).map_err(|e| e.to_string())?)
        }
        other => Err(format!("unknown operation {other}")),
    }
}
