//! What becomes of a body.

use headwater_exposition::{Metric, MetricFamily, MetricValue, Protocol, write_body};
use headwater_model::name::NameScheme;
use headwater_model::{Exemplar, Histogram, Labels, MetricType, Span, TimeRange};
use headwater_relabel::{Action, Config, Rules};
use headwater_scrape::ManagerOptions;
use headwater_storage::{MetadataStore, SelectExemplars, block_on};

use crate::world::{Answer, World, job, text};

#[tokio::test(start_paused = true)]
async fn samples_and_a_report_are_stored() {
    let mut job = job();
    job.extra_scrape_metrics = true;
    job.limits.samples = 7;
    let body = "a 1\nb{x=\"y\"} 2\nc{job=\"mine\"} 3\n";
    let world = World::new(job, [text(body), text(body), text("a 2\n")]);
    world.scrapes(3).await;
    assert_eq!(world.series("a"), ["1 1 2"]);
    assert_eq!(world.series("b"), ["{x=\"y\"} 2 2 stale"]);
    assert_eq!(world.series("c"), ["{exported_job=\"mine\"} 3 3 stale"]);
    assert_eq!(world.series("up"), ["1 1 1"]);
    assert_eq!(world.series("scrape_samples_scraped"), ["3 3 1"]);
    assert_eq!(
        world.series("scrape_samples_post_metric_relabeling"),
        ["3 3 1"]
    );
    assert_eq!(world.series("scrape_series_added"), ["3 0 0"]);
    assert_eq!(world.series("scrape_timeout_seconds"), ["5 5 5"]);
    assert_eq!(world.series("scrape_sample_limit"), ["7 7 7"]);
    let size = body.len();
    assert_eq!(
        world.series("scrape_body_size_bytes"),
        [format!("{size} {size} 4")]
    );
    assert_eq!(world.series("scrape_duration_seconds").len(), 1);
    assert!(
        world.columns().iter().all(
            |(labels, _)| labels.get("job") == Some("j") && labels.get("instance") == Some("a")
        )
    );
}

#[tokio::test(start_paused = true)]
async fn scrapes_are_an_interval_apart() {
    let world = World::new(job(), [text("a 1\n")]);
    world.scrapes(4).await;
    let (_, columns) = &world.columns()[0];
    let times = &columns.floats.times;
    assert_eq!(times.len(), 4);
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] == 10_000),
        "{times:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_failed_scrape_makes_everything_stale() {
    let world = World::new(
        job(),
        [
            text("a 1\nb 1\n"),
            text("a 2\nb{ 1\n"),
            text("a 3\n"),
            Answer::Status("500 Internal Server Error"),
            text("a 4\n"),
        ],
    );
    world.scrapes(2).await;
    assert_eq!(
        world.target().status.last_error,
        "line 2, column 2: label set has no end"
    );
    world.scrapes(2).await;
    assert_eq!(
        world.target().status.last_error,
        "server returned HTTP status 500 Internal Server Error"
    );
    assert_eq!(world.target().status.health.as_str(), "down");
    world.scrapes(1).await;
    assert_eq!(world.target().status.health.as_str(), "up");
    assert_eq!(world.series("a"), ["1 stale 3 stale 4"]);
    assert_eq!(world.series("b"), ["1 stale"]);
    assert_eq!(world.series("up"), ["1 0 1 0 1"]);
    assert_eq!(world.series("scrape_samples_scraped"), ["2 1 1 0 1"]);
}

#[tokio::test(start_paused = true)]
async fn times_of_the_body_are_honoured() {
    let body = |time: i64| text(&format!("a 1 {time}\n"));
    let begin = 1_700_000_000_000;
    let world = World::new(job(), [body(begin + 1), body(begin + 2), text("b 1\n")]);
    world.scrapes(3).await;
    assert_eq!(
        world.series("a"),
        ["1 1"],
        "no stale marker for samples with times"
    );
    assert_eq!(world.columns()[0].1.floats.times, [begin + 1, begin + 2]);

    let mut tracking = job();
    tracking.track_timestamps_staleness = true;
    let world = World::new(tracking, [body(begin + 1), text("b 1\n")]);
    world.scrapes(2).await;
    assert_eq!(world.series("a"), ["1 stale"]);

    let mut ignoring = job();
    ignoring.honor_timestamps = false;
    let world = World::new(ignoring, [body(begin - 1_000_000)]);
    world.scrapes(1).await;
    assert!(world.columns()[0].1.floats.times[0] >= begin);
}

#[tokio::test(start_paused = true)]
async fn samples_that_are_refused_one_by_one_do_not_fail_the_scrape() {
    let now = 1_700_000_000_000_i64;
    let world = World::new(
        job(),
        [
            text(&format!("a 1 {now}\nb 1\nb 2\n")),
            text(&format!("a 1 {}\nb 1\n", now - 1000)),
            text(&format!("a 1 {}\nb 1\n", now + 3_600_000)),
        ],
    );
    world.scrapes(3).await;
    assert_eq!(world.series("up"), ["1 1 1"]);
    assert_eq!(world.series("a"), ["1"]);
    assert_eq!(world.series("b"), ["1 1 1"]);
    assert_eq!(
        world.own_metric("prometheus_target_scrapes_sample_duplicate_timestamp_total "),
        1.0
    );
    assert_eq!(
        world.own_metric("prometheus_target_scrapes_sample_out_of_order_total "),
        1.0
    );
    assert_eq!(
        world.own_metric("prometheus_target_scrapes_sample_out_of_bounds_total "),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn one_series_in_other_bytes_is_not_stale() {
    let world = World::new(
        job(),
        [
            text("a{x=\"1\",y=\"2\"} 1\n"),
            text("a{y=\"2\", x=\"1\"} 2\n"),
        ],
    );
    world.scrapes(2).await;
    assert_eq!(world.series("a"), ["{x=\"1\", y=\"2\"} 1 2"]);
}

#[tokio::test(start_paused = true)]
async fn rules_drop_and_rename_samples() {
    let mut job = job();
    job.metric_relabel = Rules::compile(
        &[
            Config::new(Action::Drop).source(["__name__"]).regex("b"),
            Config::new(Action::Replace)
                .source(["__name__"])
                .target("__name__")
                .replacement("x_$1"),
        ],
        NameScheme::Utf8,
    )
    .expect("valid rules");
    let world = World::new(job, [text("a 1\nb 2\n")]);
    world.scrapes(2).await;
    assert_eq!(world.series("x_a"), ["1 1"]);
    assert_eq!(world.series("x_b").len() + world.series("b").len(), 0);
    assert_eq!(
        world.series("scrape_samples_post_metric_relabeling"),
        ["1 1"]
    );
    assert_eq!(world.series("up"), ["1 1"], "reports are not relabelled");
}

#[tokio::test(start_paused = true)]
async fn native_histograms_are_stored() {
    let histogram = Histogram {
        count: 3,
        sum: 4.5,
        zero_threshold: 0.01,
        positive_spans: vec![Span {
            offset: 0,
            length: 2,
        }],
        positive_deltas: vec![1, 1],
        ..Histogram::default()
    };
    let family = MetricFamily::new("h", "Help.", MetricType::Histogram)
        .with(Metric::new(MetricValue::Histogram(histogram)));
    let body = write_body(
        &[family],
        Protocol::PrometheusProto,
        headwater_exposition::Escaping::AllowUtf8,
    );
    let mut native = job();
    native.scrape_native_histograms = true;
    let world = World::new(native, [Answer::Protobuf(body.clone())]);
    world.scrapes(1).await;
    assert_eq!(world.series("h"), ["histogram 3/4.5"]);

    let world = World::new(job(), [Answer::Protobuf(body)]);
    world.scrapes(1).await;
    assert_eq!(world.series("h_count"), ["3"]);
    assert_eq!(world.series("h_bucket"), ["{le=\"+Inf\"} 3"]);
}

#[tokio::test(start_paused = true)]
async fn classic_histograms_become_native_ones() {
    let body = "# TYPE h histogram\nh_bucket{le=\"1\"} 2\nh_bucket{le=\"+Inf\"} 3\nh_sum 4.5\nh_count 3\na 1\n";
    let mut converting = job();
    converting.convert_classic_histograms_to_nhcb = true;
    let world = World::new(converting.clone(), [text(body), text("a 1\n")]);
    world.scrapes(2).await;
    assert_eq!(world.series("h"), ["histogram 3/4.5 stale"]);
    assert_eq!(
        world.series("h_count").len() + world.series("h_bucket").len(),
        0
    );
    assert_eq!(world.series("scrape_samples_scraped"), ["2 1"]);

    converting.always_scrape_classic_histograms = true;
    let world = World::new(converting, [text(body)]);
    world.scrapes(2).await;
    assert_eq!(world.series("h"), ["histogram 3/4.5 histogram 3/4.5"]);
    assert_eq!(world.series("h_count"), ["3 3"]);
}

#[tokio::test(start_paused = true)]
async fn exemplars_are_stored() {
    let body = "# TYPE a counter\na_total 1 # {id=\"x\"} 0.5\n# EOF\n";
    let world = World::new(job(), [Answer::OpenMetrics(body.to_owned())]);
    world.scrapes(1).await;
    let found = block_on(world.store.exemplars(Vec::new(), TimeRange::ALL)).expect("readable");
    let time = world.columns()[0].1.floats.times[0];
    let exemplar = Exemplar {
        labels: Labels::from_pairs([("id", "x")]),
        value: 0.5,
        time: Some(time),
    };
    assert_eq!(found[0].exemplars, [exemplar]);
}

#[tokio::test(start_paused = true)]
async fn metadata_is_known_by_target() {
    let mut options = ManagerOptions::default();
    options.append_metadata = true;
    let body = "# HELP a Help.\n# TYPE a gauge\na 1\nb 2\n";
    let world = World::with_options(job(), [text(body)], options);
    world.scrapes(1).await;
    let found = world
        .manager
        .target_metadata(|labels| labels.get("job") == Some("j"), None, 0);
    assert_eq!(found.len(), 1);
    assert_eq!(
        (found[0].metric.as_str(), found[0].metadata.metric_type),
        ("a", MetricType::Gauge)
    );
    assert_eq!(world.manager.metadata(Some("a"))["a"][0].help, "Help.");
    assert!(world.manager.target_metadata(|_| false, None, 0).is_empty());
    assert_eq!(
        world.own_metric("prometheus_target_metadata_cache_entries{scrape_job=\"j\"} "),
        1.0
    );
    let stored = block_on(world.store.series_metadata(Vec::new(), 0)).expect("readable");
    assert!(stored.iter().any(|entry| entry.metadata.help == "Help."));
}
