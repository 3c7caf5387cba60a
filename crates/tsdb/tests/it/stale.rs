//! Series that have ended leave the head early.

use std::sync::Arc;
use std::time::Duration;

use headwater_env::{Env, FaultyFiles, Files};
use headwater_model::{FloatHistogram, Histogram, Matcher, TimeRange, stale_nan};
use headwater_storage::{
    AppendError, Delete, ErrorKind, SampleValue, Select, SelectRequest, block_on,
};
use headwater_tsdb::{Builder, Db};

use crate::support::{batch, builder, commit, dump, dump_range, labels};

const STEP: i64 = 15_000;
const RANGE: i64 = 480 * STEP;

fn open(env: &Env) -> Builder {
    builder("data", env.clone()).configure(|options| {
        options.stale_series_threshold = 0.3;
        options.block_range = RANGE;
        options.max_block_range = 3 * RANGE;
        options.retention = Duration::ZERO;
    })
}

fn name(n: usize) -> headwater_model::Labels {
    labels(&[("__name__", "m"), ("n", &n.to_string())])
}

/// A sample of each series at one time.
fn write(db: &Db, series: impl IntoIterator<Item = usize>, at: i64, value: f64) {
    let mut batch = batch(db);
    for n in series {
        let series = batch.series(&name(n)).unwrap();
        batch.append_float(series, at * STEP, value).unwrap();
    }
    commit(batch);
}

/// Ten series, the first four of which end after `steps`.
fn fill(db: &Db, steps: i64) {
    (0..steps).for_each(|at| write(db, 0..10, at, at as f64));
    write(db, 0..4, steps, stale_nan());
    (steps..steps + 10).for_each(|at| write(db, 4..10, at, at as f64));
}

fn series(db: &Db) -> u64 {
    db.stats().unwrap().series
}

#[test]
fn ended_series_go_to_a_block_of_their_own() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    // Over a border of blocks, of which each gets one.
    (470..490).for_each(|at| write(&db, 0..10, at, at as f64));
    assert_eq!(db.maintain().unwrap().early_blocks, 0, "none has ended");
    write(&db, 0..2, 490, stale_nan());
    assert_eq!(db.stats().unwrap().stale_series, 2);
    assert_eq!(db.maintain().unwrap().early_blocks, 0, "they are few");
    write(&db, 2..4, 490, stale_nan());
    let before = dump(&db);
    let done = db.maintain().unwrap();
    assert_eq!((done.early_blocks, done.head_blocks), (2, 0), "{done:?}");
    let stats = db.stats().unwrap();
    assert_eq!((stats.series, stats.stale_series), (6, 0));
    assert_eq!(
        (stats.stale_compactions, stats.stale_compactions_failed),
        (1, 0)
    );
    assert_eq!(stats.stale_compactions_within[13], 1);
    assert_eq!(db.maintain().unwrap().early_blocks, 0, "they are done");
    for meta in db.blocks() {
        assert_eq!(meta.compaction.hints, ["from-stale-series"]);
        assert_eq!(meta.stats.num_series, 4);
    }
    assert_eq!(dump(&db), before);
    for border in [480 * STEP - 1, 480 * STEP, 490 * STEP] {
        let range = TimeRange::new(border - 5 * STEP, border);
        let samples = dump_range(&db, range);
        let wanted = before.iter().map(|(name, samples)| {
            let there = samples.iter().filter(|(time, _)| range.contains(*time));
            (name.clone(), there.cloned().collect::<Vec<_>>())
        });
        let wanted = wanted.filter(|(_, samples)| !samples.is_empty());
        assert_eq!(samples, wanted.collect());
    }
    drop(db);
    let db = open(&env).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(dump(&db), before, "after a start");
    assert_eq!(series(&db), 6, "the log says that they are gone");
    // Other blocks come, and all of them are merged, those of some series apart.
    (491..480 * 6).for_each(|at| write(&db, 4..10, at, at as f64));
    let before = dump(&db);
    db.maintain().unwrap();
    assert_eq!(dump(&db), before, "after blocks of the others");
    drop(db);
    let db = open(&env).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(dump(&db), before);
}

#[test]
fn who_comes_back_is_one_series_with_what_was() {
    for (segment_bytes, snapshot) in [(128 << 20, false), (1, false), (128 << 20, true), (1, true)]
    {
        let env = Env::in_memory(1);
        let open = || {
            open(&env).configure(|options| {
                options.segment_bytes = segment_bytes;
                options.snapshot_on_close = snapshot;
            })
        };
        let db = open().open().unwrap();
        fill(&db, 100);
        assert_eq!(db.maintain().unwrap().early_blocks, 1);
        assert_eq!(series(&db), 6);
        // One goes on, one comes late, between what the block has, and one with what it has.
        write(&db, [0], 111, 111.0);
        let mut late = batch(&db);
        let back = late.series(&name(1)).unwrap();
        late.append_float(back, 90 * STEP + 1, 0.5).unwrap();
        let again = late.series(&name(2)).unwrap();
        late.append_float(again, 95 * STEP, 95.0).unwrap();
        commit(late);
        let before = dump(&db);
        assert_eq!(before[&name(0).to_string()].len(), 102);
        assert_eq!(before[&name(1).to_string()].len(), 102);
        assert_eq!(before[&name(2).to_string()].len(), 101);
        db.close().unwrap();
        drop(db);
        for life in 0..3 {
            drop_and_check(&open, &before, 9, &format!("life {life}"));
        }
        // They end and leave once more, under other numbers of the log.
        let db = open().open().unwrap();
        write(&db, 0..4, 112, stale_nan());
        assert_eq!(db.maintain().unwrap().early_blocks, 1);
        write(&db, [3], 113, 113.0);
        let before = dump(&db);
        assert_eq!(before[&name(0).to_string()].len(), 103);
        db.close().unwrap();
        drop(db);
        drop_and_check(&open, &before, 7, "twice");
        let db = open().open().unwrap();
        (120..480 * 5).for_each(|at| write(&db, 3..10, at, at as f64));
        let before = dump(&db);
        db.maintain().unwrap();
        assert_eq!(dump(&db), before, "after blocks");
        drop(db);
        drop_and_check(&open, &before, 7, "after a checkpoint");
    }
}

fn drop_and_check(
    open: &dyn Fn() -> Builder,
    before: &crate::support::Dump,
    count: u64,
    context: &str,
) {
    let db = open().open().unwrap();
    assert!(db.damage().is_empty(), "{context}: {:?}", db.damage());
    assert_eq!(&dump(&db), before, "{context}");
    assert_eq!(series(&db), count, "{context}");
    db.close().unwrap();
}

#[test]
fn histograms_end_too_and_deletions_hold() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    let end = |sum: f64| {
        let integer = Histogram {
            sum,
            ..Histogram::default()
        };
        let float = FloatHistogram {
            sum,
            ..FloatHistogram::default()
        };
        (integer, float)
    };
    for at in 0..20 {
        let mut batch = batch(&db);
        let (integer, float) = end(if at == 19 { stale_nan() } else { 1.0 });
        let one = batch.series(&name(1)).unwrap();
        let sample = SampleValue::Histogram(&integer);
        batch.append(one, at * STEP, 0, sample).unwrap();
        let other = batch.series(&name(2)).unwrap();
        let sample = SampleValue::FloatHistogram(&float);
        batch.append(other, at * STEP, 0, sample).unwrap();
        commit(batch);
    }
    let two = vec![Matcher::equal("n", "2")];
    block_on(db.delete(two, TimeRange::new(0, 4 * STEP))).unwrap();
    assert_eq!(db.stats().unwrap().stale_series, 2);
    let before = dump(&db);
    assert_eq!(before[&name(2).to_string()].len(), 15);
    assert_eq!(db.maintain().unwrap().early_blocks, 1);
    assert_eq!(series(&db), 0);
    assert_eq!(dump(&db), before);
    drop(db);
    assert_eq!(dump(&open(&env).open().unwrap()), before);
}

/// A reader who began before knows the head only.
#[test]
fn readers_keep_what_they_have_found() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    fill(&db, 50);
    let before = dump(&db);
    let mut cursor = block_on(db.select(SelectRequest::new(Vec::new(), TimeRange::ALL))).unwrap();
    assert_eq!(db.maintain().unwrap().early_blocks, 1);
    assert_eq!(series(&db), 10, "somebody reads them");
    assert_eq!(dump(&db), before, "they are in both places");
    assert_eq!(
        db.maintain().unwrap().early_blocks,
        0,
        "and not written twice"
    );
    // One comes back before it has left.
    write(&db, [0], 60, 60.0);
    let (mut count, mut columns) = (0, Default::default());
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut columns).unwrap();
        count += columns.floats.times.len();
    }
    assert_eq!(count, before.values().map(Vec::len).sum::<usize>());
    drop(cursor);
    let before = dump(&db);
    db.maintain().unwrap();
    assert_eq!(series(&db), 7);
    assert_eq!(dump(&db), before);
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(dump(&db), before);
}

/// A batch that was begun before does not lose samples because their series is gone.
#[test]
fn batches_hear_of_series_that_have_left() {
    let env = Env::in_memory(1);
    let open = || open(&env).configure(|o| o.out_of_order_window = Duration::from_secs(36_000));
    let db = open().open().unwrap();
    fill(&db, 50);
    let mut known = batch(&db);
    let (claimed, gone) = (
        known.series(&name(0)).unwrap(),
        known.series(&name(1)).unwrap(),
    );
    known.append_float(claimed, 70 * STEP, 70.0).unwrap();
    let mut late = batch(&db);
    let other = late.series(&name(2)).unwrap();
    late.append_float(other, 3 * STEP + 1, 0.5).unwrap();
    db.set_stale_series_threshold(0.35);
    assert_eq!(db.maintain().unwrap().early_blocks, 0, "three are too few");
    db.set_stale_series_threshold(0.2);
    assert_eq!(db.maintain().unwrap().early_blocks, 1);
    let refused = known.append_float(gone, 70 * STEP, 70.0);
    assert!(matches!(refused, Err(AppendError::UnknownSeries)));
    commit(known);
    let refused = late.commit().unwrap_err();
    assert_eq!(refused.kind(), ErrorKind::Unavailable, "{refused}");
    let mut again = batch(&db);
    let other = again.series(&name(2)).unwrap();
    again.append_float(other, 49 * STEP + 1, 0.5).unwrap();
    commit(again);
    let before = dump(&db);
    assert_eq!(before[&name(0).to_string()].len(), 52);
    assert_eq!(before[&name(2).to_string()].len(), 52);
    drop(db);
    assert_eq!(dump(&open().open().unwrap()), before);
}

/// Whenever power is lost, each sample is there, and once.
#[test]
fn early_blocks_survive_power_cuts() {
    let env = |disk: &FaultyFiles, life: u64| {
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        Env {
            files,
            ..Env::in_memory(life)
        }
    };
    let prepare = |disk: &FaultyFiles| {
        let db = open(&env(disk, 1)).open().unwrap();
        (470..482).for_each(|at| write(&db, 0..10, at, at as f64));
        write(&db, 0..4, 482, stale_nan());
        db.sync().unwrap();
        let before = dump(&db);
        (db, before)
    };
    let clean = FaultyFiles::new(0);
    let (db, _) = prepare(&clean);
    let start = clean.operations();
    assert_eq!(db.maintain().unwrap().early_blocks, 2);
    let operations = clean.operations() - start;
    for cut in 0..=operations {
        let disk = FaultyFiles::new(cut);
        let (db, before) = prepare(&disk);
        disk.cut_power_after(cut);
        let done = db.maintain();
        disk.crash();
        drop(db);
        let context = format!("cut {cut} of {operations}, {done:?}");
        let db = open(&env(&disk, 2))
            .open()
            .unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(dump(&db), before, "{context}");
        db.maintain().unwrap_or_else(|e| panic!("{context}: {e}"));
        assert_eq!(series(&db), 6, "{context}");
        write(&db, 0..2, 485, 1.0);
        let before = dump(&db);
        assert_eq!(before[&name(0).to_string()].len(), 14, "{context}");
        drop(db);
        let db = open(&env(&disk, 3)).open().unwrap();
        assert_eq!(dump(&db), before, "{context}, second start");
        assert_eq!(series(&db), 8, "{context}");
    }
}
