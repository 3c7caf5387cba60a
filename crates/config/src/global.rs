//! `global` and `runtime`: what holds unless a job says otherwise.

use std::collections::BTreeMap;

use headwater_yaml::{Duration, Size, settings};

use crate::names::{Escaping, Validation};
use crate::protocol::Protocols;

settings! {
    /// What holds for every job that does not say otherwise.
    #[derive(Clone, Debug, PartialEq)]
    pub struct GlobalConfig {
        /// How often targets are scraped.
        pub scrape_interval: Duration,
        /// How long a scrape may take.
        pub scrape_timeout: Duration,
        /// Formats to ask for, most wanted first.
        pub scrape_protocols: Option<Protocols>,
        /// How often rules are evaluated.
        pub evaluation_interval: Duration,
        /// How far back rules look, so that late samples are there.
        pub rule_query_offset: Duration,
        /// A file to which queries are logged.
        pub query_log_file: String,
        /// A file to which failed scrapes are logged.
        pub scrape_failure_log_file: String,
        /// Added to everything that leaves this server. `$NAME` and `${NAME}` stand for the
        /// environment's values.
        pub external_labels: BTreeMap<String, String>,
        /// The longest body of a scrape, unpacked; 0 is no limit.
        pub body_size_limit: Size,
        /// Samples of a scrape after relabelling; 0 is no limit.
        pub sample_limit: u64,
        /// Targets of a job after relabelling; 0 is no limit.
        pub target_limit: u64,
        /// Labels of a sample; 0 is no limit.
        pub label_limit: u64,
        /// Bytes of a label's name; 0 is no limit.
        pub label_name_length_limit: u64,
        /// Bytes of a label's value; 0 is no limit.
        pub label_value_length_limit: u64,
        /// Dropped targets of a job that are remembered; 0 is no limit.
        pub keep_dropped_targets: u64,
        /// Which names are accepted.
        pub metric_name_validation_scheme: Option<Validation>,
        /// How names outside the classic characters are asked for.
        pub metric_name_escaping_scheme: Option<Escaping>,
        /// Ask for native histograms.
        pub scrape_native_histograms: Option<bool>,
        /// Turn classic histograms into native ones with custom buckets.
        pub convert_classic_histograms_to_nhcb: bool,
        /// Keep classic histograms beside native ones.
        pub always_scrape_classic_histograms: bool,
        /// More series about each scrape.
        pub extra_scrape_metrics: Option<bool>,
    }
    check(GlobalConfig::finish)
}

settings! {
    /// What concerns the process itself.
    #[derive(Clone, Debug, PartialEq)]
    pub struct RuntimeConfig {
        /// A knob of Go's garbage collector. Accepted, and without effect here.
        pub gogc: i64 = 75,
    }
}

const SCRAPE_INTERVAL: Duration = Duration::from_secs(60);
const SCRAPE_TIMEOUT: Duration = Duration::from_secs(10);
const EVALUATION_INTERVAL: Duration = Duration::from_secs(60);

impl GlobalConfig {
    /// Fills in what was not said. Zero counts as not said.
    pub(crate) fn finish(&mut self) -> Result<(), String> {
        if self.scrape_interval.is_zero() {
            self.scrape_interval = SCRAPE_INTERVAL;
        }
        if self.scrape_timeout > self.scrape_interval {
            return Err("global scrape timeout greater than scrape interval".into());
        }
        if self.scrape_timeout.is_zero() {
            self.scrape_timeout = SCRAPE_TIMEOUT.min(self.scrape_interval);
        }
        if self.evaluation_interval.is_zero() {
            self.evaluation_interval = EVALUATION_INTERVAL;
        }
        if let Some(name) = self
            .external_labels
            .keys()
            .find(|name| !self.validation().is_label_name(name))
        {
            return Err(format!("{name:?} is not a valid label name"));
        }
        self.escaping().map(drop)
    }

    /// Which names are accepted.
    #[must_use]
    pub fn validation(&self) -> headwater_model::name::NameScheme {
        self.metric_name_validation_scheme
            .unwrap_or_default()
            .scheme()
    }

    /// How foreign names are asked for.
    pub(crate) fn escaping(&self) -> Result<Escaping, String> {
        Escaping::settle(
            self.metric_name_escaping_scheme,
            self.metric_name_validation_scheme.unwrap_or_default(),
        )
    }
}
