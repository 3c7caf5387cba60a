//! Where the numbers of reports come from.

use std::sync::Arc;

use crate::flow::Router;
use crate::plugin::Stats;

use super::line::Line;
use super::report::{PluginReport, Report};

/// The counters of everything that runs.
pub(super) struct Observed {
    pub(super) router: Arc<Router>,
    pub(super) plugins: Vec<Watched>,
}

/// The counters of one plugin.
pub(super) struct Watched {
    pub(super) kind: &'static str,
    pub(super) name: Arc<str>,
    pub(super) stats: Stats,
    pub(super) line: Option<Line>,
}

impl Observed {
    pub(super) fn report(&self) -> Report {
        Report {
            routed: self.router.processed(),
            plugins: self.plugins.iter().map(Watched::report).collect(),
        }
    }
}

impl Watched {
    fn report(&self) -> PluginReport {
        let mut stats = self.stats.all();
        if let Some(line) = &self.line {
            let queue = &line.front;
            let (deliveries, bytes) = queue.depth();
            for (name, value) in [
                ("InChanLength", deliveries as u64),
                ("InChanBytes", bytes as u64),
                ("InChanMaxBytes", queue.max_bytes() as u64),
                ("QueueDropCount", queue.dropped()),
            ] {
                stats.push((name.to_owned(), value));
            }
            let holding = line.holding();
            for (name, value) in [
                ("HeldBatches", holding.batches as u64),
                ("HeldBytes", holding.bytes as u64),
                ("HeldOldestMillis", holding.oldest.as_millis() as u64),
            ] {
                stats.push((name.to_owned(), value));
            }
            let disk = line.disk_bytes();
            stats.extend(disk.map(|bytes| ("QueueBytesOnDisk".to_owned(), bytes)));
        }
        PluginReport {
            kind: self.kind,
            name: self.name.clone(),
            stats,
        }
    }
}
