//! Scraping over HTTP: what feeding costs, on disk and at the next start.

use super::MetricsOptions;
use super::contender::Contender;
use super::feed::feed;
use super::table::Table;
use super::write::{base, restart};
use crate::measure::{cpu_seconds, disk_mib, peak_memory_mib};

/// Phase (viii): 100 targets of 100 series, 360 pages each.
pub(super) fn scrape(
    options: &MetricsOptions,
    contender: &Contender,
    at: usize,
    table: &mut Table,
) {
    let (targets, samples) = (options.scaled(100, 3), options.scaled(360, 20));
    let folder = tempfile::tempdir().expect("a folder for the data");
    let mut server = feed(
        contender.binary(),
        folder.path(),
        targets,
        samples,
        base(samples),
    );
    let pid = server.process.id();
    table.note(at, "scrape: CPU", "s", cpu_seconds(pid));
    table.note(at, "scrape: peak memory", "MiB", peak_memory_mib(pid));
    table.note(
        at,
        "scrape: disk",
        "MiB",
        disk_mib(&folder.path().join("data")),
    );
    restart(&mut server, "scrape, kill and reopen", at, table);
}
