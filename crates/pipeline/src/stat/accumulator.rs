//! Adds samples up between two flushes.

use std::collections::BTreeMap;
use std::time::Duration;

use super::{Stat, StatKind};

/// Buckets of one kind at most: a sender that makes up names must not fill
/// the memory. Samples of further names are dropped.
const BUCKETS_MAX: usize = 100_000;
/// Values of one timer between two flushes at most; further ones count, but
/// take no part in percentiles.
const VALUES_MAX: usize = 100_000;

/// How statistics are named.
#[derive(Debug, Clone)]
pub struct Naming {
    /// heka's names before 0.6.
    pub legacy: bool,
    /// Before all names.
    pub global: String,
    /// Before counters.
    pub counters: String,
    /// Before timers.
    pub timers: String,
    /// Before gauges.
    pub gauges: String,
    /// Before the accumulator's own numbers.
    pub statsd: String,
}

/// A number of a flush.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Number {
    /// A count.
    Integer(i64),
    /// Anything else.
    Float(f64),
    /// A rate that older versions wrote as a float in text and cut in
    /// fields.
    LegacyRate(f64),
}

#[derive(Debug, Default)]
struct Timer {
    values: Vec<f64>,
    count: u64,
}

/// Samples of the current interval.
#[derive(Debug, Default)]
pub struct Accumulator {
    counters: BTreeMap<String, i64>,
    timers: BTreeMap<String, Timer>,
    gauges: BTreeMap<String, f64>,
}

impl Accumulator {
    /// Adds a sample. False if there are too many names already.
    pub fn add(&mut self, stat: Stat) -> bool {
        match stat.kind {
            StatKind::Counter => {
                let amount = (stat.value / stat.rate) as i64;
                with(&mut self.counters, stat.bucket, |sum| {
                    *sum = sum.saturating_add(amount)
                })
            }
            StatKind::Timer => with(&mut self.timers, stat.bucket, |timer| {
                timer.count += 1;
                if timer.values.len() < VALUES_MAX {
                    timer.values.push(stat.value);
                }
            }),
            StatKind::Gauge => with(&mut self.gauges, stat.bucket, |gauge| *gauge = stat.value),
        }
    }

    /// All numbers of the interval that ends now, by name, and begins the
    /// next one. With `delete_idle`, buckets are forgotten; else counters
    /// and timers stay with zero and gauges with their value.
    pub fn flush(
        &mut self,
        interval: Duration,
        thresholds: &[i64],
        naming: &Naming,
        delete_idle: bool,
    ) -> Vec<(String, Number)> {
        let seconds = interval.as_secs_f64();
        let mut out = Vec::new();
        for (name, count) in &self.counters {
            let rate = *count as f64 / seconds;
            let count = Number::Integer(*count);
            if naming.legacy {
                out.push((join(&[&naming.global, name]), Number::LegacyRate(rate)));
                out.push((join(&["stats_counts", name]), count));
            } else {
                let part = |what| join(&[&naming.global, &naming.counters, name, what]);
                out.push((part("rate"), Number::Float(rate)));
                out.push((part("count"), count));
            }
        }
        for (name, value) in &self.gauges {
            let name = join(&[&naming.global, &naming.gauges, name]);
            out.push((name, Number::Float(*value)));
        }
        for (name, timer) in &mut self.timers {
            let name = join(&[&naming.global, &naming.timers, name]);
            timer.flush(&name, seconds, thresholds, &mut out);
        }
        let buckets = self.counters.len() + self.timers.len() + self.gauges.len();
        let global = if naming.legacy { "" } else { &naming.global };
        let name = join(&[global, &naming.statsd, "numStats"]);
        out.push((name, Number::Integer(buckets as i64)));
        self.next_interval(delete_idle);
        out
    }

    fn next_interval(&mut self, delete_idle: bool) {
        if delete_idle {
            *self = Accumulator::default();
            return;
        }
        self.counters.values_mut().for_each(|count| *count = 0);
        self.timers
            .values_mut()
            .for_each(|timer| *timer = Timer::default());
    }
}

fn with<T: Default>(
    buckets: &mut BTreeMap<String, T>,
    name: String,
    change: impl FnOnce(&mut T),
) -> bool {
    if buckets.len() >= BUCKETS_MAX && !buckets.contains_key(&name) {
        return false;
    }
    change(buckets.entry(name).or_default());
    true
}

/// Joins the parts that are not empty with dots.
fn join(parts: &[&str]) -> String {
    let parts = parts.iter().map(|part| part.trim_end_matches('.'));
    parts
        .filter(|part| !part.is_empty())
        .collect::<Vec<_>>()
        .join(".")
}

impl Timer {
    fn flush(
        &mut self,
        name: &str,
        seconds: f64,
        thresholds: &[i64],
        out: &mut Vec<(String, Number)>,
    ) {
        self.values.sort_by(f64::total_cmp);
        let values = &self.values;
        let (low, high) = match values[..] {
            [] => (0.0, 0.0),
            [low, ..] => (low, values[values.len() - 1]),
        };
        // An empty sum would be -0.
        let sum = values.iter().fold(0.0, |sum, value| sum + value);
        let mean = if values.is_empty() {
            0.0
        } else {
            sum / values.len() as f64
        };
        let mut put = |what: &str, number| out.push((format!("{name}.{what}"), number));
        put("count", Number::Integer(self.count as i64));
        put("count_ps", Number::Float(self.count as f64 / seconds));
        put("lower", Number::Float(low));
        put("upper", Number::Float(high));
        put("sum", Number::Float(sum));
        put("mean", Number::Float(mean));
        for threshold in thresholds {
            let within = within(values.len(), *threshold);
            let (mean, upper) = match values.get(..within) {
                Some(part @ [.., upper]) => (part.iter().sum::<f64>() / within as f64, *upper),
                _ => (low, high),
            };
            put(&format!("mean_{threshold}"), Number::Float(mean));
            put(&format!("upper_{threshold}"), Number::Float(upper));
        }
    }
}

/// How many of the smallest values lie within a percentile: as statsd counts
/// them, all but the rounded rest. None if there is only one value.
fn within(count: usize, percent: i64) -> usize {
    if count < 2 {
        return 0;
    }
    let rest = ((100 - percent) as f64 / 100.0 * count as f64).round();
    (count as f64 - rest).max(0.0) as usize
}

#[cfg(test)]
mod tests {
    use super::*;

    fn naming() -> Naming {
        Naming {
            legacy: false,
            global: "stats.".to_owned(),
            counters: "counters".to_owned(),
            timers: String::new(),
            gauges: "gauges".to_owned(),
            statsd: "statsd".to_owned(),
        }
    }

    fn flushed(accumulator: &mut Accumulator, delete_idle: bool) -> Vec<(String, Number)> {
        accumulator.flush(Duration::from_secs(2), &[90], &naming(), delete_idle)
    }

    fn add(accumulator: &mut Accumulator, kind: StatKind, values: &[f64]) {
        for value in values {
            accumulator.add(Stat {
                bucket: "x".to_owned(),
                value: *value,
                kind,
                rate: 0.5,
            });
        }
    }

    #[test]
    fn counters_scale_with_the_rate_and_start_over() {
        let mut accumulator = Accumulator::default();
        add(&mut accumulator, StatKind::Counter, &[1.0, 2.0]);
        let numbers = flushed(&mut accumulator, false);
        assert_eq!(
            numbers[0],
            ("stats.counters.x.rate".to_owned(), Number::Float(3.0))
        );
        assert_eq!(
            numbers[1],
            ("stats.counters.x.count".to_owned(), Number::Integer(6))
        );
        assert_eq!(flushed(&mut accumulator, true)[1].1, Number::Integer(0));
        let numbers = flushed(&mut accumulator, true);
        assert_eq!(
            numbers,
            [("stats.statsd.numStats".to_owned(), Number::Integer(0))]
        );
    }

    #[test]
    fn percentiles_leave_the_largest_out() {
        let mut accumulator = Accumulator::default();
        let values: Vec<f64> = (1..=10).map(f64::from).collect();
        add(&mut accumulator, StatKind::Timer, &values);
        let numbers = flushed(&mut accumulator, false);
        let get = |name: &str| {
            numbers
                .iter()
                .find(|(n, _)| n == name)
                .map(|(_, number)| *number)
        };
        assert_eq!(get("stats.x.mean_90"), Some(Number::Float(5.0)));
        assert_eq!(get("stats.x.upper_90"), Some(Number::Float(9.0)));
        assert_eq!(get("stats.x.sum"), Some(Number::Float(55.0)));
    }
}
