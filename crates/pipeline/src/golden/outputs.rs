//! `outputs.json`: what arrives in files, at sockets and at web servers.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream, UdpSocket};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::Value;

use crate::config::{Config, Plan};
use crate::timefmt::StrfTime;
use crate::topology::Topology;

use super::json::{self, cases, text};
use super::{Report, same};

const PATIENCE: Duration = Duration::from_secs(10);

pub(super) fn run(file: &Value, _dir: &Path, report: &mut Report) {
    let frames: Vec<Vec<u8>> = cases(file, "messages")
        .map(|message| json::decode64(text(message, "frame_base64")))
        .collect();
    let frames = frames.concat();
    for case in cases(file, "file_output") {
        let name = format!("outputs/file/{}", text(case, "name"));
        report.judge(name, to_file(case, &frames));
    }
    for case in cases(file, "network_outputs") {
        let outcome = match text(case, "config_toml") {
            config if config.contains("TcpOutput") => to_stream(case, &frames),
            config if config.contains("protocol = \"udp\"") => to_datagrams(case, &frames),
            config if config.contains("CarbonOutput") => to_stream(case, &frames),
            config if config.contains("UdpOutput") => to_datagrams(case, &frames),
            // Web servers and standard output are looked at by tests of their own.
            _ => continue,
        };
        report.judge(format!("outputs/{}", text(case, "name")), outcome);
    }
}

const PARTS: &str = "[PayloadEncoder]\n[RstEncoder]\n\
    [golden_in]\ntype = \"TcpInput\"\naddress = \"127.0.0.1:0\"\n";

/// Starts a pipeline with these sections and sends it the messages.
fn start(base: &Path, sections: &str, frames: &[u8]) -> Result<Topology, String> {
    let base = base.display();
    let config =
        format!("[hekad]\nbase_dir = \"{base}\"\nstop_timeout = \"2s\"\n{PARTS}{sections}");
    let config = Config::from_text("golden", &config).map_err(|error| error.to_string())?;
    let plan =
        Plan::new(&config, &crate::plugins::registry()).map_err(|error| error.to_string())?;
    let topology = Topology::start(plan).map_err(|error| error.to_string())?;
    let report = topology.report();
    let input = report
        .plugins
        .iter()
        .find(|plugin| &*plugin.name == "golden_in");
    let port = input.and_then(|input| input.stats.iter().find(|(name, _)| name == "Port"));
    let port = port.map_or(0, |(_, port)| *port as u16);
    let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, port)).map_err(|e| e.to_string())?;
    stream
        .write_all(frames)
        .map_err(|error| error.to_string())?;
    Ok(topology)
}

fn bytes(json: &Value) -> Bytes {
    json::bytes(&json["text"])
        .or_else(|| json::bytes(json))
        .unwrap_or_default()
}

fn to_file(case: &Value, frames: &[u8]) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let place = dir.path().display().to_string();
    let mut section = String::from("[out]\ntype = \"FileOutput\"\nmessage_matcher = \"TRUE\"\n");
    let mut put = |key: &str, value: &Value| {
        let value = value.to_string().replace("<dir>", &place);
        section.push_str(&format!("{key} = {value}\n"));
    };
    let settings = case["settings"].as_object();
    for (key, value) in settings.into_iter().flatten() {
        put(key, value);
    }
    let today = StrfTime::new("%Y%m%d").format(crate::plugin::now_nanos());
    let file = text(case, "file_name").replace("<today %Y%m%d>", &today);
    if !settings.is_some_and(|settings| settings.contains_key("path")) {
        put("path", &Value::from(format!("<dir>/{file}")));
    }
    let encoder = text(case, "encoder");
    let newlines = encoder.contains("append_newlines = false");
    put(
        "encoder",
        &Value::from(if newlines { "Bare" } else { encoder }),
    );
    section.push_str("[Bare]\ntype = \"PayloadEncoder\"\nappend_newlines = false\n");
    let path = dir.path().join(&file);
    let mut topology = start(dir.path(), &section, frames)?;
    let started = Instant::now();
    while topology.report().routed < 5 && started.elapsed() < PATIENCE {
        std::thread::sleep(Duration::from_millis(5));
    }
    topology.stop();
    let got = Bytes::from(fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?);
    same("bytes", &got, &bytes(&case["bytes"]))?;
    let mode = |path: &Path| {
        let metadata = fs::metadata(path).map_err(|error| error.to_string())?;
        Ok::<_, String>(format!("0o{:o}", metadata.permissions().mode() & 0o777))
    };
    same("mode", &mode(&path)?.as_str(), &text(case, "file_mode"))?;
    match (case["folder_mode"].as_str(), path.parent()) {
        (Some(wanted), Some(folder)) => {
            same("mode of the folder", &mode(folder)?.as_str(), &wanted)
        }
        _ => Ok(()),
    }
}

/// The section with the address of a server of ours.
fn at(case: &Value, port: u16) -> String {
    let config = text(case, "config_toml");
    let known = config.split("127.0.0.1:").nth(1).unwrap_or_default();
    let digits: String = known.chars().take_while(char::is_ascii_digit).collect();
    config.replace(&format!("127.0.0.1:{digits}"), &format!("127.0.0.1:{port}"))
}

fn to_stream(case: &Value, frames: &[u8]) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let listener =
        TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    let port = listener
        .local_addr()
        .map_err(|error| error.to_string())?
        .port();
    let mut topology = start(dir.path(), &at(case, port), frames)?;
    let wanted = bytes(&case["bytes"]);
    let (mut stream, _) = listener.accept().map_err(|error| error.to_string())?;
    stream
        .set_read_timeout(Some(PATIENCE))
        .map_err(|error| error.to_string())?;
    let mut got = vec![0; wanted.len()];
    let read = stream.read_exact(&mut got);
    topology.stop();
    drop(topology);
    let mut more = Vec::new();
    read.and_then(|()| stream.read_to_end(&mut more))
        .map_err(|error| error.to_string())?;
    got.extend(more);
    same("bytes", &Bytes::from(got), &wanted)
}

fn to_datagrams(case: &Value, frames: &[u8]) -> Result<(), String> {
    let dir = tempfile::tempdir().map_err(|error| error.to_string())?;
    let socket = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).map_err(|error| error.to_string())?;
    socket
        .set_read_timeout(Some(PATIENCE))
        .map_err(|error| error.to_string())?;
    let port = socket
        .local_addr()
        .map_err(|error| error.to_string())?
        .port();
    let mut topology = start(dir.path(), &at(case, port), frames)?;
    let mut buffer = vec![0; 65536];
    for wanted in cases(case, "datagrams") {
        let len = socket
            .recv(&mut buffer)
            .map_err(|error| error.to_string())?;
        same(
            "datagram",
            &Bytes::copy_from_slice(&buffer[..len]),
            &bytes(wanted),
        )?;
    }
    topology.stop();
    Ok(())
}
