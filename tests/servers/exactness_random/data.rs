//! Numbers from a seed, and the samples made of them.

use headwater_wire::messages::{Label, Sample, TimeSeries, WriteRequest};

/// The first second of the data.
pub(super) const BASE: u64 = 1_700_000_000;
/// Seconds of data.
pub(super) const SPAN: u64 = 2_400;
/// Seconds between samples, but for some jitter.
const INTERVAL: u64 = 15;
/// The NaN that ends a series.
const STALE: u64 = 0x7ff0_0000_0000_0002;

/// A small generator (xorshift) whose numbers never change.
pub(super) struct Numbers(u64);

impl Numbers {
    pub(super) fn new(seed: u64) -> Self {
        let mut numbers = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        numbers.below(2);
        numbers.below(2);
        numbers
    }

    pub(super) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    pub(super) fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

/// What the values of a series are like.
#[derive(Clone, Copy)]
enum Kind {
    /// Grows, and falls back now and then, never near zero.
    Counter,
    /// Eighths, above and below zero.
    Gauge,
    /// All that a float can be.
    Wild,
    /// Always one.
    One,
    /// Five minutes there, five minutes gone.
    Flapping,
    /// There in the second half.
    Late,
}

type Pairs = Vec<(&'static str, &'static str)>;

fn series() -> Vec<(Pairs, Kind)> {
    let mut all: Vec<(Pairs, Kind)> = Vec::new();
    for instance in ["a:1", "b:1", "c:1"] {
        let mut add = |name, labels: &[(&'static str, &'static str)], kind| {
            let mut pairs = vec![("__name__", name), ("instance", instance)];
            pairs.extend_from_slice(labels);
            all.push((pairs, kind));
        };
        for code in ["200", "404", "500"] {
            if (instance, code) != ("c:1", "500") {
                add("requests_total", &[("code", code)], Kind::Counter);
            }
        }
        for room in ["attic", "cellar"] {
            add("temperature", &[("room", room)], Kind::Gauge);
        }
        add("wild", &[], Kind::Wild);
        add("flapping", &[], Kind::Flapping);
        add(
            "build_info",
            &[("version", if instance == "a:1" { "1" } else { "2" })],
            Kind::One,
        );
    }
    all.push((vec![("__name__", "late")], Kind::Late));
    all.push((
        vec![("__name__", "texts"), ("note", "q\"b\\n\nü€")],
        Kind::One,
    ));
    all
}

/// Everything, as requests of remote write.
pub(super) fn requests(numbers: &mut Numbers) -> Vec<WriteRequest> {
    let mut all: Vec<TimeSeries> = series()
        .into_iter()
        .map(|(labels, kind)| time_series(&labels, samples(numbers, kind)))
        .collect();
    for instance in ["a:1", "b:1"] {
        all.extend(histogram(numbers, instance));
    }
    all.into_iter()
        .map(|series| WriteRequest {
            timeseries: vec![series],
            ..WriteRequest::default()
        })
        .collect()
}

fn time_series(labels: &[(&'static str, &'static str)], samples: Vec<Sample>) -> TimeSeries {
    let mut labels: Vec<Label> = labels
        .iter()
        .map(|(name, value)| Label {
            name: (*name).to_owned(),
            value: (*value).to_owned(),
        })
        .collect();
    labels.sort_by(|a, b| a.name.cmp(&b.name));
    TimeSeries {
        labels,
        samples,
        ..TimeSeries::default()
    }
}

/// Milliseconds of a sample: never within half a second of a whole one's half.
fn time(numbers: &mut Numbers, at: u64) -> i64 {
    let seconds = BASE + at * INTERVAL + numbers.below(9);
    (seconds * 1000 + 1 + numbers.below(400)) as i64
}

fn samples(numbers: &mut Numbers, kind: Kind) -> Vec<Sample> {
    let mut counter = (1_000_000 * (2 + numbers.below(5))) as f64;
    let mut out = Vec::new();
    for at in 0..SPAN / INTERVAL {
        let chance = numbers.below(60);
        let timestamp = time(numbers, at);
        let eighths = numbers.below(4000) as f64 / 8.0 - 200.0;
        let value = match (kind, chance) {
            (Kind::One, _) => 1.0,
            (Kind::Flapping, _) if at % 40 > 20 => continue,
            (Kind::Flapping, _) if at % 40 == 20 => f64::from_bits(STALE),
            (Kind::Late, _) if at < SPAN / INTERVAL / 2 => continue,
            (_, 0..3) => continue,
            (_, 3) => f64::from_bits(STALE),
            (Kind::Counter, 4) => {
                counter = (counter / 2.0).floor();
                counter
            }
            (Kind::Counter, _) => {
                counter += numbers.below(300) as f64;
                counter
            }
            (Kind::Wild, 4..30) => {
                let odd = [f64::NAN, f64::INFINITY, -f64::INFINITY, 0.0, -0.0, 1e300];
                odd[chance as usize % odd.len()]
            }
            _ => eighths,
        };
        out.push(Sample { value, timestamp });
    }
    out
}

/// A classic histogram: buckets, sum and count of the same moments.
fn histogram(numbers: &mut Numbers, instance: &'static str) -> Vec<TimeSeries> {
    const BOUNDS: [&str; 4] = ["0.125", "0.5", "2.0", "+Inf"];
    let mut counts = [400_000.0f64; 4];
    let mut rows: [Vec<Sample>; 6] = Default::default();
    for at in 0..SPAN / INTERVAL {
        let timestamp = time(numbers, at);
        for (rank, count) in counts.iter_mut().enumerate() {
            *count += (numbers.below(20) * (4 - rank as u64)) as f64;
        }
        let mut total = 0.0;
        for (row, count) in rows.iter_mut().zip(counts) {
            total += count;
            let value = total;
            row.push(Sample { value, timestamp });
        }
        for (row, value) in [(4, total / 4.0), (5, total)] {
            rows[row].push(Sample { value, timestamp });
        }
    }
    let names = ["latency_bucket"; 4]
        .into_iter()
        .chain(["latency_sum", "latency_count"]);
    let bounds = BOUNDS.into_iter().map(Some).chain([None, None]);
    rows.into_iter()
        .zip(names.zip(bounds))
        .map(|(samples, (name, bound))| {
            let mut labels = vec![("__name__", name), ("instance", instance)];
            labels.extend(bound.map(|bound| ("le", bound)));
            time_series(&labels, samples)
        })
        .collect()
}
