//! The head written down at shutdown, and read back.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use headwater_blockfmt::Encoding;
use headwater_blockfmt::snapshot::{LastValue, SnapshotChunk, put_series, put_tombstones};
use headwater_env::{Env, FaultyFiles, Files, OpenMode, SeededRng};
use headwater_model::{Exemplar, Histogram, Matcher, Metadata, MetricType, TimeRange};
use headwater_storage::{
    Append, Delete, MetadataStore, Result, SampleValue, SelectExemplars, block_on,
};
use headwater_tsdb::{Builder, Db, Durability};
use headwater_wal::{Compression, Framing, WholeLogWriter, segment_path};

use crate::support::{
    Dump, batch, builder, commit, copy_tree, corpora, dump, labels, rounds_are_whole,
};

const STEP: i64 = 15_000;

fn open(env: &Env) -> Builder {
    builder("data", env.clone()).configure(|options| {
        options.snapshot_on_close = true;
        options.durability = Durability::System;
        options.segment_bytes = 32 << 10;
        options.out_of_order_window = Duration::from_secs(24 * 3600);
    })
}

/// Floats, histograms, exemplars, metadata, late samples and a deletion.
fn write(db: &Db, rounds: std::ops::Range<i64>) {
    for round in rounds.clone() {
        let mut batch = batch(db);
        let time = round * STEP;
        for n in 0..5 {
            let name = labels(&[("__name__", "float"), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            batch
                .append_float(series, time, (round * n) as f64)
                .unwrap();
            if round % 40 == n {
                let exemplar = Exemplar {
                    labels: labels(&[("trace_id", &round.to_string())]),
                    value: 0.5,
                    time: Some(time),
                };
                batch.exemplar(series, &exemplar).unwrap();
                let metadata = Metadata {
                    metric_type: MetricType::Counter,
                    unit: String::new(),
                    help: format!("in round {}", round / 40),
                };
                batch.metadata(series, &metadata).unwrap();
            }
        }
        let histogram = Histogram {
            count: round as u64,
            zero_count: round as u64,
            ..Histogram::default()
        };
        let series = batch.series(&labels(&[("__name__", "integer")])).unwrap();
        let value = SampleValue::Histogram(&histogram);
        batch.append(series, time, 0, value).unwrap();
        let series = batch.series(&labels(&[("__name__", "hist")])).unwrap();
        let float = histogram.to_float();
        let value = SampleValue::FloatHistogram(&float);
        batch.append(series, time, 0, value).unwrap();
        commit(batch);
        if round % 50 == 20 {
            let mut late = db.appender(Default::default()).unwrap();
            let name = labels(&[("__name__", "float"), ("n", "0")]);
            let series = late.series(&name).unwrap();
            late.append_float(series, time - 7, -1.0).unwrap();
            commit(late);
        }
    }
    let deleted = TimeRange::new(rounds.start * STEP, (rounds.start + 3) * STEP);
    block_on(db.delete(vec![Matcher::equal("n", "3")], deleted)).unwrap();
}

/// All that can be asked of a store.
fn everything(db: &Db) -> (Dump, Vec<String>, Vec<String>) {
    let exemplars = block_on(db.exemplars(vec![Vec::new()], TimeRange::ALL)).unwrap();
    let exemplars = exemplars.iter().map(|series| format!("{series:?}"));
    let metadata = block_on(db.series_metadata(Vec::new(), 0)).unwrap();
    let mut metadata: Vec<String> = metadata.iter().map(|m| format!("{m:?}")).collect();
    metadata.sort();
    (dump(db), exemplars.collect(), metadata)
}

/// The directories of snapshots.
fn snapshots(files: &dyn Files) -> Vec<PathBuf> {
    let entries = files.list(Path::new("data")).unwrap();
    let names = entries.into_iter().map(|entry| entry.name);
    names
        .filter(|name| name.starts_with("chunk_snapshot."))
        .map(|name| Path::new("data").join(name))
        .collect()
}

/// The first segment that a snapshot does not stand for.
fn segment_of(snapshot: &Path) -> u64 {
    let name = snapshot.file_name().unwrap().to_str().unwrap();
    name.split('.').nth(1).unwrap().parse().unwrap()
}

/// Removes the log before the snapshot: only this has what was there.
fn forget_the_log(files: &dyn Files) {
    let [snapshot] = &snapshots(files)[..] else {
        panic!("one snapshot");
    };
    let wal = Path::new("data/wal");
    for segment in headwater_wal::list_segments(files, wal).unwrap() {
        if segment < segment_of(snapshot) {
            files.remove_file(&segment_path(wal, segment)).unwrap();
        }
    }
}

#[test]
fn a_snapshot_has_the_whole_head() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..200);
    let wanted = everything(&db);
    assert!(!wanted.1.is_empty() && !wanted.2.is_empty());
    db.close().unwrap();
    drop(db);
    forget_the_log(env.files.as_ref());
    let db = open(&env).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(everything(&db), wanted);
    assert_eq!(db.stats().unwrap().snapshots_failed, 0);

    // The store goes on, dies, and goes on once more.
    write(&db, 200..400);
    let wanted = everything(&db);
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(everything(&db), wanted);
    write(&db, 400..410);
    let wanted = everything(&db);
    db.close().unwrap();
    drop(db);
    assert_eq!(
        snapshots(env.files.as_ref()).len(),
        1,
        "the old one is gone"
    );
    forget_the_log(env.files.as_ref());
    let db = open(&env).open().unwrap();
    assert_eq!(everything(&db), wanted);
}

#[test]
fn a_start_without_the_option_reads_the_log() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..200);
    db.close().unwrap();
    drop(db);
    let without = |env: &Env| open(env).configure(|options| options.snapshot_on_close = false);
    let db = without(&env).open().unwrap();
    write(&db, 200..300);
    let wanted = everything(&db);
    db.close().unwrap();
    drop(db);
    assert_eq!(snapshots(env.files.as_ref()).len(), 1, "it is left alone");
    // The snapshot and the log behind it still say everything.
    forget_the_log(env.files.as_ref());
    let db = open(&env).open().unwrap();
    assert_eq!(everything(&db), wanted);
}

#[test]
fn what_blocks_have_is_not_taken_from_a_snapshot() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..700);
    db.close().unwrap();
    drop(db);
    let db = open(&env).open().unwrap();
    write(&db, 700..1000);
    let done = db.maintain().unwrap();
    assert_eq!(done.head_blocks, 1);
    let wanted = everything(&db).0;
    let first = db.stats().unwrap().min_time;
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(everything(&db).0, wanted);
    assert_eq!(db.stats().unwrap().min_time, first);
}

#[test]
fn a_checkpoint_behind_a_snapshot_makes_it_useless() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..100);
    db.close().unwrap();
    drop(db);
    let db = open(&env).open().unwrap();
    write(&db, 100..1500);
    db.maintain().unwrap();
    let wanted = everything(&db);
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(everything(&db).0, wanted.0);
    assert!(snapshots(env.files.as_ref()).is_empty());
}

/// A store with a snapshot on a disk of its own, and what is in it.
fn written(seed: u64) -> (FaultyFiles, Env, Dump) {
    let disk = FaultyFiles::new(seed);
    let env = Env {
        files: Arc::new(disk.clone()),
        rng: Arc::new(SeededRng::new(7)),
        ..Env::in_memory(7)
    };
    let db = open(&env).open().unwrap();
    write(&db, 0..130);
    let wanted = dump(&db);
    db.close().unwrap();
    (disk, env, wanted)
}

#[test]
fn a_damaged_snapshot_costs_nothing_but_time() {
    let (_, env, _) = written(0);
    let [snapshot] = &snapshots(env.files.as_ref())[..] else {
        panic!("one snapshot")
    };
    for name in ["00000000", "contents"] {
        let path = snapshot.join(name);
        let len = env.files.file_len(&path).unwrap().unwrap();
        for at in (0..len).step_by(len as usize / 40 + 1) {
            for cut in [false, true] {
                let (disk, env, wanted) = written(0);
                match cut {
                    true => env
                        .files
                        .open(&path, OpenMode::Write)
                        .and_then(|file| file.set_len(at))
                        .unwrap(),
                    false => disk.flip_bit(&path, at, (at % 8) as u8).unwrap(),
                }
                let db = open(&env).open().unwrap();
                assert_eq!(dump(&db), wanted, "{name} at {at}, cut: {cut}");
                assert!(db.damage().is_empty(), "{:?}", db.damage());
            }
        }
    }
}

/// Checksums may be right and chunks wrong: then, too, the log has everything,
/// whoever has found it.
#[test]
fn a_growing_chunk_that_makes_no_sense_is_read_from_the_log() {
    for (threads, aliases) in [(1, 0), (4, 0), (4, 3)] {
        let env = Env::in_memory(1);
        let open = || open(&env).configure(|options| options.replay_threads = threads);
        let db = open().configure(|options| options.snapshot_on_close = false);
        let db = db.open().unwrap();
        write(&db, 0..50);
        let wanted = everything(&db);
        db.close().unwrap();
        drop(db);
        let target = Path::new("data/chunk_snapshot.000000.0000000000");
        let framing = Framing::Pages(Compression::None);
        let files = Arc::clone(&env.files);
        let mut snapshot = WholeLogWriter::create(files, target, framing, 1 << 20).unwrap();
        let chunk = SnapshotChunk {
            min_time: 0,
            max_time: 49 * STEP,
            encoding: Encoding::Xor,
            data: &[0, 9, 1],
            last: LastValue::Float(1.0),
        };
        let name = labels(&[("__name__", "float"), ("n", "1")]);
        let mut records = vec![Vec::new()];
        put_series(&mut records[0], 2, &name, Some(&chunk));
        for alias in 0..aliases {
            let mut record = Vec::new();
            put_series(&mut record, 1000 + alias, &name, None);
            records.push(record);
        }
        let mut record = Vec::new();
        put_tombstones(&mut record, []);
        records.push(record);
        snapshot.append(&records).unwrap();
        snapshot.finish().unwrap();
        let db = open().open().unwrap();
        assert_eq!(db.stats().unwrap().snapshots_failed, 1);
        assert_eq!(everything(&db), wanted);
    }
}

#[test]
fn damaged_head_chunks_cost_nothing_either() {
    let path = Path::new("data/chunks_head/000001");
    let (_, env, _) = written(0);
    let len = env.files.file_len(path).unwrap().unwrap();
    for at in (0..len).step_by(len as usize / 30 + 1) {
        for cut in [false, true] {
            let (disk, env, wanted) = written(0);
            match cut {
                true => env
                    .files
                    .open(path, OpenMode::Write)
                    .and_then(|file| file.set_len(at))
                    .unwrap(),
                false => disk.flip_bit(path, at, (at % 8) as u8).unwrap(),
            }
            for attempt in 0..2 {
                let db = open(&env).open().unwrap();
                assert_eq!(dump(&db), wanted, "at {at}, cut: {cut}, start {attempt}");
            }
        }
    }
    let (_, env, wanted) = written(0);
    env.files.remove_file(path).unwrap();
    assert_eq!(dump(&open(&env).open().unwrap()), wanted, "removed");
}

const SERIES: i64 = 4;

fn on(disk: &FaultyFiles) -> Builder {
    let env = Env {
        files: Arc::new(disk.clone()),
        rng: Arc::new(SeededRng::new(7)),
        ..Env::in_memory(7)
    };
    builder("data", env).configure(|options| {
        options.durability = Durability::OnCommit;
        options.snapshot_on_close = true;
    })
}

fn write_batch(db: &Db, at: i64) -> Result<()> {
    let mut batch = db.appender(Default::default())?;
    for n in 0..SERIES {
        let name = labels(&[("n", &n.to_string()), ("age", &(at / 80).to_string())]);
        let series = batch.series(&name).expect("the series is taken");
        batch
            .append_float(series, at * STEP, at as f64)
            .expect("taken");
    }
    batch.commit()?.wait()
}

/// Three lives of a store; says how many batches were acknowledged.
fn live(disk: &FaultyFiles) -> i64 {
    let mut done = 0;
    for life in 1..4 {
        let Ok(db) = on(disk).open() else {
            return done;
        };
        while done < life * 50 {
            if write_batch(&db, done).is_err() {
                return done;
            }
            done += 1;
        }
        if db.close().is_err() {
            return done;
        }
    }
    done
}

#[test]
fn a_power_cut_while_a_snapshot_is_written_or_read_loses_nothing() {
    let clean = FaultyFiles::new(0);
    assert_eq!(live(&clean), 150);
    let operations = clean.operations();
    // All operations around the snapshots, and some of those in between.
    for cut in (0..operations).filter(|n| n % 3 == 0 || n % 170 > 150) {
        let disk = FaultyFiles::new(cut);
        disk.cut_power_after(cut);
        let acknowledged = live(&disk);
        disk.crash();
        let context = format!("cut {cut} of {operations}");
        let db = on(&disk)
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        rounds_are_whole(&db, 150, (SERIES, STEP), acknowledged, &context);
    }
}

/// Where chunks begin depends on the way of a sample, and a chunk gives its
/// histograms the empty buckets of later ones.
fn without_empty_buckets(samples: &mut [(i64, String)]) {
    for (_, text) in samples {
        *text = text.replace("0.0, ", "").replace(", 0.0]", "]");
    }
}

#[test]
fn a_snapshot_of_prometheus_is_read() {
    let Some(corpus) = corpora("prometheus/datadirs/prom-3.14-snapshot") else {
        return;
    };
    let open = |dir: &Path, snapshot: bool| {
        builder(dir, Env::real())
            .configure(|options| {
                options.snapshot_on_close = snapshot;
                options.out_of_order_window = Duration::from_secs(4 * 3600);
            })
            .open()
            .unwrap()
    };
    let dir = tempfile::tempdir().unwrap();
    let log_only = dir.path().join("log");
    copy_tree(&corpus, &log_only);
    let mut wanted = everything(&open(&log_only, false));

    let with_snapshot = dir.path().join("snapshot");
    copy_tree(&corpus, &with_snapshot);
    // What the snapshot stands for can only come from it.
    let wal = with_snapshot.join("wal");
    let mut removed = 0;
    for entry in std::fs::read_dir(&wal).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap().to_owned();
        if name.starts_with("checkpoint") {
            std::fs::remove_dir_all(&path).unwrap();
        } else if name.parse::<u64>().is_ok_and(|number| number < 6) {
            std::fs::remove_file(&path).unwrap();
            removed += 1;
        }
    }
    assert!(removed > 0, "the log begins before the snapshot");
    let db = open(&with_snapshot, true);
    assert_eq!(db.stats().unwrap().snapshots_failed, 0);
    let mut found = everything(&db);
    assert_eq!(
        found.0.keys().collect::<Vec<_>>(),
        wanted.0.keys().collect::<Vec<_>>()
    );
    for (series, samples) in &mut wanted.0 {
        without_empty_buckets(samples);
        without_empty_buckets(found.0.get_mut(series).unwrap());
        let found = &found.0[series];
        let differs = samples.iter().zip(found).find(|(a, b)| *a != *b);
        let lengths = (found.len(), samples.len());
        assert!(found == samples, "{series}: {lengths:?} {differs:?}");
    }
    assert_eq!(found.1, wanted.1, "exemplars");
}
