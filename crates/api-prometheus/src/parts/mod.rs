//! What the API is built from: plain parts, each behind a small trait, most of them optional.

mod admin;
mod scraping;
mod server;
mod settings;
mod tsdb;

use std::sync::{Arc, OnceLock};

use headwater_env::{Clock, SystemClock};
use headwater_exposition::Registry;
use headwater_promql::ParseOptions;
use headwater_query::Evaluate;
use headwater_storage::{Append, LabelQueries, Select, SelectChunks, SelectExemplars};

use crate::serve::observe::Observer;

pub use admin::{Admin, FailedBlock, Lifecycle, MendedBlock, Mending};
pub use scraping::{Dropped, Health, NoScraping, Scraping, TargetMetadata, TargetView};
pub use server::{BuildInfo, Features, Notification, Phase, RuntimeInfo, Server};
pub use settings::Settings;
pub use tsdb::{DamagedBlock, HeadStats, NameCount, NoTsdb, TsdbStats, TsdbView, WalReplay};

/// Everything that the routes reach for. What is `None` makes its endpoints answer as the original
/// does when the feature is off.
#[derive(Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Bounds and switches.
    pub settings: Settings,
    /// Where `now` comes from.
    pub clock: Arc<dyn Clock>,
    /// Where the routes put their metrics, and what `/metrics` tells.
    pub registry: Registry,
    /// Facts about the process.
    pub server: Arc<dyn Server>,
    /// Which parts of the language selectors and expressions may use.
    pub syntax: ParseOptions,
    /// Evaluates expressions; `None` as in agent mode.
    pub engine: Option<Arc<dyn Evaluate>>,
    /// Samples, for federation; `None` as in agent mode.
    pub samples: Option<Arc<dyn Select>>,
    /// Samples as they are encoded, for remote reads that are streamed; `None` as in agent mode.
    pub chunks: Option<Arc<dyn SelectChunks>>,
    /// Takes remote write; `None` unless the operator asked for it.
    pub write: Option<Arc<dyn Append>>,
    /// Label names, label values, series; `None` as in agent mode.
    pub labels: Option<Arc<dyn LabelQueries>>,
    /// Exemplars; without them every question has an empty answer.
    pub exemplars: Option<Arc<dyn SelectExemplars>>,
    /// Targets and their metadata.
    pub scraping: Arc<dyn Scraping>,
    /// Facts about the store on disk; `None` as in agent mode.
    pub tsdb: Option<Arc<dyn TsdbView>>,
    /// Deletes and snapshots; `None` unless the operator asked for them.
    pub admin: Option<Arc<dyn Admin>>,
    /// Reload and quit; `None` unless the operator asked for them.
    pub lifecycle: Option<Arc<dyn Lifecycle>>,
    /// Shared by clones: a second router counts on with the metrics of the first.
    observer: Arc<OnceLock<Observer>>,
}

impl Parts {
    /// A server that parses but stores, scrapes and allows nothing; set the fields it should have.
    pub fn new(server: Arc<dyn Server>) -> Self {
        Self {
            settings: Settings::default(),
            clock: Arc::new(SystemClock::new()),
            registry: Registry::new(),
            server,
            syntax: ParseOptions::stable(),
            engine: None,
            samples: None,
            chunks: None,
            write: None,
            labels: None,
            exemplars: None,
            scraping: Arc::new(NoScraping),
            tsdb: None,
            admin: None,
            lifecycle: None,
            observer: Arc::default(),
        }
    }

    /// What counts requests; registered with the first router.
    pub(crate) fn observer(&self) -> &Observer {
        let prefix = &self.settings.route_prefix;
        self.observer
            .get_or_init(|| Observer::new(&self.registry, prefix))
    }
}
