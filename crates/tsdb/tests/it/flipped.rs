//! A bit flips somewhere in a directory: it is found, or it does no harm.
//!
//! `HEADWATER_EXHAUSTIVE=1` flips a bit of every byte, otherwise of some.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{Env, MemoryFiles};
use headwater_model::{Histogram, Matcher, Span, TimeRange};
use headwater_storage::{
    Delete, LabelQueries, LabelRequest, SampleValue, Select, SelectRequest, block_on,
};
use headwater_tsdb::{Builder, Db, Durability};

use crate::support::{Dump, Tree, batch, builder, commit, dump, labels, planted, tree};

const STEP: i64 = 15_000;
const RANGE: i64 = 40 * STEP;

fn on(files: &MemoryFiles) -> Builder {
    let env = Env {
        files: Arc::new(files.clone()),
        ..Env::in_memory(3)
    };
    builder("data", env).configure(|options| {
        options.durability = Durability::System;
        options.block_range = RANGE;
        options.max_block_range = 3 * RANGE;
        options.segment_bytes = 1;
        options.out_of_order_window = std::time::Duration::from_millis(20 * RANGE as u64);
    })
}

fn append(db: &Db, time: i64, late: bool) {
    let mut batch = batch(db);
    for n in 0..4i64 {
        let pairs = [("__name__", "m"), ("job", "a"), ("n", &n.to_string())];
        let series = batch.series(&labels(&pairs)).unwrap();
        let value = (time / STEP * (n + 1)) as f64 + if late { 0.5 } else { 0.0 };
        batch.append_float(series, time, value).unwrap();
    }
    if !late {
        let histogram = Histogram {
            schema: 1,
            count: 5 + (time / STEP) as u64,
            sum: time as f64,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_deltas: vec![2, 1 + time / STEP],
            ..Histogram::default()
        };
        let series = batch.series(&labels(&[("__name__", "h")])).unwrap();
        batch
            .append(series, time, 0, SampleValue::Histogram(&histogram))
            .unwrap();
    }
    commit(batch);
}

/// A store with blocks of two levels, tombstones, a checkpoint, head chunks and late samples.
fn filled() -> MemoryFiles {
    let files = MemoryFiles::new();
    let db = on(&files).open().unwrap();
    for at in 0..260 {
        append(&db, at * STEP, false);
        if at % 65 == 64 {
            db.maintain().unwrap();
        }
    }
    block_on(db.delete(
        vec![Matcher::equal("n", "1")],
        TimeRange::new(10 * STEP, 20 * STEP),
    ))
    .unwrap();
    for at in 225..228 {
        append(&db, at * STEP + 1, true);
    }
    assert!(db.blocks().len() > 1, "{:?}", db.blocks());
    files
}

/// What a store serves, whether it says that something is missing, and what it knows of labels.
fn served(db: &Db) -> (Dump, bool) {
    let whole = dump(db);
    let mut warned = false;
    // The way through postings.
    let request = SelectRequest::new(vec![Matcher::equal("job", "a")], TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    let mut found = 0;
    while cursor.advance().unwrap().is_some() {
        found += 1;
    }
    warned |= !cursor.take_warnings().is_empty();
    let wanted = whole
        .keys()
        .filter(|labels| labels.contains("job="))
        .count();
    assert!(found >= wanted, "{found} of {wanted} by postings");
    let names = block_on(db.label_names(LabelRequest::all(TimeRange::ALL))).unwrap();
    warned |= !names.warnings.is_empty();
    let said = warned || !db.damage().is_empty() || !db.damaged_blocks().is_empty();
    (whole, said)
}

fn is_part_of(part: &Dump, whole: &Dump) -> bool {
    part.iter().all(|(series, samples)| {
        let there = whole.get(series);
        there.is_some_and(|there| samples.iter().all(|sample| there.contains(sample)))
    })
}

#[test]
fn a_flipped_bit_is_found_or_harmless() {
    let exhaustive = std::env::var_os("HEADWATER_EXHAUSTIVE").is_some_and(|v| v == "1");
    let mut files = Tree::new();
    tree(&filled(), Path::new("data"), &mut files);
    let whole = served(&on(&planted(&files)).open().unwrap()).0;
    let total: usize = files.values().map(Vec::len).sum();
    let step = if exhaustive { 1 } else { total.div_ceil(300) };
    let (mut at, mut flips) = (0, 0);
    let paths: Vec<PathBuf> = files.keys().cloned().collect();
    for path in paths {
        let len = files[&path].len();
        // Something of every file, however small.
        let first = if exhaustive {
            0
        } else {
            at % step.min(len.max(1))
        };
        for offset in (first..len).step_by(step) {
            let bit = 1 << (offset % 8);
            let context = format!("{} byte {offset} of {len} bit {bit:x}", path.display());
            files.get_mut(&path).unwrap()[offset] ^= bit;
            let db = on(&planted(&files)).open();
            let db = db.unwrap_or_else(|error| panic!("{context}: {error}"));
            files.get_mut(&path).unwrap()[offset] ^= bit;
            let (left, said) = served(&db);
            flips += 1;
            at += 7;
            if left == whole {
                continue;
            }
            assert!(said, "{context}: in silence");
            // What was deleted is back without its tombstones; nothing else comes up.
            let name = path.file_name().unwrap();
            assert!(
                name == "tombstones" || is_part_of(&left, &whole),
                "{context}: invented"
            );
            // An index says everything twice.
            assert!(
                name != "index" && name != "meta.json",
                "{context}: {left:#?}"
            );
        }
    }
    println!("{flips} bits flipped in {total} bytes");
}
