//! `logstreamer/cases.json`: trees of rotated files to streams of records.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant, SystemTime};

use bytes::Bytes;
use flate2::Compression;
use flate2::write::GzEncoder;
use serde_json::Value;

use crate::config::{Config, Plan};
use crate::event::Event;
use crate::message::{RawMessage, Verifier, record_max};
use crate::plugin::cut;
use crate::plugins::splitters::HekaFramingSplitter;
use crate::topology::Topology;

use super::json::{self, cases, text};
use super::{Report, same};

/// How long the next record may take to arrive.
const PATIENCE: Duration = Duration::from_secs(5);

type Records = BTreeMap<String, Vec<String>>;

pub(super) fn run(file: &Value, dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        let name = format!("logstreamer/{}", text(case, "name"));
        report.judge(name, tree(case, &dir.join("logstreamer")));
    }
    for case in cases(file, "resume_scenarios") {
        let name = format!("logstreamer/resume/{}", text(case, "name"));
        report.judge(name, scenario(case));
    }
}

/// A place for logs, journals and what comes out.
struct Workbench {
    dir: tempfile::TempDir,
}

impl Workbench {
    fn new() -> Result<Workbench, String> {
        let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
        fs::create_dir(dir.path().join("logs")).map_err(|error| error.to_string())?;
        Ok(Workbench { dir })
    }

    fn logs(&self) -> PathBuf {
        self.dir.path().join("logs")
    }

    fn config(&self, recorded: &str) -> String {
        let logs = self.logs().display().to_string();
        let base = self.dir.path().display().to_string();
        format!(
            "[hekad]\nbase_dir = \"{base}\"\nhostname = \"golden.example\"\nstop_timeout = \"5s\"\n{}\n\
             [golden_out]\ntype = \"FileOutput\"\nmessage_matcher = \"TRUE\"\npath = \"{base}/out\"\n\
             encoder = \"ProtobufEncoder\"\nflush_interval = 5\nflush_count = 1\n",
            recorded.replace("<log_directory>", &logs)
        )
    }

    /// Runs until `wanted` records came in, or no more come, and returns
    /// what came out.
    fn run(&self, recorded: &str, wanted: usize) -> Result<Records, String> {
        let out = self.dir.path().join("out");
        let _ = fs::remove_file(&out);
        let config =
            Config::from_text("golden", &self.config(recorded)).map_err(|e| e.to_string())?;
        let plan = Plan::new(&config, &crate::plugins::registry()).map_err(|e| e.to_string())?;
        let mut topology = Topology::start(plan).map_err(|error| error.to_string())?;
        let mut routed = 0;
        let mut since = Instant::now();
        while routed < wanted as u64 && since.elapsed() < PATIENCE {
            std::thread::sleep(Duration::from_millis(10));
            let now = topology.report().routed;
            if now > routed {
                routed = now;
                since = Instant::now();
            }
        }
        // Anything too much would come now.
        std::thread::sleep(Duration::from_millis(50));
        topology.stop();
        drop(topology);
        records(&out)
    }

    fn journal(&self, stream: &str) -> Result<Value, String> {
        let path = self.dir.path().join("logstreamer").join(stream);
        let bytes = fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?;
        serde_json::from_slice(&bytes).map_err(|error| error.to_string())
    }

    fn compare_journals(&self, wanted: &Value) -> Result<(), String> {
        let logs = fs::canonicalize(self.logs()).map_err(|error| error.to_string())?;
        for (stream, wanted) in wanted.as_object().into_iter().flatten() {
            let got = self.journal(stream)?;
            let path =
                text(wanted, "file_name").replace("<log_directory>", &logs.display().to_string());
            same(
                "file in the journal",
                &text(&got, "file_name"),
                &path.as_str(),
            )?;
            same("place in the journal", &got["seek"], &wanted["seek"])?;
            same(
                "hash in the journal",
                &got["last_hash"],
                &wanted["last_hash"],
            )?;
        }
        Ok(())
    }
}

fn records(path: &Path) -> Result<Records, String> {
    let bytes = Bytes::from(fs::read(path).map_err(|error| error.to_string())?);
    let mut splitter = HekaFramingSplitter::new(Verifier::default(), 65536);
    let mut found = Vec::new();
    cut(
        &mut splitter,
        &bytes,
        true,
        record_max(65536),
        false,
        &mut found,
    );
    let mut records = Records::new();
    for (start, end) in found {
        let frame = bytes.slice(start..end);
        let body = 3 + usize::from(frame[1]);
        let event = Event::from(RawMessage::within(frame, body).map_err(|e| e.to_string())?);
        let text = |bytes| String::from_utf8_lossy(bytes).into_owned();
        records
            .entry(text(event.logger()))
            .or_default()
            .push(text(event.payload()));
    }
    Ok(records)
}

fn recorded_records(json: &Value) -> Records {
    let mut records = Records::new();
    for (logger, list) in json.as_object().into_iter().flatten() {
        let texts = list.as_array().into_iter().flatten();
        let texts = texts
            .filter_map(json::bytes)
            .map(|b| String::from_utf8_lossy(&b).into_owned());
        records.insert(logger.clone(), texts.collect());
    }
    records
}

fn tree(case: &Value, dir: &Path) -> Result<(), String> {
    let bench = Workbench::new()?;
    copy(&dir.join(text(case, "tree")), &bench.logs()).map_err(|error| error.to_string())?;
    for (file, seconds) in case["mtimes_relative_seconds"]
        .as_object()
        .into_iter()
        .flatten()
    {
        let age = Duration::from_secs(seconds.as_i64().unwrap_or(0).unsigned_abs());
        let file = File::options().write(true).open(bench.logs().join(file));
        let set = file.and_then(|file| file.set_modified(SystemTime::now() - age));
        set.map_err(|error| error.to_string())?;
    }
    let hekad = &case["hekad"];
    // The daemon of then crashed on a bad pattern and called it success.
    let refused = hekad["rc"] != 0 || text(case, "name") == "bad_regex";
    let wanted = recorded_records(&hekad["records_by_logger"]);
    let count = wanted.values().map(Vec::len).sum();
    match bench.run(text(case, "config_toml"), count) {
        Err(_) if refused => Ok(()),
        Err(reason) => Err(reason),
        Ok(_) if refused => Err("was not refused".to_owned()),
        Ok(got) => {
            same("records", &got, &wanted)?;
            bench.compare_journals(&hekad["journals"])
        }
    }
}

fn copy(from: &Path, to: &Path) -> std::io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let path = entry?.path();
        let target = to.join(path.file_name().unwrap_or_default());
        if path.is_dir() {
            copy(&path, &target)?;
        } else {
            fs::write(&target, fs::read(&path)?)?;
        }
    }
    Ok(())
}

fn scenario(case: &Value) -> Result<(), String> {
    let bench = Workbench::new()?;
    let mut before: BTreeMap<String, Vec<u8>> = BTreeMap::new();
    for step in cases(case, "steps") {
        let files = contents(&step["files_before_start"])?;
        lay_out(&bench.logs(), &before, &files).map_err(|error| error.to_string())?;
        let wanted: Vec<String> = cases(step, "records_read")
            .filter_map(|record| record.as_str().map(str::to_owned))
            .collect();
        let got = bench.run(text(case, "config_toml"), wanted.len())?;
        let got = got.into_values().next().unwrap_or_default();
        let label = text(step, "step");
        same(label, &got, &wanted)?;
        bench.compare_journals(&step["journal_after_stop"])?;
        before = files;
    }
    Ok(())
}

fn contents(json: &Value) -> Result<BTreeMap<String, Vec<u8>>, String> {
    let mut files = BTreeMap::new();
    for (name, content) in json.as_object().into_iter().flatten() {
        let bytes = match content["gzip_of"].as_str() {
            Some(text) => {
                let mut packer = GzEncoder::new(Vec::new(), Compression::default());
                let packed = packer
                    .write_all(text.as_bytes())
                    .and_then(|()| packer.finish());
                packed.map_err(|error| error.to_string())?
            }
            None => json::bytes(content).unwrap_or_default().to_vec(),
        };
        files.insert(name.clone(), bytes);
    }
    Ok(files)
}

/// Makes the directory hold `files`. What starts like a file that was there
/// is that file, renamed or grown; everything else is new.
fn lay_out(
    dir: &Path,
    before: &BTreeMap<String, Vec<u8>>,
    files: &BTreeMap<String, Vec<u8>>,
) -> std::io::Result<()> {
    for name in before.keys() {
        fs::rename(dir.join(name), dir.join(format!("{name}.was")))?;
    }
    for (name, bytes) in files {
        let grown = before
            .iter()
            .find(|(_, old)| !old.is_empty() && bytes.starts_with(old));
        if let Some((was, _)) = grown {
            let old = dir.join(format!("{was}.was"));
            if old.exists() {
                fs::rename(old, dir.join(name))?;
            }
        }
        let mut file = File::options()
            .create(true)
            .write(true)
            .truncate(false)
            .open(dir.join(name))?;
        file.write_all(bytes)?;
    }
    for name in before.keys() {
        let _ = fs::remove_file(dir.join(format!("{name}.was")));
    }
    Ok(())
}
