//! Settings that all plugins of a kind share.

use std::time::Duration;

use serde::Deserialize;

use super::duration::GoDuration;
use crate::flow::WhenFull;

/// `[x.retries]`: how to start a plugin again that ended with an error.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Retries {
    /// Random time added to each wait, at most this.
    pub max_jitter: GoDuration,
    /// Longest wait.
    pub max_delay: GoDuration,
    /// First wait; each further one is twice as long.
    pub delay: GoDuration,
    /// How often to try; -1 is for ever, 0 never.
    pub max_retries: i64,
}

impl Default for Retries {
    fn default() -> Retries {
        Retries {
            max_jitter: GoDuration(Duration::from_millis(500)),
            max_delay: GoDuration(Duration::from_secs(30)),
            delay: GoDuration(Duration::from_millis(250)),
            max_retries: -1,
        }
    }
}

/// What to do when a disk queue is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
#[non_exhaustive]
pub enum FullAction {
    /// Stop the daemon.
    #[default]
    Shutdown,
    /// Drop new messages.
    Drop,
    /// Let the inputs wait.
    Block,
}

/// `[x.buffering]`: the disk queue of a filter or output.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct Buffering {
    /// Bytes of one file of the queue.
    pub max_file_size: u64,
    /// Bytes of the whole queue; 0 is no bound.
    pub max_buffer_size: u64,
    /// What to do when it is full.
    pub full_action: FullAction,
    /// Accepted for heka's sake: the cursor is written when it moved.
    pub cursor_update_count: u64,
}

impl Default for Buffering {
    fn default() -> Buffering {
        Buffering {
            max_file_size: 512 << 20,
            max_buffer_size: 0,
            full_action: FullAction::Shutdown,
            cursor_update_count: 1,
        }
    }
}

/// What to do when the queue in memory is full.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Deserialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum QueuePolicy {
    /// Let the inputs wait.
    #[default]
    Block,
    /// Drop new messages.
    DropNewest,
    /// Drop the oldest messages.
    DropOldest,
}

impl From<QueuePolicy> for WhenFull {
    fn from(policy: QueuePolicy) -> WhenFull {
        match policy {
            QueuePolicy::Block => WhenFull::Block,
            QueuePolicy::DropNewest => WhenFull::DropNewest,
            QueuePolicy::DropOldest => WhenFull::DropOldest,
        }
    }
}

/// `[x.queue]`: the queue in memory before a filter or output. Not known to
/// heka, whose queues are bounded by `plugin_chansize` messages and block.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct QueueSettings {
    /// Bytes the queue may hold.
    pub max_bytes: usize,
    /// What to do when it is full.
    pub when_full: QueuePolicy,
}

impl Default for QueueSettings {
    fn default() -> QueueSettings {
        QueueSettings {
            max_bytes: 4 << 20,
            when_full: QueuePolicy::Block,
        }
    }
}

/// Settings of every input.
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct InputCommon {
    /// Type of the plugin, if it is not the section's name.
    pub r#type: Option<String>,
    /// Section or default of the decoder.
    pub decoder: Option<String>,
    /// Section or default of the splitter.
    pub splitter: Option<String>,
    /// Accepted for heka's sake: decoding always happens in the stream's own
    /// thread.
    pub synchronous_decode: bool,
    /// Deliver what cannot be decoded.
    pub send_decode_failures: bool,
    /// Log what cannot be decoded.
    pub log_decode_failures: bool,
    /// The pipeline goes on without the input.
    pub can_exit: bool,
    /// Seconds between ticks.
    pub ticker_interval: Option<u64>,
    /// How to start again.
    pub retries: Retries,
}

impl Default for InputCommon {
    fn default() -> InputCommon {
        InputCommon {
            r#type: None,
            decoder: None,
            splitter: None,
            synchronous_decode: false,
            send_decode_failures: false,
            log_decode_failures: true,
            can_exit: false,
            ticker_interval: None,
            retries: Retries::default(),
        }
    }
}

/// Settings of every splitter.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct SplitterCommon {
    /// Type of the plugin, if it is not the section's name.
    pub r#type: Option<String>,
    /// Cut records that are too large instead of dropping them.
    pub keep_truncated: bool,
    /// Whether records are encoded messages.
    pub use_message_bytes: Option<bool>,
    /// Accepted for heka's sake: buffers are as large as reads.
    pub min_buffer_size: Option<usize>,
    /// Deliver what is left at the end of a stream.
    pub deliver_incomplete_final: bool,
}

/// Settings of every decoder and encoder.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PartCommon {
    /// Type of the plugin, if it is not the section's name.
    pub r#type: Option<String>,
}

/// Settings of every filter and output.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct ConsumerCommon {
    /// Type of the plugin, if it is not the section's name.
    pub r#type: Option<String>,
    /// Which messages it wants.
    pub message_matcher: Option<String>,
    /// Whose signature it demands.
    pub message_signer: Option<String>,
    /// Seconds between ticks.
    pub ticker_interval: Option<u64>,
    /// The pipeline goes on without the plugin.
    pub can_exit: Option<bool>,
    /// Whether a disk queue lies before it.
    pub use_buffering: Option<bool>,
    /// The disk queue.
    pub buffering: Option<Buffering>,
    /// The queue in memory.
    pub queue: QueueSettings,
    /// How to start again.
    pub retries: Retries,
}

/// Settings that every output has besides.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct OutputCommon {
    /// Section or default of the encoder.
    pub encoder: Option<String>,
    /// Whether each message gets a frame; by default if the encoder writes
    /// heka's message bytes.
    pub use_framing: Option<bool>,
}
