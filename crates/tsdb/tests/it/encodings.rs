//! How chunks and records are encoded, and start timestamps.

use std::collections::BTreeSet;
use std::time::Duration;

use headwater_blockfmt::Encoding;
use headwater_env::Env;
use headwater_model::{FloatHistogram, Histogram, SeriesColumns, Span, TimeRange};
use headwater_storage::{
    ErrorKind, SampleValue, Select, SelectChunks, SelectRequest, SeriesRef, block_on,
};
use headwater_tsdb::{Builder, Db, FloatEncoding};
use headwater_wal::{Compression, Framing, SegmentDecoder, list_segments, segment_path};

use crate::support::{batch, builder, commit, labels};

const STEP: i64 = 15_000;

fn open(env: &Env) -> Builder {
    builder("data", env.clone()).configure(|options| {
        options.float_encoding = FloatEncoding::Xor2;
        options.start_timestamps = true;
        options.histogram_starts = true;
        options.out_of_order_window = Duration::from_secs(24 * 3600);
        options.segment_bytes = 32 << 10;
    })
}

fn custom(count: u64) -> Histogram {
    Histogram {
        schema: headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA,
        count,
        sum: count as f64,
        positive_spans: vec![Span {
            offset: 0,
            length: 1,
        }],
        positive_deltas: vec![count as i64],
        custom_values: [1.0].into(),
        ..Histogram::default()
    }
}

/// The start of sample `n`: none at first, then one that changes now and then.
fn start(n: i64) -> i64 {
    if n < 20 { 0 } else { n / 70 * 70 * STEP - 7 }
}

/// One sample of each kind at a time; every seventh comes late.
fn write(db: &Db, samples: std::ops::Range<i64>) {
    let late = |n: &i64| n % 7 == 3;
    let in_order: Vec<i64> = samples.clone().filter(|n| !late(n)).collect();
    let late: Vec<i64> = samples.filter(late).collect();
    for n in in_order.into_iter().chain(late) {
        let mut batch = batch(db);
        let mut put = |name: &str, value: SampleValue<'_>| {
            let series: SeriesRef = batch.series(&labels(&[("__name__", name)])).unwrap();
            batch.append(series, n * STEP, start(n), value).unwrap();
        };
        put("float", SampleValue::Float((n as f64).sqrt()));
        put("never", SampleValue::Float(n as f64));
        let histogram = Histogram {
            count: n as u64,
            zero_count: n as u64,
            ..Histogram::default()
        };
        put("integer", SampleValue::Histogram(&histogram));
        put("custom", SampleValue::Histogram(&custom(n as u64)));
        let float: FloatHistogram = histogram.to_float();
        put("float_histogram", SampleValue::FloatHistogram(&float));
        commit(batch);
    }
}

/// Checks that every sample of the first `count` is there with its start.
fn check(db: &Db, count: i64, context: &str) {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select(request)).unwrap();
    let mut columns = SeriesColumns::default();
    let mut series = 0;
    let wanted: Vec<(i64, i64)> = (0..count).map(|n| (n * STEP, start(n))).collect();
    while let Some(labels) = cursor.advance().unwrap() {
        cursor.read(&mut columns).unwrap();
        let (floats, histograms) = (&columns.floats, &columns.histograms);
        let mut found = Vec::new();
        for (at, time) in floats.times.iter().enumerate() {
            found.push((*time, floats.starts.get(at).copied().unwrap_or(0)));
        }
        for (at, time) in histograms.times().iter().enumerate() {
            found.push((*time, histograms.start(at)));
        }
        assert_eq!(found, wanted, "{context}: {labels}");
        series += 1;
    }
    assert_eq!(series, 5, "{context}");
}

fn encodings(db: &Db) -> BTreeSet<u8> {
    let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
    let mut cursor = block_on(db.select_chunks(request)).unwrap();
    let (mut chunks, mut found) = (Vec::new(), BTreeSet::new());
    while cursor.advance().unwrap().is_some() {
        cursor.read(&mut chunks).unwrap();
        found.extend(chunks.iter().map(|chunk| chunk.encoding.number()));
    }
    found
}

/// Types of the records in a log.
fn record_types(env: &Env, dir: &str) -> BTreeSet<u8> {
    let dir = std::path::Path::new(dir);
    let mut found = BTreeSet::new();
    for segment in list_segments(env.files.as_ref(), dir).unwrap() {
        let bytes = env.files.map(&segment_path(dir, segment)).unwrap();
        let framing = Framing::Pages(Compression::None);
        let mut records = SegmentDecoder::new(framing, segment, &bytes);
        while let Some(record) = records.next_record() {
            found.insert(record[0]);
        }
    }
    found
}

#[test]
fn start_timestamps_come_back_from_head_log_checkpoint_and_blocks() {
    let env = Env::in_memory(1);
    let db = open(&env).open().unwrap();
    write(&db, 0..300);
    check(&db, 300, "head");
    assert_eq!(encodings(&db), BTreeSet::from([4, 5, 6]));
    assert!(record_types(&env, "data/wal").is_superset(&BTreeSet::from([11, 12, 13])));
    assert!(record_types(&env, "data/wbl").is_superset(&BTreeSet::from([11, 12, 13])));
    drop(db);
    let db = open(&env).open().unwrap();
    check(&db, 300, "replayed");
    write(&db, 300..1100);
    // More than four hours: a block is made and the log is shortened.
    let done = db.maintain().unwrap();
    assert_eq!(done.head_blocks, 1);
    assert_eq!(encodings(&db), BTreeSet::from([4, 5, 6]));
    check(&db, 1100, "with a block");
    drop(db);
    let wal = std::path::Path::new("data/wal");
    let checkpoints = headwater_wal::list_checkpoints(env.files.as_ref(), wal).unwrap();
    assert_eq!(checkpoints.len(), 1);
    let types = record_types(&env, checkpoints[0].dir.to_str().unwrap());
    assert!(
        types.is_superset(&BTreeSet::from([11, 12, 13])),
        "{types:?}"
    );
    let db = open(&env).open().unwrap();
    check(&db, 1100, "from block and checkpoint");
    db.flush_before(i64::MAX).unwrap();
    check(&db, 1100, "in blocks");
    assert_eq!(encodings(&db), BTreeSet::from([4, 5, 6]));
}

#[test]
fn by_default_nothing_is_written_that_older_readers_skip() {
    let env = Env::in_memory(1);
    let plain = || {
        builder("data", env.clone())
            .configure(|options| options.out_of_order_window = Duration::from_secs(24 * 3600))
    };
    let db = plain().open().unwrap();
    write(&db, 0..100);
    assert_eq!(encodings(&db), BTreeSet::from([1, 2, 3]));
    for log in ["data/wal", "data/wbl"] {
        assert!(record_types(&env, log).iter().all(|kind| *kind <= 10));
    }
    db.flush_before(i64::MAX).unwrap();
    assert_eq!(encodings(&db), BTreeSet::from([1, 2, 3]));
}

#[test]
fn a_store_without_starts_reads_a_log_with_them() {
    let env = Env::in_memory(1);
    write(&open(&env).open().unwrap(), 0..100);
    let db = builder("data", env.clone()).open().unwrap();
    let count = block_on(db.select(SelectRequest::new(Vec::new(), TimeRange::ALL)))
        .map(|mut cursor| {
            let (mut columns, mut count) = (SeriesColumns::default(), 0);
            while cursor.advance().unwrap().is_some() {
                cursor.read(&mut columns).unwrap();
                assert!(columns.floats.starts.is_empty());
                count += columns.len();
            }
            count
        })
        .unwrap();
    assert_eq!(count, 500);
    assert!(db.damage().is_empty(), "{:?}", db.damage());
}

#[test]
fn the_encoding_of_floats_can_change_while_the_store_runs() {
    let env = Env::in_memory(1);
    let db = builder("data", env.clone()).open().unwrap();
    let write = |from: i64, to: i64| {
        for n in from..to {
            let mut batch = batch(&db);
            let series = batch.series(&labels(&[("n", "a")])).unwrap();
            batch.append_float(series, n * STEP, n as f64).unwrap();
            commit(batch);
        }
    };
    write(0, 130);
    db.set_float_encoding(FloatEncoding::Xor2).unwrap();
    write(130, 200);
    assert_eq!(encodings(&db), BTreeSet::from([Encoding::Xor.number()]));
    write(200, 300);
    assert_eq!(encodings(&db), BTreeSet::from([1, 4]));
    db.set_float_encoding(FloatEncoding::Xor).unwrap();
    write(300, 480);
    assert_eq!(encodings(&db), BTreeSet::from([1, 4]));
}

#[test]
fn starts_without_room_for_them_are_refused() {
    let env = Env::in_memory(1);
    let without_room = open(&env).configure(|options| {
        options.float_encoding = FloatEncoding::Xor;
    });
    assert_eq!(without_room.open().unwrap_err().kind(), ErrorKind::Invalid);
    let db = open(&env).open().unwrap();
    let refused = db.set_float_encoding(FloatEncoding::Xor);
    assert_eq!(refused.unwrap_err().kind(), ErrorKind::Invalid);
}

#[test]
fn xor2_chunks_become_smaller_on_their_way_into_a_block() {
    let env = Env::in_memory(1);
    let db = builder("data", env.clone())
        .configure(|options| options.float_encoding = FloatEncoding::Xor2)
        .open()
        .unwrap();
    let value = |n: i64| if n % 60 == 3 { 0.1 } else { (n % 2) as f64 };
    for n in 0..480 {
        let mut batch = batch(&db);
        let series = batch.series(&labels(&[("n", "a")])).unwrap();
        batch.append_float(series, n * STEP, value(n)).unwrap();
        commit(batch);
    }
    let sizes = |db: &Db| {
        let request = SelectRequest::new(Vec::new(), TimeRange::ALL);
        let mut cursor = block_on(db.select_chunks(request)).unwrap();
        let mut chunks = Vec::new();
        cursor.advance().unwrap();
        cursor.read(&mut chunks).unwrap();
        chunks.iter().map(|chunk| chunk.data.len()).sum::<usize>()
    };
    let (in_head, samples) = (sizes(&db), crate::support::dump(&db));
    db.flush_before(i64::MAX).unwrap();
    assert!(sizes(&db) * 2 < in_head);
    assert_eq!(crate::support::dump(&db), samples);
}

#[test]
fn records_of_unknown_types_are_counted_told_and_kept() {
    let env = Env::in_memory(1);
    let open = || builder("data", env.clone()).configure(|o| o.segment_bytes = 32 << 10);
    let write = |db: &Db, samples: std::ops::Range<i64>| {
        for n in samples {
            let mut batch = batch(db);
            let series = batch.series(&labels(&[("n", "a")])).unwrap();
            batch.append_float(series, n * STEP, n as f64).unwrap();
            commit(batch);
        }
    };
    let db = open().open().unwrap();
    write(&db, 0..10);
    db.close().unwrap();
    drop(db);
    let wal = std::path::Path::new("data/wal");
    let files = std::sync::Arc::clone(&env.files);
    let log = headwater_wal::Wal::open(files, wal, headwater_wal::Config::default()).unwrap();
    log.append(&[[77u8, 1, 2], [78, 1, 2]]).unwrap();
    log.close().unwrap();
    let db = open().open().unwrap();
    assert_eq!(db.stats().unwrap().unknown_records, 2);
    assert!(
        db.damage()[0].contains("2 records of types"),
        "{:?}",
        db.damage()
    );
    // They outlive the shortening of the log.
    write(&db, 10..1500);
    assert!(db.maintain().unwrap().head_blocks > 0);
    drop(db);
    assert_eq!(open().open().unwrap().stats().unwrap().unknown_records, 2);
}
