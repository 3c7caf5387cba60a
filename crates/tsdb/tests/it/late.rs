//! Samples that come late.

use std::time::Duration;

use headwater_env::Env;
use headwater_model::{Histogram, Matcher, TimeRange};
use headwater_storage::{
    Append, AppendError, AppendOptions, Delete, SampleValue, SelectChunks, SelectRequest, block_on,
};
use headwater_tsdb::{Builder, Db};

use crate::support::{batch, builder, commit, dump, labels};

const MINUTE: i64 = 60_000;

fn open(env: &Env) -> Builder {
    builder("data", env.clone())
        .configure(|options| options.out_of_order_window = Duration::from_secs(24 * 3600))
}

fn write(db: &Db, minutes: impl IntoIterator<Item = i64>) {
    for minute in minutes {
        let mut batch = batch(db);
        let series = batch.series(&labels(&[("__name__", "m")])).unwrap();
        batch
            .append_float(series, minute * MINUTE, minute as f64)
            .unwrap();
        commit(batch);
    }
}

fn minutes(db: &Db) -> Vec<i64> {
    let dump = dump(db);
    let samples = &dump["{__name__=\"m\"}"];
    for (time, value) in samples {
        let wanted = (time / MINUTE) as f64;
        assert_eq!(*value, format!("{:016x}", wanted.to_bits()));
    }
    samples.iter().map(|(time, _)| time / MINUTE).collect()
}

/// Even minutes in order, then odd ones in wild order.
fn fill(db: &Db, upto: i64) {
    write(db, (0..upto / 2).map(|n| n * 2));
    write(
        db,
        (0..upto / 2)
            .map(|n| (n * 77 % (upto / 2)) * 2 + 1)
            .filter(|m| *m < upto - 1),
    );
}

#[test]
fn late_samples_stand_where_they_belong() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    fill(&db, 600);
    let all: Vec<i64> = (0..599).collect();
    assert_eq!(minutes(&db), all);
    assert_eq!(db.stats().unwrap().late_appended, 299);
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(minutes(&db), all, "after reopening");
    let done = db.maintain().unwrap();
    // The head takes them along: no block overlaps another.
    assert_eq!((done.late_blocks, done.merges), (0, 1), "{done:?}");
    assert_eq!(minutes(&db), all, "after maintenance");
    write(&db, [599]);
    drop(db);
    let db = open(&env).open().unwrap();
    assert_eq!(
        minutes(&db),
        (0..600).collect::<Vec<_>>(),
        "in blocks, after reopening"
    );
}

#[test]
fn samples_older_than_the_head_get_blocks_of_their_own() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..600);
    db.maintain().unwrap();
    let mut late = batch(&db);
    let series = late.series(&labels(&[("__name__", "other")])).unwrap();
    for minute in [500, 10, 130, 11] {
        late.append_float(series, minute * MINUTE, 1.0).unwrap();
    }
    commit(late);
    let before = dump(&db);
    write(&db, 600..720);
    let done = db.maintain().unwrap();
    assert_eq!((done.head_blocks, done.late_blocks), (1, 2), "{done:?}");
    assert!(done.merges >= 1, "{done:?}");
    drop(db);
    let db = open(&env).open().unwrap();
    let after = dump(&db);
    assert_eq!(
        after["{__name__=\"other\"}"],
        before["{__name__=\"other\"}"]
    );
    assert_eq!(after["{__name__=\"m\"}"].len(), 720);
}

#[test]
fn chunks_and_deletes_know_late_samples() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    fill(&db, 100);
    let all = || vec![Matcher::equal("__name__", "m")];
    block_on(db.delete(all(), TimeRange::new(10 * MINUTE, 19 * MINUTE))).unwrap();
    let left: Vec<i64> = (0..99).filter(|m| !(10..20).contains(m)).collect();
    assert_eq!(minutes(&db), left);
    let request = SelectRequest::new(all(), TimeRange::ALL);
    let mut cursor = block_on(db.select_chunks(request)).unwrap();
    let mut chunks = Vec::new();
    cursor.advance().unwrap().unwrap();
    cursor.read(&mut chunks).unwrap();
    let samples: usize = chunks
        .iter()
        .map(|c| headwater_blockfmt::chunk::sample_count(c.encoding, &c.data).unwrap())
        .sum();
    assert_eq!(samples, left.len());
}

#[test]
fn the_window_has_an_end_and_duplicates_are_told() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    let day = 24 * 60;
    write(&db, [2 * day]);
    let mut late = batch(&db);
    let series = late.series(&labels(&[("__name__", "m")])).unwrap();
    late.append_float(series, day * MINUTE, day as f64).unwrap();
    let refused = late.append_float(series, day * MINUTE - 1, 0.0);
    assert!(matches!(refused, Err(AppendError::TooOld { .. })));
    commit(late);
    let mut again = batch(&db);
    again
        .append_float(series, day * MINUTE, day as f64)
        .expect("the same once more");
    let other = again.append_float(series, day * MINUTE, 0.5);
    assert!(matches!(other, Err(AppendError::DuplicateTimestamp)));
    let newest = again.append_float(series, 2 * day * MINUTE, 0.5);
    assert!(matches!(newest, Err(AppendError::DuplicateTimestamp)));
    drop(again);
    assert_eq!(minutes(&db), [day, 2 * day]);
}

#[test]
fn rules_may_ask_for_order() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, [10]);
    let mut options = AppendOptions::default();
    options.discard_out_of_order = true;
    let mut strict = db.appender(options).unwrap();
    let series = strict.series(&labels(&[("__name__", "m")])).unwrap();
    let refused = strict.append_float(series, 9 * MINUTE, 9.0);
    assert!(matches!(refused, Err(AppendError::OutOfOrder { .. })));
}

#[test]
fn late_histograms_come_back() {
    let env = Env::in_memory(1);
    let histogram = Histogram {
        count: 3,
        sum: 4.5,
        zero_count: 3,
        ..Histogram::default()
    };
    {
        let db = open(&env).open().unwrap();
        write(&db, [10]);
        let mut late = batch(&db);
        let series = late.series(&labels(&[("__name__", "m")])).unwrap();
        let float = histogram.to_float();
        late.append(series, MINUTE, 0, SampleValue::Histogram(&histogram))
            .unwrap();
        late.append(series, 2 * MINUTE, 0, SampleValue::FloatHistogram(&float))
            .unwrap();
        commit(late);
    }
    let db = open(&env).open().unwrap();
    let dump = dump(&db);
    let samples = &dump["{__name__=\"m\"}"];
    assert!(samples[0].1.starts_with("integer count 3"));
    assert!(samples[1].1.starts_with("float count 3"));
    assert_eq!(samples.len(), 3);
}
