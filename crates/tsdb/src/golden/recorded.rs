//! Directories as Prometheus left them, against what it says is in them.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::Path;

use headwater_model::{Labels, SeriesColumns, TimeRange};
use headwater_storage::{SelectExemplars, block_on};

use super::samples::{Facts, Samples, all, walk};
use super::{Outcome, Report, builder, copied, read_json};
use crate::Db;

/// A difference is told by its first lines.
const SHOWN: usize = 3;

/// Judges one directory: each kind of fact is a case.
pub(super) fn run(folder: &Path, name: &str, report: &mut Report) {
    let expected = folder.join(format!("{name}.expected"));
    let opened = copied(&folder.join(name)).and_then(|copy| {
        let db = builder(copy.path()).open().map_err(|e| e.to_string())?;
        Ok((copy, db))
    });
    let (_copy, db) = match opened {
        Ok(opened) => opened,
        Err(error) => return report.judge(format!("{name} open"), Err(error)),
    };
    let mut judge = |what: &str, outcome| report.judge(format!("{name} {what}"), outcome);
    judge("open", undamaged(&db));
    let series = read_json(&expected.join("series.json"));
    let dump = expected.join("dump.sorted.txt.gz");
    judge("dump", same_dump(&db, &dump));
    match series {
        Ok(json) => {
            judge("series", same_series(&db, &json));
            judge("exemplars", same_exemplars(&db, &json));
            judge("blocks", same_blocks(&db, &json));
        }
        Err(error) => judge("series", Err(error)),
    }
}

fn undamaged(db: &Db) -> Outcome<()> {
    match db.damage() {
        [] => Ok(()),
        lines => Err(lines.join("; ")),
    }
}

/// The lines of `promtool tsdb dump`, sorted by their bytes.
fn same_dump(db: &Db, path: &Path) -> Outcome<()> {
    let at_path = |error: std::io::Error| format!("{}: {error}", path.display());
    let file = std::fs::File::open(path).map_err(at_path)?;
    let mut wanted = String::new();
    flate2::read::MultiGzDecoder::new(file)
        .read_to_string(&mut wanted)
        .map_err(at_path)?;
    let (samples, warnings) = all(db)?;
    if !warnings.is_empty() {
        return Err(warnings.join("; "));
    }
    let found = lines(&samples);
    let wanted: Vec<&str> = wanted.lines().collect();
    let mut differences = Vec::new();
    let (mut a, mut b) = (wanted.iter().peekable(), found.iter().peekable());
    while differences.len() < SHOWN {
        match (a.peek(), b.peek()) {
            (Some(w), Some(f)) if **w == f.as_str() => {
                a.next();
                b.next();
            }
            (Some(w), f) if f.is_none_or(|f| **w < f.as_str()) => {
                differences.push(format!("missing {w}"));
                a.next();
            }
            (_, Some(f)) => {
                differences.push(format!("not expected {f}"));
                b.next();
            }
            _ => break,
        }
    }
    none_of(differences)
}

fn lines(samples: &Samples) -> Vec<String> {
    let mut lines = Vec::new();
    for (labels, samples) in samples {
        let labels = labels.to_string();
        lines.extend(
            samples
                .iter()
                .map(|(time, value)| format!("{labels} {value} {time}")),
        );
    }
    lines.sort_unstable();
    lines
}

fn none_of(differences: Vec<String>) -> Outcome<()> {
    match differences.is_empty() {
        true => Ok(()),
        false => Err(differences.join("; ")),
    }
}

fn list<'a>(json: &'a serde_json::Value, name: &str) -> Outcome<&'a Vec<serde_json::Value>> {
    json[name]
        .as_array()
        .ok_or_else(|| format!("no list {name} is recorded"))
}

fn same_series(db: &Db, json: &serde_json::Value) -> Outcome<()> {
    let mut found: BTreeMap<Labels, Facts> = BTreeMap::new();
    walk(db, |labels, columns: &SeriesColumns| {
        found.insert(labels, Facts::of(columns));
    })?;
    let mut differences = Vec::new();
    for series in list(json, "series")? {
        let labels = recorded_labels(&series["labels"])?;
        let wanted = Facts::recorded(series)?;
        match found.remove(&labels) {
            Some(facts) if facts == wanted => {}
            got => differences.push(format!("{labels}: wanted {wanted:?}, got {got:?}")),
        }
    }
    differences.extend(found.keys().map(|labels| format!("{labels}: not expected")));
    let more = differences.len().saturating_sub(SHOWN);
    differences.truncate(SHOWN);
    if more > 0 {
        differences.push(format!("and {more} more"));
    }
    none_of(differences)
}

fn recorded_labels(json: &serde_json::Value) -> Outcome<Labels> {
    let object = json.as_object().ok_or("labels are no object")?;
    let pairs = object
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str().unwrap_or_default()));
    Ok(Labels::from_pairs(pairs))
}

fn same_exemplars(db: &Db, json: &serde_json::Value) -> Outcome<()> {
    let Some(wanted) = json["exemplars"].as_u64() else {
        return Ok(());
    };
    let found =
        block_on(db.exemplars(vec![Vec::new()], TimeRange::ALL)).map_err(|e| e.to_string())?;
    let found: usize = found.iter().map(|series| series.exemplars.len()).sum();
    match found as u64 == wanted {
        true => Ok(()),
        false => Err(format!("wanted {wanted}, got {found}")),
    }
}

fn same_blocks(db: &Db, json: &serde_json::Value) -> Outcome<()> {
    let mut found: Vec<String> = db
        .blocks()
        .iter()
        .map(|meta| {
            let (stats, level) = (&meta.stats, meta.compaction.level);
            format!(
                "{} {} to {} level {level}: {} series, {} chunks, {} samples",
                meta.ulid,
                meta.min_time,
                meta.max_time,
                stats.num_series,
                stats.num_chunks,
                stats.num_samples
            )
        })
        .collect();
    let recorded = |block: &serde_json::Value| {
        let of = |name: &str| block[name].to_string();
        format!(
            "{} {} to {} level {}: {} series, {} chunks, {} samples",
            block["ulid"].as_str().unwrap_or_default(),
            of("MinTime"),
            of("MaxTime"),
            of("Level"),
            of("Series"),
            of("Chunks"),
            of("Samples")
        )
    };
    let mut wanted: Vec<String> = list(json, "blocks")?.iter().map(recorded).collect();
    found.sort();
    wanted.sort();
    match found == wanted {
        true => Ok(()),
        false => Err(format!("wanted {wanted:?}, got {found:?}")),
    }
}
