//! Ten million samples under a budget of 64 MiB: a query finishes inside it or is refused, and what the
//! process takes beyond what it had before proves it.
//!
//! Each query runs in a process of its own (this test again, told by an environment variable), whose
//! peak the system knows.

use std::process::Command;
use std::sync::Arc;

use headwater_model::{Labels, SeriesColumns};
use headwater_promql::{Engine, EngineOptions, ParseOptions};
use headwater_query::{EvalRequest, Evaluate, QueryErrorKind};
use headwater_storage::{BoxFuture, Result, Select, SelectRequest, SeriesCursor, block_on};

const SERIES: usize = 10_000;
const SAMPLES: i64 = 1000;
const INTERVAL: i64 = 15_000;
const BUDGET: u64 = 64 << 20;
const QUERY: &str = "HEADWATER_TEN_MILLION";

/// A store that makes its samples up while they are read.
struct Made;

struct MadeCursor {
    next: usize,
    end: usize,
}

impl Select for Made {
    fn select(&self, _: SelectRequest) -> BoxFuture<'_, Result<Box<dyn SeriesCursor>>> {
        let cursor: Box<dyn SeriesCursor> = Box::new(MadeCursor {
            next: 0,
            end: SERIES,
        });
        Box::pin(std::future::ready(Ok(cursor)))
    }
}

impl SeriesCursor for MadeCursor {
    fn advance(&mut self) -> Result<Option<Labels>> {
        if self.next == self.end {
            return Ok(None);
        }
        let (host, job) = (format!("host-{}", self.next), format!("{}", self.next % 10));
        self.next += 1;
        Ok(Some(Labels::from_pairs([
            ("__name__", "made_total"),
            ("host", &host),
            ("job", &job),
        ])))
    }

    fn read(&mut self, into: &mut SeriesColumns) -> Result<()> {
        into.clear();
        for sample in 0..SAMPLES {
            let value = (sample * (self.next as i64 % 7 + 1)) as f64;
            into.floats.push(sample * INTERVAL, value);
        }
        Ok(())
    }

    fn split(self: Box<Self>, parts: usize) -> Vec<Box<dyn SeriesCursor>> {
        let size = (self.end - self.next).div_ceil(parts.max(1)).max(1);
        let starts = (self.next..self.end).step_by(size);
        let part = |next: usize| -> Box<dyn SeriesCursor> {
            let end = self.end.min(next + size);
            Box::new(MadeCursor { next, end })
        };
        starts.map(part).collect()
    }

    fn remaining(&self) -> Option<usize> {
        Some(self.end - self.next)
    }
}

/// A figure of this process in bytes: `VmRSS` or `VmHWM`.
fn memory(name: &str) -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix(name));
    let kilobytes =
        line.and_then(|line| line.trim_matches([':', ' ', '\t', 'k', 'B']).parse().ok());
    kilobytes.map_or(0, |kilobytes: u64| kilobytes * 1024)
}

/// Runs one query and prints how it went and what it took.
fn child(query: &str) {
    let mut options = EngineOptions::default();
    options.parse = ParseOptions::all();
    options.max_samples = 0;
    options.max_bytes = BUDGET;
    options.threads = 2;
    let engine = Engine::new(Arc::new(Made), options).unwrap();
    let before = memory("VmRSS");
    let request = EvalRequest::range(query, 0, (SAMPLES - 1) * INTERVAL, INTERVAL);
    let outcome = match block_on(engine.evaluate(request)) {
        Ok(answer) => format!("ok {}", answer.stats.samples),
        Err(error) if error.kind() == QueryErrorKind::Limit => format!("refused: {error}"),
        Err(error) => format!("failed: {error}"),
    };
    let peak = memory("VmHWM").saturating_sub(before);
    println!("took {peak} bytes, {outcome}");
}

/// Whether it is refused, and the bytes that were taken.
fn run(query: &str) -> (String, u64) {
    let output = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "memory::ten_million_samples_stay_in_the_budget"])
        .args(["--nocapture", "--test-threads=1"])
        .env(QUERY, query)
        .output()
        .unwrap();
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let line = text.split_once("took ").map(|(_, line)| line);
    let Some((bytes, outcome)) = line.and_then(|line| line.split_once(" bytes, ")) else {
        panic!("{query}: {text}");
    };
    let outcome = outcome.lines().next().unwrap_or_default();
    (outcome.to_owned(), bytes.parse().unwrap())
}

#[test]
fn ten_million_samples_stay_in_the_budget() {
    if let Ok(query) = std::env::var(QUERY) {
        return child(&query);
    }
    if memory("VmHWM") == 0 {
        return println!("skipped: this system does not tell the peak of a process");
    }
    // What threads, their stacks and the code that runs for the first time take beside queries.
    let slack = 4 << 20;
    for (query, finishes) in [
        ("sum by (job) (rate(made_total[5m]))", true),
        ("count(made_total > 10) + avg(made_total)", true),
        ("made_total", false),
        ("topk(3, made_total)", false),
        ("made_total / made_total", false),
        ("max_over_time(sum by (host) (made_total)[10m:1m])", false),
    ] {
        let (outcome, bytes) = run(query);
        println!("{:>9} KiB  {query}: {outcome}", bytes >> 10);
        assert_eq!(outcome.starts_with("ok "), finishes, "{query}: {outcome}");
        let named = outcome.contains(&format!("over the limit of {BUDGET} bytes a query"));
        assert!(finishes || named, "{query}: {outcome}");
        assert!(bytes <= BUDGET + slack, "{query} took {bytes} bytes");
    }
}
