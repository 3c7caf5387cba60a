//! The `[hekad]` section.

use std::path::PathBuf;
use std::time::Duration;

use serde::Deserialize;

use super::duration::GoDuration;

/// Settings of the daemon. Those that only made sense for heka's insides
/// are accepted and have no effect; [`Plan::notices`](super::Plan::notices)
/// says so.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct HekadSettings {
    /// No effect: threads are the operating system's.
    pub maxprocs: i64,
    /// No effect: memory is bounded in bytes by the queues.
    pub poolsize: i64,
    /// No effect: see `[x.queue]`.
    pub plugin_chansize: i64,
    /// How often filters may inject messages because of injected messages.
    pub max_message_loops: u16,
    /// Messages a sandbox may inject per message.
    pub max_process_inject: u32,
    /// Messages a sandbox may inject per tick.
    pub max_timer_inject: u32,
    /// Nanoseconds a dynamic sandbox may take per message.
    pub max_process_duration: u64,
    /// No effect: there are no packs to lose.
    pub max_pack_idle: GoDuration,
    /// Bytes of the largest message.
    pub max_message_size: usize,
    /// Where queues and journals lie.
    pub base_dir: PathBuf,
    /// Where sandbox scripts lie.
    pub share_dir: PathBuf,
    /// Name for this host in messages; the system's by default.
    pub hostname: Option<String>,
    /// No effect: everything is counted.
    pub sample_denominator: i64,
    /// File with the process number; refuses to start if that runs.
    pub pid_file: Option<PathBuf>,
    /// No effect: see the log options of the command line.
    pub log_flags: i64,
    /// No effect.
    pub cpuprof: String,
    /// No effect.
    pub memprof: String,
    /// No effect: an output starts when its queue does.
    pub full_buffer_max_retries: u64,
    /// Read matchers as heka 0.11 does, accidents included.
    pub strict_compatibility: bool,
    /// How long stopping may take before what is left is abandoned.
    pub stop_timeout: GoDuration,
    /// How often a message `heka.all-report` is routed; 0 is never. In heka
    /// a DashboardOutput asks for it.
    pub report_interval: GoDuration,
}

impl Default for HekadSettings {
    fn default() -> HekadSettings {
        HekadSettings {
            maxprocs: 1,
            poolsize: 100,
            plugin_chansize: 30,
            max_message_loops: 4,
            max_process_inject: 1,
            max_timer_inject: 10,
            max_process_duration: 100_000,
            max_pack_idle: GoDuration(Duration::from_secs(120)),
            max_message_size: 64 * 1024,
            base_dir: PathBuf::from("/var/cache/hekad"),
            share_dir: PathBuf::from("/usr/share/heka"),
            hostname: None,
            sample_denominator: 1000,
            pid_file: None,
            log_flags: 3,
            cpuprof: String::new(),
            memprof: String::new(),
            full_buffer_max_retries: 10,
            strict_compatibility: false,
            stop_timeout: GoDuration(Duration::from_secs(10)),
            report_interval: GoDuration(Duration::ZERO),
        }
    }
}

impl HekadSettings {
    /// What is wrong with the values, if anything.
    pub(crate) fn fault(&self) -> Option<&'static str> {
        if self.max_message_size <= 1024 {
            return Some("max_message_size must be greater than 1024");
        }
        if self.sample_denominator <= 0 {
            return Some("sample_denominator must be greater than 0");
        }
        None
    }
}
