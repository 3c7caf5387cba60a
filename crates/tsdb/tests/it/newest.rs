//! Queries that look at the newest sample of each series only.

use std::time::Duration;

use headwater_env::Env;
use headwater_model::{Histogram, Matcher, SeriesColumns, TimeRange, stale_nan};
use headwater_storage::{Delete, SampleValue, Select, SelectRequest, block_on};
use headwater_tsdb::Db;

use crate::support::{batch, builder, commit, labels};

const MINUTE: i64 = 60_000;

fn columns(db: &Db, range: TimeRange, newest: bool) -> Vec<(String, SeriesColumns)> {
    let mut request = SelectRequest::new(vec![Matcher::equal("__name__", "m")], range);
    request.hints.newest = newest;
    request.hints.sorted = true;
    let mut cursor = block_on(db.select(request)).unwrap();
    let (mut out, mut columns) = (Vec::new(), SeriesColumns::default());
    while let Some(labels) = cursor.advance().unwrap() {
        cursor.read(&mut columns).unwrap();
        if !columns.is_empty() {
            out.push((labels.to_string(), columns.clone()));
        }
    }
    out
}

/// Time and bits of the newest sample; no bits for a histogram.
fn newest(columns: &SeriesColumns) -> (i64, Option<u64>) {
    let floats = &columns.floats;
    let float = floats.times.last().map(|time| {
        let value = floats.values[floats.values.len() - 1];
        (*time, Some(value.to_bits()))
    });
    let histogram = columns.histograms.times().last().map(|time| (*time, None));
    float.max(histogram).unwrap()
}

fn check(db: &Db, until: i64) {
    for end in (0..=until).step_by(7 * MINUTE as usize) {
        for length in [5 * MINUTE, until] {
            let range = TimeRange::new(end - length, end);
            let (all, few) = (columns(db, range, false), columns(db, range, true));
            assert_eq!(all.len(), few.len());
            for ((series, all), (same, few)) in all.iter().zip(&few) {
                assert_eq!(series, same);
                assert_eq!(newest(all), newest(few), "{series} in {range:?}");
            }
        }
    }
}

#[test]
fn the_newest_sample_is_the_same_however_it_is_found() {
    let env = Env::in_memory(1);
    let db = builder("data", env)
        .configure(|options| options.out_of_order_window = Duration::from_secs(24 * 3600))
        .open()
        .unwrap();
    let (until, histogram) = (330, Histogram::default());
    for minute in 0..until {
        let mut batch = batch(&db);
        for at in 0..6 {
            let series = batch
                .series(&labels(&[("__name__", "m"), ("at", &at.to_string())]))
                .unwrap();
            let value = match at {
                1 if minute % 50 == 49 => SampleValue::Float(stale_nan()),
                2 if minute % 100 > 80 => continue,
                3 if minute % 40 > 20 => SampleValue::Histogram(&histogram),
                _ => SampleValue::Float(minute as f64 + 0.5),
            };
            batch.append(series, minute * MINUTE, 0, value).unwrap();
        }
        commit(batch);
    }
    check(&db, (until + 5) * MINUTE);
    // One series is not newer than what came late, the end of another is deleted.
    let mut late = batch(&db);
    let series = late
        .series(&labels(&[("__name__", "m"), ("at", "2")]))
        .unwrap();
    late.append_float(series, 90 * MINUTE + 1, 7.0).unwrap();
    commit(late);
    let end = TimeRange::new(300 * MINUTE, i64::MAX);
    block_on(db.delete(vec![Matcher::equal("at", "4")], end)).unwrap();
    check(&db, (until + 5) * MINUTE);
    db.maintain().unwrap();
    check(&db, (until + 5) * MINUTE);
}

#[test]
fn one_sample_is_all_that_is_read_where_it_is_known() {
    let db = builder("data", Env::in_memory(1)).open().unwrap();
    for minute in 0..10 {
        let mut batch = batch(&db);
        let series = batch.series(&labels(&[("__name__", "m")])).unwrap();
        batch
            .append_float(series, minute * MINUTE, minute as f64)
            .unwrap();
        commit(batch);
    }
    let read = |range| columns(&db, range, true)[0].1.len();
    assert_eq!(read(TimeRange::new(0, 20 * MINUTE)), 1);
    assert_eq!(
        read(TimeRange::new(0, 8 * MINUTE)),
        9,
        "the head does not know"
    );
}
