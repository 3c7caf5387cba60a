//! Bounds and switches of the API.

use std::time::Duration;

use headwater_regexp::Regex;

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
            page_title: "Headwater".to_owned(),
        }
    }
}
