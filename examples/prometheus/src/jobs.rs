//! Jobs of the settings file as the scraper takes them, and targets from discovery to scraper.

use headwater_config::{Config, Escaping, ScrapeConfig};
use headwater_discovery::TargetSets;
use headwater_model::Labels;
use headwater_scrape::JobConfig;

/// Labels that everything leaving the server gets.
pub(crate) fn external_labels(config: &Config) -> Labels {
    Labels::from_pairs(&config.global.external_labels)
}

/// A job as the scraper takes it.
pub(crate) fn job(config: &ScrapeConfig) -> Result<JobConfig, String> {
    let rules = |rules: &headwater_config::RelabelConfigs| {
        rules
            .compile(config.validation())
            .map_err(|error| error.to_string())
    };
    let mut job = JobConfig::new(&config.job_name);
    job.scrape_interval = config.scrape_interval.to_std();
    job.scrape_timeout = config.scrape_timeout.to_std();
    if let Some(protocols) = &config.scrape_protocols {
        job.scrape_protocols = protocols.iter().collect();
    }
    job.fallback_scrape_protocol = config.fallback_scrape_protocol.map(|protocol| protocol.0);
    job.escaping = escaping(config.metric_name_escaping_scheme);
    job.name_scheme = config.validation();
    job.honor_labels = config.honor_labels;
    job.honor_timestamps = config.honor_timestamps;
    job.track_timestamps_staleness = config.track_timestamps_staleness;
    job.enable_compression = config.enable_compression;
    job.metrics_path.clone_from(&config.metrics_path);
    job.scheme = config.scheme.word().to_owned();
    job.params.clone_from(&config.params);
    job.keep_dropped_targets = bound(config.keep_dropped_targets);
    job.scrape_native_histograms = config.scrape_native_histograms.unwrap_or_default();
    job.always_scrape_classic_histograms =
        config.always_scrape_classic_histograms.unwrap_or_default();
    job.convert_classic_histograms_to_nhcb = config
        .convert_classic_histograms_to_nhcb
        .unwrap_or_default();
    job.extra_scrape_metrics = config.extra_scrape_metrics.unwrap_or_default();
    job.relabel = rules(&config.relabel_configs)?;
    job.metric_relabel = rules(&config.metric_relabel_configs)?;
    let log = &config.scrape_failure_log_file;
    job.scrape_failure_log_file = (!log.is_empty()).then(|| log.into());
    job.http = config.http.clone();
    set_limits(&mut job, config);
    Ok(job)
}

fn set_limits(job: &mut JobConfig, config: &ScrapeConfig) {
    job.limits.body_bytes = config.body_size_limit.bytes();
    job.limits.samples = bound(config.sample_limit);
    job.limits.targets = bound(config.target_limit);
    job.limits.labels = bound(config.label_limit);
    job.limits.label_name_bytes = bound(config.label_name_length_limit);
    job.limits.label_value_bytes = bound(config.label_value_length_limit);
    job.limits.histogram_buckets = bound(config.native_histogram_bucket_limit);
    job.limits.histogram_min_bucket_factor = config.native_histogram_min_bucket_factor;
}

/// A limit larger than memory is no limit that anything will meet.
fn bound(limit: u64) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

const fn escaping(scheme: Option<Escaping>) -> headwater_exposition::Escaping {
    match scheme {
        None | Some(Escaping::AllowUtf8) => headwater_exposition::Escaping::AllowUtf8,
        Some(Escaping::Underscores) => headwater_exposition::Escaping::Underscores,
        Some(Escaping::Dots) => headwater_exposition::Escaping::Dots,
        Some(Escaping::Values) => headwater_exposition::Escaping::Values,
    }
}

/// What discovery has found, as the scraper takes it: both speak of the same type.
pub(crate) fn targets(found: &TargetSets) -> headwater_scrape::TargetSets {
    found.clone()
}
