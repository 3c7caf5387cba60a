//! Remote write and remote read against the store of a server.

use std::sync::Arc;

use axum::Router;
use axum::body::{Body, to_bytes};
use axum::http::{HeaderMap, Request};
use headwater_api_prometheus::{Parts, Phase, WriteMessage, router};
use headwater_env::ManualClock;
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_promql::{Engine, EngineOptions};
use headwater_storage::{MetadataStore, Select, SelectExemplars, SelectRequest, block_on};
use headwater_tsdb::{Db, Options};
use headwater_wire::messages::{
    BucketSpan, ChunkedReadResponse, Exemplar, Histogram, Label, LabelMatcher, Query, ReadRequest,
    ReadResponse, Sample, TimeSeries, WriteRequest, histogram, v2,
};
use headwater_wire::{chunked, snappy};
use prost::Message;
use tower::ServiceExt;

use crate::corpora::exchanges;
use crate::fakes::{FakeServer, NOW};

/// A server with a store on disk that takes remote writes.
pub(crate) struct Remote {
    pub(crate) parts: Parts,
    db: Db,
    _folder: tempfile::TempDir,
}

impl Remote {
    pub(crate) fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut options = Options::default();
        options.max_exemplars = 100;
        let db = Db::builder(folder.path().join("data"))
            .options(options)
            .open()
            .expect("a store");
        let store = Arc::new(db.clone());
        let mut parts = Parts::new(Arc::new(FakeServer(Phase::Ready)));
        parts.clock = Arc::new(ManualClock::new((NOW + 5) * 1000));
        parts.engine = Some(Arc::new(
            Engine::new(store.clone(), EngineOptions::default()).expect("threads"),
        ));
        parts.samples = Some(store.clone());
        parts.chunks = Some(store.clone());
        parts.labels = Some(store.clone());
        parts.write = Some(store);
        Self {
            parts,
            db,
            _folder: folder,
        }
    }

    fn router(&self) -> Router {
        router(self.parts.clone())
    }

    /// Everything that a metric has, as `{labels} time=value`.
    fn stored(&self, metric: &str) -> Vec<String> {
        let matchers = vec![Matcher::equal("__name__", metric)];
        let mut request = SelectRequest::new(matchers, TimeRange::new(0, i64::MAX));
        request.hints.sorted = true;
        let mut cursor = block_on(self.db.select(request)).unwrap();
        let (mut out, mut columns) = (Vec::new(), SeriesColumns::default());
        while let Some(labels) = cursor.advance().unwrap() {
            cursor.read(&mut columns).unwrap();
            let floats = columns.floats.times.iter().zip(&columns.floats.values);
            let floats = floats.map(|(time, value)| format!("{}={value}", time - NOW * 1000));
            let histograms = (0..columns.histograms.len()).map(|at| {
                format!(
                    "{}=h{}",
                    columns.histograms.times()[at] - NOW * 1000,
                    columns.histograms.float(at).count
                )
            });
            let samples: Vec<String> = floats.chain(histograms).collect();
            if !samples.is_empty() {
                out.push(format!("{labels} {}", samples.join(" ")));
            }
        }
        out
    }
}

/// Status, headers, text.
type Answer = (u16, HeaderMap, String);

async fn post(router: &Router, path: &str, kind: &str, body: Vec<u8>) -> (u16, HeaderMap, Vec<u8>) {
    let request = Request::post(path)
        .header("Content-Type", kind)
        .header("Content-Encoding", "snappy")
        .body(Body::from(body))
        .unwrap();
    let response = router.clone().oneshot(request).await.unwrap();
    let (status, headers) = (response.status().as_u16(), response.headers().clone());
    let body = to_bytes(response.into_body(), 1 << 26).await.unwrap();
    (status, headers, body.to_vec())
}

const V1: &str = "application/x-protobuf";
const V2: &str = "application/x-protobuf;proto=io.prometheus.write.v2.Request";

async fn write(router: &Router, request: &WriteRequest) -> Answer {
    let body = snappy::compress(&request.encode_to_vec());
    let (status, headers, text) = post(router, "/api/v1/write", V1, body).await;
    (status, headers, String::from_utf8(text).unwrap())
}

async fn write2(router: &Router, request: &v2::Request) -> Answer {
    let body = snappy::compress(&request.encode_to_vec());
    let (status, headers, text) = post(router, "/api/v1/write", V2, body).await;
    (status, headers, String::from_utf8(text).unwrap())
}

fn written(headers: &HeaderMap) -> [String; 3] {
    ["samples", "histograms", "exemplars"].map(|what| {
        let name = format!("x-prometheus-remote-write-{what}-written");
        headers
            .get(name)
            .map_or_else(String::new, |value| value.to_str().unwrap().to_owned())
    })
}

fn labels(pairs: &[(&str, &str)]) -> Vec<Label> {
    let label = |(name, value): &(&str, &str)| Label {
        name: (*name).into(),
        value: (*value).into(),
    };
    pairs.iter().map(label).collect()
}

/// A sample `after` milliseconds after the moment of the tests.
fn sample(after: i64, value: f64) -> Sample {
    Sample {
        value,
        timestamp: NOW * 1000 + after,
    }
}

fn series(pairs: &[(&str, &str)], samples: &[Sample]) -> TimeSeries {
    TimeSeries {
        labels: labels(pairs),
        samples: samples.to_vec(),
        ..TimeSeries::default()
    }
}

fn request(timeseries: Vec<TimeSeries>) -> WriteRequest {
    WriteRequest {
        timeseries,
        metadata: Vec::new(),
    }
}

fn native(after: i64, counts: &[i64]) -> Histogram {
    Histogram {
        count: Some(histogram::Count::CountInt(counts.iter().sum::<i64>() as u64)),
        zero_count: Some(histogram::ZeroCount::ZeroCountInt(0)),
        sum: 5.0,
        schema: 1,
        positive_spans: vec![BucketSpan {
            offset: 0,
            length: counts.len() as u32,
        }],
        positive_deltas: counts
            .iter()
            .scan(0, |last, count| {
                let delta = count - *last;
                *last = *count;
                Some(delta)
            })
            .collect(),
        timestamp: NOW * 1000 + after,
        ..Histogram::default()
    }
}

#[tokio::test]
async fn samples_arrive_whether_or_not_the_series_is_known() {
    let remote = Remote::new();
    let router = remote.router();
    for at in 0..3 {
        let all = (0..50).map(|n| {
            series(
                &[("__name__", "lamps"), ("n", &n.to_string())],
                &[sample(at * 1000, f64::from(n))],
            )
        });
        let (status, _, text) = write(&router, &request(all.collect())).await;
        assert_eq!((status, text.as_str()), (204, ""));
    }
    let stored = remote.stored("lamps");
    assert_eq!(stored.len(), 50);
    assert_eq!(
        stored[7],
        "{__name__=\"lamps\", n=\"15\"} 0=15 1000=15 2000=15"
    );
}

#[tokio::test]
async fn labels_in_any_order_are_one_series() {
    let remote = Remote::new();
    let router = remote.router();
    let one = series(&[("__name__", "x"), ("a", "1")], &[sample(0, 1.0)]);
    let two = series(
        &[("a", "1"), ("__name__", "x"), ("empty", "")],
        &[sample(1, 2.0)],
    );
    assert_eq!(write(&router, &request(vec![one, two])).await.0, 204);
    assert_eq!(remote.stored("x"), ["{__name__=\"x\", a=\"1\"} 0=1 1=2"]);
}

#[tokio::test]
async fn one_bad_sample_takes_all_of_a_request_of_1_0_with_it() {
    let remote = Remote::new();
    let router = remote.router();
    let first = request(vec![series(&[("__name__", "x")], &[sample(0, 1.0)])]);
    assert_eq!(write(&router, &first).await.0, 204);
    let good = series(&[("__name__", "y")], &[sample(0, 1.0)]);
    let late = series(&[("__name__", "x")], &[sample(-5, 1.0)]);
    let (status, _, text) = write(&router, &request(vec![good, late])).await;
    assert_eq!((status, text.as_str()), (400, "out of order sample\n"));
    assert_eq!(remote.stored("y"), [""; 0]);
    let ahead = series(&[("__name__", "x")], &[sample(20 * 60_000, 1.0)]);
    let (status, _, text) = write(&router, &request(vec![ahead])).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "out of bounds: timestamp is too far in the future\n")
    );
}

#[tokio::test]
async fn series_without_a_valid_name_are_left_out_and_counted() {
    let remote = Remote::new();
    let router = remote.router();
    let many: Vec<(String, &str)> = (0..1100).map(|n| (format!("l{n:04}"), "x")).collect();
    let many: Vec<(&str, &str)> = many.iter().map(|(n, v)| (n.as_str(), *v)).collect();
    let all = vec![
        series(&[("__name__", "x")], &[sample(0, 1.0)]),
        series(&[("a", "1")], &[sample(0, 1.0), sample(1, 1.0)]),
        series(
            &[("__name__", "x"), ("a", "1"), ("a", "2")],
            &[sample(0, 1.0)],
        ),
        series(&many, &[sample(0, 1.0)]),
        series(&[("__name__", "z")], &[sample(0, 3.0)]),
    ];
    assert_eq!(write(&router, &request(all)).await.0, 204);
    assert_eq!(remote.stored("x").len() + remote.stored("z").len(), 2);
    let metrics = remote.parts.registry.write(
        headwater_exposition::Protocol::PrometheusText0_0_4,
        headwater_exposition::Escaping::Underscores,
    );
    let metrics = String::from_utf8(metrics).unwrap();
    assert!(
        metrics.contains("prometheus_api_remote_write_invalid_labels_samples_total 4\n"),
        "{metrics}"
    );
}

#[tokio::test]
async fn histograms_and_exemplars_are_kept() {
    let remote = Remote::new();
    let router = remote.router();
    let exemplar = Exemplar {
        labels: labels(&[("trace_id", "t")]),
        value: 0.5,
        timestamp: NOW * 1000,
    };
    let mut one = series(&[("__name__", "x")], &[sample(0, 1.0)]);
    one.exemplars = vec![exemplar];
    let mut two = series(&[("__name__", "h")], &[]);
    two.histograms = vec![native(0, &[1, 2]), native(1000, &[2, 2])];
    let sent = request(vec![one, two.clone()]);
    assert_eq!(write(&router, &sent).await.0, 204);
    assert_eq!(remote.stored("h"), ["{__name__=\"h\"} 0=h3 1000=h4"]);
    let exemplars = block_on(remote.db.exemplars(
        vec![vec![Matcher::equal("__name__", "x")]],
        TimeRange::new(0, i64::MAX),
    ));
    assert_eq!(exemplars.unwrap()[0].exemplars[0].value, 0.5);
    two.histograms = vec![Histogram {
        positive_deltas: vec![5],
        ..native(2000, &[1, 2])
    }];
    let (status, _, text) = write(&router, &request(vec![two])).await;
    assert_eq!(status, 400, "{text}");
    assert!(text.contains("invalid histogram"), "{text}");
}

/// Symbols and the references of pairs.
fn symbols(pairs: &[&[(&str, &str)]]) -> (Vec<String>, Vec<Vec<u32>>) {
    let mut symbols = vec![String::new()];
    let mut of = |text: &str| match symbols.iter().position(|symbol| symbol == text) {
        Some(at) => at as u32,
        None => {
            symbols.push(text.to_owned());
            symbols.len() as u32 - 1
        }
    };
    let references = pairs
        .iter()
        .map(|pairs| pairs.iter().flat_map(|(n, v)| [of(n), of(v)]).collect())
        .collect();
    (symbols, references)
}

#[tokio::test]
async fn a_request_of_2_0_is_taken_in_part() {
    let remote = Remote::new();
    let router = remote.router();
    let (symbols, references) = symbols(&[
        &[("__name__", "x"), ("a", "1")],
        &[("a", "1")],
        &[("__name__", "h"), ("help", "help text")],
    ]);
    let help = symbols.iter().position(|s| s == "help text").unwrap() as u32;
    let at = |after: i64, value| v2::Sample {
        value,
        timestamp: NOW * 1000 + after,
        start_timestamp: 0,
    };
    let series = |references: &Vec<u32>, samples: Vec<v2::Sample>| v2::TimeSeries {
        labels_refs: references.clone(),
        samples,
        metadata: Some(v2::Metadata {
            r#type: 1,
            help_ref: help,
            unit_ref: 0,
        }),
        ..v2::TimeSeries::default()
    };
    let exemplar = v2::Exemplar {
        labels_refs: references[1].clone(),
        value: 7.0,
        timestamp: NOW * 1000,
    };
    let mut two = series(&references[2], Vec::new());
    two.histograms = vec![native(0, &[1, 2])];
    two.exemplars = vec![exemplar];
    let started = v2::Sample {
        start_timestamp: NOW * 1000 - 9,
        ..at(1, 2.0)
    };
    let sent = v2::Request {
        symbols,
        timeseries: vec![
            series(&references[0], vec![at(0, 1.0), started]),
            series(&references[0], vec![at(-3, 1.0)]),
            series(&references[1], vec![at(0, 1.0)]),
            series(&references[0], Vec::new()),
            two,
        ],
    };
    let (status, headers, text) = write2(&router, &sent).await;
    assert_eq!(status, 400);
    assert_eq!(
        text.lines().collect::<Vec<_>>(),
        [
            "invalid metric name or labels, got {a=\"1\"}",
            "TimeSeries must contain at least one sample or histogram for series {__name__=\"x\", a=\"1\"}",
            "out of order sample for series {__name__=\"x\", a=\"1\"}",
        ]
    );
    assert_eq!(written(&headers), ["2", "1", "1"]);
    assert_eq!(remote.stored("h").len(), 1);
    assert_eq!(remote.stored("x").len(), 1);
    let metadata = block_on(
        remote
            .db
            .series_metadata(vec![Matcher::equal("__name__", "x")], 0),
    )
    .unwrap();
    assert_eq!(metadata[0].metadata.help, "help text");
    // A second time: the series are known now.
    let mut again = v2::Request {
        timeseries: sent.timeseries[..1].to_vec(),
        ..sent
    };
    again.timeseries[0].samples = vec![at(5, 1.0)];
    assert_eq!(write2(&router, &again).await.0, 204);
}

#[tokio::test]
async fn only_the_messages_that_were_chosen_are_taken() {
    let mut remote = Remote::new();
    remote.parts.settings.write_messages = vec![WriteMessage::V1];
    let (status, _, text) = write2(&remote.router(), &v2::Request::default()).await;
    assert_eq!(status, 415);
    assert_eq!(
        text,
        "io.prometheus.write.v2.Request protobuf message is not accepted by this server; accepted [prometheus.WriteRequest]\n"
    );
}

#[tokio::test]
async fn what_is_too_large_is_refused_by_name() {
    let remote = Remote::new();
    let router = remote.router();
    // Two bytes a series: half a million of them are hardly a megabyte.
    let series = [0x0a, 0].repeat(headwater_api_prometheus::MAX_SERIES_PER_WRITE + 1);
    let (status, _, text) = post(&router, "/api/v1/write", V1, snappy::compress(&series)).await;
    assert_eq!(
        (status, String::from_utf8(text).unwrap().as_str()),
        (400, "more than 524288 series in a request\n")
    );
    let symbols = [0x22, 0].repeat(headwater_api_prometheus::MAX_SYMBOLS_PER_WRITE + 1);
    let (status, ..) = post(&router, "/api/v1/write", V2, snappy::compress(&symbols)).await;
    assert_eq!(status, 400);
    let long = v2::TimeSeries {
        labels_refs: [1, 2].repeat(headwater_api_prometheus::MAX_LABELS_PER_SERIES + 5),
        samples: vec![v2::Sample {
            timestamp: NOW * 1000,
            ..v2::Sample::default()
        }],
        ..v2::TimeSeries::default()
    };
    let long = v2::Request {
        symbols: vec![String::new(), "__name__".into(), "x".into()],
        timeseries: vec![long],
    };
    let (status, _, text) = write2(&router, &long).await;
    assert_eq!(
        (status, text.as_str()),
        (400, "series with more than 1024 labels\n")
    );
    let bomb = vec![0xff, 0xff, 0xff, 0xff, 0x0f, 0];
    assert_eq!(post(&router, "/api/v1/write", V1, bomb).await.0, 400);
}

#[tokio::test]
async fn forgotten_series_are_found_again() {
    let remote = Remote::new();
    let router = remote.router();
    let of = |hours: i64| {
        request(vec![series(
            &[("__name__", "x")],
            &[sample(hours * 3_600_000 - 20 * 3_600_000, hours as f64)],
        )])
    };
    assert_eq!(write(&router, &of(0)).await.0, 204);
    let other = |hours: i64| {
        request(vec![series(
            &[("__name__", "y")],
            &[sample(hours * 3_600_000 - 20 * 3_600_000, 1.0)],
        )])
    };
    for hours in 1..12 {
        assert_eq!(write(&router, &other(hours)).await.0, 204);
    }
    // The head gives the old series to a block, and forgets it.
    remote.db.maintain().expect("a compaction");
    assert_eq!(write(&router, &of(12)).await.0, 204);
    assert_eq!(
        remote.stored("x"),
        ["{__name__=\"x\"} -72000000=0 -28800000=12"]
    );
}

fn read_request(kind: &[i32], name: &str) -> Vec<u8> {
    let query = Query {
        start_timestamp_ms: NOW * 1000 - 1_000_000,
        end_timestamp_ms: NOW * 1000 + 1_000_000,
        matchers: vec![
            LabelMatcher {
                r#type: 2,
                name: "__name__".into(),
                value: name.into(),
            },
            LabelMatcher {
                r#type: 0,
                name: "cluster".into(),
                value: "golden".into(),
            },
        ],
        hints: None,
    };
    let request = ReadRequest {
        queries: vec![query],
        accepted_response_types: kind.to_vec(),
    };
    snappy::compress(&request.encode_to_vec())
}

async fn with_some_series(remote: &Remote, router: &Router) {
    let samples: Vec<Sample> = (0..500).map(|at| sample(at * 1000, at as f64)).collect();
    let mut native_one = series(&[("__name__", "read_h")], &[]);
    native_one.histograms = vec![native(0, &[1, 2])];
    let sent = request(vec![
        series(&[("__name__", "read_x"), ("a", "1")], &samples),
        native_one,
    ]);
    assert_eq!(write(router, &sent).await.0, 204);
    assert_eq!(remote.stored("read_x").len(), 1);
}

#[tokio::test]
async fn reads_give_samples() {
    let remote = Remote::new();
    let router = remote.router();
    with_some_series(&remote, &router).await;
    let (status, headers, body) =
        post(&router, "/api/v1/read", V1, read_request(&[], "read_.*")).await;
    assert_eq!(
        (
            status,
            &headers["content-type"],
            &headers["content-encoding"]
        ),
        (200, &V1.parse().unwrap(), &"snappy".parse().unwrap())
    );
    let mut plain = Vec::new();
    snappy::decompress(&body, 1 << 20, &mut plain).unwrap();
    let mut result = ReadResponse::decode(&*plain)
        .unwrap()
        .results
        .remove(0)
        .timeseries;
    result.sort_by_key(|series| series.samples.len());
    assert_eq!(result[0].histograms[0].count, native(0, &[1, 2]).count);
    assert_eq!(result[1].samples.len(), 500);
    assert_eq!(
        result[1].labels,
        labels(&[
            ("__name__", "read_x"),
            ("a", "1"),
            ("cluster", "golden"),
            ("replica", "r1")
        ])
    );
    let (status, _, text) = post(&router, "/api/v1/read", V1, read_request(&[], "read_(")).await;
    assert_eq!(status, 400, "{}", String::from_utf8_lossy(&text));
}

#[tokio::test]
async fn reads_have_a_bound_on_samples() {
    let mut remote = Remote::new();
    remote.parts.settings.remote_read_samples = 100;
    let router = remote.router();
    with_some_series(&remote, &router).await;
    let (status, _, text) = post(&router, "/api/v1/read", V1, read_request(&[0], "read_x")).await;
    assert_eq!(
        (status, &*text),
        (400, &b"exceeded sample limit (100)\n"[..])
    );
}

#[tokio::test]
async fn reads_stream_chunks() {
    let mut remote = Remote::new();
    remote.parts.settings.remote_read_frame_bytes = 300;
    let router = remote.router();
    with_some_series(&remote, &router).await;
    let (status, headers, body) =
        post(&router, "/api/v1/read", V1, read_request(&[1], "read_.*")).await;
    assert_eq!(status, 200);
    assert_eq!(
        headers["content-type"],
        "application/x-streamed-protobuf; proto=prometheus.ChunkedReadResponse"
    );
    let (mut rest, mut frames, mut columns) = (&body[..], 0, SeriesColumns::default());
    while let Some(message) = chunked::next_frame(&mut rest, 1 << 20).unwrap() {
        frames += 1;
        for series in ChunkedReadResponse::decode(message).unwrap().chunked_series {
            assert_eq!(
                series
                    .labels
                    .iter()
                    .find(|l| l.name == "cluster")
                    .unwrap()
                    .value,
                "golden"
            );
            for chunk in series.chunks {
                let encoding =
                    headwater_blockfmt::Encoding::from_number(chunk.r#type as u8).unwrap();
                headwater_blockfmt::chunk::decode(
                    encoding,
                    &chunk.data,
                    TimeRange::new(0, i64::MAX),
                    &mut columns,
                )
                .unwrap();
            }
        }
    }
    assert_eq!((columns.floats.len(), columns.histograms.len()), (500, 1));
    assert!(frames > 2, "{frames} frames");
}

/// What the original answered to a recorded read, written here and read again.
#[tokio::test]
async fn recorded_reads_come_back() {
    let Some(exchanges) = exchanges() else { return };
    let recorded = |id: &str| {
        exchanges
            .iter()
            .find(|exchange| exchange.id.starts_with(id))
            .unwrap()
    };
    let plain = |bytes: &[u8]| {
        let mut plain = Vec::new();
        snappy::decompress(bytes, 1 << 20, &mut plain).unwrap();
        plain
    };
    let theirs = ReadResponse::decode(&*plain(&recorded("242-read").answer_bytes)).unwrap();
    let external = FakeServer(Phase::Ready);
    let external = headwater_api_prometheus::Server::external_labels(&external);
    let mut sent = request(theirs.results[0].timeseries.clone());
    for series in &mut sent.timeseries {
        series.labels.retain(|label| !external.has(&label.name));
    }
    let remote = Remote::new();
    let router = remote.router();
    assert_eq!(write(&router, &sent).await.0, 204);
    let (_, _, ours) = post(
        &router,
        "/api/v1/read",
        V1,
        recorded("242-read").body.clone().unwrap(),
    )
    .await;
    let sorted = |mut response: ReadResponse| {
        response.results[0].timeseries.sort_by_key(|series| {
            Labels::from_pairs(series.labels.iter().map(|l| (&l.name, &l.value)))
        });
        response
    };
    assert_eq!(
        sorted(ReadResponse::decode(&*plain(&ours)).unwrap()),
        sorted(theirs)
    );

    let (_, _, ours) = post(
        &router,
        "/api/v1/read",
        V1,
        recorded("243-read").body.clone().unwrap(),
    )
    .await;
    let series = |mut stream: &[u8]| {
        let mut found = Vec::new();
        while let Some(message) = chunked::next_frame(&mut stream, 1 << 20).unwrap() {
            found.extend(ChunkedReadResponse::decode(message).unwrap().chunked_series);
        }
        found
    };
    let (ours, theirs) = (series(&ours), series(&recorded("243-read").answer_bytes));
    assert_eq!(ours.len(), theirs.len());
    for (ours, theirs) in ours.iter().zip(&theirs) {
        assert_eq!(ours.labels, theirs.labels);
        assert_eq!(ours.chunks[0].r#type, theirs.chunks[0].r#type);
    }
}
