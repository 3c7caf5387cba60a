//! The command line, in Loki's style: `-flag=value` or `-flag value`, one dash or two.

use std::collections::BTreeMap;
use std::fmt::Write;

/// How a flag is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    Value,
    /// Given alone, or as `-flag=true` and `-flag=false`.
    Switch,
}

const FLAGS: &[(&str, Kind, &str)] = &[
    (
        "config.file",
        Kind::Value,
        "Configuration file; of several, separated by commas, the first that exists.",
    ),
    (
        "config.expand-env",
        Kind::Switch,
        "Replace ${VAR} and ${VAR:default} in the file.",
    ),
    (
        "verify-config",
        Kind::Switch,
        "Check the configuration and exit.",
    ),
    (
        "print-config-stderr",
        Kind::Switch,
        "Print the configuration.",
    ),
    ("version", Kind::Switch, "Print the version."),
    ("list-targets", Kind::Switch, "Print the targets."),
    ("help", Kind::Switch, "Print this."),
    ("h", Kind::Switch, "Print this."),
    (
        "target",
        Kind::Value,
        "What this process runs; all is the only choice so far.",
    ),
    (
        "auth.enabled",
        Kind::Switch,
        "Ask for the header X-Scope-OrgID.",
    ),
    ("log.level", Kind::Value, "debug, info, warn or error."),
    ("log.format", Kind::Value, "logfmt or json."),
    (
        "server.http-listen-address",
        Kind::Value,
        "Address to listen on; all if empty.",
    ),
    ("server.http-listen-port", Kind::Value, "Port to listen on."),
    ("common.path-prefix", Kind::Value, "Folder of the data."),
];

/// What stands on the command line.
#[derive(Clone, Debug, Default)]
pub(crate) struct Flags(BTreeMap<&'static str, String>);

impl Flags {
    /// Reads words, without the name of the program.
    pub(crate) fn read(words: &[String]) -> Result<Self, String> {
        let mut flags = Self::default();
        let mut words = words.iter();
        while let Some(word) = words.next() {
            let Some(flag) = word.strip_prefix("--").or_else(|| word.strip_prefix('-')) else {
                return Err(format!("{word:?} is no flag; see -help"));
            };
            let (name, value) = match flag.split_once('=') {
                Some((name, value)) => (name, Some(value.to_owned())),
                None => (flag, None),
            };
            let (name, kind) = known(name)?;
            let value = match (kind, value) {
                (_, Some(value)) => value,
                (Kind::Switch, None) => "true".to_owned(),
                (Kind::Value, None) => words
                    .next()
                    .cloned()
                    .ok_or_else(|| format!("flag -{name} needs a value"))?,
            };
            if kind == Kind::Switch && value.parse::<bool>().is_err() {
                return Err(format!("flag -{name}: {value:?} is neither true nor false"));
            }
            flags.0.insert(name, value);
        }
        Ok(flags)
    }

    /// The value of a flag that was given.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        self.get(name) == Some("true")
    }

    /// All flags with what they do.
    pub(crate) fn help() -> String {
        let mut out = String::from("Usage: loki [flags]\n");
        for (name, kind, help) in FLAGS {
            let value = if *kind == Kind::Value { "=<value>" } else { "" };
            let _ = write!(out, "\n  -{name}{value}\n      {help}");
        }
        out
    }
}

fn known(name: &str) -> Result<(&'static str, Kind), String> {
    let found = FLAGS.iter().find(|(known, ..)| *known == name);
    found.map(|(name, kind, _)| (*name, *kind)).ok_or_else(|| {
        let near = headwater_yaml::nearest(name, FLAGS.iter().map(|(known, ..)| *known));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean -{near}?"));
        format!("flag -{name} is not known here, or not supported yet{hint} Settings may also stand in the file that -config.file names")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(words: &[&str]) -> Result<Flags, String> {
        Flags::read(
            &words
                .iter()
                .map(|word| (*word).to_owned())
                .collect::<Vec<_>>(),
        )
    }

    #[test]
    fn one_dash_or_two() {
        for words in [
            &["-config.file=x", "-verify-config"][..],
            &["--config.file", "x", "--verify-config=true"],
        ] {
            let flags = read(words).unwrap();
            assert_eq!(flags.get("config.file"), Some("x"));
            assert!(flags.on("verify-config"));
        }
        assert!(!read(&["-auth.enabled=false"]).unwrap().on("auth.enabled"));
    }

    #[test]
    fn mistakes_are_named() {
        let error = read(&["-config.fil=x"]).unwrap_err();
        assert!(error.contains("-config.file"), "{error}");
        assert!(read(&["-target"]).unwrap_err().contains("needs a value"));
        assert!(read(&["serve"]).unwrap_err().contains("no flag"));
        assert!(read(&["-auth.enabled=maybe"]).is_err());
    }
}
