//! The settings: from the file, then the command line.

mod expand;
mod inert;
mod sections;

use std::path::PathBuf;

pub(crate) use inert::Inert;
pub(crate) use sections::Settings;

use headwater_yaml::Fields;
use serde::de::value::MapDeserializer;
use serde::de::{Error as _, MapAccess as _};
use serde_json::Value;

use crate::flags::{Flags, KEYS, Section};

/// Where the data lies if nobody says.
const DEFAULT_DATA: &str = "./loki-data";

/// Settings with where they come from.
#[derive(Clone, Debug)]
pub(crate) struct Source {
    /// The file, if there is one.
    pub(crate) file: Option<PathBuf>,
    pub(crate) settings: Settings,
}

impl Source {
    /// Reads the file that the flags name, or takes what is built in, and applies the flags.
    pub(crate) fn load(flags: &Flags) -> Result<Self, String> {
        let file = flags.get("config.file").filter(|paths| !paths.is_empty());
        let file = file.map(choose).transpose()?;
        let mut settings = match &file {
            Some(path) => {
                let text = std::fs::read_to_string(path)
                    .map_err(|error| format!("{}: {error}", path.display()))?;
                let text = match flags.on("config.expand-env") {
                    true => expand::expand(&text, |name| std::env::var(name).ok())?,
                    false => text,
                };
                headwater_yaml::from_str(&text)
                    .map_err(|error| format!("{}: {error}", path.display()))?
            }
            None => Settings {
                auth_enabled: false,
                ..Settings::default()
            },
        };
        apply(flags, &mut settings)?;
        settings.refuse_what_is_missing()?;
        Ok(Self { file, settings })
    }

    /// The folder of the data.
    pub(crate) fn data(&self) -> PathBuf {
        let folders = self.settings.folders();
        let given = folders.into_iter().find(|folder| !folder.is_empty());
        match given {
            // Not among the files of a Loki that used the same folder before.
            Some(folder) => PathBuf::from(folder).join("headwater"),
            None => PathBuf::from(DEFAULT_DATA),
        }
    }
}

/// The first file of a list that exists.
fn choose(paths: &str) -> Result<PathBuf, String> {
    let mut all = paths.split(',').map(|path| PathBuf::from(path.trim()));
    all.find(|path| path.exists())
        .ok_or_else(|| format!("flag -config.file: there is no file {paths}"))
}

/// Flags win over the file.
fn apply(flags: &Flags, settings: &mut Settings) -> Result<(), String> {
    for (flag, section, key) in KEYS {
        let Some(value) = flags.get(flag) else {
            continue;
        };
        let put = match section {
            Section::Root => put(settings, key, value),
            Section::Server => put(&mut settings.server, key, value),
            Section::Common => put(&mut settings.common, key, value),
            Section::Distributor => put(&mut settings.distributor, key, value),
            Section::Ingester => put(&mut settings.ingester, key, value),
            Section::Lifecycler => put(&mut settings.ingester.lifecycler, key, value),
            Section::Querier => put(&mut settings.querier, key, value),
            Section::Limits => put(&mut settings.limits_config.limits, key, value),
            Section::RuntimeConfig => put(&mut settings.runtime_config, key, value),
        };
        put.map_err(|error| format!("flag -{flag}: {value:?}: {error}"))?;
    }
    Ok(())
}

/// Sets one key of a section to what a text says, read as the file would be.
fn put(section: &mut impl Fields, key: &str, text: &str) -> Result<(), serde_json::Error> {
    let mut set = |value: Value| {
        let mut map = MapDeserializer::new(std::iter::once((key, value)));
        let _: Option<String> = map.next_key()?;
        match section.set(key, &mut map)? {
            true => Ok(()),
            false => Err(serde_json::Error::custom(format_args!(
                "there is no key {key}"
            ))),
        }
    };
    let typed = match serde_json::from_str(text) {
        Ok(value @ (Value::Bool(_) | Value::Number(_))) => set(value),
        _ => return set(Value::String(text.to_owned())),
    };
    // Sizes and durations may be bare numbers, but are read as texts.
    typed.or_else(|error| set(Value::String(text.to_owned())).map_err(|_| error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(words: &[&str]) -> Result<Source, String> {
        let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).collect();
        Source::load(&Flags::read(&words)?)
    }

    #[test]
    fn nothing_given_is_local_disk() {
        let source = load(&[]).unwrap();
        assert_eq!(source.data(), PathBuf::from(DEFAULT_DATA));
        assert!(!source.settings.auth_enabled);
    }

    #[test]
    fn flags_win() {
        let source = load(&["-server.http-listen-port=0", "-common.path-prefix=/x"]).unwrap();
        assert_eq!(source.settings.server.http_listen_port, 0);
        assert_eq!(source.data(), PathBuf::from("/x/headwater"));
        assert!(
            load(&["-config.file=/nowhere.yaml"])
                .unwrap_err()
                .contains("/nowhere.yaml")
        );
        assert!(load(&["-target=querier"]).unwrap_err().contains("querier"));
    }

    /// Every flag sets the key that it names: shown settings differ there and nowhere else.
    #[test]
    fn every_flag_has_its_effect() {
        let before = load(&[]).unwrap().settings.shown();
        for (flag, _, key) in KEYS {
            let value = match *flag {
                "target" => continue,
                "log.level" => "error",
                "log.format" => "json",
                "auth.enabled"
                | "distributor.max-line-size-truncate"
                | "validation.increment-duplicate-timestamps" => "true",
                flag if flag.starts_with("validation.")
                    && (flag.ends_with("samples")
                        || flag.ends_with("levels")
                        || flag.ends_with("metadata"))
                    || flag == "limits.volume-enabled" =>
                {
                    "false"
                }
                "distributor.ingestion-rate-limit-strategy" => "local",
                flag if [
                    "age", "period", "duration", "timeout", "time", "length", "lookback",
                    "interval",
                ]
                .iter()
                .any(|end| flag.ends_with(end)) =>
                {
                    "77s"
                }
                _ => "77",
            };
            let after = load(&[&format!("-{flag}={value}")])
                .unwrap()
                .settings
                .shown();
            // What is false or empty is not shown, so that a line may also vanish.
            let changed: Vec<&str> = after
                .lines()
                .filter(|line| !before.lines().any(|known| known == *line))
                .chain(before.lines().filter(|line| !after.contains(line)))
                .collect();
            let written = format!("{key}: ");
            assert!(
                changed
                    .iter()
                    .any(|line| line.trim_start().starts_with(&written)),
                "-{flag}={value}: {changed:?}"
            );
        }
        let error = load(&["-server.http-listen-port=many"]).unwrap_err();
        assert!(
            error.starts_with("flag -server.http-listen-port: \"many\""),
            "{error}"
        );
    }
}
