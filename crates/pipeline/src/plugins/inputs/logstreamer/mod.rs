//! Log files: found by pattern, read in order, followed as they grow and
//! rotate.
//!
//! A journal a stream remembers how far everything read has arrived, so a
//! restart goes on there, whatever the file is called by then.

mod follow;
mod journal;
mod open;
mod scan;

use std::collections::BTreeSet;
use std::fs;
use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use serde::Deserialize;

use crate::config::GoDuration;
use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin};

use follow::{Follower, Timing};
use scan::{LogFile, Pattern, Translation};

/// Streams of one input at most: each has a thread.
const STREAMS_MAX: usize = 1024;

/// Settings of [`LogstreamerInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct LogstreamerInputSettings {
    /// Name of this host in messages.
    pub hostname: String,
    /// Below it the files lie.
    pub log_directory: PathBuf,
    /// Regular expression for the path below the directory.
    pub file_match: String,
    /// Groups to sort files by; `^` before one sorts it descending.
    pub priority: Vec<String>,
    /// Groups and texts that name the stream of a file.
    pub differentiator: Vec<String>,
    /// Numbers for texts of groups.
    pub translation: Translation,
    /// Files not written to for longer are left alone.
    pub oldest_duration: GoDuration,
    /// How often to look for new files.
    pub rescan_interval: GoDuration,
    /// How often to look for new data.
    pub check_data_interval: GoDuration,
    /// Where journals lie.
    pub journal_directory: String,
    /// Begin behind what is there when there is no journal yet.
    pub initial_tail: bool,
}

impl Default for LogstreamerInputSettings {
    fn default() -> LogstreamerInputSettings {
        LogstreamerInputSettings {
            hostname: String::new(),
            log_directory: PathBuf::from("/var/log"),
            file_match: String::new(),
            priority: Vec::new(),
            differentiator: Vec::new(),
            translation: Translation::new(),
            oldest_duration: GoDuration(Duration::from_secs(720 * 3600)),
            rescan_interval: GoDuration(Duration::from_secs(60)),
            check_data_interval: GoDuration(Duration::from_millis(250)),
            journal_directory: String::new(),
            initial_tail: false,
        }
    }
}

/// Follows log files.
#[derive(Debug)]
pub struct LogstreamerInput {
    settings: LogstreamerInputSettings,
    pattern: Pattern,
    journals: PathBuf,
}

impl Plugin for LogstreamerInput {
    const TYPE: &'static str = "LogstreamerInput";
    type Settings = LogstreamerInputSettings;

    fn build(
        settings: &LogstreamerInputSettings,
        cx: &BuildContext<'_>,
    ) -> Result<LogstreamerInput, BuildError> {
        if settings.file_match.is_empty() {
            return Err(BuildError::new("file_match is required"));
        }
        let mut settings = settings.clone();
        if settings.differentiator.is_empty() {
            settings.differentiator = vec![cx.name().to_owned()];
        }
        let pattern = Pattern::new(
            &settings.log_directory,
            &settings.file_match,
            &settings.priority,
            &settings.differentiator,
            &settings.translation,
            settings.oldest_duration.0,
        );
        let pattern = pattern.map_err(BuildError::new)?;
        pattern.scan().map_err(BuildError::new)?;
        let journals = if settings.journal_directory.is_empty() {
            "logstreamer"
        } else {
            settings.journal_directory.as_str()
        };
        Ok(LogstreamerInput {
            journals: cx.globals().in_base_dir(journals),
            pattern,
            settings,
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            splitter: Some("TokenSplitter"),
            ..Defaults::default()
        }
    }
}

/// The files of each stream, oldest first: what `heka-logstreamer` showed.
impl LogstreamerInput {
    /// Names of streams with the paths of their files.
    ///
    /// # Errors
    ///
    /// As when the input is built.
    pub fn streams(&self) -> Result<Vec<(String, Vec<PathBuf>)>, String> {
        let streams = self.pattern.scan()?;
        let paths = |files: Vec<LogFile>| files.into_iter().map(|file| file.path).collect();
        Ok(streams
            .into_iter()
            .map(|(name, files)| (name, paths(files)))
            .collect())
    }

    fn follow(&self, name: String, files: Vec<LogFile>, cx: &InputContext) -> Result<(), String> {
        let timing = Timing {
            rescan: self.settings.rescan_interval.0,
            check: self
                .settings
                .check_data_interval
                .0
                .max(Duration::from_millis(1)),
        };
        let logger = bytes::Bytes::from(name.clone().into_bytes());
        let journal = self.journals.join(file_name(&name));
        let tail = self.settings.initial_tail;
        let mut follower = Follower::new(name, files, &self.pattern, timing, cx, journal, tail)?;
        let template = follower.session_mut().template_mut();
        template.kind = Some("logfile".into());
        template.logger = Some(logger);
        if !self.settings.hostname.is_empty() {
            template.hostname = Some(self.settings.hostname.clone().into());
        }
        follower.run()
    }
}

/// The name of a stream as one of a file.
fn file_name(stream: &str) -> String {
    stream.replace(['/', '\0'], "_")
}

impl Input for LogstreamerInput {
    fn start(&mut self, _: &InputContext) -> Result<(), String> {
        fs::create_dir_all(&self.journals)
            .map_err(|error| format!("{}: {error}", self.journals.display()))
    }

    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let this = &*self;
        let mut known = BTreeSet::new();
        thread::scope(|scope| {
            loop {
                let streams = match this.pattern.scan() {
                    Ok(streams) => streams,
                    Err(reason) => {
                        tracing::warn!(input = %cx.name(), "{reason}");
                        Default::default()
                    }
                };
                for (name, files) in streams {
                    if known.len() >= STREAMS_MAX || !known.insert(name.clone()) {
                        continue;
                    }
                    let follow = move || {
                        if let Err(reason) = this.follow(name.clone(), files, cx) {
                            tracing::error!(input = %cx.name(), stream = %name, "{reason}");
                        }
                    };
                    thread::Builder::new()
                        .name("logstream".to_owned())
                        .spawn_scoped(scope, follow)
                        .map_err(|error| error.to_string())?;
                }
                if cx.stop().wait(this.settings.rescan_interval.0) {
                    return Ok(());
                }
            }
        })
    }
}
