//! Deletions that fail on the way: who asked knows where, and finishes by asking again.

use std::path::Path;
use std::sync::Arc;

use headwater_env::{Env, FaultyFiles, Files};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Delete, ErrorKind, block_on};
use headwater_tsdb::{Builder, Db, Deletion, Durability};

use crate::support::{batch, builder, commit, dump, dump_range, labels};

const STEP: i64 = 15_000;
const RANGE: i64 = 20 * STEP;
const BLOCKS: i64 = 4;

fn on(files: &FaultyFiles, life: u64) -> Builder {
    let env = Env {
        files: Arc::new(files.clone()),
        ..Env::in_memory(life)
    };
    builder("data", env).configure(|options| {
        options.block_range = RANGE;
        options.max_block_range = RANGE;
        options.durability = Durability::OnCommit;
        options.retention = std::time::Duration::ZERO;
    })
}

/// Some blocks, and a head.
fn filled(files: &FaultyFiles) -> Db {
    let db = on(files, 1).open().unwrap();
    for at in 0..(BLOCKS + 1) * 20 {
        let mut batch = batch(&db);
        for n in ["keep", "drop"] {
            let series = batch.series(&labels(&[("n", n)])).unwrap();
            batch.append_float(series, at * STEP, at as f64).unwrap();
        }
        commit(batch);
    }
    db.flush_before(BLOCKS * RANGE).unwrap();
    assert_eq!(db.blocks().len() as i64, BLOCKS);
    db
}

fn delete(db: &Db) -> Deletion {
    let dropped = [Matcher::equal("n", "drop")];
    db.delete_series(&dropped, TimeRange::ALL).unwrap()
}

/// How many samples of the deleted series are left in the ranges of the blocks, and behind.
fn left(db: &Db) -> Vec<usize> {
    let range = |at: i64| TimeRange::new(at * RANGE, (at + 1) * RANGE - 1);
    let in_range = |at| {
        let all = dump_range(db, range(at));
        all.get("{n=\"drop\"}").map_or(0, Vec::len)
    };
    (0..=BLOCKS).map(in_range).collect()
}

/// What the answer says is what is: now, and after a restart.
fn check(db: &Db, deletion: &Deletion, context: &str) {
    let left = left(db);
    for (at, block) in db.blocks().iter().enumerate() {
        let done = deletion.done.contains(&block.ulid);
        let failed = deletion.failed.iter().any(|(ulid, _)| *ulid == block.ulid);
        assert!(done != failed, "{context}: {at} is both or neither");
        assert!(!done || left[at] == 0, "{context}: {at} has {}", left[at]);
        assert!(left[at] == 0 || left[at] == 20, "{context}: half of {at}");
    }
    let in_head = left[BLOCKS as usize];
    let gone = deletion.head.is_err() || in_head == 0;
    assert!(gone, "{context}: the head has {in_head}");
    let kept = &dump(db)["{n=\"keep\"}"];
    assert_eq!(kept.len() as i64, (BLOCKS + 1) * 20, "{context}");
}

#[test]
fn one_block_that_fails_keeps_no_other_from_it() {
    let files = FaultyFiles::new(1);
    let db = filled(&files);
    let bad = db.blocks()[1].ulid.clone();
    // Nothing can be written where a directory is.
    let obstacle = Path::new("data").join(&bad).join("tombstones.tmp");
    files.create_dir_all(&obstacle).unwrap();
    let deletion = delete(&db);
    assert_eq!(deletion.failed.len(), 1);
    assert_eq!(deletion.failed[0].0, bad);
    assert_eq!(deletion.done.len() as i64, BLOCKS - 1);
    check(&db, &deletion, "obstacle");
    assert_eq!(left(&db), [0, 20, 0, 0, 0]);
    let dropped = vec![Matcher::equal("n", "drop")];
    let error = block_on(Delete::delete(&db, dropped, TimeRange::ALL)).unwrap_err();
    assert!(error.to_string().contains(&bad), "{error}");
    files.remove_dir_all(&obstacle).unwrap();
    assert!(delete(&db).is_complete());
    assert_eq!(left(&db), [0; 5]);
}

#[test]
fn a_deletion_that_power_cuts_short_is_finished_by_another() {
    let clean = FaultyFiles::new(0);
    let db = filled(&clean);
    let start = clean.operations();
    assert!(delete(&db).is_complete());
    let operations = clean.operations() - start;
    assert!(operations > 4 * BLOCKS as u64, "{operations}");
    for cut in 0..=operations {
        let context = format!("cut {cut} of {operations}");
        let files = FaultyFiles::new(cut);
        let db = filled(&files);
        files.cut_power_after(cut);
        let deletion = delete(&db);
        assert_eq!(deletion.is_complete(), cut == operations, "{context}");
        files.crash();
        drop(db);
        let db = on(&files, 2)
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        check(&db, &deletion, &context);
        let again = delete(&db);
        assert!(again.is_complete(), "{context}");
        assert_eq!(left(&db), [0; 5], "{context}");
    }
}

#[test]
fn a_full_disk_is_told_place_by_place() {
    let mut some = 0;
    for space in 0..220 {
        let context = format!("{space} bytes");
        let files = FaultyFiles::new(space);
        let db = filled(&files);
        files.limit_space(space);
        let deletion = delete(&db);
        check(&db, &deletion, &context);
        let (done, failed) = (deletion.done.len(), deletion.failed.len());
        some += usize::from(done > 0 && failed > 0);
        if let Err(error) = deletion.into_result() {
            assert_eq!(error.kind(), ErrorKind::NoSpace, "{context}");
            assert_eq!(
                error.to_string().matches("block ").count(),
                failed,
                "{context}"
            );
        }
        files.free_up_space();
        assert!(delete(&db).is_complete(), "{context}");
        assert_eq!(left(&db), [0; 5], "{context}");
        drop(db);
        let db = on(&files, 2).open().unwrap();
        assert_eq!(left(&db), [0; 5], "{context}");
    }
    assert!(some > 0, "the disk was never full half way");
}

#[test]
fn a_store_that_is_closed_deletes_nothing() {
    let files = FaultyFiles::new(1);
    let db = filled(&files);
    db.close().unwrap();
    let all = db.delete_series(&[], TimeRange::ALL);
    assert_eq!(all.unwrap_err().kind(), ErrorKind::NotReady);
}
