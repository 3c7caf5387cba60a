//! Disks that are full or cannot be read: nothing acknowledged is lost, and all is well again once
//! the disk is.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use headwater_env::{Env, FaultyFiles, Files, SeededRng};
use headwater_model::{Matcher, TimeRange};
use headwater_storage::{Append, Delete, Result, block_on};
use headwater_tsdb::{Builder, Db, Durability};

use crate::support::{Dump, builder, dump, labels};

const STEP: i64 = 15_000;
const ROUNDS: i64 = 110;

fn on(disk: &FaultyFiles, life: u64) -> Builder {
    let env = Env {
        files: Arc::new(disk.clone()),
        // No two lives of a process draw the same numbers.
        rng: Arc::new(SeededRng::new(life)),
        ..Env::in_memory(life)
    };
    builder("data", env).configure(|options| {
        options.durability = Durability::System;
        options.segment_bytes = 1;
        options.block_range = 20 * STEP;
        options.max_block_range = 60 * STEP;
        options.out_of_order_window = std::time::Duration::from_secs(3600);
    })
}

fn write(db: &Db, at: i64) -> Result<()> {
    let mut batch = db.appender(Default::default())?;
    for n in 0..4i64 {
        let name = labels(&[("n", &n.to_string()), ("age", &(at / 30).to_string())]);
        let series = batch.series(&name).expect("the series is taken");
        let late = at % 7 == 6 && n == 0;
        let time = if late { (at - 5) * STEP + 1 } else { at * STEP };
        batch
            .append_float(series, time, at as f64)
            .expect("the sample is taken");
    }
    batch.commit()?.wait()
}

/// A life with everything in it; answers what was acknowledged.
fn live(db: &Db, disk: &FaultyFiles, space: Option<u64>) -> Vec<i64> {
    let mut acknowledged = Vec::new();
    for at in 0..ROUNDS {
        if at == 40
            && let Some(space) = space
        {
            disk.limit_space(space);
        }
        if write(db, at).is_ok() {
            acknowledged.push(at);
        }
        if at % 25 == 24 {
            let _ = db.maintain();
        }
        if at == 60 {
            let all = vec![Matcher::equal("n", "3")];
            let _ = block_on(db.delete(all, TimeRange::new(0, 2 * STEP)));
        }
    }
    acknowledged
}

/// Each acknowledged batch is there, whole; nothing is there that was not written.
fn check(db: &Db, acknowledged: &[i64], context: &str) {
    let mut found = vec![0; ROUNDS as usize + 1];
    for (series, samples) in dump(db) {
        for (time, value) in samples {
            let at = if time % STEP == 0 {
                time / STEP
            } else {
                time / STEP + 5
            };
            let wanted = format!("{:016x}", (at as f64).to_bits());
            assert_eq!(value, wanted, "{context}: {series} at {time}");
            found[at as usize] += 1;
        }
    }
    for (at, count) in found.iter().enumerate() {
        let at = at as i64;
        let deleted = i64::from(at <= 2);
        if acknowledged.contains(&at) {
            assert!(
                *count >= 4 - deleted,
                "{context}: batch {at} has {count} samples"
            );
        } else {
            assert_eq!(*count, 0, "{context}: batch {at} was refused");
        }
    }
}

#[test]
fn a_full_disk_loses_nothing_and_needs_nobody() {
    for space in (0..24).map(|n| n * 1500 + n % 5) {
        let disk = FaultyFiles::new(space);
        let context = format!("{space} bytes");
        let db = on(&disk, 1).open().unwrap();
        let mut acknowledged = live(&db, &disk, Some(space));
        check(&db, &acknowledged, &context);
        disk.free_up_space();
        write(&db, ROUNDS).unwrap_or_else(|e| panic!("{context}: {e}"));
        acknowledged.push(ROUNDS);
        db.maintain().unwrap_or_else(|e| panic!("{context}: {e}"));
        check(&db, &acknowledged, &context);
        drop(db);
        let db = on(&disk, 2)
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        assert!(db.damage().is_empty(), "{context}: {:?}", db.damage());
        check(&db, &acknowledged, &context);
    }
}

fn files_below(files: &dyn Files, dir: &Path, into: &mut Vec<PathBuf>) {
    for entry in files.list(dir).unwrap() {
        let path = dir.join(&entry.name);
        match entry.is_dir {
            true => files_below(files, &path, into),
            false => into.push(path),
        }
    }
}

fn is_part_of(part: &Dump, whole: &Dump) -> bool {
    part.iter().all(|(series, samples)| {
        let there = whole.get(series);
        there.is_some_and(|there| samples.iter().all(|sample| there.contains(sample)))
    })
}

#[test]
fn a_file_that_cannot_be_read_is_named_and_not_thrown_away() {
    let written = || {
        let disk = FaultyFiles::new(7);
        let db = on(&disk, 1)
            .configure(|o| o.durability = Durability::OnCommit)
            .open()
            .unwrap();
        live(&db, &disk, None);
        db.close().unwrap();
        disk
    };
    let disk = written();
    let mut paths = Vec::new();
    files_below(&disk, Path::new("data"), &mut paths);
    let whole = dump(&on(&disk, 2).open().unwrap());
    for path in paths.iter().filter(|path| !path.ends_with("lock")) {
        let disk = written();
        disk.fail_reads_of(path);
        let name = path.display().to_string();
        match on(&disk, 3).open() {
            // Somebody has to look after the disk.
            Err(error) => assert!(error.to_string().contains(&name), "{name}: {error}"),
            Ok(db) => {
                let left = dump(&db);
                let deleted_are_back = name.ends_with("tombstones");
                assert!(
                    deleted_are_back || is_part_of(&left, &whole),
                    "{name}: invented"
                );
                let said = db.damage().iter().any(|line| line.contains(&name));
                assert!(left == whole || said, "{name}: {:?}", db.damage());
            }
        }
        // The disk can be read again, and nothing is gone.
        disk.crash();
        let db = on(&disk, 4)
            .open()
            .unwrap_or_else(|e| panic!("{name}: {e}"));
        assert!(dump(&db) == whole, "{name}: {:?}", db.damage());
    }
}
