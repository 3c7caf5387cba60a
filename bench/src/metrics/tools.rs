//! `tsdb bench write` of both promtools, on the same file of labels.

use std::fmt::Write;
use std::path::{Path, PathBuf};

use headwater_tests::peer;
use headwater_tests::process::{Usage, run_to_end};

use super::MetricsOptions;
use super::contender::build;
use super::table::Table;

/// Phase (vii): 10 000 series with labels of some 490 bytes, 2000 scrapes.
pub(super) fn bench_write(options: &MetricsOptions, table: &mut Table) {
    let (metrics, scrapes) = (options.scaled(10_000, 100), options.scaled(2000, 20));
    let folder = tempfile::tempdir().expect("a folder for the data");
    let labels = folder.path().join("labels.json");
    std::fs::write(&labels, lines(metrics)).expect("the folder can be written");
    let ours = options
        .our_promtool
        .clone()
        .unwrap_or_else(|| build("promtool", options.debug));
    let theirs = peer::find("promtool").filter(|_| !options.alone);
    let programs = [Some(ours), theirs].into_iter().flatten().enumerate();
    for (at, program) in programs {
        eprintln!("{}: tsdb bench write", program.display());
        let usage = run(&program, folder.path(), &labels, (metrics, scrapes), at);
        let count = (metrics * scrapes) as f64;
        table.note(
            at,
            "promtool tsdb bench write: CPU a sample",
            "ns",
            usage.cpu * 1e9 / count,
        );
        table.note(at, "promtool tsdb bench write: wall", "s", usage.wall);
        table.note(
            at,
            "promtool tsdb bench write: peak memory",
            "MiB",
            usage.peak_mib,
        );
    }
}

fn run(
    program: &Path,
    folder: &Path,
    labels: &Path,
    (metrics, scrapes): (usize, usize),
    at: usize,
) -> Usage {
    let out: PathBuf = folder.join(format!("out-{at}"));
    let arguments = [
        "tsdb".to_owned(),
        "bench".to_owned(),
        "write".to_owned(),
        format!("--out={}", out.display()),
        format!("--metrics={metrics}"),
        format!("--scrapes={scrapes}"),
        labels.display().to_string(),
    ];
    let usage = run_to_end(program, &arguments, folder);
    assert!(
        usage.success,
        "{} failed: {}",
        program.display(),
        usage.output
    );
    // The data of one is not needed while the other runs.
    let _ = std::fs::remove_dir_all(out);
    usage
}

/// A line a series, as promtool reads them.
fn lines(metrics: usize) -> String {
    let mut out = String::new();
    for at in 0..metrics {
        write!(
            out,
            "{{\"__name__\":\"bench_metric_{}\",\"series\":\"{at}\"",
            at % 50
        )
        .expect("a String takes every write");
        for label in 0..12 {
            write!(
                out,
                ",\"label_of_some_length_{label:02}\":\"value_{:05}\"",
                at / (label + 1)
            )
            .expect("a String takes every write");
        }
        out.push_str("}\n");
    }
    out
}
