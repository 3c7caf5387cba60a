//! What runs without a configuration: something to look at.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_pipeline::config::Config;
use headwater_pipeline::message::{Field, Message};
use headwater_pipeline::plugin::{
    BuildContext, BuildError, Defaults, Input, InputContext, NoSettings, Plugin,
};

/// Where hekad looks if it is not told.
const USUAL: &str = "/etc/hekad.toml";

/// Where the demonstration is served.
pub(crate) const PAGE: &str = "127.0.0.1:4352";

/// Logs that systems keep, of which those that can be read are followed.
const SYSTEM_LOGS: [&str; 6] = [
    "syslog",
    "messages",
    "auth.log",
    "kern.log",
    "daemon.log",
    "dpkg.log",
];

/// The path to read, if there is a configuration.
pub(crate) fn path(given: Option<&Path>) -> Option<PathBuf> {
    match given {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(USUAL)).filter(|path| path.exists()),
    }
}

/// A log that was not written to for this long has little to show.
const SILENT: Duration = Duration::from_secs(10 * 60);

fn is_lively(log: &Path) -> bool {
    let written = log.metadata().and_then(|metadata| metadata.modified());
    written.is_ok_and(|at| at.elapsed().is_ok_and(|since| since < SILENT))
}

/// Logs of up to this many bytes are shown whole, of others only what is new.
const SHORT: u64 = 4 << 20;

fn is_long(log: &Path) -> bool {
    log.metadata().is_ok_and(|metadata| metadata.len() > SHORT)
}

/// The demonstration: follows the system's own logs, makes up messages where
/// these are silent or not there, counts them, and shows the counts.
pub(crate) fn demo() -> Result<Config, String> {
    let base = std::env::temp_dir().join("hekad");
    let mut text = format!("[hekad]\nbase_dir = '{}'\n", base.display());
    let readable = |name: &&str| File::open(Path::new("/var/log").join(name)).is_ok();
    let logs: Vec<&str> = SYSTEM_LOGS
        .iter()
        .copied()
        .filter(|name| readable(name))
        .collect();
    for name in &logs {
        let pattern = name.replace('.', "\\.");
        let tail = is_long(&Path::new("/var/log").join(name));
        text.push_str(&format!(
            "['{name}']\ntype = 'LogstreamerInput'\nfile_match = '{pattern}'\ninitial_tail = {tail}\n"
        ));
    }
    if !logs
        .iter()
        .any(|name| is_lively(&Path::new("/var/log").join(name)))
    {
        text.push_str("[DemoInput]\n");
    }
    text.push_str(&format!(
        "[messages]\ntype = 'CounterFilter'\nticker_interval = 1\n\
         message_matcher = \"Type == 'demo.request' || Type == 'logfile'\"\n\
         [MetricsOutput]\nmessage_matcher = 'TRUE'\naddress = '{PAGE}'\n"
    ));
    Config::from_text("(built in)", &text).map_err(|error| error.to_string())
}

/// Makes up requests to a web server, ten a second.
#[derive(Debug)]
pub(crate) struct DemoInput;

impl Plugin for DemoInput {
    const TYPE: &'static str = "DemoInput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<DemoInput, BuildError> {
        Ok(DemoInput)
    }

    fn defaults() -> Defaults {
        Defaults::default()
    }
}

impl Input for DemoInput {
    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        const PATHS: [&str; 4] = ["/", "/login", "/api/items", "/favicon.ico"];
        let mut emitter = cx.emitter();
        let mut number = 0usize;
        while !cx.stop().wait(Duration::from_millis(100)) {
            let path = PATHS[number % PATHS.len()];
            let status = if number.is_multiple_of(17) { 500 } else { 200 };
            let message = Message {
                kind: Some("demo.request".into()),
                payload: Some(format!("GET {path} {status}").into()),
                fields: vec![
                    Field::string("path", path, ""),
                    Field::integer("status", status, ""),
                    Field::integer("bytes", (number * 37 % 5000) as i64, "B"),
                ],
                ..cx.template()
            };
            number += 1;
            emitter
                .emit(vec![message.into()], None)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}
