//! What is stored and asked: the mix of series that the baselines were measured with.
//!
//! Each target has 100 series: 40 whole-number counters (half nearly idle), 24 histogram buckets,
//! 8 float counters, 10 whole-number gauges, 10 float gauges, 8 constants. Values depend only on
//! target, series and position, so all servers see the same.

use std::fmt::Write;

/// Milliseconds between samples.
pub(super) const STEP: i64 = 15_000;
/// Series of a target.
pub(super) const SERIES: usize = 100;

const BOUNDS: [&str; 12] = [
    "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
];

/// A repeatable number between 0 and 1.
fn noise(target: usize, series: usize, at: usize) -> f64 {
    let mut x = (target as u64) << 40 ^ (series as u64) << 20 ^ at as u64;
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// Name and labels of series `series` of any target, as the target exposes them.
pub(super) fn exposed(series: usize) -> (&'static str, Vec<(&'static str, String)>) {
    match series {
        0..40 => {
            let code = ["200", "204", "301", "404", "500"][series % 5];
            let handler = format!("/api/v1/h{}", series / 5);
            (
                "http_requests_total",
                vec![("code", code.to_owned()), ("handler", handler)],
            )
        }
        40..64 => {
            let bucket = series - 40;
            let labels = vec![
                ("handler", format!("/h{}", bucket / 12)),
                ("le", BOUNDS[bucket % 12].to_owned()),
            ];
            ("request_duration_seconds_bucket", labels)
        }
        64..72 => (
            "cpu_seconds_total",
            vec![("mode", format!("m{}", series - 64))],
        ),
        72..82 => ("queue_length", vec![("queue", format!("q{}", series - 72))]),
        82..92 => (
            "temperature_celsius",
            vec![("sensor", format!("s{}", series - 82))],
        ),
        _ => {
            let part = series - 92;
            (
                "build_info",
                vec![
                    ("part", format!("p{part}")),
                    ("version", format!("1.{part}")),
                ],
            )
        }
    }
}

/// The labels that a target's series get besides, sorted.
pub(super) fn target_labels(target: usize) -> [(&'static str, String); 5] {
    [
        ("cluster", "one".to_owned()),
        ("instance", format!("t{target}")),
        ("job", "bench".to_owned()),
        ("namespace", format!("ns{}", target % 7)),
        ("pod", format!("pod-{target}")),
    ]
}

/// The value of a series at a position.
pub(super) fn value(target: usize, series: usize, at: usize) -> f64 {
    match series {
        0..40 => {
            let busy = series.is_multiple_of(2);
            let speed = if busy {
                at as f64 * (1.0 + series as f64)
            } else {
                (at / 40) as f64
            };
            (speed + noise(target, series, at)).floor()
        }
        40..64 => (at * ((series - 40) % 12 + 1) * (target % 7 + 1)) as f64,
        64..72 => at as f64 * 0.37 * (series as f64 - 63.0) + noise(target, 100 + series, at),
        72..82 => (noise(target, 200 + series, at / 4) * 1000.0).floor(),
        82..92 => noise(target, 300 + series, at) * 100.0,
        _ => 1.0,
    }
}

/// The page of `target` at position `at`, with explicit times from `base` on.
pub(super) fn page(target: usize, at: usize, base: i64) -> String {
    let time = base + at as i64 * STEP;
    let mut out = String::with_capacity(12_000);
    for series in 0..SERIES {
        let (name, labels) = exposed(series);
        let labels: Vec<String> = labels
            .iter()
            .map(|(name, value)| format!("{name}=\"{value}\""))
            .collect();
        let value = value(target, series, at);
        writeln!(out, "{name}{{{}}} {value} {time}", labels.join(","))
            .expect("a String takes every write");
    }
    out
}

/// How a query is asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum When {
    /// At the end of the data.
    Instant,
    /// Every minute of so many hours before the end of the data.
    Range(i64),
}

/// One query of the table.
pub(super) struct Query {
    pub(super) name: &'static str,
    pub(super) expression: &'static str,
    pub(super) when: When,
}

const fn query(name: &'static str, expression: &'static str, when: When) -> Query {
    Query {
        name,
        expression,
        when,
    }
}

const RATE: &str = "sum by (job) (rate(http_requests_total[5m]))";
const QUANTILE: &str =
    "histogram_quantile(0.99, sum by (le) (rate(request_duration_seconds_bucket[5m])))";

/// The table of the baselines, on this data.
pub(super) const QUERIES: &[Query] = &[
    query("sum by (rate)", RATE, When::Instant),
    query("sum by (rate)", RATE, When::Range(6)),
    query(
        "sum by (rate), a tenth",
        "sum by (job) (rate(http_requests_total{code=\"500\",handler=~\"/api/v1/h[0-3]\"}[5m]))",
        When::Range(6),
    ),
    query("histogram_quantile", QUANTILE, When::Instant),
    query("histogram_quantile", QUANTILE, When::Range(6)),
    query("topk", "topk(10, http_requests_total)", When::Instant),
    query(
        "regex selector",
        "http_requests_total{handler=~\"/api/.*[1-3]\",code!~\"5..\"}",
        When::Instant,
    ),
    query("sum", "sum(http_requests_total)", When::Range(6)),
    query(
        "error ratio",
        "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m]))",
        When::Range(1),
    ),
    query(
        "max_over_time",
        "max_over_time(temperature_celsius[1h])",
        When::Instant,
    ),
    query(
        "quantile_over_time",
        "quantile_over_time(0.9, temperature_celsius[1h])",
        When::Instant,
    ),
    query(
        "subquery",
        "max_over_time(rate(cpu_seconds_total{mode=\"m1\"}[5m])[1h:1m])",
        When::Instant,
    ),
    query(
        "one target",
        "rate(http_requests_total{instance=\"t1\"}[5m])",
        When::Range(6),
    ),
];
