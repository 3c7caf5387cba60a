//! The command line. As Go programs do, hekad took `-config` with one dash
//! or two; so does this one.

use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Parser, Subcommand, ValueEnum};
use headwater_service::{LogFormat, LogLevel};

#[derive(Debug, Parser)]
#[command(
    name = "hekad",
    version,
    about = "Gathers, computes and sends messages"
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Option<Command>,

    /// File or directory of TOML; without it, or with an absent
    /// /etc/hekad.toml, a small demonstration runs.
    #[arg(long)]
    pub(crate) config: Option<PathBuf>,

    /// The least important lines to log.
    #[arg(long = "log.level", value_enum, default_value_t = Level::Info)]
    log_level: Level,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Checks a configuration and says what is wrong with it.
    Check {
        /// File or directory.
        config: PathBuf,
    },
}

#[derive(Debug, Clone, Copy, ValueEnum)]
enum Level {
    Debug,
    Info,
    Warn,
    Error,
}

impl Args {
    pub(crate) fn level(&self) -> LogLevel {
        match self.log_level {
            Level::Debug => LogLevel::Debug,
            Level::Info => LogLevel::Info,
            Level::Warn => LogLevel::Warn,
            Level::Error => LogLevel::Error,
        }
    }

    pub(crate) fn format(&self) -> LogFormat {
        LogFormat::default()
    }
}

/// Reads the command line. An error carries the code to exit with; what
/// there is to say was said.
pub(crate) fn parse(words: impl Iterator<Item = String>) -> Result<Args, ExitCode> {
    match Args::try_parse_from(words.map(two_dashes)) {
        Ok(args) => Ok(args),
        Err(error) => {
            // If even that cannot be written, there is nobody to tell.
            let _ = error.print();
            Err(ExitCode::from(if error.use_stderr() { 1 } else { 0 }))
        }
    }
}

/// `-config` becomes `--config`; single letters stay.
fn two_dashes(word: String) -> String {
    let long = word.len() > 2 && word.starts_with('-') && !word.starts_with("--");
    if long { format!("-{word}") } else { word }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Args {
        parse(line.split(' ').map(str::to_owned)).unwrap()
    }

    #[test]
    fn one_dash_or_two_name_the_configuration() {
        for line in [
            "hekad -config x.toml",
            "hekad --config=x.toml",
            "hekad -config=x.toml",
        ] {
            assert_eq!(parsed(line).config, Some(PathBuf::from("x.toml")));
        }
    }

    #[test]
    fn check_takes_a_path() {
        let checked = parsed("hekad check dir").command;
        assert!(matches!(checked, Some(Command::Check { config }) if config == *"dir"));
    }
}
