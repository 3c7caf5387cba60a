//! kill -9 in the middle of scraping, again and again: what a query has shown is there after the restart.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use headwater_tests::exporter::{Exporter, Page};
use headwater_tests::process::Server;
use headwater_tests::{api, eventually};

/// Series in every scrape beside the sequence number.
const SERIES: usize = 200;

/// Every scrape gets the next number, and every series of it carries that number.
fn numbered_page(next: &AtomicU64) -> Page {
    let number = next.fetch_add(1, Ordering::Relaxed) + 1;
    let mut body = format!("sequence {number}\n");
    for series in 0..SERIES {
        writeln!(body, "part{{n=\"{series}\"}} {number}").unwrap();
    }
    Page::text(body)
}

fn kills() -> usize {
    std::env::var("HEADWATER_KILLS")
        .ok()
        .and_then(|text| text.parse().ok())
        .unwrap_or(50)
}

#[test]
fn scrapes_that_a_query_has_shown_survive_kill_9() {
    let next = Arc::new(AtomicU64::new(0));
    let exporter = Exporter::serve({
        let next = next.clone();
        move || numbered_page(&next)
    });
    let folder = tempfile::tempdir().unwrap();
    let config = format!(
        "global: {{scrape_interval: 100ms, scrape_timeout: 100ms}}\nscrape_configs:\n- job_name: n\n  static_configs: [{{targets: ['{}']}}]\n",
        exporter.address()
    );
    fs::write(folder.path().join("prometheus.yml"), config).unwrap();
    let mut server = Server::prometheus(folder.path(), &[]);
    let mut seen = BTreeMap::new();
    for round in 0..kills() {
        // At least one new number of this life must be seen before the kill; more are seen in some rounds.
        let before = seen.len();
        eventually("a new scrape is stored", || {
            remember(&server.url, &mut seen);
            (seen.len() > before + round % 3).then_some(())
        });
        server.crash_and_restart();
        check_all(&server.url, &seen, round);
    }
}

/// Samples of the sequence number by time, as the server shows them now.
fn stored(url: &str, series: &str) -> BTreeMap<String, String> {
    let result = api::query(url, &format!("{series}[1h]"), None);
    let mut out = BTreeMap::new();
    for row in result.as_array().into_iter().flatten() {
        for pair in row["values"].as_array().into_iter().flatten() {
            let double = out.insert(
                pair[0].to_string(),
                pair[1].as_str().unwrap_or_default().to_owned(),
            );
            assert_eq!(double, None, "one time is there twice: {pair}");
        }
    }
    out
}

fn remember(url: &str, seen: &mut BTreeMap<String, String>) {
    seen.extend(stored(url, "sequence"));
}

fn check_all(url: &str, seen: &BTreeMap<String, String>, round: usize) {
    let there = stored(url, "sequence");
    for (time, number) in seen {
        assert_eq!(
            there.get(time),
            Some(number),
            "round {round}: scrape {number} at {time}"
        );
    }
    let mut numbers: Vec<&String> = there.values().collect();
    let all = numbers.len();
    numbers.sort();
    numbers.dedup();
    assert_eq!(numbers.len(), all, "round {round}: a scrape is there twice");
    check_whole(url, &there, round);
}

/// Every scrape that is there is there whole: each series has each of its numbers.
fn check_whole(url: &str, there: &BTreeMap<String, String>, round: usize) {
    let result = api::query(url, "part[1h]", None);
    let rows = result.as_array().unwrap();
    assert!(
        there.is_empty() || rows.len() == SERIES,
        "round {round}: {} of {SERIES} series",
        rows.len()
    );
    for row in rows {
        let values: BTreeMap<String, String> = row["values"]
            .as_array()
            .unwrap()
            .iter()
            .map(|pair| (pair[0].to_string(), pair[1].as_str().unwrap().to_owned()))
            .collect();
        for (time, number) in there {
            assert_eq!(
                values.get(time),
                Some(number),
                "round {round}: {} of scrape {number}",
                row["metric"]
            );
        }
    }
}
