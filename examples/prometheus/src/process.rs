//! Facts about this process, as the API shows them.

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use headwater_api_prometheus::{BuildInfo, Features, Phase, RuntimeInfo, Server, format_rfc3339};
use headwater_model::Labels;
use headwater_service::{Readiness, State};
use parking_lot::RwLock;

/// What the process knows of itself.
#[derive(Debug)]
pub(crate) struct Process {
    pub(crate) readiness: Readiness,
    flags: BTreeMap<String, String>,
    features: Vec<String>,
    retention: String,
    started: i64,
    state: RwLock<Loaded>,
}

/// What the last load of the settings left.
#[derive(Clone, Debug, Default)]
struct Loaded {
    yaml: String,
    external_labels: Labels,
    succeeded: bool,
    /// Milliseconds of the last successful load.
    at: i64,
}

fn now_millis() -> i64 {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .map_or(0, |since| since.as_millis() as i64)
}

fn rfc3339(millis: i64) -> String {
    format_rfc3339(millis.saturating_mul(1_000_000))
}

impl Process {
    pub(crate) fn new(
        flags: BTreeMap<String, String>,
        features: Vec<String>,
        retention: String,
    ) -> Self {
        Self {
            readiness: Readiness::new(),
            flags,
            features,
            retention,
            started: now_millis(),
            state: RwLock::default(),
        }
    }

    /// Remembers settings that were taken over.
    pub(crate) fn loaded(&self, yaml: String, external_labels: Labels) {
        *self.state.write() = Loaded {
            yaml,
            external_labels,
            succeeded: true,
            at: now_millis(),
        };
    }

    /// Remembers that settings were refused; the old ones stay.
    pub(crate) fn load_failed(&self) {
        self.state.write().succeeded = false;
    }

    /// Whether the last load went well, and when one last did, in Unix seconds.
    pub(crate) fn last_load(&self) -> (bool, f64) {
        let state = self.state.read();
        (state.succeeded, state.at as f64 / 1000.0)
    }
}

impl Server for Process {
    fn phase(&self) -> Phase {
        match self.readiness.get() {
            State::NotReady => Phase::Starting,
            State::Ready => Phase::Ready,
            State::Stopping => Phase::Stopping,
        }
    }

    fn build(&self) -> BuildInfo {
        BuildInfo {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            build_user: "headwater".to_owned(),
            go_version: "none (Rust)".to_owned(),
            ..BuildInfo::default()
        }
    }

    fn runtime(&self) -> RuntimeInfo {
        let state = self.state.read();
        RuntimeInfo {
            start_time: rfc3339(self.started),
            working_directory: std::env::current_dir()
                .map_or_else(|_| String::new(), |path| path.display().to_string()),
            hostname: hostname(),
            reload_config_success: state.succeeded,
            last_config_time: rfc3339(state.at),
            tasks: tokio::runtime::Handle::try_current()
                .map_or(0, |handle| handle.metrics().num_alive_tasks()),
            threads: std::thread::available_parallelism().map_or(1, usize::from),
            memory_limit: i64::MAX,
            storage_retention: self.retention.clone(),
            ..RuntimeInfo::default()
        }
    }

    fn flags(&self) -> BTreeMap<String, String> {
        self.flags.clone()
    }

    fn config(&self) -> String {
        self.state.read().yaml.clone()
    }

    fn external_labels(&self) -> Labels {
        self.state.read().external_labels.clone()
    }

    fn features(&self) -> Features {
        crate::features::features(&self.features)
    }
}

/// The name of the machine.
pub(crate) fn hostname() -> String {
    #[cfg(target_os = "linux")]
    if let Ok(name) = std::fs::read_to_string("/proc/sys/kernel/hostname") {
        return name.trim().to_owned();
    }
    std::env::var("HOSTNAME").unwrap_or_default()
}
