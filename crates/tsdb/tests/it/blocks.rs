//! What becomes of the head: blocks, larger blocks, nothing.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_env::{Env, FaultyFiles, Files, FilesExt, MemoryFiles};
use headwater_model::{Histogram, MatchOp, Matcher, SeriesColumns, Span, TimeRange};
use headwater_storage::{
    Append, Delete, LabelQueries, LabelRequest, SampleValue, Select, SelectChunks, SelectRequest,
    block_on,
};
use headwater_tsdb::Db;

use crate::support::{batch, builder, commit, dump, dump_range, labels};

const MINUTE: i64 = 60_000;
const HOUR: i64 = 60 * MINUTE;

/// Writes minutes `from..to`: ten steady series, a histogram, and series that
/// live for an hour.
fn fill(db: &Db, from: i64, to: i64) {
    for minute in from..to {
        let mut batch = batch(db);
        let time = minute * MINUTE;
        for n in 0..10 {
            let series = labels(&[("__name__", "steady"), ("n", &n.to_string())]);
            let series = batch.series(&series).unwrap();
            batch
                .append_float(series, time, (minute * n) as f64)
                .unwrap();
        }
        let hour = (minute / 60).to_string();
        let series = batch
            .series(&labels(&[("__name__", "short"), ("hour", &hour)]))
            .unwrap();
        batch.append_float(series, time, 1.0).unwrap();
        let series = batch.series(&labels(&[("__name__", "h")])).unwrap();
        let histogram = Histogram {
            count: minute as u64,
            sum: minute as f64,
            positive_spans: vec![Span {
                offset: 0,
                length: 1,
            }],
            positive_deltas: vec![minute],
            ..Histogram::default()
        };
        batch
            .append(series, time, 0, SampleValue::Histogram(&histogram))
            .unwrap();
        commit(batch);
    }
}

fn in_memory() -> Env {
    Env::in_memory(1)
}

#[test]
fn full_ranges_become_blocks_and_nothing_changes_for_readers() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 7 * 60);
    let before = dump(&db);
    let done = db.maintain().unwrap();
    assert_eq!(done.head_blocks, 2);
    let stats = db.stats().unwrap();
    assert_eq!(stats.blocks, 2);
    assert_eq!(stats.min_time, Some(4 * HOUR));
    // Eleven steady ones and the short ones of the last three hours.
    assert_eq!(stats.series, 11 + 3);
    assert_eq!(dump(&db), before);
    let around = TimeRange::new(3 * HOUR, 5 * HOUR);
    for (series, samples) in dump_range(&db, around) {
        let wanted: Vec<_> = before[&series]
            .iter()
            .filter(|(time, _)| around.contains(*time))
            .cloned()
            .collect();
        assert_eq!(samples, wanted, "{series}");
    }
    fill(&db, 7 * 60, 7 * 60 + 10);
    let more = dump(&db);
    drop(db);
    let db = builder("data", env).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(dump(&db), more);
}

/// A cursor that is open while its data moves from the head to blocks.
#[test]
fn open_cursors_keep_what_they_have_found() {
    let db = builder("data", in_memory())
        .configure(|options| options.out_of_order_window = Duration::from_secs(86_400))
        .open()
        .unwrap();
    fill(&db, 0, 7 * 60);
    let mut late = batch(&db);
    let series = late.series(&labels(&[("__name__", "h")])).unwrap();
    late.append_float(series, 30_000, 1.0).unwrap();
    commit(late);
    let wanted: usize = dump(&db).values().map(Vec::len).sum();
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    assert_eq!(db.maintain().unwrap().head_blocks, 1);
    assert_eq!(dump(&db).values().map(Vec::len).sum::<usize>(), wanted);
    let mut columns = SeriesColumns::default();
    let mut found = 0;
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut columns).unwrap();
        found += columns.len();
    }
    assert_eq!(found, wanted);
    assert_eq!(db.stats().unwrap().min_time, Some(0));
    drop(cursor);
    assert_eq!(db.maintain().unwrap().head_blocks, 1);
    assert_eq!(db.stats().unwrap().min_time, Some(4 * HOUR));
    assert_eq!(dump(&db).values().map(Vec::len).sum::<usize>(), wanted);
}

#[test]
fn small_blocks_become_larger_ones() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 12 * 60);
    let before = dump(&db);
    let done = db.maintain().unwrap();
    assert_eq!((done.head_blocks, done.merges), (5, 1));
    assert_eq!(db.stats().unwrap().blocks, 3);
    assert_eq!(dump(&db), before);
    drop(db);
    let db = builder("data", env).open().unwrap();
    assert_eq!(dump(&db), before);
}

#[test]
fn labels_are_found_in_blocks_too() {
    let db = builder("data", in_memory()).open().unwrap();
    fill(&db, 0, 7 * 60);
    let all = LabelRequest::all(TimeRange::ALL);
    let ask = |request: &LabelRequest| {
        let names = block_on(db.label_names(request.clone())).unwrap().values;
        let values = block_on(db.label_values("hour", request.clone()))
            .unwrap()
            .values;
        let series = block_on(db.series(request.clone())).unwrap().values;
        (names, values, series)
    };
    let some = LabelRequest {
        matcher_sets: vec![vec![Matcher::equal("__name__", "short")]],
        ..all.clone()
    };
    let before = (ask(&all), ask(&some));
    db.maintain().unwrap();
    assert_eq!((ask(&all), ask(&some)), before);
    assert_eq!(before.0.1, ["0", "1", "2", "3", "4", "5", "6"]);
    assert_eq!(before.1.0, ["__name__", "hour"]);
    let early = LabelRequest::all(TimeRange::new(0, HOUR - 1));
    assert_eq!(ask(&early).2.len(), 12, "{:?}", ask(&early).2);
}

#[test]
fn deleted_samples_stay_deleted_through_every_stage() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 60);
    let range = TimeRange::new(10 * MINUTE, 19 * MINUTE);
    let one = vec![Matcher::equal("n", "3")];
    block_on(db.delete(one.clone(), range)).unwrap();
    let gone = |db: &Db| {
        let samples = &dump(db)["{__name__=\"steady\", n=\"3\"}"];
        let first_hour = samples.iter().filter(|(time, _)| *time < HOUR).count();
        assert_eq!(first_hour, 50);
        assert!(samples.iter().all(|(time, _)| !range.contains(*time)));
    };
    gone(&db);
    fill(&db, 60, 7 * 60);
    db.maintain().unwrap();
    gone(&db);

    // Deleted in a block: gone at once, and after reopening.
    let later = TimeRange::new(70 * MINUTE, 79 * MINUTE);
    block_on(db.delete(one, later)).unwrap();
    let without = dump(&db);
    assert!(
        without["{__name__=\"steady\", n=\"3\"}"]
            .iter()
            .all(|(t, _)| !later.contains(*t))
    );
    drop(db);
    let db = builder("data", env).open().unwrap();
    gone(&db);
    assert_eq!(dump(&db), without);

    // And it is in no chunk.
    let request = SelectRequest::new(vec![Matcher::equal("n", "3")], TimeRange::ALL);
    let mut cursor = block_on(db.select_chunks(request)).unwrap();
    let mut chunks = Vec::new();
    assert!(cursor.advance().unwrap().is_some());
    cursor.read(&mut chunks).unwrap();
    let samples: usize = chunks
        .iter()
        .map(|c| headwater_blockfmt::chunk::sample_count(c.encoding, &c.data).unwrap())
        .sum();
    assert_eq!(samples, 7 * 60 - 20);
}

#[test]
fn old_blocks_are_removed() {
    let db = builder("data", in_memory())
        .configure(|options| options.retention = Duration::from_secs(5 * 3600))
        .open()
        .unwrap();
    fill(&db, 0, 14 * 60);
    let done = db.maintain().unwrap();
    assert_eq!(done.head_blocks, 6);
    // The first three blocks were merged, and their block ends six hours
    // before the newest does.
    assert_eq!((done.merges, done.removed), (1, 1));
    let first = dump(&db).values().map(|s| s[0].0).min().unwrap();
    assert_eq!(first, 6 * HOUR);
}

#[test]
fn data_keeps_to_its_share_of_the_disk() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 14 * 60);
    db.maintain().unwrap();
    let blocks = db.blocks().len();
    let used = env.files.dir_size(Path::new("data")).unwrap();
    let space = env.files.total_space(Path::new("data")).unwrap();
    let share = |bytes: u64| bytes as f64 * 100.0 / space as f64;
    db.set_retention(|retention| retention.percentage = share(2 * used));
    assert_eq!(db.maintain().unwrap().removed, 0);
    // One byte less than there is: the oldest block goes.
    let now = env.files.dir_size(Path::new("data")).unwrap();
    db.set_retention(|retention| retention.percentage = share(now - 1));
    assert_eq!(db.maintain().unwrap().removed, 1);
    assert_eq!(db.blocks().len(), blocks - 1);
    // The head stays, however little is allowed.
    db.set_retention(|retention| retention.percentage = share(1));
    assert_eq!(db.maintain().unwrap().removed, blocks - 1);
    assert!(!dump(&db).is_empty());
}

#[test]
fn the_log_is_shortened_and_still_tells_everything() {
    let env = in_memory();
    let small = || {
        builder("data", env.clone()).configure(|options| {
            options.segment_bytes = 1;
            options.log_compression = headwater_wal::Compression::None;
        })
    };
    // Enough to fill several of the smallest segments.
    let fill = |db: &Db, from: i64, to: i64| {
        for minute in from..to {
            fill(db, minute, minute + 1);
            let mut batch = batch(db);
            for n in 0..50 {
                let series = labels(&[("__name__", "many"), ("n", &n.to_string())]);
                let series = batch.series(&series).unwrap();
                batch
                    .append_float(series, minute * MINUTE, 0.1 * n as f64)
                    .unwrap();
            }
            commit(batch);
        }
    };
    let db = small().open().unwrap();
    fill(&db, 0, 7 * 60);
    let segments = |db: &Db| {
        let stats = db.stats().unwrap();
        stats.log_segment - stats.log_first_segment
    };
    let long = segments(&db);
    db.maintain().unwrap();
    assert!(
        long >= 6 && segments(&db) <= long / 2,
        "{} of {long}",
        segments(&db)
    );
    let before = dump(&db);
    drop(db);
    let db = small().open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(dump(&db), before);
    // Once more, with a checkpoint that is there already and series under
    // numbers of an earlier life.
    fill(&db, 7 * 60, 12 * 60);
    db.maintain().unwrap();
    let before = dump(&db);
    drop(db);
    let db = small().open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    assert_eq!(dump(&db), before);
}

#[test]
fn a_series_that_comes_back_is_one_series() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    let write = |db: &Db, minute: i64, name: &str| {
        let mut batch = batch(db);
        let series = batch.series(&labels(&[("__name__", name)])).unwrap();
        batch
            .append_float(series, minute * MINUTE, minute as f64)
            .unwrap();
        commit(batch);
    };
    write(&db, 0, "back");
    (0..7 * 60).for_each(|minute| write(&db, minute, "clock"));
    db.maintain().unwrap();
    assert_eq!(db.stats().unwrap().series, 1);
    write(&db, 7 * 60, "back");
    let before = dump(&db);
    assert_eq!(before["{__name__=\"back\"}"].len(), 2);
    drop(db);
    let db = builder("data", env).open().unwrap();
    assert_eq!(dump(&db), before);
}

#[test]
fn a_damaged_block_does_not_hide_the_others() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 7 * 60);
    db.maintain().unwrap();
    let whole: usize = dump(&db).values().map(Vec::len).sum();
    drop(db);
    let blocks: Vec<String> = env
        .files
        .list(Path::new("data"))
        .unwrap()
        .into_iter()
        .filter(|e| e.is_dir && e.name.len() == 26)
        .map(|e| e.name)
        .collect();
    let index = Path::new("data").join(&blocks[0]).join("index");
    let file = env
        .files
        .open(&index, headwater_env::OpenMode::Write)
        .unwrap();
    file.set_len(100).unwrap();
    let db = builder("data", env).open().unwrap();
    assert_eq!(db.damage().len(), 1, "{:?}", db.damage());
    assert!(db.damage()[0].contains(&blocks[0]));
    let left: usize = dump(&db).values().map(Vec::len).sum();
    // What its index still has of the block is served.
    assert!(
        (whole - 12 * 120..whole).contains(&left),
        "{left} of {whole}"
    );
    let states = db.damaged_blocks();
    assert_eq!(states.len(), 1, "{states:?}");
    assert!(states[0].lost_series > 0 && states[0].served, "{states:?}");
    db.maintain().unwrap();
    assert_eq!(dump(&db).values().map(Vec::len).sum::<usize>(), left);
}

/// A block of which nothing is left stays where it is, and is told of.
#[test]
fn a_block_without_an_index_is_told_of() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 7 * 60);
    db.maintain().unwrap();
    let name = db.blocks()[0].ulid.clone();
    drop(db);
    let index = Path::new("data").join(&name).join("index");
    env.files.remove_file(&index).unwrap();
    let db = builder("data", env.clone()).open().unwrap();
    let states = db.damaged_blocks();
    assert_eq!(states.len(), 1, "{states:?}");
    assert!(!states[0].served && states[0].ulid == name, "{states:?}");
    assert!(!dump(&db).is_empty(), "the others are served");
    db.maintain().unwrap();
    assert!(
        env.files.is_dir(index.parent().unwrap()),
        "the block is gone"
    );
}

/// Whatever the moment of the crash, maintenance loses nothing.
#[test]
fn maintenance_survives_power_cuts() {
    let lives = std::cell::Cell::new(0);
    let on = |disk: &FaultyFiles| {
        // No two lives of a process draw the same numbers.
        lives.set(lives.get() + 1);
        let files: Arc<dyn Files> = Arc::new(disk.clone());
        let env = Env {
            files,
            ..Env::in_memory(lives.get())
        };
        builder("data", env).configure(|options| {
            options.block_range = 10 * MINUTE;
            options.max_block_range = 30 * MINUTE;
            options.segment_bytes = 1;
            options.retention = Duration::ZERO;
        })
    };
    let prepare = |disk: &FaultyFiles| {
        let db = on(disk).open().unwrap();
        fill(&db, 0, 70);
        db.sync().unwrap();
        let before = dump(&db);
        (db, before)
    };
    let clean = FaultyFiles::new(0);
    let (db, _) = prepare(&clean);
    let start = clean.operations();
    let done = db.maintain().unwrap();
    assert!(done.head_blocks >= 4 && done.merges >= 1, "{done:?}");
    let operations = clean.operations() - start;
    for cut in 0..operations {
        let disk = FaultyFiles::new(cut);
        let (db, before) = prepare(&disk);
        disk.cut_power_after(cut);
        let failed = db.maintain();
        disk.crash();
        drop(db);
        let db = on(&disk)
            .open()
            .unwrap_or_else(|e| panic!("cut {cut}: {e}"));
        assert_eq!(dump(&db), before, "cut {cut} of {operations}, {failed:?}");
        db.maintain().unwrap_or_else(|e| panic!("cut {cut}: {e}"));
        assert_eq!(dump(&db), before, "cut {cut} of {operations}, second try");
    }
}

#[test]
fn files_in_memory_need_no_directory() {
    let files: Arc<dyn Files> = Arc::new(MemoryFiles::new());
    let env = Env {
        files,
        ..in_memory()
    };
    let db = builder("data", env).open().unwrap();
    fill(&db, 0, 300);
    db.flush_before(i64::MAX).unwrap();
    assert_eq!(db.stats().unwrap().series, 0);
    assert_eq!(db.stats().unwrap().blocks, 3);
    assert!(db.appender(Default::default()).is_ok());
}

/// Finished chunks go to files; a start takes them from there.
#[test]
fn chunks_in_files_are_as_good_as_the_log() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 170);
    db.maintain().unwrap();
    fill(&db, 170, 300);
    let before = dump(&db);
    drop(db);
    let dir = Path::new("data/chunks_head");
    assert_eq!(env.files.list(dir).unwrap().len(), 1);
    let db = builder("data", env.clone()).open().unwrap();
    assert_eq!(dump(&db), before);
    db.maintain().unwrap();
    assert_eq!(dump(&db), before);
    fill(&db, 300, 310);
    let before = dump(&db);
    drop(db);

    // Without the log they still have what was finished; without them the
    // log has all.
    let file = dir.join(&env.files.list(dir).unwrap()[0].name);
    let handle = env
        .files
        .open(&file, headwater_env::OpenMode::Write)
        .unwrap();
    handle.set_len(handle.len().unwrap() / 2).unwrap();
    let db = builder("data", env.clone()).open().unwrap();
    assert_eq!(dump(&db), before);
    drop(db);
    env.files.remove_dir_all(dir).unwrap();
    let db = builder("data", env).open().unwrap();
    assert_eq!(dump(&db), before);
}

#[test]
fn a_snapshot_is_a_store_of_its_own() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 7 * 60);
    db.maintain().unwrap();
    let before = dump(&db);
    let copy = Path::new("data/snapshots/one");
    db.snapshot(copy, true).unwrap();
    assert!(db.snapshot(copy, true).is_err(), "it exists already");
    let blocks_only = Path::new("data/snapshots/two");
    db.snapshot(blocks_only, false).unwrap();
    fill(&db, 7 * 60, 7 * 60 + 5);
    // What happens to the store afterwards does not reach the copies.
    block_on(db.delete(Vec::new(), TimeRange::new(0, 3 * HOUR))).unwrap();
    db.clean_tombstones().unwrap();
    let open = |dir: &Path| builder(dir, env.clone()).open().unwrap();
    assert_eq!(dump(&open(copy)), before);
    let last = dump(&open(blocks_only))
        .values()
        .map(|s| s[s.len() - 1].0)
        .max();
    assert_eq!(last, Some(4 * HOUR - MINUTE));
}

#[test]
fn cleaning_takes_deleted_samples_off_the_disk() {
    let env = in_memory();
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db, 0, 7 * 60);
    db.maintain().unwrap();
    assert_eq!(db.clean_tombstones().unwrap(), 0);
    let all = vec![Matcher::equal("__name__", "steady")];
    block_on(db.delete(all, TimeRange::new(0, 2 * HOUR - 1))).unwrap();
    let (before, bytes) = (dump(&db), db.stats().unwrap().block_bytes);
    assert_eq!(db.clean_tombstones().unwrap(), 1);
    assert_eq!(dump(&db), before);
    let less = db.stats().unwrap().block_bytes;
    assert!(less < bytes, "{less} of {bytes}");
    drop(db);
    assert_eq!(dump(&builder("data", env).open().unwrap()), before);
}

/// Blocks stop looking when they have enough; the answer is the beginning of the whole one.
#[test]
fn questions_about_labels_keep_to_their_limit() {
    let env = in_memory();
    let db = builder("data", env).open().unwrap();
    fill(&db, 0, 7 * 60);
    db.maintain().unwrap();
    assert!(db.blocks().len() > 1);
    let sets = [
        Vec::new(),
        vec![vec![
            Matcher::new(MatchOp::Regex, "__name__", ".+").unwrap(),
        ]],
    ];
    for matcher_sets in sets {
        let ask = |limit| LabelRequest {
            matcher_sets: matcher_sets.clone(),
            range: TimeRange::ALL,
            limit,
        };
        let all = block_on(db.label_values("__name__", ask(0))).unwrap();
        let names = block_on(db.label_names(ask(0))).unwrap();
        let series = block_on(db.series(ask(0))).unwrap();
        assert!(!all.truncated && !series.truncated && series.values.len() > 3);
        for limit in 1..=series.values.len() {
            let some = block_on(db.label_values("__name__", ask(limit))).unwrap();
            assert_eq!(some.values, all.values[..limit.min(all.values.len())]);
            assert_eq!(some.truncated, limit < all.values.len());
            let some = block_on(db.label_names(ask(limit))).unwrap();
            assert_eq!(some.values, names.values[..limit.min(names.values.len())]);
            let some = block_on(db.series(ask(limit))).unwrap();
            assert_eq!(some.values, series.values[..limit]);
            assert_eq!(some.truncated, limit < series.values.len());
        }
    }
}
