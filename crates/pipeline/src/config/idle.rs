//! Keys of heka that are accepted and change nothing, and why.
//!
//! Refusing them would break configurations that work; passing over them in
//! silence would leave their authors guessing. So they are told.

use crate::plugin::Category;

use super::read::SectionTable;

type Idle = (&'static str, &'static str);

const NO_PACKS: &str = "memory is bounded in bytes: see [x.queue] max_bytes";
const NO_SANDBOX: &str = "there are no sandboxes yet";
const NO_PROFILES: &str = "profiles are taken from outside";

const DAEMON: &[Idle] = &[
    ("maxprocs", "threads are the operating system's"),
    ("poolsize", NO_PACKS),
    ("plugin_chansize", NO_PACKS),
    ("max_pack_idle", "reports tell who holds which batch"),
    ("max_process_inject", NO_SANDBOX),
    ("max_timer_inject", NO_SANDBOX),
    ("max_process_duration", NO_SANDBOX),
    ("share_dir", NO_SANDBOX),
    ("sample_denominator", "everything is counted"),
    ("log_flags", "the command line says how to log"),
    ("cpuprof", NO_PROFILES),
    ("memprof", NO_PROFILES),
    (
        "full_buffer_max_retries",
        "a plugin starts when its queue does",
    ),
];

const INPUT: &[Idle] = &[(
    "synchronous_decode",
    "every stream is decoded in its own thread",
)];

const SPLITTER: &[Idle] = &[(
    "min_buffer_size",
    "buffers are as large as records and reads need",
)];

const BUFFERING: &[Idle] = &[(
    "cursor_update_count",
    "the cursor is written when it moved, five times a second at most",
)];

impl SectionTable<'_> {
    /// Keys that change nothing, of a plugin or of the daemon.
    pub(super) fn idle_keys(&self, category: Option<Category>) -> Vec<String> {
        let keys = match category {
            None => DAEMON,
            Some(Category::Input) => INPUT,
            Some(Category::Splitter) => SPLITTER,
            Some(_) => &[],
        };
        let own = keys.iter().filter(|(key, _)| self.has(&[key]));
        let queue = BUFFERING
            .iter()
            .filter(|(key, _)| self.has(&["buffering", key]));
        own.chain(queue)
            .map(|(key, reason)| format!("[{}] {key} has no effect: {reason}", self.name))
            .collect()
    }
}
