//! Bounds and switches of the API.

use std::time::Duration;

use headwater_regexp::Regex;

use crate::receive::WriteMessage;

/// Settings that do not change while the server runs.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Settings {
    /// How long a query may take at most; a request may ask for less.
    pub query_timeout: Duration,
    /// How far federation looks back for the newest sample.
    pub lookback: Duration,
    /// Path under which all routes lie, as `/prom`; empty for none. No slash at the end.
    pub route_prefix: String,
    /// Origins from which pages may read answers; anchored. `None` allows every origin.
    pub cors_origin: Option<Regex>,
    /// The most `match[]` parameters of one request.
    pub max_selectors: usize,
    /// The most label, series, exemplar and federation requests worked on at once; others wait.
    pub concurrent_reads: usize,
    /// The messages of remote write that are taken.
    pub write_messages: Vec<WriteMessage>,
    /// The most large remote writes worked on at once; others wait.
    pub concurrent_writes: usize,
    /// The most samples of a remote read that is answered with samples; 0 for no bound.
    pub remote_read_samples: usize,
    /// The most remote reads worked on at once; others wait.
    pub concurrent_remote_reads: usize,
    /// Bytes of a frame of a remote read that is streamed.
    pub remote_read_frame_bytes: usize,
    /// The title of the page.
    pub page_title: String,
}

impl Default for Settings {
    fn default() -> Self {
        Self {
            query_timeout: Duration::from_secs(120),
            lookback: Duration::from_secs(300),
            route_prefix: String::new(),
            cors_origin: None,
            max_selectors: 1024,
            concurrent_reads: 16,
            write_messages: WriteMessage::ALL.to_vec(),
            concurrent_writes: 4,
            remote_read_samples: 50_000_000,
            concurrent_remote_reads: 10,
            remote_read_frame_bytes: 1 << 20,
            page_title: "Headwater".to_owned(),
        }
    }
}
