//! What a job asks for, as plain data with Prometheus's defaults.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use headwater_exposition::{Escaping, Protocol};
use headwater_http::HttpClientConfig;
use headwater_model::Labels;
use headwater_model::name::NameScheme;
use headwater_relabel::Rules;

/// One `scrape_configs` entry, with global settings already merged in.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct JobConfig {
    /// The job's name: unique, and the default of the label `job`.
    pub job_name: String,
    /// From one scrape of a target to the next.
    pub scrape_interval: Duration,
    /// How long one scrape may take; not more than the interval.
    pub scrape_timeout: Duration,
    /// Formats to ask for, most wanted first.
    pub scrape_protocols: Vec<Protocol>,
    /// The format to assume when a target does not say a known one.
    pub fallback_scrape_protocol: Option<Protocol>,
    /// How to ask for names outside the classic character set.
    pub escaping: Escaping,
    /// Which names are accepted.
    pub name_scheme: NameScheme,
    /// Where target and body disagree about a label, believe the body.
    pub honor_labels: bool,
    /// Take the times that a body gives.
    pub honor_timestamps: bool,
    /// Mark series stale also if their body gives times.
    pub track_timestamps_staleness: bool,
    /// Ask for gzip.
    pub enable_compression: bool,
    /// Default: `/metrics`.
    pub metrics_path: String,
    /// `http` or `https`.
    pub scheme: String,
    /// Parameters of the request.
    pub params: BTreeMap<String, Vec<String>>,
    /// What a target or a pool may bring.
    pub limits: ScrapeLimits,
    /// How many dropped targets to remember for the API; 0 for all.
    pub keep_dropped_targets: usize,
    /// Take native histograms.
    pub scrape_native_histograms: bool,
    /// Take classic buckets also beside a native histogram.
    pub always_scrape_classic_histograms: bool,
    /// Make classic histograms into native ones with custom buckets.
    pub convert_classic_histograms_to_nhcb: bool,
    /// Write timeout, sample limit and body size of each scrape, too.
    pub extra_scrape_metrics: bool,
    /// Failed scrapes are written to this file, one JSON object a line.
    pub scrape_failure_log_file: Option<PathBuf>,
    /// Rules for targets.
    pub relabel: Rules,
    /// Rules for samples.
    pub metric_relabel: Rules,
    /// How to connect and authenticate.
    pub http: HttpClientConfig,
}

impl JobConfig {
    /// A job with Prometheus's defaults.
    pub fn new(job_name: impl Into<String>) -> Self {
        Self {
            job_name: job_name.into(),
            scrape_interval: Duration::from_secs(60),
            scrape_timeout: Duration::from_secs(10),
            scrape_protocols: Protocol::DEFAULT.to_vec(),
            fallback_scrape_protocol: None,
            escaping: Escaping::AllowUtf8,
            name_scheme: NameScheme::Utf8,
            honor_labels: false,
            honor_timestamps: true,
            track_timestamps_staleness: false,
            enable_compression: true,
            metrics_path: "/metrics".to_owned(),
            scheme: "http".to_owned(),
            params: BTreeMap::new(),
            limits: ScrapeLimits::default(),
            keep_dropped_targets: 0,
            scrape_native_histograms: false,
            always_scrape_classic_histograms: false,
            convert_classic_histograms_to_nhcb: false,
            extra_scrape_metrics: false,
            scrape_failure_log_file: None,
            relabel: Rules::default(),
            metric_relabel: Rules::default(),
            http: HttpClientConfig::default(),
        }
    }
}

/// What a scrape may bring; each limit fails the whole scrape. Zero means no limit.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
#[non_exhaustive]
pub struct ScrapeLimits {
    /// Bytes of an unpacked body. Without it [`ManagerOptions::max_body_bytes`] holds.
    pub body_bytes: u64,
    /// Samples of a scrape after relabelling.
    pub samples: usize,
    /// Targets of a job after relabelling.
    pub targets: usize,
    /// Labels of a series.
    pub labels: usize,
    /// Bytes of a label's name.
    pub label_name_bytes: usize,
    /// Bytes of a label's value.
    pub label_value_bytes: usize,
    /// Buckets of a native histogram; one with more is made coarser until it fits.
    pub histogram_buckets: usize,
    /// The least growth from one bucket of a native histogram to the next, e.g. 1.1.
    pub histogram_min_bucket_factor: f64,
}

/// What is the same for all jobs.
#[derive(Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct ManagerOptions {
    /// Spreads the scrapes of several servers: see [`offset_seed`].
    pub offset_seed: u64,
    /// How large the bodies of jobs without a limit of their own may be, in bytes. Default: 128 MiB.
    pub max_body_bytes: u64,
    /// How many bodies are parsed and stored at once. Default: twice the number of CPUs.
    pub max_concurrent_ingests: usize,
    /// Pass type, unit and help of each series on to the store.
    pub append_metadata: bool,
    /// Pass start timestamps on to the store.
    pub append_start_timestamps: bool,
}

impl Default for ManagerOptions {
    fn default() -> Self {
        let cpus = std::thread::available_parallelism().map_or(1, usize::from);
        Self {
            offset_seed: 0,
            max_body_bytes: 128 << 20,
            max_concurrent_ingests: 2 * cpus,
            append_metadata: false,
            append_start_timestamps: false,
        }
    }
}

/// The seed of one of several servers that scrape the same targets: they differ in host name or
/// external labels, and so scrape at different moments.
pub fn offset_seed(host: &str, external_labels: &Labels) -> u64 {
    let mut hasher = xxhash_rust::xxh64::Xxh64::new(0);
    hasher.update(host.as_bytes());
    for (name, value) in external_labels {
        for part in [name, value] {
            hasher.update(&[0xff]);
            hasher.update(part.as_bytes());
        }
    }
    hasher.digest()
}
