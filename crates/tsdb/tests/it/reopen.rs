use headwater_env::Env;
use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::{
    Exemplar, Histogram, Matcher, Metadata, MetricType, Span, TimeRange, stale_nan,
};
use headwater_storage::{
    Append, AppendError, Delete, ErrorKind, MetadataStore, SampleValue, SelectExemplars, block_on,
};
use headwater_tsdb::{Db, Durability};

use crate::support::{batch, builder, commit, dump, labels};

fn histogram(at: i64) -> Histogram {
    Histogram {
        schema: 2,
        zero_threshold: 1e-9,
        zero_count: 1,
        count: (1 + at + at + 1) as u64,
        sum: at as f64 / 3.0,
        positive_spans: vec![Span {
            offset: -3,
            length: 2,
        }],
        positive_deltas: vec![at, 1],
        ..Histogram::default()
    }
}

fn custom(at: i64) -> Histogram {
    Histogram {
        schema: CUSTOM_BUCKETS_SCHEMA,
        count: 2 * at as u64,
        sum: 1.0,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_deltas: vec![at, 0],
        custom_values: [1.0, 2.0].into(),
        ..Histogram::default()
    }
}

/// Writes all kinds of samples, some of which change kind within a batch.
fn fill(db: &Db) {
    for round in 0..40i64 {
        let mut batch = batch(db);
        for n in 0..20 {
            let series = labels(&[("__name__", "f"), ("n", &n.to_string())]);
            let series = batch.series(&series).unwrap();
            let value = if round % 11 == 10 {
                stale_nan()
            } else {
                (round * n) as f64
            };
            batch
                .append_float(series, round * 15_000 + n, value)
                .unwrap();
        }
        let time = round * 15_000;
        let mixed = batch.series(&labels(&[("__name__", "mixed")])).unwrap();
        let (whole, bounds) = (histogram(round), custom(round));
        let values = [
            SampleValue::Histogram(&whole),
            SampleValue::Float(round as f64),
            SampleValue::FloatHistogram(&whole.to_float()),
            SampleValue::Histogram(&bounds),
            SampleValue::FloatHistogram(&bounds.to_float()),
            SampleValue::Float(-1.0),
        ];
        for (at, value) in values.into_iter().enumerate() {
            batch.append(mixed, time + at as i64, 0, value).unwrap();
        }
        commit(batch);
    }
}

#[test]
fn everything_is_there_after_reopening() {
    let env = Env::in_memory(1);
    let db = builder("data", env.clone()).open().unwrap();
    fill(&db);
    block_on(db.delete(
        vec![Matcher::equal("n", "3")],
        TimeRange::new(60_000, 120_000),
    ))
    .unwrap();
    let before = dump(&db);
    assert_eq!(before.len(), 21);
    assert_eq!(before["{__name__=\"mixed\"}"].len(), 240);
    drop(db);
    for threads in [1, 4] {
        let again = builder("data", env.clone()).configure(|o| o.replay_threads = threads);
        let db = again.open().unwrap();
        assert!(db.damage().is_empty(), "{:?}", db.damage());
        assert_eq!(dump(&db), before);
    }
}

#[test]
fn a_reopened_store_goes_on() {
    let env = Env::in_memory(1);
    for round in 0..5i64 {
        let db = builder("data", env.clone()).open().unwrap();
        let mut batch = batch(&db);
        let old = batch.series(&labels(&[("__name__", "old")])).unwrap();
        batch.append_float(old, round, round as f64).unwrap();
        let name = format!("new{round}");
        let new = batch.series(&labels(&[("__name__", &name)])).unwrap();
        batch.append_float(new, round, 0.0).unwrap();
        commit(batch);
        let found = dump(&db);
        assert_eq!(found.len() as i64, 2 + round);
        assert_eq!(found["{__name__=\"old\"}"].len() as i64, 1 + round);
    }
}

#[test]
fn exemplars_and_metadata_come_back_too() {
    let env = Env::in_memory(1);
    let series = labels(&[("__name__", "requests_total")]);
    let exemplar = Exemplar {
        labels: labels(&[("trace_id", "abc")]),
        value: 0.25,
        time: Some(1000),
    };
    let metadata = Metadata {
        metric_type: MetricType::Counter,
        unit: "requests".into(),
        help: "How many.".into(),
    };
    {
        let db = builder("data", env.clone()).open().unwrap();
        let mut batch = batch(&db);
        let reference = batch.series(&series).unwrap();
        batch.append_float(reference, 1000, 1.0).unwrap();
        batch.exemplar(reference, &exemplar).unwrap();
        batch.metadata(reference, &metadata).unwrap();
        commit(batch);
    }
    let db = builder("data", env).open().unwrap();
    let all = vec![Matcher::equal("__name__", "requests_total")];
    let found = block_on(db.exemplars(vec![all.clone()], TimeRange::ALL)).unwrap();
    assert_eq!(found[0].exemplars, [exemplar]);
    let found = block_on(db.series_metadata(all, 0)).unwrap();
    assert_eq!(found[0].metadata, metadata);
}

#[test]
fn a_batch_may_use_series_that_another_has_made() {
    let env = Env::in_memory(1);
    {
        let db = builder("data", env.clone()).open().unwrap();
        let name = labels(&[("__name__", "shared")]);
        let mut first = batch(&db);
        let series = first.series(&name).unwrap();
        first.append_float(series, 1, 1.0).unwrap();
        let mut second = batch(&db);
        let series = second.series(&name).unwrap();
        second.append_float(series, 2, 2.0).unwrap();
        second.append_float(series, 3, 3.0).unwrap();
        assert!(matches!(
            second.append_float(series, 2, 2.0),
            Err(AppendError::OutOfOrder { newest: 3 })
        ));
        commit(second);
        // The series moved on: what the first batch has is late by now.
        commit(first);
        assert_eq!(dump(&db)["{__name__=\"shared\"}"].len(), 2);
    }
    let db = builder("data", env).open().unwrap();
    assert_eq!(dump(&db)["{__name__=\"shared\"}"].len(), 2);
}

#[test]
fn a_directory_belongs_to_one_store() {
    let dir = tempfile::tempdir().unwrap();
    let db = builder(dir.path(), Env::real()).open().unwrap();
    let second = builder(dir.path(), Env::real()).open().unwrap_err();
    assert_eq!(second.kind(), ErrorKind::Locked);
    assert!(second.to_string().contains("in use by another process"));
    drop(db);
    builder(dir.path(), Env::real()).open().unwrap();
}

#[test]
fn a_closed_store_takes_nothing_and_still_answers() {
    let db = builder("data", Env::in_memory(1)).open().unwrap();
    fill(&db);
    let open = batch(&db);
    db.close().unwrap();
    assert!(open.commit().is_ok(), "an empty batch has nothing to write");
    assert_eq!(
        db.appender(Default::default()).err().unwrap().kind(),
        ErrorKind::NotReady
    );
    assert_eq!(dump(&db).len(), 21);
}

#[test]
fn new_series_are_refused_beyond_the_limit() {
    let limited = builder("data", Env::in_memory(1)).configure(|o| o.max_series = 3);
    let db = limited.open().unwrap();
    let mut batch = batch(&db);
    let name = |n: i32| labels(&[("n", &n.to_string())]);
    let known = batch.series(&name(0)).unwrap();
    batch.series(&name(1)).unwrap();
    batch.series(&name(2)).unwrap();
    let refused = batch.series(&name(3)).unwrap_err();
    assert!(matches!(refused, AppendError::SeriesLimit(_)), "{refused}");
    assert_eq!(batch.series(&name(0)).unwrap(), known);
    batch.append_float(known, 1, 1.0).unwrap();
    commit(batch);
    assert_eq!(db.stats().unwrap().series_refused, 1);
}

#[test]
fn old_samples_are_out_of_bounds() {
    let db = builder("data", Env::in_memory(1)).open().unwrap();
    let name = labels(&[("__name__", "m")]);
    let mut first = batch(&db);
    let series = first.series(&name).unwrap();
    first.append_float(series, 10_000_000, 1.0).unwrap();
    commit(first);
    let mut late = batch(&db);
    let other = late.series(&labels(&[("__name__", "other")])).unwrap();
    let hour = 3_600_000;
    late.append_float(other, 10_000_000 - hour, 1.0).unwrap();
    let refused = late.append_float(other, 10_000_000 - hour - 1, 1.0);
    assert!(matches!(refused, Err(AppendError::OutOfBounds { .. })));
}

#[test]
fn a_full_disk_refuses_the_batch_and_nothing_else() {
    let disk = headwater_env::FaultyFiles::new(1);
    let env = Env {
        files: std::sync::Arc::new(disk.clone()),
        ..Env::in_memory(1)
    };
    let db = builder("data", env)
        .configure(|o| o.durability = Durability::OnCommit)
        .open()
        .unwrap();
    let name = labels(&[("__name__", "m")]);
    let write = |time: i64| {
        let mut batch = batch(&db);
        let series = batch.series(&name).unwrap();
        batch.append_float(series, time, 1.0).unwrap();
        batch.commit()
    };
    write(1).unwrap().wait().unwrap();
    disk.limit_space(3);
    assert_eq!(write(2).unwrap_err().kind(), ErrorKind::NoSpace);
    assert_eq!(dump(&db)["{__name__=\"m\"}"].len(), 1);
    disk.free_up_space();
    write(3).unwrap().wait().unwrap();
    assert_eq!(dump(&db)["{__name__=\"m\"}"].len(), 2);
}

#[test]
fn the_ends_of_time_are_times_too() {
    let env = Env::in_memory(1);
    let times = [i64::MIN + 1, -1, 0, 1, i64::MAX - 1, i64::MAX];
    let open = || {
        let forever =
            |options: &mut headwater_tsdb::Options| options.retention = Default::default();
        builder("data", env.clone())
            .configure(forever)
            .open()
            .unwrap()
    };
    let db = open();
    for (n, time) in times.into_iter().enumerate() {
        let mut batch = batch(&db);
        let series = batch.series(&labels(&[("__name__", "m")])).unwrap();
        batch.append_float(series, time, n as f64).unwrap();
        commit(batch);
    }
    let found = |db: &Db| -> Vec<i64> {
        dump(db)["{__name__=\"m\"}"]
            .iter()
            .map(|(time, _)| *time)
            .collect()
    };
    assert_eq!(found(&db), times);
    drop(db);
    let db = open();
    assert_eq!(found(&db), times);
    db.maintain().unwrap();
    assert_eq!(found(&db), times);
    drop(db);
    assert_eq!(found(&open()), times);
}
