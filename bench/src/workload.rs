//! What the targets show: the mix of series that the baselines were measured with.
//!
//! Each target has 100 series: 40 whole-number counters (half nearly idle), 24 histogram buckets,
//! 8 float counters, 10 whole-number gauges, 10 float gauges, 8 constants. Values depend only on
//! target, series and position, so both servers see the same.

use std::fmt::Write;

/// Milliseconds between samples.
pub(crate) const STEP: i64 = 15_000;

/// A repeatable number between 0 and 1.
fn noise(target: usize, series: usize, at: usize) -> f64 {
    let mut x = (target as u64) << 40 ^ (series as u64) << 20 ^ at as u64;
    for _ in 0..2 {
        x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        x ^= x >> 27;
    }
    (x >> 11) as f64 / (1u64 << 53) as f64
}

/// The page of `target` at position `at`, with explicit times from `base` on.
pub(crate) fn page(target: usize, at: usize, base: i64) -> String {
    let time = base + at as i64 * STEP;
    let mut out = String::with_capacity(12_000);
    for series in 0..40 {
        let speed = if series % 2 == 0 {
            at as f64 * (1.0 + series as f64)
        } else {
            (at / 40) as f64
        };
        let value = (speed + noise(target, series, at)).floor();
        let code = [200, 204, 301, 404, 500][series % 5];
        line(
            &mut out,
            format_args!(
                "http_requests_total{{handler=\"/api/v1/h{}\",code=\"{code}\"}}",
                series / 5
            ),
            value,
            time,
        );
    }
    for series in 0..24 {
        let bounds = [
            "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "+Inf",
        ];
        let value = (at * (series % 12 + 1) * (target % 7 + 1)) as f64;
        line(
            &mut out,
            format_args!(
                "request_duration_seconds_bucket{{handler=\"/h{}\",le=\"{}\"}}",
                series / 12,
                bounds[series % 12]
            ),
            value,
            time,
        );
    }
    for series in 0..8 {
        let value = at as f64 * 0.37 * (series as f64 + 1.0) + noise(target, 100 + series, at);
        line(
            &mut out,
            format_args!("cpu_seconds_total{{mode=\"m{series}\"}}"),
            value,
            time,
        );
    }
    for series in 0..10 {
        let value = (noise(target, 200 + series, at / 4) * 1000.0).floor();
        line(
            &mut out,
            format_args!("queue_length{{queue=\"q{series}\"}}"),
            value,
            time,
        );
        let value = noise(target, 300 + series, at) * 100.0;
        line(
            &mut out,
            format_args!("temperature_celsius{{sensor=\"s{series}\"}}"),
            value,
            time,
        );
    }
    for series in 0..8 {
        line(
            &mut out,
            format_args!("build_info{{part=\"p{series}\",version=\"1.{series}\"}}"),
            1.0,
            time,
        );
    }
    out
}

fn line(out: &mut String, series: std::fmt::Arguments<'_>, value: f64, time: i64) {
    writeln!(out, "{series} {value} {time}").expect("a String takes every write");
}

/// One query of the table.
pub(crate) struct Query {
    pub(crate) name: &'static str,
    pub(crate) expression: &'static str,
    /// Whether it is asked at 61 or more steps, or at one moment.
    pub(crate) range: bool,
}

const fn query(name: &'static str, expression: &'static str, range: bool) -> Query {
    Query {
        name,
        expression,
        range,
    }
}

/// The table of the baselines, on this data.
pub(crate) const QUERIES: &[Query] = &[
    query(
        "sum by (rate), instant",
        "sum by (job) (rate(http_requests_total[5m]))",
        false,
    ),
    query(
        "sum by (rate), range",
        "sum by (job) (rate(http_requests_total[5m]))",
        true,
    ),
    query(
        "histogram_quantile, instant",
        "histogram_quantile(0.99, sum by (le) (rate(request_duration_seconds_bucket[5m])))",
        false,
    ),
    query(
        "histogram_quantile, range",
        "histogram_quantile(0.99, sum by (le) (rate(request_duration_seconds_bucket[5m])))",
        true,
    ),
    query("topk, instant", "topk(10, http_requests_total)", false),
    query(
        "regex selector, instant",
        "http_requests_total{handler=~\"/api/.*[1-3]\",code!~\"5..\"}",
        false,
    ),
    query("sum, range", "sum(http_requests_total)", true),
    query(
        "error ratio, range",
        "sum by (job) (rate(http_requests_total{code=~\"5..\"}[5m])) / sum by (job) (rate(http_requests_total[5m]))",
        true,
    ),
    query(
        "max_over_time, instant",
        "max_over_time(temperature_celsius[1h])",
        false,
    ),
    query(
        "quantile_over_time, instant",
        "quantile_over_time(0.9, temperature_celsius[1h])",
        false,
    ),
    query(
        "subquery, instant",
        "max_over_time(rate(cpu_seconds_total[5m])[1h:1m])",
        false,
    ),
    query(
        "one target, range",
        "rate(http_requests_total{instance=\"t1\"}[5m])",
        true,
    ),
];
