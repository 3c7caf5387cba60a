//! Numbers, data and queries from a seed.

use std::sync::Arc;

use headwater_model::{Labels, stale_nan};
use headwater_storage::{Append, AppendOptions, MemoryStore, SampleValue};

/// A small generator (xorshift) whose numbers never change.
pub(crate) struct Numbers(u64);

impl Numbers {
    pub(crate) fn new(seed: u64) -> Self {
        let mut numbers = Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1);
        numbers.below(2);
        numbers.below(2);
        numbers
    }

    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end
    }

    fn pick<'a>(&mut self, texts: &[&'a str]) -> &'a str {
        texts[self.below(texts.len() as u64) as usize]
    }
}

pub(crate) const INTERVAL: i64 = 15_000;
pub(crate) const SAMPLES: i64 = 120;

/// Counters, gauges and classic buckets with gaps, resets, stale markers and values of all kinds.
pub(crate) fn store(numbers: &mut Numbers) -> Arc<MemoryStore> {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).unwrap();
    for name in ["requests_total", "memory", "latency_bucket"] {
        for at in 0..6 {
            let (job, instance) = (format!("{}", at % 2), format!("{}", at / 2));
            let labels = match name {
                "latency_bucket" => {
                    let le = ["0.1", "1", "+Inf"][at / 2].to_owned();
                    Labels::from_pairs([("__name__", name.to_owned()), ("job", job), ("le", le)])
                }
                _ => Labels::from_pairs([
                    ("__name__", name.to_owned()),
                    ("job", job),
                    ("instance", instance),
                ]),
            };
            let series = batch.series(&labels).unwrap();
            let mut counter = 0.0;
            for sample in 0..SAMPLES {
                let value = match (name, numbers.below(40)) {
                    (_, 0..4) => continue,
                    (_, 4) => stale_nan(),
                    ("memory", 5) => f64::NAN,
                    ("memory", 6) => f64::NEG_INFINITY,
                    ("memory", _) => numbers.below(100) as f64 / 8.0 - 3.0,
                    (_, 5) => {
                        counter = 0.0;
                        counter
                    }
                    _ => {
                        counter += (numbers.below(20) * (at as u64 + 1)) as f64;
                        counter
                    }
                };
                let time = sample * INTERVAL + numbers.below(900) as i64;
                batch
                    .append(series, time, 0, SampleValue::Float(value))
                    .unwrap();
            }
        }
    }
    batch.commit().unwrap().wait().unwrap();
    Arc::new(store)
}

/// A vector expression. `sort` is left out: it orders instants only, which `limitk` shows.
pub(crate) fn vector(numbers: &mut Numbers, depth: u32) -> String {
    if depth == 0 {
        return selector(numbers);
    }
    let below = depth - 1;
    match numbers.below(14) {
        0 => selector(numbers),
        1..4 => {
            let function = numbers.pick(&[
                "rate",
                "increase",
                "irate",
                "delta",
                "idelta",
                "deriv",
                "changes",
                "resets",
                "sum_over_time",
                "avg_over_time",
                "min_over_time",
                "max_over_time",
                "count_over_time",
                "last_over_time",
                "first_over_time",
                "stddev_over_time",
                "present_over_time",
                "mad_over_time",
                "absent_over_time",
            ]);
            format!("{function}({})", range(numbers, below))
        }
        4 => format!(
            "quantile_over_time(0.{}, {})",
            numbers.below(10),
            range(numbers, below)
        ),
        5..8 => {
            let by = numbers.pick(&[
                "",
                " by (job)",
                " without (instance)",
                " by (job, instance)",
            ]);
            let inner = vector(numbers, below);
            match numbers.below(3) {
                0 => {
                    let operator = numbers.pick(&["topk", "bottomk", "limitk"]);
                    format!("{operator}{by} ({}, {inner})", numbers.below(4))
                }
                1 => format!("quantile{by} (0.{}, {inner})", numbers.below(10)),
                _ => {
                    let operator = numbers.pick(&[
                        "sum", "avg", "min", "max", "count", "group", "stddev", "stdvar",
                    ]);
                    format!("{operator}{by} ({inner})")
                }
            }
        }
        8 => {
            let operator = numbers.pick(&["+", "-", "*", "/", "%", ">", "<= bool", "==", "^"]);
            let number = numbers.below(5);
            format!("({} {operator} {number})", vector(numbers, below))
        }
        9..11 => {
            let operator = numbers.pick(&[
                "+",
                "/",
                ">",
                "!= bool",
                "and",
                "or",
                "unless",
                "* on (job) group_left ()",
                "- ignoring (le)",
                "and on (job)",
            ]);
            let (lhs, rhs) = (vector(numbers, below), vector(numbers, below));
            format!("({lhs} {operator} {rhs})")
        }
        11 => {
            let function = numbers.pick(&[
                "abs",
                "ceil",
                "exp",
                "sgn",
                "timestamp",
                "absent",
                "hour",
                "-",
                "clamp_min",
            ]);
            let inner = vector(numbers, below);
            match function {
                "clamp_min" => format!("clamp_min({inner}, 1)"),
                "-" => format!("-({inner})"),
                _ => format!("{function}({inner})"),
            }
        }
        12 => format!(
            "histogram_quantile(0.{}, sum by (le, job) (rate(latency_bucket[5m])))",
            numbers.below(10)
        ),
        _ => format!(
            r#"label_replace({}, "job", "$1-x", "instance", "(.*)")"#,
            vector(numbers, below)
        ),
    }
}

fn selector(numbers: &mut Numbers) -> String {
    let name = numbers.pick(&["requests_total", "memory", "latency_bucket"]);
    let matchers = numbers.pick(&["", "{job=\"0\"}", "{job!=\"0\"}", "{instance=~\"1|2\"}"]);
    let when = numbers.pick(&["", "", " offset 1m", " @ 900", " offset -30s"]);
    format!("{name}{matchers}{when}")
}

fn range(numbers: &mut Numbers, depth: u32) -> String {
    let window = numbers.pick(&["1m", "2m30s", "5m", "20s"]);
    if depth > 0 && numbers.below(4) == 0 {
        return format!("({})[{window}:30s]", vector(numbers, depth - 1));
    }
    let selector = selector(numbers);
    match selector.find(' ') {
        Some(at) => format!("{}[{window}]{}", &selector[..at], &selector[at..]),
        None => format!("{selector}[{window}]"),
    }
}
