//! What the benches store: targets of 100 series each, as a fleet of services
//! shows them. 40 whole-number counters (half of them nearly idle), 24
//! histogram buckets, 8 counters and 10 gauges with fractions, 10 whole-number
//! gauges, 8 constants; five labels of the target and one to three more.
//! Values depend only on series and position: every run sees the same.

use headwater_env::Env;
use headwater_model::Labels;
use headwater_storage::{Append, FloatSample, SeriesRef};
use headwater_tsdb::{Builder, Db};

/// Milliseconds between samples.
pub(crate) const STEP: i64 = 15_000;
/// Samples of a batch.
pub(crate) const BATCH: usize = 1000;
/// Series of a target.
const OF_TARGET: usize = 100;

/// A store in `dir` which does nothing unasked.
pub(crate) fn builder(dir: &std::path::Path) -> Builder {
    Db::builder(dir)
        .env(Env::real())
        .configure(|options| options.background = false)
}

/// The labels of series number `n`.
pub(crate) fn labels(n: usize) -> Labels {
    let (series, target) = (n % OF_TARGET, n / OF_TARGET);
    let mut pairs = vec![
        ("job", format!("job-{}", target % 20)),
        (
            "instance",
            format!(
                "10.{}.{}.{}:9100",
                target / 62_500,
                target / 250 % 250,
                target % 250
            ),
        ),
        ("namespace", format!("namespace-{}", target % 7)),
        ("pod", format!("pod-{target}-abcdef")),
        ("cluster", "eu-west-1".to_owned()),
    ];
    let name = match series {
        0..40 => {
            pairs.push(("handler", format!("/api/v1/h{}", series / 5)));
            let codes = ["200", "204", "301", "404", "500"];
            pairs.push(("code", codes[series % 5].to_owned()));
            "http_requests_total"
        }
        40..64 => {
            let bounds = [
                "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10",
                "+Inf",
            ];
            pairs.push(("handler", format!("/h{}", series / 52)));
            pairs.push(("le", bounds[series % 12].to_owned()));
            "request_duration_seconds_bucket"
        }
        64..72 => {
            pairs.push(("mode", format!("m{series}")));
            "cpu_seconds_total"
        }
        72..82 => {
            pairs.push(("queue", format!("q{series}")));
            "queue_length"
        }
        82..92 => {
            pairs.push(("room", format!("r{series}")));
            "temperature_celsius"
        }
        _ => {
            pairs.push(("version", format!("1.{series}.0")));
            "build_info"
        }
    };
    pairs.push(("__name__", name.to_owned()));
    Labels::from_pairs(pairs)
}

/// A repeatable number from 0 up to 1.
fn noise(n: usize, at: i64) -> f64 {
    let mut x = (n as u64) << 20 ^ at as u64;
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// The value of series number `n` at position `at`.
fn value(n: usize, at: i64) -> f64 {
    let (series, target) = ((n % OF_TARGET) as i64, (n / OF_TARGET) as i64);
    match series {
        0..40 if series % 2 == 0 => ((at * (1 + series)) as f64 + noise(n, at)).floor(),
        0..40 => (at / 40) as f64,
        40..64 => (at * (series % 12 + 1) * (target % 7 + 1)) as f64,
        64..72 => at as f64 * 0.37 * (series - 63) as f64 + noise(n, at),
        72..82 => (noise(n, at / 4) * 1000.0).floor(),
        82..92 => (noise(n, at) * 10_000.0).round() / 100.0,
        _ => 1.0,
    }
}

/// Makes the first `count` series in batches.
pub(crate) fn create(db: &Db, count: usize) -> Vec<SeriesRef> {
    let mut all = Vec::with_capacity(count);
    while all.len() < count {
        let mut batch = db.appender(Default::default()).expect("a batch");
        for n in all.len()..(all.len() + BATCH).min(count) {
            all.push(batch.series(&labels(n)).expect("a series"));
        }
        batch.commit().expect("a commit").wait().expect("durable");
    }
    all
}

/// One sample of each series, `first` being the number of the first of them.
pub(crate) fn samples_at(series: &[SeriesRef], first: usize, at: i64, into: &mut Vec<FloatSample>) {
    into.clear();
    into.extend(series.iter().enumerate().map(|(n, series)| FloatSample {
        series: *series,
        time: at * STEP,
        value: value(first + n, at),
    }));
}

/// Commits samples.
pub(crate) fn commit(db: &Db, samples: &[FloatSample]) {
    let mut batch = db.appender(Default::default()).expect("a batch");
    batch.append_floats(samples, &mut |at, error| panic!("sample {at}: {error}"));
    batch.commit().expect("a commit").wait().expect("durable");
}
