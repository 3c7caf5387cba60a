//! Debian's Prometheus and ours scrape one replayed body with explicit timestamps: same series, same
//! samples, same answers.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::{Server, program};
use headwater_tests::{api, eventually, peer};
use serde_json::Value;

/// Milliseconds between the samples of the body.
const STEP: i64 = 10_000;
/// Samples of each series.
const SAMPLES: i64 = 60;

fn now_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap()
        .as_millis() as i64
}

/// The body at position `at`: a counter with resets, gauges, a classic histogram, odd label values.
fn body(base: i64, at: i64) -> String {
    let time = base + at * STEP;
    let mut out = String::from("# TYPE requests_total counter\n# TYPE wait_seconds histogram\n");
    for (code, speed) in [("200", 7), ("404", 1), ("500", 3)] {
        let count = at * speed % 211;
        writeln!(
            out,
            "requests_total{{code=\"{code}\",path=\"/a b\\\"c\\\\\\n\"}} {count} {time}"
        )
        .unwrap();
    }
    writeln!(
        out,
        "temperature{{room=\"é\"}} {} {time}",
        (at as f64 * 0.7).sin() * 1e-7
    )
    .unwrap();
    writeln!(
        out,
        "odd {} {time}",
        ["NaN", "+Inf", "-Inf", "0", "-0", "1e300"][at as usize % 6]
    )
    .unwrap();
    for (rank, bound) in ["0.1", "0.5", "1", "+Inf"].iter().enumerate() {
        writeln!(
            out,
            "wait_seconds_bucket{{le=\"{bound}\"}} {} {time}",
            at * (rank as i64 + 1)
        )
        .unwrap();
    }
    writeln!(
        out,
        "wait_seconds_sum {} {time}\nwait_seconds_count {} {time}",
        at as f64 * 0.3,
        at * 4
    )
    .unwrap();
    out
}

fn write_config(folder: &Path, target: &str) {
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: replay\n  static_configs: [{{targets: ['{target}'], labels: {{instance: one}}}}]\n"
    );
    fs::write(folder.join("prometheus.yml"), config).unwrap();
}

/// Scrapes the whole body with one server.
fn feed(path: &Path, folder: &Path, base: i64) -> Server {
    let next = Arc::new(AtomicU64::new(0));
    let exporter = Exporter::serve(move || {
        let at = next.fetch_add(1, Ordering::Relaxed).min(SAMPLES as u64 - 1);
        Page::text(body(base, at as i64))
    });
    write_config(folder, &exporter.address());
    let server = Server::start(path, folder, &[]);
    let last = (base + (SAMPLES - 1) * STEP) as f64 / 1000.0;
    eventually("the last sample is stored", || {
        let found = api::samples(&server.url, "wait_seconds_count", "1ms", last);
        found
            .values()
            .any(|values| !values.is_empty())
            .then_some(())
    });
    server
}

const QUERIES: &[&str] = &[
    "requests_total",
    "odd",
    "temperature",
    "rate(requests_total[1m])",
    "increase(requests_total[5m])",
    "irate(requests_total[1m])",
    "delta(temperature[2m])",
    "deriv(temperature[2m])",
    "sum by (code) (rate(requests_total[2m]))",
    "sum without (code) (requests_total)",
    "topk(2, requests_total)",
    "quantile(0.9, requests_total)",
    "stddev(requests_total)",
    "avg_over_time(requests_total[3m])",
    "max_over_time(requests_total[3m]) - min_over_time(requests_total[3m])",
    "quantile_over_time(0.5, temperature[3m])",
    "count_over_time(odd[4m])",
    "resets(requests_total[10m])",
    "changes(odd[10m])",
    "histogram_quantile(0.9, sum by (le) (rate(wait_seconds_bucket[3m])))",
    "requests_total / on (instance) group_left wait_seconds_count",
    "requests_total{code=~\"2..|4..\"} > 10",
    "requests_total offset 1m",
    "absent(nothing{a=\"b\"})",
    "label_replace(requests_total, \"class\", \"${1}xx\", \"code\", \"(.).*\")",
    "predict_linear(wait_seconds_sum[5m], 60)",
    "max_over_time(rate(requests_total[1m])[3m:20s])",
    "count_values(\"v\", requests_total)",
    "clamp_max(requests_total, 100) unless on (code) requests_total{code=\"500\"}",
    "wait_seconds_sum ^ 2 % 7",
    "-requests_total",
];

#[test]
fn both_store_and_answer_the_same() {
    let Some(theirs) = peer::find("prometheus") else {
        return;
    };
    let base = now_millis() - (SAMPLES + 30) * STEP;
    let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
    let ours = feed(&program("prometheus"), folders[0].path(), base);
    let theirs = feed(&theirs, folders[1].path(), base);
    let end = (base + SAMPLES * STEP) as f64 / 1000.0;
    let selector = "{job=\"replay\",__name__!~\"up|scrape_.*\"}";
    let (our_samples, their_samples) = (
        api::samples(&ours.url, selector, "1h", end),
        api::samples(&theirs.url, selector, "1h", end),
    );
    assert_eq!(our_samples.len(), 11, "{:?}", our_samples.keys());
    assert_eq!(our_samples, without_int_bounds(their_samples));
    // Off the sample grid, because the ranges of the old version are closed on the left.
    for expression in QUERIES {
        for at in [2, 7, 31, 59] {
            let time = (base + at * STEP + 3_217) as f64 / 1000.0;
            let [mut a, mut b] = [&ours, &theirs]
                .map(|server| rows(&api::query(&server.url, expression, Some(time))));
            a.sort_by(|x, y| x.0.cmp(&y.0));
            b.sort_by(|x, y| x.0.cmp(&y.0));
            assert!(
                same(&a, &b),
                "{expression} at {time}\n ours   {a:?}\n theirs {b:?}"
            );
        }
    }
}

/// The old version leaves `le="1"` as it is; since 3.0 it is written `1.0`.
fn without_int_bounds(samples: BTreeMap<String, Vec<String>>) -> BTreeMap<String, Vec<String>> {
    samples
        .into_iter()
        .map(|(labels, values)| (labels.replace("\"le\":\"1\"", "\"le\":\"1.0\""), values))
        .collect()
}

fn rows(result: &Value) -> Vec<(String, String)> {
    let row = |row: &Value| {
        let labels = row["metric"]
            .to_string()
            .replace("\"le\":\"1\"", "\"le\":\"1.0\"");
        (
            labels,
            row["value"][1].as_str().unwrap_or_default().to_owned(),
        )
    };
    result.as_array().into_iter().flatten().map(row).collect()
}

/// Equal up to the last digits of sums.
fn same(a: &[(String, String)], b: &[(String, String)]) -> bool {
    let close = |x: &str, y: &str| match (x.parse::<f64>(), y.parse::<f64>()) {
        (Ok(x), Ok(y)) => {
            x == y || (x.is_nan() && y.is_nan()) || (x - y).abs() <= 1e-9 * x.abs().max(y.abs())
        }
        _ => x == y,
    };
    a.len() == b.len()
        && a.iter()
            .zip(b)
            .all(|(x, y)| x.0 == y.0 && close(&x.1, &y.1))
}
