//! `configs.json`: which configurations run.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::config::{Config, Plan};
use crate::topology::Topology;

use super::json::{cases, text};
use super::{NOT_BUILT, Report};

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    for case in cases(file, "cases") {
        report.judge(format!("configs/{}", text(case, "name")), check(case));
    }
}

fn check(case: &Value) -> Result<(), String> {
    let runs = case["ran_until_stopped"] == true;
    match (runs, attempt(case)) {
        (true, Ok(())) | (false, Err(_)) => Ok(()),
        (true, Err(reason)) => Err(reason),
        (false, Ok(())) => Err("ran, but should not".to_owned()),
    }
    .and_then(|()| unbuilt(case))
}

/// A configuration that is refused because a plugin is not built yet proves
/// nothing.
fn unbuilt(case: &Value) -> Result<(), String> {
    match attempt(case) {
        Err(reason) if reason.contains(NOT_BUILT) => Err(reason),
        _ => Ok(()),
    }
}

fn attempt(case: &Value) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place = |text: &str| free_ports(&text.replace("@D@", &dir.path().display().to_string()));
    let path = match case["config_toml"].as_str() {
        Some(text) => {
            let path = dir.path().join("hekad.toml");
            fs::write(&path, place(text)).map_err(|error| error.to_string())?;
            path
        }
        None => {
            let path = dir.path().join("config");
            fs::create_dir(&path).map_err(|error| error.to_string())?;
            for (name, content) in case["files"].as_object().into_iter().flatten() {
                let content = place(content.as_str().unwrap_or_default());
                fs::write(path.join(name), content).map_err(|error| error.to_string())?;
            }
            path
        }
    };
    let env: BTreeMap<String, String> = case["env"]
        .as_object()
        .into_iter()
        .flatten()
        .filter_map(|(name, value)| Some((name.clone(), value.as_str()?.to_owned())))
        .collect();
    let config = Config::read_with(&path, &|name| env.get(name).cloned());
    let config = config.map_err(|error| error.to_string())?;
    let mut plan =
        Plan::new(&config, &crate::plugins::registry()).map_err(|error| error.to_string())?;
    start_in(&mut plan, dir.path())?;
    let mut topology = Topology::start(plan).map_err(|error| error.to_string())?;
    let failed = topology.wait_failure(Duration::from_millis(20));
    topology.stop();
    failed.map_or(Ok(()), Err)
}

/// Makes the base directory, as the daemon does; the usual one is replaced,
/// since tests do not write there.
fn start_in(plan: &mut Plan, dir: &Path) -> Result<(), String> {
    if plan.hekad.base_dir == Path::new("/var/cache/hekad") {
        plan.set_base_dir(&dir.join("base"));
    }
    let base = plan.globals().base_dir.clone();
    fs::create_dir_all(&base).map_err(|error| format!("{}: {error}", base.display()))
}

/// Ports of the recorded configurations may be in use here: the same number
/// becomes the same free one.
fn free_ports(text: &str) -> String {
    let mut out = text.to_owned();
    let mut ports: BTreeMap<String, u16> = BTreeMap::new();
    for (at, _) in text.match_indices("127.0.0.1:") {
        let digits: String = text[at + 10..]
            .chars()
            .take_while(char::is_ascii_digit)
            .collect();
        if digits.is_empty() || ports.contains_key(&digits) {
            continue;
        }
        let free = std::net::TcpListener::bind("127.0.0.1:0").and_then(|l| l.local_addr());
        if let Ok(address) = free {
            ports.insert(digits, address.port());
        }
    }
    for (from, to) in ports {
        out = out.replace(&format!("127.0.0.1:{from}"), &format!("127.0.0.1:{to}"));
    }
    out
}
