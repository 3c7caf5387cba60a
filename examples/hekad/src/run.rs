//! Builds the pipeline and follows the signals.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Duration;

use headwater_pipeline::config::{Config, Plan};
use headwater_pipeline::plugin::Registry;
use headwater_pipeline::plugins;
use headwater_pipeline::topology::Topology;
use headwater_service::{LogSettings, Logging, Signal, Signals};

use crate::args::{Args, Command};
use crate::defaults::{self, DemoInput};

/// How often it is seen whether the pipeline failed.
const GLANCE: Duration = Duration::from_millis(200);

fn registry() -> Registry {
    let mut registry = plugins::registry();
    registry.input::<DemoInput>();
    registry
}

pub(crate) fn run(args: &Args) -> Result<(), String> {
    let settings = LogSettings::new(args.level(), args.format(), "hekad");
    let _logging = Logging::start(&settings).map_err(|error| error.to_string())?;
    if let Some(Command::Check { config }) = &args.command {
        let plan = plan(&read(config)?)?;
        for notice in &plan.notices {
            println!("{notice}");
        }
        println!("{}: fine", config.display());
        return Ok(());
    }
    let path = defaults::path(args.config.as_deref());
    let config = match &path {
        Some(path) => read(path)?,
        None => defaults::demo()?,
    };
    let plan = plan(&config)?;
    for notice in &plan.notices {
        tracing::info!("{notice}");
    }
    let _pid = PidFile::write(plan.hekad.pid_file.as_deref())?;
    let base = &plan.globals().base_dir;
    fs::create_dir_all(base)
        .map_err(|error| format!("cannot create base_dir {}: {error}", base.display()))?;
    if path.is_none() {
        println!(
            "hekad: no configuration; a demonstration is at http://{}/",
            defaults::PAGE
        );
    }
    let mut topology = Topology::start(plan).map_err(|error| error.to_string())?;
    tracing::info!("started");
    let outcome = follow(&mut topology, path.as_deref());
    let stopped = topology.stop();
    if stopped.aborted {
        tracing::warn!("the time to stop ran out: messages in queues were abandoned");
    }
    for stuck in &stopped.stuck {
        tracing::error!("{stuck} did not end");
    }
    outcome
}

fn read(path: &Path) -> Result<Config, String> {
    Config::read(path).map_err(|error| error.to_string())
}

fn plan(config: &Config) -> Result<Plan, String> {
    Plan::new(config, &registry()).map_err(|errors| {
        let count = errors.0.len();
        format!("{count} fault(s) in the configuration\n{errors}")
    })
}

/// Follows signals until one asks for the end, or the pipeline fails.
fn follow(topology: &mut Topology, path: Option<&Path>) -> Result<(), String> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build();
    let runtime = runtime.map_err(|error| error.to_string())?;
    runtime.block_on(async {
        let wanted = [
            Signal::Interrupt,
            Signal::Terminate,
            Signal::Hangup,
            Signal::User1,
        ];
        let mut signals = Signals::listen(&wanted).map_err(|error| error.to_string())?;
        loop {
            match tokio::time::timeout(GLANCE, signals.next()).await {
                Err(_) => {
                    if let Some(reason) = topology.wait_failure(Duration::ZERO) {
                        return Err(reason);
                    }
                }
                Ok(Signal::Interrupt | Signal::Terminate) => return Ok(()),
                Ok(Signal::User1) => {
                    eprint!("{}", topology.report().to_text());
                    topology.route_report();
                }
                Ok(Signal::Hangup) => {
                    topology.reopen();
                    reload(topology, path);
                }
            }
        }
    })
}

/// Reads the configuration again. A faulty one changes nothing.
fn reload(topology: &mut Topology, path: Option<&Path>) {
    let Some(path) = path else {
        return;
    };
    match read(path).and_then(|config| plan(&config)) {
        Err(reason) => tracing::error!("not reloaded: {reason}"),
        Ok(plan) => match topology.reload(plan) {
            Ok(report) => tracing::info!(
                "reloaded: {} added, {} changed, {} removed",
                report.added.len(),
                report.changed.len(),
                report.removed.len()
            ),
            Err(error) => tracing::error!("reloaded in part: {error}"),
        },
    }
}

/// The file with the number of this process. Refuses to take it from one
/// that runs.
struct PidFile(Option<PathBuf>);

impl PidFile {
    fn write(path: Option<&Path>) -> Result<PidFile, String> {
        let Some(path) = path else {
            return Ok(PidFile(None));
        };
        if let Ok(text) = fs::read_to_string(path) {
            let other = text.trim();
            if !other.is_empty() && Path::new("/proc").join(other).exists() {
                return Err(format!("process {other} in {} still runs", path.display()));
            }
        }
        fs::write(path, std::process::id().to_string())
            .map_err(|error| format!("{}: {error}", path.display()))?;
        Ok(PidFile(Some(path.to_owned())))
    }
}

impl Drop for PidFile {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // If it is gone already, so much the better.
            let _ = fs::remove_file(path);
        }
    }
}
