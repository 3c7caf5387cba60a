//! What a program gives to the API.

use std::sync::Arc;

use headwater_env::Clock;
use headwater_exposition::Registry;
use headwater_logs::{Distributor, Ingester, Overrides};
use headwater_query::CpuPool;
use headwater_ring::Desc;
use headwater_service::Stop;

/// How the API behaves. Plain data.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// Whether requests must name their tenant; if not, all belong to [`Settings::tenant`].
    pub auth_enabled: bool,
    /// The tenant of requests that need not name one.
    pub tenant: String,
    /// Bytes of a pushed body as sent.
    pub max_push_bytes: usize,
    /// Bytes of a pushed body once decompressed.
    pub max_decompressed_bytes: usize,
    /// Bytes of pushed bodies, as sent, that are held at once; more pushes wait.
    pub max_inflight_push_bytes: usize,
    /// Bytes of pushed bodies, once decompressed, that are held at once; more pushes wait.
    pub max_inflight_decompressed_bytes: usize,
    /// Bytes that a query may hold at once.
    pub max_query_bytes: u64,
    /// Requests about labels, series and the index that are worked on at once; more wait.
    pub concurrent_reads: usize,
    /// Silent members of a ring count as lost after so many seconds.
    pub heartbeat_timeout_seconds: i64,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            auth_enabled: false,
            tenant: "fake".to_owned(),
            max_push_bytes: 100 << 20,
            max_decompressed_bytes: 128 << 20,
            max_inflight_push_bytes: 256 << 20,
            max_inflight_decompressed_bytes: 256 << 20,
            max_query_bytes: 1 << 30,
            concurrent_reads: 16,
            heartbeat_timeout_seconds: 60,
        }
    }
}

/// A service with its state, as `/services` lists it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ServiceState {
    /// The module.
    pub name: String,
    /// `Running`, `Starting`, `Stopping`.
    pub state: String,
}

/// What the API asks the program.
pub trait Status: Send + Sync {
    /// Whether the server may be asked; otherwise why not.
    ///
    /// # Errors
    /// The text that `/ready` answers with 503.
    fn ready(&self) -> Result<(), String> {
        Ok(())
    }

    /// The modules with their states.
    fn services(&self) -> Vec<ServiceState> {
        Vec::new()
    }

    /// The settings as YAML: all, those that differ from the defaults (`diffs`), or the defaults.
    fn config(&self, _mode: &str) -> String {
        String::new()
    }

    /// The least important level that is logged.
    fn log_level(&self) -> String {
        "info".to_owned()
    }

    /// Logs from a level on.
    ///
    /// # Errors
    /// There is no such level, or it cannot be changed.
    fn set_log_level(&self, level: &str) -> Result<(), String> {
        Err(format!("unrecognized log level {level:?}"))
    }

    /// The members of the ring of ingesters.
    fn ring(&self) -> Desc {
        Desc::new()
    }

    /// Removes a member from the ring.
    fn forget(&self, _member: &str) {}
}

struct Always;

impl Status for Always {}

/// The parts that the API joins. The public fields may be exchanged for others before the router is made.
#[derive(Clone)]
#[non_exhaustive]
pub struct Parts {
    /// Where pushes go.
    pub distributor: Arc<Distributor>,
    /// Where entries are.
    pub ingester: Arc<Ingester>,
    /// Limits by tenant.
    pub overrides: Arc<Overrides>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Threads for queries; without them queries run where requests do.
    pub pool: Option<Arc<CpuPool>>,
    /// How the API behaves.
    pub settings: Settings,
    /// The program's metrics.
    pub registry: Registry,
    /// What the program knows of itself.
    pub status: Arc<dyn Status>,
    /// Ends connections that would last for ever.
    pub stop: Option<Stop>,
}

impl std::fmt::Debug for Parts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Parts")
            .field("settings", &self.settings)
            .finish_non_exhaustive()
    }
}

impl Parts {
    /// Parts with the defaults for everything that need not be given.
    pub fn new(
        distributor: Arc<Distributor>,
        ingester: Arc<Ingester>,
        overrides: Arc<Overrides>,
        clock: Arc<dyn Clock>,
    ) -> Self {
        Self {
            distributor,
            ingester,
            overrides,
            clock,
            pool: None,
            settings: Settings::default(),
            registry: Registry::new(),
            status: Arc::new(Always),
            stop: None,
        }
    }
}
