//! Letting a server scrape the whole workload.

use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::Server;
use headwater_tests::{api, eventually};

use super::workload;

/// Starts `binary` on `folder`, lets it scrape every page of every target once, and stops feeding.
pub(super) fn feed(
    binary: &Path,
    folder: &Path,
    targets: usize,
    samples: usize,
    base: i64,
) -> Server {
    let exporters: Vec<(Exporter, Arc<AtomicUsize>)> = (0..targets)
        .map(|target| {
            let next = Arc::new(AtomicUsize::new(0));
            let position = next.clone();
            let serve = move || match position.fetch_add(1, Ordering::Relaxed) {
                at if at < samples => Page::text(workload::page(target, at, base)),
                _ => Page::text("# nothing more\n"),
            };
            (Exporter::serve(serve), next)
        })
        .collect();
    fs::write(folder.join("prometheus.yml"), config(&exporters))
        .expect("the folder can be written");
    let server = Server::start(binary, folder, &[]);
    eventually("all pages are scraped", || {
        exporters
            .iter()
            .all(|(_, next)| next.load(Ordering::Relaxed) > samples)
            .then_some(())
    });
    fs::write(
        folder.join("prometheus.yml"),
        "global: {scrape_interval: 1h}\n",
    )
    .expect("the folder can be written");
    let reloaded = api::post(&format!("{}/-/reload", server.url), &[]).expect("the server answers");
    assert_eq!(reloaded.status, 200, "{}", reloaded.body);
    server
}

fn config(exporters: &[(Exporter, Arc<AtomicUsize>)]) -> String {
    let mut out = String::from(
        "global: {scrape_interval: 100ms, scrape_timeout: 100ms}\nscrape_configs:\n- job_name: bench\n  static_configs:\n",
    );
    for (at, (exporter, _)) in exporters.iter().enumerate() {
        writeln!(out, "  - {{targets: ['{}'], labels: {{instance: t{at}, namespace: ns{}, pod: pod-{at}, cluster: one}}}}", exporter.address(), at % 7)
            .expect("a String takes every write");
    }
    out
}
