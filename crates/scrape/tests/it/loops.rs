//! Which loops run, and how they end.

use headwater_model::name::NameScheme;
use headwater_relabel::{Action, Config, Rules};

use crate::world::{INTERVAL, World, job, text};

#[tokio::test(start_paused = true)]
async fn a_target_that_is_gone_ends_its_series() {
    let world = World::new(job(), [text("a 1\n")]);
    world.scrapes(2).await;
    world.discover(&[]);
    world.scrapes(1).await;
    assert_eq!(world.series("a"), ["1 1"], "it may come back");
    world.scrapes(3).await;
    assert_eq!(world.series("a"), ["1 1 stale"]);
    assert_eq!(world.series("up"), ["1 1 stale"]);
}

#[tokio::test(start_paused = true)]
async fn a_target_that_comes_back_goes_on() {
    let world = World::new(job(), [text("a 1\n")]);
    world.scrapes(2).await;
    world.discover(&[]);
    tokio::time::sleep(INTERVAL / 2).await;
    world.discover(&["a"]);
    world.scrapes(5).await;
    assert!(
        world.series("a")[0].split(' ').all(|value| value == "1"),
        "{:?}",
        world.series("a")
    );
    assert!(world.series("up")[0].split(' ').all(|value| value == "1"));
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_leaves_series_open() {
    let world = World::new(job(), [text("a 1\n")]);
    world.scrapes(2).await;
    world.discover(&[]);
    world.manager.stop().await;
    world.scrapes(5).await;
    assert_eq!(world.series("a"), ["1 1"]);
}

#[tokio::test(start_paused = true)]
async fn targets_are_scraped_once_each_at_their_own_time() {
    let world = World::new(job(), [text("a 1\n")]);
    let addresses: Vec<String> = (0..20).map(|i| format!("h{i}")).collect();
    let mut names: Vec<&str> = addresses.iter().map(String::as_str).collect();
    names.push("h0");
    world.discover(&names);
    world.scrapes(1).await;
    let mut times: Vec<i64> = Vec::new();
    for (labels, columns) in world.columns() {
        if labels.metric_name() == Some("a") {
            assert_eq!(columns.floats.times.len(), 1, "{labels}");
            times.extend(&columns.floats.times);
        }
    }
    times.sort_unstable();
    times.dedup();
    assert_eq!(times.len(), 20, "targets are spread");
    assert_eq!(
        world.own_metric("prometheus_target_scrape_pool_targets{scrape_job=\"j\"} "),
        20.0
    );
}

#[tokio::test(start_paused = true)]
async fn a_reload_keeps_loops_and_changes_their_rules() {
    let world = World::new(job(), [text("a 1\nb 2\n")]);
    world.scrapes(2).await;
    let mut changed = job();
    changed.metric_relabel = Rules::compile(
        &[Config::new(Action::Drop).source(["__name__"]).regex("b")],
        NameScheme::Utf8,
    )
    .expect("valid");
    world.manager.apply(vec![changed]).expect("valid");
    assert_eq!(
        world.target().status.health.as_str(),
        "up",
        "the loop is the old one"
    );
    world.scrapes(2).await;
    assert_eq!(world.series("a"), ["1 1 1 1"]);
    assert_eq!(world.series("b"), ["2 2 stale"]);
    let times = world.columns()[0].1.floats.times.clone();
    assert!(
        times.windows(2).all(|pair| pair[1] - pair[0] == 10_000),
        "{times:?}"
    );

    world.manager.apply(vec![]).expect("valid");
    assert!(world.manager.status().is_empty());
    world.scrapes(4).await;
    assert_eq!(world.series("a"), ["1 1 1 1 stale"]);
}

#[tokio::test(start_paused = true)]
async fn dropped_targets_are_remembered() {
    let mut job = job();
    job.keep_dropped_targets = 1;
    job.relabel = Rules::compile(
        &[Config::new(Action::Drop)
            .source(["__address__"])
            .regex("x.*")],
        NameScheme::Utf8,
    )
    .expect("valid");
    let world = World::new(job, [text("a 1\n")]);
    world.discover(&["a", "x1", "x2", "bad/address"]);
    let status = &world.manager.status()[0];
    assert_eq!(
        (
            status.active.len(),
            status.dropped.len(),
            status.dropped_count
        ),
        (1, 1, 2)
    );
    assert_eq!(
        world.own_metric("prometheus_target_sync_failed_total{scrape_job=\"j\"} "),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn requests_say_what_is_understood() {
    let mut job = job();
    job.params.insert("q".to_owned(), vec!["1".to_owned()]);
    let world = World::new(job, [text("a 1\n")]);
    world.scrapes(1).await;
    let request = world.script.requests.lock()[0].clone();
    assert_eq!(request.url, "http://a/metrics?q=1");
    assert!(
        request
            .accept
            .starts_with("application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,")
    );
    assert!(request.gzip);
    assert_eq!(request.timeout.as_secs(), 5);
    assert_eq!(request.max_body_bytes, 128 << 20);
    assert!(world.now_millis() > 0);
}

#[tokio::test(start_paused = true)]
async fn own_metrics_have_prometheus_names() {
    let world = World::new(job(), [text("a 1\n")]);
    world.scrapes(3).await;
    let names: Vec<String> = world
        .registry
        .gather()
        .into_iter()
        .map(|family| family.name)
        .collect();
    for name in [
        "interval_length_seconds",
        "interval_length_histogram_seconds",
        "metadata_cache_bytes",
        "metadata_cache_entries",
        "scrape_duration_seconds",
        "scrape_pool_exceeded_label_limits_total",
        "scrape_pool_exceeded_target_limit_total",
        "scrape_pool_reloads_failed_total",
        "scrape_pool_reloads_total",
        "scrape_pool_sync_total",
        "scrape_pool_target_limit",
        "scrape_pool_targets",
        "scrape_pools_failed_total",
        "scrape_pools_total",
        "scrapes_cache_flush_forced_total",
        "scrapes_exceeded_body_size_limit_total",
        "scrapes_exceeded_native_histogram_bucket_limit_total",
        "scrapes_exceeded_sample_limit_total",
        "scrapes_exemplar_out_of_order_total",
        "scrapes_sample_duplicate_timestamp_total",
        "scrapes_sample_out_of_bounds_total",
        "scrapes_sample_out_of_order_total",
        "sync_failed_total",
        "sync_length_histogram_seconds",
        "sync_length_seconds",
    ] {
        let name = format!("prometheus_target_{name}");
        assert!(names.contains(&name), "{name} is missing");
    }
    assert_eq!(
        world.own_metric("prometheus_target_interval_length_seconds_count{interval=\"10s\"} "),
        2.0
    );
}

#[tokio::test(start_paused = true)]
async fn failures_are_logged_to_a_file() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut job = job();
    job.scrape_failure_log_file = Some(dir.path().join("failures.json"));
    let world = World::new(job, [text("a 1\n"), text("a x\n"), text("a 2\n")]);
    world.scrapes(3).await;
    let log = std::fs::read_to_string(dir.path().join("failures.json")).expect("written");
    assert_eq!(log.lines().count(), 1);
    assert!(
        log.contains(r#""job_name":"j","target":"http://a/metrics"}"#),
        "{log}"
    );
}
