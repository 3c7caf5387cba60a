//! Limits fail the whole scrape.

use headwater_scrape::JobConfig;

use crate::world::{Answer, World, job, text};

async fn error_with(change: impl FnOnce(&mut JobConfig), body: &str) -> (World, String) {
    let mut job = job();
    change(&mut job);
    let world = World::new(job, [text(body)]);
    world.scrapes(1).await;
    let error = world.target().status.last_error;
    assert_eq!(world.series("up"), ["0"]);
    assert_eq!(
        world.series("a").len(),
        0,
        "nothing of the scrape is stored"
    );
    (world, error)
}

#[tokio::test(start_paused = true)]
async fn too_many_samples() {
    let (world, error) = error_with(|job| job.limits.samples = 2, "a 1\nb 2\nc 3\nd 4\n").await;
    assert_eq!(error, "sample limit exceeded");
    assert_eq!(world.series("scrape_samples_scraped"), ["4"]);
    assert_eq!(world.series("scrape_samples_post_metric_relabeling"), ["4"]);
    assert_eq!(
        world.own_metric("prometheus_target_scrapes_exceeded_sample_limit_total "),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn too_large_a_body() {
    let (world, error) = error_with(|job| job.limits.body_bytes = 7, "a 1\nb 2\n").await;
    assert_eq!(error, "body size limit exceeded");
    assert_eq!(
        world.own_metric("prometheus_target_scrapes_exceeded_body_size_limit_total "),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_labels() {
    let (world, error) = error_with(|job| job.limits.labels = 3, "a{x=\"y\"} 1\n").await;
    assert_eq!(
        error,
        "label_limit exceeded (metric: a, number of labels: 4, limit: 3)"
    );
    assert_eq!(
        world.own_metric("prometheus_target_scrape_pool_exceeded_label_limits_total "),
        1.0
    );
}

#[tokio::test(start_paused = true)]
async fn too_many_targets() {
    let mut job = job();
    job.limits.targets = 1;
    let world = World::new(job, [text("a 1\n")]);
    world.scrapes(1).await;
    world.discover(&["a", "b"]);
    world.scrapes(1).await;
    let status = &world.manager.status()[0];
    assert_eq!(status.active.len(), 2);
    for target in &status.active {
        assert_eq!(
            target.status.last_error,
            "target_limit exceeded (number of targets: 2, limit: 1)"
        );
    }
    assert_eq!(world.series("a"), ["1 stale"]);
    world.discover(&["a"]);
    world.scrapes(1).await;
    assert_eq!(world.series("a"), ["1 stale 1"]);
}

#[tokio::test(start_paused = true)]
async fn a_silent_target_times_out() {
    let world = World::new(job(), [Answer::Silence, text("a 1\n")]);
    world.scrapes(2).await;
    // The script's last answer repeats: silence was the first of two.
    assert_eq!(world.series("up"), ["0 1"]);
    assert_eq!(world.series("scrape_duration_seconds"), ["5 0"]);

    let world = World::new(job(), [Answer::Silence]);
    world.scrapes(2).await;
    assert_eq!(
        world.target().status.last_error,
        "Get \"http://a/metrics\": context deadline exceeded"
    );
}

#[tokio::test(start_paused = true)]
async fn a_strange_content_type_needs_a_fallback() {
    let strange = || Answer::Typed("text/html", "a 1\n".to_owned());
    let world = World::new(job(), [strange()]);
    world.scrapes(1).await;
    assert_eq!(
        world.target().status.last_error,
        "received unsupported Content-Type \"text/html\" and no fallback_scrape_protocol specified for target"
    );
    let mut lenient = job();
    lenient.fallback_scrape_protocol = Some(headwater_exposition::Protocol::PrometheusText0_0_4);
    let world = World::new(lenient, [strange()]);
    world.scrapes(1).await;
    assert_eq!(world.series("a"), ["1"]);
}
