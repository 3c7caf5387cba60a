//! What runs without a configuration: something to look at.

use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_pipeline::config::Config;
use headwater_pipeline::message::{Field, Message};
use headwater_pipeline::plugin::{
    BuildContext, BuildError, Defaults, Input, InputContext, NoSettings, Plugin,
};

/// Where hekad looks if it is not told.
const USUAL: &str = "/etc/hekad.toml";

const DEMO: &str = r#"
[hekad]
base_dir = "%BASE%"

[DemoInput]

[requests]
type = "CounterFilter"
message_matcher = "Type == 'demo.request'"
ticker_interval = 1

[MetricsOutput]
message_matcher = "Type == 'heka.counter-output' || Type == 'demo.request'"
address = "127.0.0.1:4352"
"#;

/// The path to read, if there is a configuration.
pub(crate) fn path(given: Option<&Path>) -> Option<PathBuf> {
    match given {
        Some(path) => Some(path.to_owned()),
        None => Some(PathBuf::from(USUAL)).filter(|path| path.exists()),
    }
}

/// The demonstration.
pub(crate) fn demo() -> Result<Config, String> {
    let base = std::env::temp_dir().join("hekad");
    let text = DEMO.replace("%BASE%", &base.display().to_string());
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
