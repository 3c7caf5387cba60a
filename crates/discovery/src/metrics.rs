//! What discovery tells about itself, under Prometheus's names.

use headwater_exposition::registry::{Counter, Family, Gauge, Registry, Summary};

const QUANTILES: [f64; 3] = [0.5, 0.9, 0.99];

/// The metrics of all managers and mechanisms of a process. Made once, shared by clones.
#[derive(Clone, Debug)]
pub struct Metrics {
    pub(crate) failed_configs: Family<Gauge>,
    pub(crate) discovered_targets: Family<Gauge>,
    pub(crate) received_updates: Family<Counter>,
    pub(crate) updates: Family<Counter>,
    pub(crate) updates_delayed: Family<Counter>,
    pub(crate) last_update: Family<Gauge>,
    pub(crate) refresh_failures: Family<Counter>,
    pub(crate) refresh_duration: Family<Summary>,
    #[cfg(feature = "file")]
    pub(crate) file: FileMetrics,
    #[cfg(feature = "http")]
    pub(crate) http_failures: Counter,
    #[cfg(feature = "dns")]
    pub(crate) dns_lookups: Counter,
    #[cfg(feature = "dns")]
    pub(crate) dns_failures: Counter,
}

/// What discovery through files tells.
#[cfg(feature = "file")]
#[derive(Clone, Debug)]
pub(crate) struct FileMetrics {
    pub(crate) scan_duration: Summary,
    pub(crate) read_errors: Counter,
    pub(crate) watcher_errors: Counter,
    pub(crate) modified: Family<Gauge>,
}

impl Metrics {
    /// Registers the metrics; once a registry.
    #[must_use]
    pub fn new(registry: &Registry) -> Self {
        Self {
            failed_configs: registry.gauges(
                "prometheus_sd_failed_configs",
                "Current number of service discovery configurations that failed to load.",
                &["name"],
            ),
            discovered_targets: registry.gauges(
                "prometheus_sd_discovered_targets",
                "Current number of discovered targets.",
                &["name", "config"],
            ),
            received_updates: registry.counters(
                "prometheus_sd_received_updates_total",
                "Total number of update events received from the service discovery providers.",
                &["name"],
            ),
            updates: registry.counters(
                "prometheus_sd_updates_total",
                "Total number of update events sent to the service discovery consumers.",
                &["name"],
            ),
            updates_delayed: registry.counters(
                "prometheus_sd_updates_delayed_total",
                "Total number of update events that could not be sent immediately.",
                &["name"],
            ),
            last_update: registry.gauges(
                "prometheus_sd_last_update_timestamp_seconds",
                "Timestamp of the last update sent to the service discovery consumers.",
                &["name"],
            ),
            refresh_failures: registry.counters(
                "prometheus_sd_refresh_failures_total",
                "Number of refresh failures for the given service discovery mechanism.",
                &["mechanism", "config"],
            ),
            refresh_duration: registry.summaries(
                "prometheus_sd_refresh_duration_seconds",
                "The duration of a refresh in seconds for the given service discovery mechanism.",
                &["mechanism", "config"],
                &QUANTILES,
            ),
            #[cfg(feature = "file")]
            file: FileMetrics::new(registry),
            #[cfg(feature = "http")]
            http_failures: registry.counter(
                "prometheus_sd_http_failures_total",
                "Number of HTTP service discovery refresh failures.",
            ),
            #[cfg(feature = "dns")]
            dns_lookups: registry.counter(
                "prometheus_sd_dns_lookups_total",
                "The number of DNS-SD lookups.",
            ),
            #[cfg(feature = "dns")]
            dns_failures: registry.counter(
                "prometheus_sd_dns_lookup_failures_total",
                "The number of DNS-SD lookup failures.",
            ),
        }
    }
}

#[cfg(feature = "file")]
impl FileMetrics {
    fn new(registry: &Registry) -> Self {
        Self {
            scan_duration: registry.summary(
                "prometheus_sd_file_scan_duration_seconds",
                "The duration of the File-SD scan in seconds.",
                &QUANTILES,
            ),
            read_errors: registry.counter(
                "prometheus_sd_file_read_errors_total",
                "The number of File-SD read errors.",
            ),
            watcher_errors: registry.counter(
                "prometheus_sd_file_watcher_errors_total",
                "The number of File-SD errors caused by filesystem watch failures.",
            ),
            modified: registry.gauges(
                "prometheus_sd_file_mtime_seconds",
                "Timestamp (mtime) of files read by FileSD. Timestamp is set at read time.",
                &["filename"],
            ),
        }
    }
}
