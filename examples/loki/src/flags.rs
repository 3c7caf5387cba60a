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

/// Flags about the program itself.
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
];

/// A section of the configuration file.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Section {
    Root,
    Server,
    Common,
    Distributor,
    Ingester,
    Lifecycler,
    Querier,
    Limits,
    RuntimeConfig,
}

/// Flags that stand for keys of the file: the flag, the section, the key. Names are Loki's.
pub(crate) const KEYS: &[(&str, Section, &str)] = {
    use Section::*;
    &[
        ("target", Root, "target"),
        ("auth.enabled", Root, "auth_enabled"),
        ("log.level", Server, "log_level"),
        ("log.format", Server, "log_format"),
        ("server.http-listen-address", Server, "http_listen_address"),
        ("server.http-listen-port", Server, "http_listen_port"),
        (
            "server.http-read-timeout",
            Server,
            "http_server_read_timeout",
        ),
        (
            "server.graceful-shutdown-timeout",
            Server,
            "graceful_shutdown_timeout",
        ),
        ("server.grpc-listen-address", Server, "grpc_listen_address"),
        ("server.grpc-listen-port", Server, "grpc_listen_port"),
        (
            "server.grpc-max-recv-msg-size-bytes",
            Server,
            "grpc_server_max_recv_msg_size",
        ),
        (
            "server.grpc-max-send-msg-size-bytes",
            Server,
            "grpc_server_max_send_msg_size",
        ),
        (
            "server.grpc-max-concurrent-streams",
            Server,
            "grpc_server_max_concurrent_streams",
        ),
        (
            "server.grpc.keepalive.time",
            Server,
            "grpc_server_keepalive_time",
        ),
        (
            "server.grpc.keepalive.timeout",
            Server,
            "grpc_server_keepalive_timeout",
        ),
        ("common.path-prefix", Common, "path_prefix"),
        (
            "distributor.max-recv-msg-size",
            Distributor,
            "max_recv_msg_size",
        ),
        ("ingester.max-chunk-age", Ingester, "max_chunk_age"),
        ("ingester.chunks-idle-period", Ingester, "chunk_idle_period"),
        (
            "ingester.flush-check-period",
            Ingester,
            "flush_check_period",
        ),
        ("ingester.lifecycler.addr", Lifecycler, "address"),
        ("ingester.lifecycler.ID", Lifecycler, "id"),
        (
            "ingester.min-ready-duration",
            Lifecycler,
            "min_ready_duration",
        ),
        ("ingester.num-tokens", Lifecycler, "num_tokens"),
        ("querier.max-concurrent", Querier, "max_concurrent"),
        ("runtime-config.file", RuntimeConfig, "file"),
        ("runtime-config.reload-period", RuntimeConfig, "period"),
        (
            "distributor.ingestion-rate-limit-strategy",
            Limits,
            "ingestion_rate_strategy",
        ),
        (
            "distributor.ingestion-rate-limit-mb",
            Limits,
            "ingestion_rate_mb",
        ),
        (
            "distributor.ingestion-burst-size-mb",
            Limits,
            "ingestion_burst_size_mb",
        ),
        ("distributor.max-line-size", Limits, "max_line_size"),
        (
            "distributor.max-line-size-truncate",
            Limits,
            "max_line_size_truncate",
        ),
        (
            "ingester.per-stream-rate-limit",
            Limits,
            "per_stream_rate_limit",
        ),
        (
            "ingester.per-stream-rate-limit-burst",
            Limits,
            "per_stream_rate_limit_burst",
        ),
        (
            "ingester.max-streams-per-user",
            Limits,
            "max_streams_per_user",
        ),
        (
            "ingester.max-global-streams-per-user",
            Limits,
            "max_global_streams_per_user",
        ),
        (
            "validation.max-length-label-name",
            Limits,
            "max_label_name_length",
        ),
        (
            "validation.max-length-label-value",
            Limits,
            "max_label_value_length",
        ),
        (
            "validation.max-label-names-per-series",
            Limits,
            "max_label_names_per_series",
        ),
        (
            "validation.reject-old-samples",
            Limits,
            "reject_old_samples",
        ),
        (
            "validation.reject-old-samples.max-age",
            Limits,
            "reject_old_samples_max_age",
        ),
        (
            "validation.create-grace-period",
            Limits,
            "creation_grace_period",
        ),
        (
            "validation.increment-duplicate-timestamps",
            Limits,
            "increment_duplicate_timestamp",
        ),
        (
            "validation.discover-log-levels",
            Limits,
            "discover_log_levels",
        ),
        (
            "validation.allow-structured-metadata",
            Limits,
            "allow_structured_metadata",
        ),
        (
            "validation.max-entries-limit",
            Limits,
            "max_entries_limit_per_query",
        ),
        (
            "limits.max-structured-metadata-size",
            Limits,
            "max_structured_metadata_size",
        ),
        (
            "limits.max-structured-metadata-entries-count",
            Limits,
            "max_structured_metadata_entries_count",
        ),
        ("limits.volume-enabled", Limits, "volume_enabled"),
        ("store.max-query-length", Limits, "max_query_length"),
        ("querier.max-query-lookback", Limits, "max_query_lookback"),
        ("querier.query-timeout", Limits, "query_timeout"),
        ("querier.max-query-series", Limits, "max_query_series"),
        (
            "querier.max-streams-matcher-per-query",
            Limits,
            "max_streams_matchers_per_query",
        ),
        (
            "querier.max-concurrent-tail-requests",
            Limits,
            "max_concurrent_tail_requests",
        ),
        (
            "querier.split-queries-by-interval",
            Limits,
            "split_queries_by_interval",
        ),
    ]
};

/// Flags for keys that may be given without a value.
const SWITCHES: &[&str] = &[
    "auth.enabled",
    "distributor.max-line-size-truncate",
    "validation.reject-old-samples",
    "validation.increment-duplicate-timestamps",
    "validation.discover-log-levels",
    "validation.allow-structured-metadata",
    "limits.volume-enabled",
];

/// All flags with their kinds.
fn all() -> impl Iterator<Item = (&'static str, Kind)> {
    let program = FLAGS.iter().map(|(name, kind, _)| (*name, *kind));
    program.chain(KEYS.iter().map(|(name, ..)| match SWITCHES.contains(name) {
        true => (*name, Kind::Switch),
        false => (*name, Kind::Value),
    }))
}

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
        for (name, section, key) in KEYS {
            let _ = write!(
                out,
                "\n  -{name}=<value>\n      The key {key}{}.",
                section.place()
            );
        }
        out
    }
}

impl Section {
    /// Where it stands in the file, for people.
    const fn place(self) -> &'static str {
        match self {
            Self::Root => "",
            Self::Server => " of server",
            Self::Common => " of common",
            Self::Distributor => " of distributor",
            Self::Ingester => " of ingester",
            Self::Lifecycler => " of ingester.lifecycler",
            Self::Querier => " of querier",
            Self::Limits => " of limits_config",
            Self::RuntimeConfig => " of runtime_config",
        }
    }
}

fn known(name: &str) -> Result<(&'static str, Kind), String> {
    let found = all().find(|(known, _)| *known == name);
    found.ok_or_else(|| {
        let near = headwater_yaml::nearest(name, all().map(|(known, _)| known));
        let hint = near.map_or_else(String::new, |near| format!("; did you mean -{near}?"));
        format!("flag -{name} is not known here, or not supported yet{hint}. Settings may also stand in the file that -config.file names")
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
