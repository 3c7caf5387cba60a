//! Facts about the process.

use std::collections::BTreeMap;

use headwater_model::Labels;
use serde::Serialize;

/// Where the server stands in its life.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Phase {
    /// It is starting; the log may still be replayed.
    #[default]
    Starting,
    /// It answers everything.
    Ready,
    /// It is stopping.
    Stopping,
}

/// Switches that are on or off, by group: `promql` > `at_modifier` > true.
pub type Features = BTreeMap<String, BTreeMap<String, bool>>;

/// The process, as its operators see it.
pub trait Server: Send + Sync {
    /// Where the server stands in its life.
    fn phase(&self) -> Phase;

    /// What it was built from.
    fn build(&self) -> BuildInfo;

    /// How it runs.
    fn runtime(&self) -> RuntimeInfo;

    /// Flags of the command line with their values.
    fn flags(&self) -> BTreeMap<String, String> {
        BTreeMap::new()
    }

    /// The configuration in use as YAML, secrets hidden.
    fn config(&self) -> String {
        String::new()
    }

    /// Labels that everything leaving this server gets.
    fn external_labels(&self) -> Labels {
        Labels::empty()
    }

    /// What the parts of the server can do. The API adds the group `api`.
    fn features(&self) -> Features {
        Features::new()
    }

    /// What operators should know now.
    fn notifications(&self) -> Vec<Notification> {
        Vec::new()
    }
}

/// What the server was built from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct BuildInfo {
    /// Version, as `0.1.0`.
    pub version: String,
    /// Commit.
    pub revision: String,
    /// Branch.
    pub branch: String,
    /// Who built it.
    pub build_user: String,
    /// When.
    pub build_date: String,
    /// The compiler; clients look for this name.
    pub go_version: String,
}

/// How the server runs. Names are those of the original; what has no meaning here stays empty.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct RuntimeInfo {
    /// RFC 3339; [`crate::format_rfc3339`] makes it.
    pub start_time: String,
    /// Working directory.
    #[serde(rename = "CWD")]
    pub working_directory: String,
    /// Name of the machine.
    pub hostname: String,
    /// RFC 3339; the API fills it in.
    pub server_time: String,
    /// Whether the last reload went well.
    pub reload_config_success: bool,
    /// RFC 3339.
    pub last_config_time: String,
    /// Damages found in the write-ahead log.
    pub corruption_count: i64,
    /// Tasks or threads.
    #[serde(rename = "goroutineCount")]
    pub tasks: usize,
    /// Worker threads.
    #[serde(rename = "GOMAXPROCS")]
    pub threads: usize,
    /// Budget of memory in bytes; `i64::MAX` for none.
    #[serde(rename = "GOMEMLIMIT")]
    pub memory_limit: i64,
    /// Kept for clients that read it.
    #[serde(rename = "GOGC")]
    pub gogc: String,
    /// Kept for clients that read it.
    #[serde(rename = "GODEBUG")]
    pub godebug: String,
    /// As `15d or 10GB`.
    pub storage_retention: String,
}

/// Something operators should know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Notification {
    /// One sentence.
    pub text: String,
    /// RFC 3339.
    pub date: String,
    /// Whether it still holds.
    pub active: bool,
}
