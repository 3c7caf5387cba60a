//! Parts for the router: a store in memory with the series that the recorded requests ask for, and
//! a scraper with two pools.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use headwater_api_prometheus::{
    Admin, BuildInfo, Dropped, HeadStats, Health, Lifecycle, NameCount, Notification, Parts, Phase,
    RuntimeInfo, Scraping, Server, TargetMetadata, TargetView, TsdbStats, TsdbView, WalReplay,
    format_rfc3339,
};
use headwater_blockfmt::{BlockMeta, meta};
use headwater_env::ManualClock;
use headwater_exposition::Registry;
use headwater_model::name::NameScheme;
use headwater_model::{
    Exemplar, FloatHistogram, Labels, Matcher, Metadata, MetricType, Span, TimeRange,
};
use headwater_promql::{Engine, EngineOptions, ParseOptions, parse_selector};
use headwater_relabel::{Action, Config, Rules};
use headwater_storage::{Append, AppendOptions, BoxFuture, Delete, MemoryStore, SampleValue};

/// The second at which most recorded requests were made.
pub(crate) const NOW: i64 = 1_795_144_602;

/// Series of floats, each 1 at every sample.
const SERIES: [&str; 13] = [
    r#"up{instance="127.0.0.1:19200", job="prometheus"}"#,
    r#"up{env="test", instance="127.0.0.1:19210", job="node"}"#,
    r#"up{instance="app-19220", job="app", team="core"}"#,
    r#"up{instance="app-19221", job="app", team="core"}"#,
    r#"up{instance="app-19224", job="app", team="edge"}"#,
    r#"node_load1{job="node"}"#,
    r#"node_load5{job="node"}"#,
    r#"app_requests_total{code="200", instance="app-19220", job="app"}"#,
    r#"app_requests_total{code="200", instance="app-19221", job="app", method="get", sd_file="a.json", team="core", tier="web"}"#,
    r#"app_requests_total{code="500", instance="app-19221", job="app", method="get", sd_file="a.json", team="core", tier="web"}"#,
    r#"app_temperature_celsius{room="a"}"#,
    r#"app_latency_seconds_bucket{instance="app-19221", job="app", le="0.01"}"#,
    r#"job:up:avg{job="app"}"#,
];

/// Series of native histograms.
const HISTOGRAM_SERIES: &str = r#"prometheus_http_request_duration_seconds{handler="/metrics"}"#;

/// A store with a few series, all sampled for five minutes up to [`NOW`].
pub(crate) fn store() -> MemoryStore {
    let store = MemoryStore::new();
    let mut batch = store.appender(AppendOptions::default()).expect("a batch");
    let times = || (NOW - 300..=NOW).step_by(5).map(|time| time * 1000);
    for text in SERIES {
        let series = batch.series(&labels(text)).expect("a series");
        for time in times() {
            batch.append_float(series, time, 1.0).expect("a sample");
        }
        if text.starts_with("app_latency") || text.starts_with("app_requests") {
            batch.exemplar(series, &exemplar()).expect("an exemplar");
        }
    }
    let series = batch.series(&labels(HISTOGRAM_SERIES)).expect("a series");
    for (at, time) in times().enumerate() {
        let histogram = histogram(1.0 + at as f64);
        let value = SampleValue::FloatHistogram(&histogram);
        batch.append(series, time, 0, value).expect("a histogram");
    }
    drop(batch.commit().expect("a commit"));
    store
}

/// The labels that a selector of equalities names.
fn labels(text: &str) -> Labels {
    let selector = parse_selector(text, ParseOptions::stable()).expect("a selector");
    let pairs = selector.matchers.iter();
    Labels::from_pairs(pairs.map(|matcher| (&matcher.name, &matcher.value)))
}

/// Three observations, `times` over.
fn histogram(times: f64) -> FloatHistogram {
    FloatHistogram {
        schema: 3,
        count: 3.0 * times,
        sum: 2.5 * times,
        zero_threshold: 1e-128,
        positive_spans: vec![Span {
            offset: 1,
            length: 2,
        }],
        positive_buckets: vec![1.0 * times, 2.0 * times],
        ..FloatHistogram::default()
    }
}

fn exemplar() -> Exemplar {
    Exemplar {
        labels: Labels::from_pairs([("trace_id", "t1")]),
        value: 0.25,
        time: Some((NOW - 10) * 1000),
    }
}

/// A process in a given phase.
pub(crate) struct FakeServer(pub(crate) Phase);

impl Server for FakeServer {
    fn phase(&self) -> Phase {
        self.0
    }

    fn build(&self) -> BuildInfo {
        BuildInfo {
            version: "0.1.0".into(),
            ..BuildInfo::default()
        }
    }

    fn runtime(&self) -> RuntimeInfo {
        RuntimeInfo {
            start_time: format_rfc3339(0),
            ..RuntimeInfo::default()
        }
    }

    fn flags(&self) -> BTreeMap<String, String> {
        [("log.level".to_owned(), "info".to_owned())].into()
    }

    fn config(&self) -> String {
        "global: {}\n".into()
    }

    fn external_labels(&self) -> Labels {
        Labels::from_pairs([("cluster", "golden"), ("replica", "r1")])
    }

    fn notifications(&self) -> Vec<Notification> {
        Vec::new()
    }
}

/// Two pools with a target each, and one dropped target.
pub(crate) struct FakeScraping;

impl Scraping for FakeScraping {
    fn pools(&self) -> Vec<String> {
        ["app", "limited"].map(str::to_owned).to_vec()
    }

    fn active(&self, pool: &str) -> Vec<TargetView> {
        vec![TargetView {
            discovered: Labels::from_pairs([("__address__", "127.0.0.1:1")]),
            labels: Labels::from_pairs([("job", pool), ("instance", "app-19221")]),
            url: "http://127.0.0.1:1/metrics".into(),
            last_duration: 0.25,
            health: Health::Up,
            ..TargetView::default()
        }]
    }

    fn dropped(&self, pool: &str) -> Dropped {
        let targets =
            vec![Labels::from_pairs([("__meta_drop", "yes")]); usize::from(pool == "app")];
        Dropped {
            total: targets.len(),
            targets,
        }
    }

    fn config(&self, pool: &str) -> Option<String> {
        self.pools()
            .contains(&pool.to_owned())
            .then(|| format!("job_name: {pool}\n"))
    }

    fn relabelling(&self, pool: &str) -> Option<Rules> {
        let configs = [
            Config::new(Action::Drop)
                .source(["__meta_drop"])
                .regex("yes"),
            Config::new(Action::Replace)
                .source(["__address__"])
                .regex(r"127\.0\.0\.1:(\d+)")
                .target("instance")
                .replacement("app-$1"),
            Config::new(Action::LabelMap).regex("__meta_label_(.+)"),
        ];
        (pool == "app").then(|| Rules::compile(&configs, NameScheme::Utf8).expect("rules"))
    }

    fn metadata(&self, pool: &str) -> Vec<TargetMetadata> {
        let metadata = |metric_type, help: &str| Metadata {
            metric_type,
            unit: String::new(),
            help: help.to_owned(),
        };
        vec![TargetMetadata {
            target: Labels::from_pairs([("job", pool), ("instance", "app-19221")]),
            entries: vec![
                (
                    "app_latency_seconds".into(),
                    metadata(MetricType::Histogram, "Latency."),
                ),
                (
                    "app_requests_total".into(),
                    metadata(MetricType::Counter, "Requests."),
                ),
                ("go_info".into(), metadata(MetricType::Gauge, "Go.")),
            ],
        }]
    }
}

/// A store on disk that has one block.
pub(crate) struct FakeTsdb;

impl TsdbView for FakeTsdb {
    fn stats(&self, limit: usize) -> headwater_storage::Result<TsdbStats> {
        let list = vec![
            NameCount {
                name: "up".into(),
                value: 3
            };
            limit
        ];
        Ok(TsdbStats {
            head_stats: HeadStats::default(),
            series_count_by_metric_name: list.clone(),
            label_value_count_by_label_name: list.clone(),
            memory_in_bytes_by_label_name: list.clone(),
            series_count_by_label_value_pair: list,
        })
    }

    fn blocks(&self) -> headwater_storage::Result<Vec<BlockMeta>> {
        Ok(vec![BlockMeta {
            ulid: "01M7VEG33RJJHH6DPF59RXC7HS".into(),
            stats: meta::BlockStats {
                num_samples: 2,
                num_float_samples: 1,
                num_histogram_samples: 1,
                num_series: 1,
                num_chunks: 1,
                num_tombstones: 1,
            },
            compaction: meta::Compaction {
                level: 1,
                sources: vec!["01M7VEG33RJJHH6DPF59RXC7HS".into()],
                ..meta::Compaction::default()
            },
            version: 1,
            ..BlockMeta::default()
        }])
    }

    fn replay(&self) -> WalReplay {
        WalReplay::default()
    }
}

/// Deletes in the store in memory; snapshots nothing.
pub(crate) struct FakeAdmin(pub(crate) Arc<MemoryStore>);

impl Delete for FakeAdmin {
    fn delete(
        &self,
        matchers: Vec<Matcher>,
        range: TimeRange,
    ) -> BoxFuture<'_, headwater_storage::Result<()>> {
        self.0.delete(matchers, range)
    }
}

impl Admin for FakeAdmin {
    fn clean_tombstones(&self) -> BoxFuture<'_, headwater_storage::Result<()>> {
        Box::pin(async { Ok(()) })
    }

    fn snapshot(&self, _: bool) -> BoxFuture<'_, headwater_storage::Result<String>> {
        Box::pin(async { Ok("20261120T031705Z-6f8b5cdc5e7c3d0e".to_owned()) })
    }
}

/// Reloads well, or with the error given; quits once.
#[derive(Default)]
pub(crate) struct FakeLifecycle {
    pub(crate) reload_error: Option<String>,
    pub(crate) asked: AtomicBool,
}

impl Lifecycle for FakeLifecycle {
    fn reload(&self) -> BoxFuture<'_, Result<(), String>> {
        Box::pin(async { self.reload_error.clone().map_or(Ok(()), Err) })
    }

    fn quit(&self) -> bool {
        !self.asked.swap(true, Ordering::Relaxed)
    }
}

/// Parts of a server that has everything.
pub(crate) fn full(phase: Phase) -> Parts {
    let store = Arc::new(store());
    let mut parts = Parts::new(Arc::new(FakeServer(phase)));
    parts.clock = Arc::new(ManualClock::new(NOW * 1000));
    let engine = Engine::new(store.clone(), EngineOptions::default()).expect("threads");
    parts.engine = Some(Arc::new(engine));
    parts.samples = Some(store.clone());
    parts.labels = Some(store.clone());
    parts.exemplars = Some(store.clone());
    measure(&parts.registry);
    parts.scraping = Arc::new(FakeScraping);
    parts.tsdb = Some(Arc::new(FakeTsdb));
    parts.admin = Some(Arc::new(FakeAdmin(store)));
    parts.lifecycle = Some(Arc::new(FakeLifecycle::default()));
    parts
}

/// One metric of each kind.
fn measure(registry: &Registry) {
    registry
        .gauge("prometheus_tsdb_head_chunks", "Chunks.")
        .set(2.5);
    registry
        .gauge("prometheus_tsdb_head_series", "Series.")
        .set(5.0);
    registry
        .counters("calls_total", "Calls.", &["to"])
        .with(&["a"])
        .inc();
    registry
        .histogram("calls_seconds", "Calls.", &[0.5, 1.0])
        .observe(0.7);
    registry
        .summary("waits_seconds", "Waits.", &[0.5])
        .observe(0.7);
}
