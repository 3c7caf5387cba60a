//! Random data and random queries, the same for Debian's Prometheus and for ours: same answers.
//!
//! The peer is 2.42. What 3.x changed on purpose is kept out of the way rather than compared: no sample
//! stands on the open end of a range (times of samples, of evaluations and of subqueries never meet),
//! counters start so high that no rate is cut at zero, and the generator leaves out what has other
//! answers by now (order of NaN in `topk`, `stddev` of infinities, the name under `atan2`, renamed
//! functions, syntax that is new).
//!
//! `HEADWATER_EXACTNESS=20000` asks that many queries instead of 1 500, and
//! `HEADWATER_EXACTNESS_SEED=7` other ones.

mod compare;
mod data;
mod queries;
mod syntax;

use std::path::Path;

use headwater_tests::process::{Server, program};
use headwater_tests::{peer, remote};

use compare::{Answer, difference};
use data::{BASE, Numbers, SPAN};

/// Queries of an ordinary run, the instants and the ranges together.
const QUERIES: u64 = 1_500;
/// Damaged queries of an ordinary run.
const DAMAGED: u64 = 1_000;
/// Differences that are shown before the test gives up.
const SHOWN: usize = 20;

/// Both servers with the same data, ours first.
struct Pair {
    servers: [Server; 2],
    agent: ureq::Agent,
    _folders: [tempfile::TempDir; 2],
}

impl Pair {
    /// `None` if the peer is not installed.
    fn start(numbers: &mut Numbers) -> Option<Self> {
        let theirs = peer::find("prometheus")?;
        let folders = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let requests = data::requests(numbers);
        let start = |path: &Path, folder: &tempfile::TempDir| {
            std::fs::write(folder.path().join("prometheus.yml"), "").unwrap();
            let flags = ["--web.enable-remote-write-receiver"];
            let server = Server::start(path, folder.path(), &flags);
            for request in &requests {
                let answer = remote::write(&server.url, request);
                assert_eq!(answer.status, 204, "{}", answer.text());
            }
            server
        };
        let servers = [
            start(&program("prometheus"), &folders[0]),
            start(&theirs, &folders[1]),
        ];
        Some(Self {
            servers,
            agent: remote::agent(),
            _folders: folders,
        })
    }

    /// The statuses and the answers of both to a form.
    fn ask(&self, path: &str, form: &[(&str, &str)]) -> [Answer; 2] {
        self.servers.each_ref().map(|server| {
            let request = self.agent.post(format!("{}{path}", server.url));
            let mut response = request
                .send_form(form.iter().copied())
                .expect("the server answers");
            let status = response.status().as_u16();
            let body = response.body_mut().with_config().limit(1 << 30);
            let text = body.read_to_string().expect("a body");
            (status, serde_json::from_str(&text).expect("JSON"))
        })
    }
}

/// The answers that differ, as many as are worth reading.
#[derive(Default)]
struct Differences(Vec<String>);

impl Differences {
    fn check(&mut self, pair: &Pair, path: &str, form: &[(&str, &str)]) {
        let [ours, theirs] = pair.ask(path, form);
        self.compare(path, form, &ours, &theirs);
    }

    fn compare(&mut self, path: &str, form: &[(&str, &str)], ours: &Answer, theirs: &Answer) {
        if let Some(difference) = difference(ours, theirs) {
            self.0.push(format!("{path} {form:?}\n{difference}"));
        }
    }

    fn full(&self) -> bool {
        self.0.len() >= SHOWN
    }

    fn expect_none(self) {
        assert!(
            self.0.is_empty(),
            "{} differences\n{}",
            self.0.len(),
            self.0.join("\n\n")
        );
    }
}

fn from_environment(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

fn numbers() -> Numbers {
    Numbers::new(from_environment("HEADWATER_EXACTNESS_SEED").unwrap_or(1))
}

/// A moment in the data or a little outside of it, half a second off what samples and steps can be.
fn moment(numbers: &mut Numbers) -> u64 {
    BASE - 300 + numbers.below(SPAN + 600)
}

#[test]
fn random_queries_have_the_same_answers() {
    let mut numbers = numbers();
    let Some(pair) = Pair::start(&mut numbers) else {
        return;
    };
    let mut differences = Differences::default();
    let count = from_environment("HEADWATER_EXACTNESS").unwrap_or(QUERIES);
    for _ in 0..count {
        if differences.full() {
            break;
        }
        let depth = 1 + numbers.below(3) as u32;
        let query = queries::expression(&mut numbers, depth);
        let at = moment(&mut numbers);
        if numbers.below(2) == 0 {
            let time = format!("{at}.5");
            differences.check(
                &pair,
                "/api/v1/query",
                &[("query", &query), ("time", &time)],
            );
        } else {
            let end = at + 30 + numbers.below(1200);
            let (start, end) = (format!("{at}.5"), format!("{end}.5"));
            let step = (7 + numbers.below(90)).to_string();
            let form = [
                ("query", query.as_str()),
                ("start", &start),
                ("end", &end),
                ("step", &step),
            ];
            differences.check(&pair, "/api/v1/query_range", &form);
        }
    }
    metadata(&pair, &mut numbers, &mut differences);
    differences.expect_none();
}

/// Series, label names and label values behind random selectors.
fn metadata(pair: &Pair, numbers: &mut Numbers, differences: &mut Differences) {
    for _ in 0..100 {
        let selector = queries::matchers_only(numbers);
        let (start, end) = (moment(numbers), moment(numbers));
        let start = format!("{}.5", start.min(end));
        let end = format!("{}.5", BASE + SPAN);
        let form = [
            ("match[]", selector.as_str()),
            ("start", &start),
            ("end", &end),
        ];
        differences.check(pair, "/api/v1/series", &form);
        differences.check(pair, "/api/v1/labels", &form);
    }
}

#[test]
fn damaged_queries_have_the_same_errors() {
    let mut numbers = numbers();
    let Some(pair) = Pair::start(&mut numbers) else {
        return;
    };
    let mut differences = Differences::default();
    let count = from_environment("HEADWATER_EXACTNESS").unwrap_or(DAMAGED);
    for _ in 0..count {
        if differences.full() {
            break;
        }
        let query = syntax::damaged(&mut numbers);
        let (path, form) = ("/api/v1/format_query", [("query", query.as_str())]);
        let [ours, theirs] = pair.ask(path, &form);
        if !syntax::outdated(&ours.1, &theirs.1) {
            differences.compare(path, &form, &ours, &theirs);
        }
    }
    differences.expect_none();
}
