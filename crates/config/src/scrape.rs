//! `scrape_configs`: the jobs.

use std::collections::BTreeMap;
use std::path::Path;

use headwater_discovery::DiscoveryConfigs;
use headwater_http::HttpClientConfig;
use headwater_model::name::NameScheme;
use headwater_yaml::{Duration, Size, resolve, settings};

use crate::GlobalConfig;
use crate::names::{Escaping, Scheme, Validation};
use crate::protocol::{Protocols, ScrapeProtocol};
use crate::relabel::RelabelConfigs;

settings! {
    /// One job: whom to scrape, how, and what to make of it.
    ///
    /// Once a whole file is read, every value that the job leaves open holds what `global` says.
    #[derive(Clone, Debug, PartialEq)]
    pub struct ScrapeConfig {
        /// The job's name, the value of the label `job`.
        pub job_name: String => always,
        /// Labels of the target win over ours.
        pub honor_labels: bool,
        /// Timestamps of the target win over ours.
        pub honor_timestamps: bool = true => always,
        /// Series with timestamps of their own get staleness markers too.
        pub track_timestamps_staleness: bool => always,
        /// Parameters of the request.
        pub params: BTreeMap<String, Vec<String>>,
        /// How often.
        pub scrape_interval: Duration,
        /// How long it may take.
        pub scrape_timeout: Duration,
        /// Formats to ask for, most wanted first.
        pub scrape_protocols: Option<Protocols>,
        /// The format of targets that do not say theirs.
        pub fallback_scrape_protocol: Option<ScrapeProtocol>,
        /// Ask for native histograms.
        pub scrape_native_histograms: Option<bool>,
        /// Keep classic histograms beside native ones.
        pub always_scrape_classic_histograms: Option<bool>,
        /// Turn classic histograms into native ones with custom buckets.
        pub convert_classic_histograms_to_nhcb: Option<bool>,
        /// More series about each scrape.
        pub extra_scrape_metrics: Option<bool>,
        /// A file to which failed scrapes are logged.
        pub scrape_failure_log_file: String,
        /// The path of the request.
        pub metrics_path: String = "/metrics".to_owned(),
        /// In the clear or encrypted.
        pub scheme: Scheme,
        /// Ask for gzip.
        pub enable_compression: bool = true => always,
        /// The longest body, unpacked; 0 is no limit.
        pub body_size_limit: Size,
        /// Samples of a scrape after relabelling; 0 is no limit.
        pub sample_limit: u64,
        /// Targets after relabelling; 0 is no limit.
        pub target_limit: u64,
        /// Labels of a sample; 0 is no limit.
        pub label_limit: u64,
        /// Bytes of a label's name; 0 is no limit.
        pub label_name_length_limit: u64,
        /// Bytes of a label's value; 0 is no limit.
        pub label_value_length_limit: u64,
        /// Buckets of a native histogram; 0 is no limit.
        pub native_histogram_bucket_limit: u64,
        /// The least growth from bucket to bucket; finer histograms are made coarser.
        pub native_histogram_min_bucket_factor: f64,
        /// Dropped targets that are remembered; 0 is no limit.
        pub keep_dropped_targets: u64,
        /// Which names are accepted.
        pub metric_name_validation_scheme: Option<Validation>,
        /// How names outside the classic characters are asked for.
        pub metric_name_escaping_scheme: Option<Escaping>,
        /// Rules for targets.
        pub relabel_configs: RelabelConfigs,
        /// Rules for samples.
        pub metric_relabel_configs: RelabelConfigs,
    }
    inline {
        /// Where targets come from.
        pub discovery: DiscoveryConfigs,
        /// How requests are made.
        pub http: HttpClientConfig,
    }
    check(|job: &mut ScrapeConfig| match job.job_name.is_empty() {
        true => Err("job_name is empty".into()),
        false => Ok(()),
    })
}

impl ScrapeConfig {
    /// Fills in from `global` what the job leaves open.
    pub(crate) fn inherit(&mut self, global: &GlobalConfig) -> Result<(), String> {
        self.inherit_times(global)?;
        self.inherit_limits(global);
        self.inherit_histograms(global);
        let validation = *self
            .metric_name_validation_scheme
            .get_or_insert(global.metric_name_validation_scheme.unwrap_or_default());
        // An escaping scheme of the whole file was chosen for the validation scheme of the whole file.
        let same =
            Some(validation) == Some(global.metric_name_validation_scheme.unwrap_or_default());
        let said = self
            .metric_name_escaping_scheme
            .or(global.metric_name_escaping_scheme.filter(|_| same));
        self.metric_name_escaping_scheme = Some(Escaping::settle(said, validation)?);
        for rules in [&self.relabel_configs, &self.metric_relabel_configs] {
            rules.validate(self.validation())?;
        }
        Ok(())
    }

    fn inherit_times(&mut self, global: &GlobalConfig) -> Result<(), String> {
        if self.scrape_interval.is_zero() {
            self.scrape_interval = global.scrape_interval;
        }
        if self.scrape_timeout > self.scrape_interval {
            return Err(format!(
                "scrape timeout greater than scrape interval for scrape config with job name {:?}",
                self.job_name
            ));
        }
        if self.scrape_timeout.is_zero() {
            self.scrape_timeout = global.scrape_timeout.min(self.scrape_interval);
        }
        Ok(())
    }

    fn inherit_limits(&mut self, global: &GlobalConfig) {
        if self.body_size_limit == Size::default() {
            self.body_size_limit = global.body_size_limit;
        }
        let pairs = [
            (&mut self.sample_limit, global.sample_limit),
            (&mut self.target_limit, global.target_limit),
            (&mut self.label_limit, global.label_limit),
            (
                &mut self.label_name_length_limit,
                global.label_name_length_limit,
            ),
            (
                &mut self.label_value_length_limit,
                global.label_value_length_limit,
            ),
            (&mut self.keep_dropped_targets, global.keep_dropped_targets),
        ];
        for (own, general) in pairs {
            if *own == 0 {
                *own = general;
            }
        }
        if self.scrape_failure_log_file.is_empty() {
            self.scrape_failure_log_file
                .clone_from(&global.scrape_failure_log_file);
        }
    }

    fn inherit_histograms(&mut self, global: &GlobalConfig) {
        let native = *self
            .scrape_native_histograms
            .get_or_insert(global.scrape_native_histograms.unwrap_or(false));
        self.always_scrape_classic_histograms
            .get_or_insert(global.always_scrape_classic_histograms);
        self.convert_classic_histograms_to_nhcb
            .get_or_insert(global.convert_classic_histograms_to_nhcb);
        self.extra_scrape_metrics
            .get_or_insert(global.extra_scrape_metrics.unwrap_or(false));
        let general = || {
            global
                .scrape_protocols
                .clone()
                .unwrap_or_else(|| Protocols::usual(native))
        };
        self.scrape_protocols.get_or_insert_with(general);
    }

    /// Which names are accepted.
    #[must_use]
    pub fn validation(&self) -> NameScheme {
        self.metric_name_validation_scheme
            .unwrap_or_default()
            .scheme()
    }

    pub(crate) fn resolve_files(&mut self, dir: &Path) {
        resolve(dir, &mut self.scrape_failure_log_file);
        self.discovery.resolve_files(dir);
        self.http.resolve_files(dir);
    }
}
