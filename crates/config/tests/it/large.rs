//! Large files are read whole.

use std::fmt::Write as _;
use std::path::Path;

use headwater_config::{Config, Options};

#[test]
fn many_targets_and_jobs() {
    let mut text = "scrape_configs:\n".to_owned();
    for job in 0..2000 {
        let _ = write!(
            text,
            "- job_name: job-{job}\n  relabel_configs:\n  - {{source_labels: [a], target_label: b}}\n  \
             - {{source_labels: [c], regex: 'x.*', action: drop}}\n  static_configs:\n  - targets:\n"
        );
        for target in 0..150 {
            let _ = writeln!(text, "    - 10.0.0.{target}:{job}");
        }
    }
    let config = Config::parse(&text, Path::new("."), &Options::default()).unwrap();
    let targets =
        |job: &headwater_config::ScrapeConfig| job.discovery.static_configs[0].targets.len();
    assert_eq!(
        config
            .scrape_configs
            .iter()
            .map(|job| targets(job))
            .sum::<usize>(),
        300_000
    );
}
