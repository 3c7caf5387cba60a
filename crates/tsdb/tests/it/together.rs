//! Samples that are appended together fare as those that are appended one by one.

use std::time::Duration;

use headwater_env::Env;
use headwater_model::Histogram;
use headwater_storage::{Appender, FloatSample, SampleValue, SeriesRef};
use headwater_tsdb::Db;
use proptest::prelude::*;

use crate::support::{batch, builder, commit, dump, labels};

/// Series that are written to; one more is not known to the store.
const SERIES: u64 = 3;

/// What a batch is given: now and then a histogram, then floats as series, time and value.
#[derive(Clone, Debug)]
struct Given {
    histogram: bool,
    floats: Vec<(u64, i64, f64)>,
}

fn given() -> impl Strategy<Value = Given> {
    // Times mostly ascend; some are there already, some are too old.
    let step = prop_oneof![6 => 1i64..20, 2 => Just(0i64), 1 => -30i64..0];
    let float = (0..=SERIES, step, (0u8..2).prop_map(f64::from));
    let floats = proptest::collection::vec(float, 0..60).prop_map(|steps| {
        let mut time = 0;
        let place = |(series, step, value): (u64, i64, f64)| {
            time += step;
            (series, time, value)
        };
        steps.into_iter().map(place).collect()
    });
    (any::<bool>(), floats).prop_map(|(histogram, floats)| Given { histogram, floats })
}

fn open(late: bool) -> Db {
    let window = Duration::from_millis(if late { 40 } else { 0 });
    let store = builder("data", Env::in_memory(1));
    store
        .configure(|options| options.out_of_order_window = window)
        .open()
        .unwrap()
}

/// Writes everything; says what was refused, and why.
fn write(
    db: &Db,
    all: &[Given],
    append: fn(&mut dyn Appender, &[FloatSample]) -> Vec<String>,
) -> Vec<String> {
    let (mut refused, mut base) = (Vec::new(), 0);
    for given in all {
        let mut batch = batch(db);
        let mut series: Vec<SeriesRef> = (0..SERIES)
            .map(|n| batch.series(&labels(&[("n", &n.to_string())])).unwrap())
            .collect();
        series.push(SeriesRef(u64::MAX));
        if given.histogram {
            let value = Histogram::default();
            let outcome = batch.append(series[0], base, 0, SampleValue::Histogram(&value));
            refused.extend(outcome.err().map(|e| e.to_string()));
        }
        let samples: Vec<FloatSample> = given
            .floats
            .iter()
            .map(|&(n, time, value)| FloatSample {
                series: series[n as usize],
                time: base + time,
                value,
            })
            .collect();
        refused.extend(append(&mut *batch, &samples));
        base = samples.iter().map(|s| s.time).max().unwrap_or(base);
        commit(batch);
    }
    refused
}

fn together(batch: &mut dyn Appender, samples: &[FloatSample]) -> Vec<String> {
    let mut refused = Vec::new();
    batch.append_floats(samples, &mut |at, error| {
        refused.push(format!("{at}: {error}"))
    });
    refused
}

fn one_by_one(batch: &mut dyn Appender, samples: &[FloatSample]) -> Vec<String> {
    let mut refused = Vec::new();
    for (at, sample) in samples.iter().enumerate() {
        let outcome = batch.append_float(sample.series, sample.time, sample.value);
        refused.extend(outcome.err().map(|error| format!("{at}: {error}")));
    }
    refused
}

proptest! {
    #[test]
    fn together_or_one_by_one_is_the_same(all in proptest::collection::vec(given(), 1..5), late: bool) {
        let (a, b) = (open(late), open(late));
        prop_assert_eq!(write(&a, &all, together), write(&b, &all, one_by_one));
        prop_assert_eq!(dump(&a), dump(&b));
        let (a, b) = (a.stats().unwrap(), b.stats().unwrap());
        prop_assert_eq!((a.floats_appended, a.late_appended), (b.floats_appended, b.late_appended));
    }
}
