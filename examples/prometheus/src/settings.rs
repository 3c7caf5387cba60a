//! The files that a user writes: read, checked for what this server cannot do yet, shown.

use std::hash::Hasher;
use std::path::{Path, PathBuf};

use headwater_config::{Config, Options};

use crate::flags::Flags;

/// Where the settings come from.
#[derive(Clone, Debug)]
pub(crate) enum Source {
    /// A file of the user's.
    File(PathBuf),
    /// The default that is built in, because there is no file.
    BuiltIn {
        /// The server's own address, `host:port`.
        own_address: String,
        /// Path under which all routes lie.
        prefix: String,
        /// `http` or `https`.
        scheme: &'static str,
    },
}

impl Source {
    /// The file that flags name; the built-in default only if no file was asked for and none is there.
    pub(crate) fn choose(flags: &Flags) -> Self {
        let path = PathBuf::from(flags.text("config.file"));
        if flags.is_set("config.file") || path.exists() {
            return Self::File(path);
        }
        Self::BuiltIn {
            own_address: String::new(),
            prefix: String::new(),
            scheme: "http",
        }
    }

    /// Reads and checks the settings.
    pub(crate) fn load(&self) -> Result<Config, String> {
        let config = match self {
            Self::File(path) => {
                Config::load(path, &Options::default()).map_err(|error| error.to_string())?
            }
            Self::BuiltIn {
                own_address,
                prefix,
                scheme,
            } => {
                let text = built_in(own_address, prefix, scheme);
                Config::parse(&text, Path::new("."), &Options::default())
                    .map_err(|error| format!("built-in settings: {error}"))?
            }
        };
        refuse_what_is_missing(&config)?;
        Ok(config)
    }

    /// A number that changes when the settings file, or a file of jobs that it names, changes.
    pub(crate) fn fingerprint(&self) -> u64 {
        let Self::File(path) = self else { return 0 };
        let mut hasher = xxhash_rust::xxh64::Xxh64::new(0);
        let mut add = |path: &Path| hasher.write(&std::fs::read(path).unwrap_or_default());
        add(path);
        if let Ok(config) = Config::load(path, &Options::default()) {
            config
                .scrape_config_paths()
                .unwrap_or_default()
                .iter()
                .for_each(|path| add(path));
        }
        hasher.finish()
    }
}

/// Scrapes the server itself and the machine it runs on.
fn built_in(address: &str, prefix: &str, scheme: &str) -> String {
    format!(
        "global: {{scrape_interval: 5s}}
scrape_configs:
- job_name: prometheus
  scheme: {scheme}
  tls_config: {{insecure_skip_verify: true}}
  metrics_path: {prefix}/metrics
  static_configs: [{{targets: ['{address}']}}]
- job_name: host
  scheme: {scheme}
  tls_config: {{insecure_skip_verify: true}}
  metrics_path: {prefix}/host/metrics
  static_configs: [{{targets: ['{address}']}}]
"
    )
}

/// Sections without effect would be worse than sections that are refused: nobody would notice that
/// alerts are not evaluated.
fn refuse_what_is_missing(config: &Config) -> Result<(), String> {
    let alertmanagers = config
        .alerting
        .alertmanagers
        .iter()
        .any(|manager| manager.discovery.mechanisms().next().is_some());
    let missing = [
        ("rule_files", !config.rule_files.is_empty()),
        ("alerting.alertmanagers", alertmanagers),
        ("remote_write", !config.remote_write.is_empty()),
        ("remote_read", !config.remote_read.is_empty()),
        (
            "tracing (built without the feature otlp)",
            config.tracing.is_some() && !cfg!(feature = "otlp"),
        ),
    ];
    match missing.iter().find(|(_, asked)| *asked) {
        Some((name, _)) => Err(format!(
            "{name} is not supported yet; ROADMAP.md says what is. Remove it to start"
        )),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn load(text: &str) -> Result<Config, String> {
        let config = Config::parse(text, Path::new("."), &Options::default())
            .map_err(|error| error.to_string())?;
        refuse_what_is_missing(&config).map(|()| config)
    }

    #[test]
    fn the_built_in_settings_are_sound() {
        let source = Source::BuiltIn {
            own_address: "127.0.0.1:9090".into(),
            prefix: "/p".into(),
            scheme: "http",
        };
        let jobs = source.load().unwrap().all_scrape_configs().unwrap();
        assert_eq!(
            jobs.iter()
                .map(|job| job.metrics_path.as_str())
                .collect::<Vec<_>>(),
            ["/p/metrics", "/p/host/metrics"]
        );
    }

    #[test]
    fn sections_without_effect_are_refused_by_name() {
        for (text, name) in [
            ("rule_files: [a.yml]", "rule_files"),
            (
                "alerting: {alertmanagers: [{static_configs: [{targets: ['a:1']}]}]}",
                "alerting.alertmanagers",
            ),
            ("remote_write: [{url: 'http://a'}]", "remote_write"),
            ("remote_read: [{url: 'http://a'}]", "remote_read"),
        ] {
            let error = load(text).unwrap_err();
            assert!(error.contains(name), "{text}: {error}");
        }
        load("rule_files: []\nalerting: {alertmanagers: []}\n").unwrap();
    }
}
