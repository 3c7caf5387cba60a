//! Taking settings over: all parts get them, in one order, or none does.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use headwater_config::Config;
use headwater_discovery::Manager as Discovery;
use headwater_promql::QueryLog;
use headwater_scrape::{JobConfig, ScrapeManager};
use headwater_service::{Logging, Reloader};
use parking_lot::RwLock;

use crate::jobs;
use crate::process::Process;
use crate::settings::Source;

/// Tells the store how long to keep samples.
pub(crate) type Keep = Box<dyn Fn(&Config) -> Result<(), String> + Send + Sync>;

/// The parts that settings go to.
pub(crate) struct Applier {
    pub(crate) source: Source,
    pub(crate) process: Arc<Process>,
    pub(crate) query_log: Arc<QueryLog>,
    pub(crate) scrape: ScrapeManager,
    pub(crate) discovery: Discovery,
    pub(crate) job_configs: Arc<RwLock<BTreeMap<String, String>>>,
    pub(crate) retention: Keep,
    #[cfg_attr(
        not(feature = "otlp"),
        expect(dead_code, reason = "only spans are set through it")
    )]
    pub(crate) logging: Logging,
}

impl Applier {
    /// Reads the settings again and hands them out. If they are not sound, everything stays as it was.
    pub(crate) async fn reload(&self) -> Result<(), String> {
        let outcome = match self.source.load() {
            Ok(config) => self.apply(&config).await,
            Err(error) => Err(error),
        };
        match &outcome {
            Ok(()) => tracing::info!("settings loaded"),
            Err(error) => {
                self.process.load_failed();
                tracing::error!(error, "settings refused, the old ones stay");
            }
        }
        outcome.map_err(|error| format!("failed to reload config: {error}"))
    }

    /// Hands sound settings out. The scraper knows its jobs before discovery looks for their targets.
    pub(crate) async fn apply(&self, config: &Config) -> Result<(), String> {
        let configs = config
            .all_scrape_configs()
            .map_err(|error| error.to_string())?;
        let scraped = configs
            .iter()
            .map(jobs::job)
            .collect::<Result<Vec<JobConfig>, String>>()?;
        let yaml = config.to_yaml().map_err(|error| error.to_string())?;
        (self.retention)(config)?;
        let query_log = &config.global.query_log_file;
        let query_log = (!query_log.is_empty()).then(|| Path::new(query_log));
        self.query_log
            .set_file(query_log)
            .map_err(|error| format!("query log: {error}"))?;
        self.scrape.apply(scraped).map_err(|errors| {
            errors
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join("; ")
        })?;
        let looked_for = configs
            .iter()
            .map(|job| (job.job_name.clone(), job.discovery.clone()))
            .collect();
        let failed = self.discovery.apply(looked_for).await;
        self.set_tracing(config)?;
        *self.job_configs.write() = configs
            .iter()
            .filter_map(|job| Some((job.job_name.clone(), headwater_yaml::to_string(job).ok()?)))
            .collect();
        self.process.loaded(yaml, jobs::external_labels(config));
        if failed > 0 {
            return Err(format!(
                "{failed} discovery mechanisms could not be started; the log says why"
            ));
        }
        Ok(())
    }

    #[cfg(feature = "otlp")]
    fn set_tracing(&self, config: &Config) -> Result<(), String> {
        let settings = config.tracing.as_ref().map(trace_settings).transpose()?;
        tokio::task::block_in_place(|| self.logging.set_tracing(settings.as_ref()))
            .map_err(|error| error.to_string())
    }

    #[cfg(not(feature = "otlp"))]
    #[expect(
        clippy::unused_self,
        clippy::unnecessary_wraps,
        reason = "the other build uses both"
    )]
    fn set_tracing(&self, _: &Config) -> Result<(), String> {
        Ok(())
    }
}

/// The section `tracing` as the exporter takes it.
#[cfg(feature = "otlp")]
fn trace_settings(
    tracing: &headwater_config::TracingConfig,
) -> Result<headwater_service::TraceSettings, String> {
    let tls = &tracing.tls_config;
    if tracing.client_type == headwater_config::TracingClient::Http {
        return Err("tracing: client_type http is not supported, use grpc".into());
    }
    if tls.insecure_skip_verify {
        return Err("tracing: insecure_skip_verify is not supported, name the CA instead".into());
    }
    let pem = |text: &str, file: &str| match (text, file) {
        ("", "") => Ok(None),
        ("", file) => std::fs::read_to_string(file)
            .map(Some)
            .map_err(|error| format!("tracing: cannot read {file}: {error}")),
        (text, _) => Ok(Some(text.to_owned())),
    };
    let mut settings = headwater_service::TraceSettings::new(&tracing.endpoint, "prometheus");
    settings.sampling_fraction = tracing.sampling_fraction;
    settings.insecure = tracing.insecure;
    settings.gzip = tracing.compression.is_some();
    settings.headers.clone_from(&tracing.headers);
    if !tracing.timeout.is_zero() {
        settings.timeout = tracing.timeout.to_std();
    }
    settings.tls.ca = pem(&tls.ca, &tls.ca_file)?;
    settings.tls.identity =
        pem(&tls.cert, &tls.cert_file)?.zip(pem(tls.key.reveal(), &tls.key_file)?);
    settings.tls.server_name = Some(tls.server_name.clone()).filter(|name| !name.is_empty());
    Ok(settings)
}

/// Asks for a reload whenever a file of the settings has changed.
pub(crate) async fn watch_files(source: Source, every: Duration, reloader: Reloader) {
    let mut seen = source.fingerprint();
    loop {
        tokio::time::sleep(every).await;
        let now = source.fingerprint();
        if now != seen {
            seen = now;
            reloader.request();
        }
    }
}
