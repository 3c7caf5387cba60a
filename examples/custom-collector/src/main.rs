//! A collector with plugins of its own: an input that watches the load of
//! this machine, a filter that remembers the highest, and an output that
//! prints it. Run it, and stop it with Ctrl-C.
//!
//! Everything here uses the public traits only.

use std::fs;
use std::process::ExitCode;
use std::time::Duration;

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::flow::Delivery;
use headwater_pipeline::message::{Field, Message, Value};
use headwater_pipeline::plugin::{
    BuildContext, BuildError, Filter, FilterContext, Input, InputContext, NoSettings, Output,
    OutputContext, Plugin, Undelivered,
};
use headwater_pipeline::plugins;
use headwater_pipeline::topology::Topology;
use serde::Deserialize;

const CONFIG: &str = r#"
[LoadInput]
every_millis = 500

[PeakFilter]
message_matcher = "Type == 'load'"
ticker_interval = 1

[PrintOutput]
message_matcher = "Type == 'load.peak'"
"#;

/// Reads the load of the last minute.
struct LoadInput {
    every: Duration,
}

#[derive(Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct LoadSettings {
    every_millis: u64,
}

impl Plugin for LoadInput {
    const TYPE: &'static str = "LoadInput";
    type Settings = LoadSettings;

    fn build(settings: &LoadSettings, _: &BuildContext<'_>) -> Result<LoadInput, BuildError> {
        if settings.every_millis == 0 {
            return Err(BuildError::new("every_millis must be greater than 0"));
        }
        Ok(LoadInput {
            every: Duration::from_millis(settings.every_millis),
        })
    }
}

impl Input for LoadInput {
    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let mut emitter = cx.emitter();
        while !cx.stop().wait(self.every) {
            let text = fs::read_to_string("/proc/loadavg").map_err(|error| error.to_string())?;
            let load = text.split(' ').next().and_then(|word| word.parse().ok());
            let message = Message {
                kind: Some("load".into()),
                fields: vec![Field::double("load", load.unwrap_or(0.0), "")],
                ..cx.template()
            };
            emitter
                .emit(vec![message.into()], None)
                .map_err(|error| error.to_string())?;
        }
        Ok(())
    }
}

/// Remembers the highest load and tells it at each tick.
struct PeakFilter(f64);

impl Plugin for PeakFilter {
    const TYPE: &'static str = "PeakFilter";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<PeakFilter, BuildError> {
        Ok(PeakFilter(0.0))
    }
}

impl Filter for PeakFilter {
    fn process(&mut self, delivery: &Delivery, _: &mut FilterContext) -> Result<(), String> {
        for event in delivery.events() {
            let field = event.field(b"load", 0);
            if let Some(Value::Double(load)) = field.and_then(|field| field.value(0)) {
                self.0 = self.0.max(load);
            }
        }
        Ok(())
    }

    fn tick(&mut self, cx: &mut FilterContext) -> Result<(), String> {
        let mut message = cx.message();
        message.kind = Some("load.peak".into());
        message.payload = Some(format!("highest load so far: {}", self.0).into());
        cx.inject(message);
        Ok(())
    }
}

/// Prints payloads.
struct PrintOutput;

impl Plugin for PrintOutput {
    const TYPE: &'static str = "PrintOutput";
    type Settings = NoSettings;

    fn build(_: &NoSettings, _: &BuildContext<'_>) -> Result<PrintOutput, BuildError> {
        Ok(PrintOutput)
    }
}

impl Output for PrintOutput {
    fn deliver(&mut self, delivery: Delivery, _: &mut OutputContext) -> Result<(), Undelivered> {
        for event in delivery.events() {
            println!("{}", String::from_utf8_lossy(event.payload()));
        }
        delivery.done();
        Ok(())
    }
}

fn run() -> Result<(), String> {
    let mut registry = plugins::registry();
    registry
        .input::<LoadInput>()
        .filter::<PeakFilter>()
        .output::<PrintOutput>();
    let config =
        Config::from_text("(in the program)", CONFIG).map_err(|error| error.to_string())?;
    let plan = Plan::new(&config, &registry).map_err(|error| error.to_string())?;
    let topology = Topology::start(plan).map_err(|error| error.to_string())?;
    loop {
        if let Some(reason) = topology.wait_failure(Duration::from_secs(3600)) {
            return Err(reason);
        }
    }
}

fn main() -> ExitCode {
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(reason) => {
            eprintln!("custom-collector: {reason}");
            ExitCode::FAILURE
        }
    }
}
