//! Remote read of a million samples.

use std::time::Instant;

use headwater_tests::process::Server;
use headwater_tests::remote;
use headwater_wire::messages::{LabelMatcher, Query, ReadRequest};

use super::MetricsOptions;
use super::table::Table;
use super::workload::STEP;
use crate::measure::cpu_seconds;

/// Phase (v): 10 000 series, the newest 100 samples of each, as samples and as chunks.
pub(super) fn read(
    options: &MetricsOptions,
    server: &Server,
    end: i64,
    at: usize,
    table: &mut Table,
) {
    let matcher = LabelMatcher {
        r#type: 0,
        name: "__name__".into(),
        value: "http_requests_total".into(),
    };
    for (kind, what) in [(0, "samples"), (1, "chunks")] {
        let request = ReadRequest {
            queries: vec![Query {
                start_timestamp_ms: end - 99 * STEP,
                end_timestamp_ms: end,
                matchers: vec![matcher.clone()],
                hints: None,
            }],
            accepted_response_types: vec![kind],
        };
        let run = || {
            let answer = remote::read(&server.url, &request);
            assert_eq!(answer.status, 200, "{}", answer.text());
            answer.body.len()
        };
        assert!(run() > 1000, "remote read finds nothing");
        let (before, start) = (cpu_seconds(server.process.id()), Instant::now());
        let spent = || cpu_seconds(server.process.id()) - before;
        let mut times = 0;
        while times < 2 || (spent() < options.query_seconds && times < 200) {
            run();
            times += 1;
        }
        let each = |seconds: f64| seconds * 1000.0 / f64::from(times);
        table.note(at, format!("remote read, {what}: CPU"), "ms", each(spent()));
        table.note(
            at,
            format!("remote read, {what}: wall"),
            "ms",
            each(start.elapsed().as_secs_f64()),
        );
    }
}
