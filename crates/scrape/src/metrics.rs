//! What the manager tells of itself, under Prometheus's names.

use headwater_exposition::Registry;
use headwater_exposition::registry::{Counter, Family, Gauge, Histogram, Summary};

const QUANTILES: [f64; 5] = [0.01, 0.05, 0.5, 0.9, 0.99];

/// Handles of all metrics.
#[derive(Debug, Clone)]
pub(crate) struct Metrics {
    pub(crate) interval_length: Family<Summary>,
    pub(crate) interval_length_histogram: Family<Histogram>,
    pub(crate) scrape_duration: Histogram,
    pub(crate) exceeded_body_limit: Counter,
    pub(crate) exceeded_sample_limit: Counter,
    pub(crate) exceeded_bucket_limit: Counter,
    pub(crate) exceeded_label_limits: Counter,
    pub(crate) exceeded_target_limit: Counter,
    pub(crate) duplicate: Counter,
    pub(crate) out_of_order: Counter,
    pub(crate) out_of_bounds: Counter,
    pub(crate) exemplar_out_of_order: Counter,
    pub(crate) series_refused: Counter,
    pub(crate) cache_flush_forced: Counter,
    pub(crate) pools: Counter,
    pub(crate) pools_failed: Counter,
    pub(crate) reloads: Counter,
    pub(crate) reloads_failed: Counter,
    pub(crate) syncs: Family<Counter>,
    pub(crate) sync_failed: Family<Counter>,
    pub(crate) sync_length: Family<Summary>,
    pub(crate) sync_length_histogram: Family<Histogram>,
    pub(crate) pool_targets: Family<Gauge>,
    pub(crate) pool_target_limit: Family<Gauge>,
}

impl Metrics {
    pub(crate) fn register(registry: &Registry) -> Self {
        let counter =
            |name: &str, help: &str| registry.counter(&format!("prometheus_target_{name}"), help);
        let gauges = |name: &str, help: &str| {
            registry.gauges(&format!("prometheus_target_{name}"), help, &["scrape_job"])
        };
        let counters = |name: &str, help: &str| {
            registry.counters(&format!("prometheus_target_{name}"), help, &["scrape_job"])
        };
        Self {
            interval_length: registry.summaries(
                "prometheus_target_interval_length_seconds",
                "Actual intervals between scrapes.",
                &["interval"],
                &QUANTILES,
            ),
            interval_length_histogram: registry.histograms(
                "prometheus_target_interval_length_histogram_seconds",
                "Actual intervals between scrapes.",
                &["interval"],
                &[0.01, 0.1, 1.0, 10.0, 100.0],
            ),
            scrape_duration: registry.histogram(
                "prometheus_target_scrape_duration_seconds",
                "Total duration of the scrape from start to commit completion in seconds.",
                &[0.01, 0.1, 1.0, 10.0, 100.0],
            ),
            exceeded_body_limit: counter(
                "scrapes_exceeded_body_size_limit_total",
                "Total number of scrapes that hit the body size limit",
            ),
            exceeded_sample_limit: counter(
                "scrapes_exceeded_sample_limit_total",
                "Total number of scrapes that hit the sample limit and were rejected.",
            ),
            exceeded_bucket_limit: counter(
                "scrapes_exceeded_native_histogram_bucket_limit_total",
                "Total number of scrapes that hit the native histogram bucket limit and were rejected.",
            ),
            exceeded_label_limits: counter(
                "scrape_pool_exceeded_label_limits_total",
                "Total number of times scrape pools hit the label limits, during sync or config reload.",
            ),
            exceeded_target_limit: counter(
                "scrape_pool_exceeded_target_limit_total",
                "Total number of times scrape pools hit the target limit, during sync or config reload.",
            ),
            duplicate: counter(
                "scrapes_sample_duplicate_timestamp_total",
                "Total number of samples rejected due to duplicate timestamps but different values.",
            ),
            out_of_order: counter(
                "scrapes_sample_out_of_order_total",
                "Total number of samples rejected due to not being out of the expected order.",
            ),
            out_of_bounds: counter(
                "scrapes_sample_out_of_bounds_total",
                "Total number of samples rejected due to timestamp falling outside of the time bounds.",
            ),
            series_refused: registry.counter(
                "headwater_target_scrapes_series_refused_total",
                "New series in scrapes that the store refused because it is full.",
            ),
            exemplar_out_of_order: counter(
                "scrapes_exemplar_out_of_order_total",
                "Total number of exemplar rejected due to not being out of the expected order.",
            ),
            cache_flush_forced: counter(
                "scrapes_cache_flush_forced_total",
                "How many times a scrape cache was flushed due to getting big while scrapes are failing.",
            ),
            pools: counter(
                "scrape_pools_total",
                "Total number of scrape pool creation attempts.",
            ),
            pools_failed: counter(
                "scrape_pools_failed_total",
                "Total number of scrape pool creations that failed.",
            ),
            reloads: counter(
                "scrape_pool_reloads_total",
                "Total number of scrape pool reloads.",
            ),
            reloads_failed: counter(
                "scrape_pool_reloads_failed_total",
                "Total number of failed scrape pool reloads.",
            ),
            syncs: counters(
                "scrape_pool_sync_total",
                "Total number of syncs that were executed on a scrape pool.",
            ),
            sync_failed: counters("sync_failed_total", "Total number of target sync failures."),
            sync_length: registry.summaries(
                "prometheus_target_sync_length_seconds",
                "Actual interval to sync the scrape pool.",
                &["scrape_job"],
                &QUANTILES,
            ),
            sync_length_histogram: registry.histograms(
                "prometheus_target_sync_length_histogram_seconds",
                "Actual interval to sync the scrape pool.",
                &["scrape_job"],
                &[0.01, 0.1, 1.0, 10.0],
            ),
            pool_targets: gauges(
                "scrape_pool_targets",
                "Current number of targets in this scrape pool.",
            ),
            pool_target_limit: gauges(
                "scrape_pool_target_limit",
                "Maximum number of targets allowed in this scrape pool.",
            ),
        }
    }

    /// Stops telling about a job that is gone.
    pub(crate) fn forget_job(&self, job: &str) {
        for family in [&self.pool_targets, &self.pool_target_limit] {
            family.remove(&[job]);
        }
        self.syncs.remove(&[job]);
        self.sync_failed.remove(&[job]);
        self.sync_length.remove(&[job]);
        self.sync_length_histogram.remove(&[job]);
    }
}
