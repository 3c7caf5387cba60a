//! Directories go to Debian's Prometheus and come back.

use std::collections::BTreeMap;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use headwater_env::Env;
use headwater_model::{Histogram, Matcher, Span, TimeRange, stale_nan};
use headwater_storage::{Delete, SampleValue, block_on};
use headwater_tsdb::Db;

use crate::support::{Dump, batch, builder, commit, dump, labels, program};

/// What `promtool tsdb dump` prints: lines by series, sorted.
fn promtool_dump(dir: &Path) -> BTreeMap<String, Vec<(i64, String)>> {
    let output = Command::new("promtool")
        .args(["tsdb", "dump"])
        .arg(dir)
        .output()
        .unwrap();
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{errors}");
    let mut out: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for line in String::from_utf8_lossy(&output.stdout).lines() {
        let (series, sample) = line.rsplit_once("} ").unwrap();
        let (value, time) = sample.rsplit_once(' ').unwrap();
        let time = time.parse().unwrap();
        out.entry(format!("{series}}}"))
            .or_default()
            .push((time, value.to_owned()));
    }
    out
}

pub(crate) const BASE: i64 = 1_767_225_600_000;

fn fill(db: &Db) -> BTreeMap<String, Vec<(i64, String)>> {
    let mut wanted: BTreeMap<String, Vec<(i64, String)>> = BTreeMap::new();
    for round in 0..300i64 {
        let time = BASE + round * 15_000;
        let mut batch = batch(db);
        for n in 0..30i64 {
            let name = labels(&[("__name__", "m"), ("job", "x \"y\""), ("n", &n.to_string())]);
            let series = batch.series(&name).unwrap();
            let (value, text) = match (round + n) % 50 {
                49 => (stale_nan(), "NaN".to_owned()),
                48 => (f64::INFINITY, "+Inf".to_owned()),
                _ => ((round * n) as f64, (round * n).to_string()),
            };
            batch.append_float(series, time, value).unwrap();
            let text = if text.len() > 20 { panic!() } else { text };
            wanted
                .entry(name.to_string())
                .or_default()
                .push((time, text));
        }
        commit(batch);
    }
    wanted
}

/// Series that have left the head early are in a block like any other. That it has some series only
/// is known since Prometheus 3.10: earlier ones do not look into the log for the others.
#[test]
fn promtool_dumps_series_that_have_ended() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let early = builder(dir.path(), Env::real()).configure(|o| o.stale_series_threshold = 0.2);
    let db = early.open().unwrap();
    let mut wanted = fill(&db);
    let mut batch = batch(&db);
    let time = BASE + 300 * 15_000;
    for n in 0..10 {
        let name = labels(&[("__name__", "m"), ("job", "x \"y\""), ("n", &n.to_string())]);
        let series = batch.series(&name).unwrap();
        batch.append_float(series, time, stale_nan()).unwrap();
        let samples = wanted.get_mut(&name.to_string()).unwrap();
        samples.push((time, "NaN".to_owned()));
    }
    commit(batch);
    assert_eq!(db.maintain().unwrap().early_blocks, 1);
    drop(db);
    let found = promtool_dump(dir.path());
    let ended = wanted.iter().filter(|(_, samples)| samples.len() == 301);
    assert_eq!(ended.clone().count(), 10);
    for (series, samples) in ended {
        assert!(found[series] == *samples, "{series}");
    }
}

#[test]
fn promtool_dumps_what_was_written() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = builder(dir.path(), Env::real()).configure(|o| o.segment_bytes = 64 << 10);
    let db = small.open().unwrap();
    let wanted = fill(&db);
    assert!(db.stats().unwrap().log_segment > 0, "several segments");
    drop(db);
    let found = promtool_dump(dir.path());
    assert_eq!(found.len(), wanted.len());
    for (series, samples) in &wanted {
        assert_eq!(&found[series], samples, "{series}");
    }
}

#[test]
fn promtool_reads_histograms_of_the_log() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let db = builder(dir.path(), Env::real()).open().unwrap();
    for round in 0..50i64 {
        let mut batch = batch(&db);
        let series = batch.series(&labels(&[("__name__", "h")])).unwrap();
        let histogram = Histogram {
            schema: 1,
            count: 3 + round as u64,
            sum: round as f64,
            positive_spans: vec![Span {
                offset: 0,
                length: 2,
            }],
            positive_deltas: vec![1, 1 + round],
            ..Histogram::default()
        };
        batch
            .append(
                series,
                BASE + round * 15_000,
                0,
                SampleValue::Histogram(&histogram),
            )
            .unwrap();
        let floats = batch.series(&labels(&[("__name__", "fh")])).unwrap();
        let float = histogram.to_float();
        batch
            .append(
                floats,
                BASE + round * 15_000,
                0,
                SampleValue::FloatHistogram(&float),
            )
            .unwrap();
        commit(batch);
    }
    drop(db);
    // This version prints floats only, but it reads the records: an error in
    // one of them would end the dump.
    promtool_dump(dir.path());
}

/// A dump of this store in the words of `promtool`.
fn in_words(dump: Dump) -> BTreeMap<String, Vec<(i64, String)>> {
    let word = |bits: String| {
        let value = f64::from_bits(u64::from_str_radix(&bits, 16).unwrap());
        match value {
            _ if value.is_nan() => "NaN".to_owned(),
            f64::INFINITY => "+Inf".to_owned(),
            _ => value.to_string(),
        }
    };
    let line = |(time, bits)| (time, word(bits));
    dump.into_iter()
        .map(|(series, samples)| (series, samples.into_iter().map(line).collect()))
        .collect()
}

#[test]
fn promtool_dumps_blocks_late_samples_and_deletions() {
    if !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = builder(dir.path(), Env::real()).configure(|options| {
        options.block_range = 20 * 60_000;
        options.max_block_range = 60 * 60_000;
        options.out_of_order_window = Duration::from_secs(3600);
    });
    let db = small.open().unwrap();
    fill(&db);
    let mut late = batch(&db);
    let series = late.series(&labels(&[("__name__", "late")])).unwrap();
    for minute in (30..70).rev() {
        late.append_float(series, BASE + minute * 60_000, 0.25)
            .unwrap();
    }
    commit(late);
    let range = TimeRange::new(BASE + 60_000, BASE + 120_000);
    block_on(db.delete(vec![Matcher::equal("n", "7")], range)).unwrap();
    let done = db.maintain().unwrap();
    assert!(done.head_blocks > 1, "{done:?}");
    let recent = TimeRange::new(BASE + 70 * 60_000, BASE + 72 * 60_000);
    block_on(db.delete(vec![Matcher::equal("n", "8")], recent)).unwrap();
    let wanted = in_words(dump(&db));
    drop(db);
    let found = promtool_dump(dir.path());
    assert_eq!(
        found.keys().collect::<Vec<_>>(),
        wanted.keys().collect::<Vec<_>>()
    );
    for (series, samples) in &wanted {
        let missing: Vec<_> = samples
            .iter()
            .filter(|s| !found[series].contains(s))
            .collect();
        let more: Vec<_> = found[series]
            .iter()
            .filter(|s| !samples.contains(s))
            .collect();
        assert!(
            missing.is_empty() && more.is_empty(),
            "{series}: {missing:?}, {more:?}"
        );
        assert_eq!(&found[series], samples, "{series}");
    }
}

/// Debian's server over a directory, ended with the test.
pub(crate) struct Server {
    child: Child,
    port: u16,
}

impl Server {
    fn start(dir: &Path, config: &str) -> Server {
        Server::start_with(dir, config, &[])
    }

    /// The same with more flags.
    pub(crate) fn start_with(dir: &Path, config: &str, flags: &[&str]) -> Server {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let file = dir.join("prometheus.yml");
        std::fs::write(&file, config.replace("PORT", &port.to_string())).unwrap();
        let child = Command::new("prometheus")
            .arg(format!("--config.file={}", file.display()))
            .arg(format!(
                "--storage.tsdb.path={}",
                dir.join("data").display()
            ))
            .arg(format!("--web.listen-address=127.0.0.1:{port}"))
            .args(flags)
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let server = Server { child, port };
        server.wait_for(|server| server.get("/-/ready").is_some());
        server
    }

    /// The body of a page, if the server answers with success.
    pub(crate) fn get(&self, path: &str) -> Option<String> {
        let mut stream = TcpStream::connect(("127.0.0.1", self.port)).ok()?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n");
        stream.write_all(request.as_bytes()).ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        head.contains(" 200 ").then(|| body.to_owned())
    }

    /// The only value of an instant query.
    pub(crate) fn value(&self, query: &str, time: i64) -> Option<String> {
        let path = format!("/api/v1/query?query={query}&time={time}");
        let body: serde_json::Value = serde_json::from_str(&self.get(&path)?).ok()?;
        Some(body["data"]["result"][0]["value"][1].as_str()?.to_owned())
    }

    pub(crate) fn wait_for(&self, ready: impl Fn(&Server) -> bool) {
        let started = Instant::now();
        while !ready(self) {
            assert!(
                started.elapsed() < Duration::from_secs(60),
                "the server is not ready"
            );
            std::thread::park_timeout(Duration::from_millis(50));
        }
    }

    /// Ends the server as an operator does, and waits until it is gone.
    pub(crate) fn terminate(mut self) {
        let pid = self.child.id().to_string();
        let sent = Command::new("kill").args(["-TERM", &pid]).status();
        assert!(sent.is_ok_and(|status| status.success()));
        self.child.wait().unwrap();
    }

    fn kill(mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn prometheus_serves_a_directory_written_here() {
    if !program("prometheus") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let small = builder(dir.path().join("data"), Env::real())
        .configure(|options| options.block_range = 20 * 60_000);
    let db = small.open().unwrap();
    let wanted: usize = fill(&db).values().map(Vec::len).sum();
    db.maintain().unwrap();
    assert!(db.stats().unwrap().blocks > 1);
    drop(db);
    let server = Server::start(dir.path(), "global: {}\n");
    let end = BASE / 1000 + 2 * 3600;
    let count = server.value("sum(count_over_time(m[3h]))", end);
    // A range vector leaves stale markers out.
    let stale = (0..300i64)
        .flat_map(|round| (0..30i64).map(move |n| (round + n) % 50))
        .filter(|n| *n == 49)
        .count();
    assert_eq!(count, Some((wanted - stale).to_string()));
}

#[test]
fn a_directory_of_a_killed_prometheus_opens_here() {
    if !program("prometheus") || !program("promtool") {
        return;
    }
    let dir = tempfile::tempdir().unwrap();
    let config = "global: {scrape_interval: 200ms, scrape_timeout: 200ms}\n\
        scrape_configs: [{job_name: self, static_configs: [{targets: ['127.0.0.1:PORT']}]}]\n";
    let server = Server::start(dir.path(), config);
    let far = i64::from(u32::MAX);
    let scraped = |server: &Server| {
        let samples = server.get("/api/v1/query?query=count_over_time(up[1h])");
        samples.is_some_and(|body| {
            let body: serde_json::Value = serde_json::from_str(&body).unwrap();
            let count = body["data"]["result"][0]["value"][1].as_str();
            count
                .and_then(|n| n.parse::<u64>().ok())
                .is_some_and(|n| n > 5)
        })
    };
    assert!(server.value("up", far).is_none());
    server.wait_for(scraped);
    server.kill();
    let data = dir.path().join("data");
    let found = promtool_dump(&data);
    let db = builder(&data, Env::real()).open().unwrap();
    assert!(db.damage().is_empty(), "{:?}", db.damage());
    let ours = dump(&db);
    assert!(ours.len() > 100);
    assert_eq!(
        ours.keys().collect::<Vec<_>>(),
        found.keys().collect::<Vec<_>>()
    );
    for (series, samples) in &found {
        let times: Vec<i64> = ours[series].iter().map(|(time, _)| *time).collect();
        let wanted: Vec<i64> = samples.iter().map(|(time, _)| *time).collect();
        assert_eq!(times, wanted, "{series}");
        for ((_, bits), (_, text)) in ours[series].iter().zip(samples) {
            let value = f64::from_bits(u64::from_str_radix(bits, 16).unwrap());
            let text: f64 = text.parse().unwrap();
            assert!(value == text || value.is_nan() && text.is_nan(), "{series}");
        }
    }
}
