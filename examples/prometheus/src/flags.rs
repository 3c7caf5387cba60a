//! The command line: Prometheus's flags, as a table.
//!
//! Every flag of Prometheus 3.14 stands here. Those that do nothing yet are refused by name when a
//! user sets them, so that nobody believes in a setting that has no effect.

use std::collections::BTreeMap;
use std::time::Duration;

use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Command};
use headwater_model::duration::parse_duration;

/// How a flag is written.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// `--flag=value`, the last one counts.
    Value,
    /// `--flag=value`, each one counts.
    Many,
    /// `--flag` and `--no-flag`.
    Switch,
}

/// Whether setting a flag has an effect.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Support {
    Works,
    /// Accepted and without effect, as in the original or by the nature of this program.
    Ignored,
    /// Refused by name.
    Missing,
}

struct Flag {
    name: &'static str,
    kind: Kind,
    default: &'static str,
    support: Support,
    help: &'static str,
}

use Kind::{Many, Switch, Value};
use Support::{Ignored, Missing, Works};

const fn flag(
    name: &'static str,
    kind: Kind,
    default: &'static str,
    support: Support,
    help: &'static str,
) -> Flag {
    Flag {
        name,
        kind,
        default,
        support,
        help,
    }
}

const FLAGS: &[Flag] = &[
    flag(
        "config.file",
        Value,
        "prometheus.yml",
        Works,
        "Configuration file. Without this flag and without the file, a built-in default is used.",
    ),
    flag(
        "config.auto-reload",
        Switch,
        "false",
        Works,
        "Reload when the configuration file or a file it names changes.",
    ),
    flag(
        "config.auto-reload-interval",
        Value,
        "30s",
        Works,
        "How often to look for changes.",
    ),
    flag(
        "web.listen-address",
        Many,
        "0.0.0.0:9090",
        Works,
        "Address to listen on; may be given several times.",
    ),
    flag(
        "web.config.file",
        Value,
        "",
        Works,
        "File with certificates and users.",
    ),
    flag(
        "web.read-timeout",
        Value,
        "5m",
        Works,
        "How long reading one request may take.",
    ),
    flag(
        "web.max-connections",
        Value,
        "512",
        Works,
        "Connections served at once.",
    ),
    flag(
        "web.max-notifications-subscribers",
        Value,
        "16",
        Missing,
        "Clients that follow notifications.",
    ),
    flag(
        "web.external-url",
        Value,
        "",
        Works,
        "URL under which users reach this server.",
    ),
    flag(
        "web.route-prefix",
        Value,
        "",
        Works,
        "Prefix of all routes; defaults to the path of the external URL.",
    ),
    flag(
        "web.user-assets",
        Value,
        "",
        Missing,
        "Folder served under /user.",
    ),
    flag(
        "web.enable-lifecycle",
        Switch,
        "false",
        Works,
        "Allow reload and quit over HTTP.",
    ),
    flag(
        "web.enable-admin-api",
        Switch,
        "false",
        Works,
        "Allow deletes and snapshots over HTTP.",
    ),
    flag(
        "web.enable-remote-write-receiver",
        Switch,
        "false",
        Works,
        "Accept remote write.",
    ),
    flag(
        "web.remote-write-receiver.accepted-protobuf-messages",
        Many,
        "prometheus.WriteRequest,io.prometheus.write.v2.Request",
        Works,
        "Messages of remote write to accept.",
    ),
    flag(
        "web.enable-otlp-receiver",
        Switch,
        "false",
        Missing,
        "Accept OTLP metrics.",
    ),
    flag(
        "web.console.templates",
        Value,
        "consoles",
        Missing,
        "Folder of console templates.",
    ),
    flag(
        "web.console.libraries",
        Value,
        "console_libraries",
        Missing,
        "Folder of console libraries.",
    ),
    flag(
        "web.page-title",
        Value,
        "Headwater Prometheus Server",
        Works,
        "Title of the pages.",
    ),
    flag(
        "web.cors.origin",
        Value,
        ".*",
        Works,
        "Origins whose pages may read answers; an anchored regular expression.",
    ),
    flag(
        "web.search.max-limit",
        Value,
        "10000",
        Missing,
        "Most results of a search.",
    ),
    flag(
        "storage.tsdb.path",
        Value,
        "data/",
        Works,
        "Folder of the data.",
    ),
    flag(
        "storage.tsdb.retention.time",
        Value,
        "",
        Works,
        "How long to keep samples.",
    ),
    flag(
        "storage.tsdb.retention.size",
        Value,
        "",
        Works,
        "How many bytes to keep.",
    ),
    flag(
        "storage.tsdb.memory-budget",
        Value,
        "",
        Works,
        "Memory that the newest samples may take, such as 4GB: beyond it new series are refused, known ones go on. \
         Not in Prometheus.",
    ),
    flag(
        "storage.tsdb.serve-during-replay",
        Switch,
        "false",
        Works,
        "Scrape, and answer queries from blocks, while the log is read after a start. Not in Prometheus.",
    ),
    flag(
        "storage.tsdb.no-lockfile",
        Switch,
        "false",
        Missing,
        "Do not lock the data folder.",
    ),
    flag(
        "storage.tsdb.head-chunks-write-queue-size",
        Value,
        "0",
        Missing,
        "Length of the queue of head chunks.",
    ),
    flag(
        "storage.tsdb.delay-compact-file.path",
        Value,
        "",
        Missing,
        "File that holds compaction back.",
    ),
    flag(
        "storage.tsdb.min-block-duration",
        Value,
        "2h",
        Works,
        "Shortest block.",
    ),
    flag(
        "storage.tsdb.max-block-duration",
        Value,
        "",
        Works,
        "Longest block.",
    ),
    flag(
        "storage.tsdb.max-block-chunk-segment-size",
        Value,
        "",
        Missing,
        "Size of a block's chunk files.",
    ),
    flag(
        "storage.tsdb.wal-segment-size",
        Value,
        "128MB",
        Works,
        "Size of a segment of the log.",
    ),
    flag(
        "storage.tsdb.wal-compression",
        Switch,
        "true",
        Works,
        "Compress the log.",
    ),
    flag(
        "storage.tsdb.wal-compression-type",
        Value,
        "snappy",
        Works,
        "Compression of the log: snappy or zstd.",
    ),
    flag(
        "storage.tsdb.allow-overlapping-compaction",
        Switch,
        "true",
        Missing,
        "Merge overlapping blocks.",
    ),
    flag(
        "storage.tsdb.samples-per-chunk",
        Value,
        "120",
        Missing,
        "Samples a chunk aims at.",
    ),
    flag(
        "storage.tsdb.delayed-compaction.max-percent",
        Value,
        "10",
        Missing,
        "Jitter of compactions.",
    ),
    flag(
        "storage.tsdb.block-reload-interval",
        Value,
        "1m",
        Missing,
        "How often to look for new blocks.",
    ),
    flag(
        "storage.agent.path",
        Value,
        "data-agent/",
        Missing,
        "Folder of the data in agent mode.",
    ),
    flag(
        "storage.agent.wal-compression",
        Switch,
        "true",
        Missing,
        "Compress the agent's log.",
    ),
    flag(
        "storage.agent.retention.min-time",
        Value,
        "5m",
        Missing,
        "Shortest age of what the agent drops.",
    ),
    flag(
        "storage.agent.retention.max-time",
        Value,
        "4h",
        Missing,
        "Longest age of what the agent keeps.",
    ),
    flag(
        "storage.agent.no-lockfile",
        Switch,
        "false",
        Missing,
        "Do not lock the agent's folder.",
    ),
    flag(
        "storage.remote.flush-deadline",
        Value,
        "1m",
        Missing,
        "How long to wait for remote writes at the end.",
    ),
    flag(
        "storage.remote.read-sample-limit",
        Value,
        "50000000",
        Works,
        "Most samples of a remote read.",
    ),
    flag(
        "storage.remote.read-concurrent-limit",
        Value,
        "10",
        Works,
        "Most remote reads at once.",
    ),
    flag(
        "storage.remote.read-max-bytes-in-frame",
        Value,
        "1048576",
        Works,
        "Size of a frame of remote read.",
    ),
    flag(
        "rules.alert.for-outage-tolerance",
        Value,
        "1h",
        Missing,
        "Longest outage after which alerts are restored.",
    ),
    flag(
        "rules.alert.for-grace-period",
        Value,
        "10m",
        Missing,
        "Least time between restart and alert.",
    ),
    flag(
        "rules.alert.resend-delay",
        Value,
        "1m",
        Missing,
        "Least time between sends of one alert.",
    ),
    flag(
        "rules.max-concurrent-evals",
        Value,
        "4",
        Missing,
        "Rules evaluated at once.",
    ),
    flag(
        "alertmanager.notification-queue-capacity",
        Value,
        "10000",
        Missing,
        "Alerts that wait to be sent.",
    ),
    flag(
        "alertmanager.notification-batch-size",
        Value,
        "256",
        Missing,
        "Alerts sent at once.",
    ),
    flag(
        "alertmanager.drain-notification-queue-on-shutdown",
        Switch,
        "true",
        Missing,
        "Send waiting alerts before the end.",
    ),
    flag(
        "query.lookback-delta",
        Value,
        "5m",
        Works,
        "How far back an instant selector looks.",
    ),
    flag(
        "query.timeout",
        Value,
        "2m",
        Works,
        "How long a query may take.",
    ),
    flag(
        "query.max-concurrency",
        Value,
        "20",
        Works,
        "Queries evaluated at once.",
    ),
    flag(
        "query.max-samples",
        Value,
        "50000000",
        Works,
        "Most samples a query may hold.",
    ),
    flag(
        "scrape.adjust-timestamps",
        Switch,
        "true",
        Missing,
        "Snap scrape times to the schedule.",
    ),
    flag(
        "scrape.timestamp-tolerance",
        Value,
        "2ms",
        Missing,
        "How far a scrape time may be moved.",
    ),
    flag(
        "scrape.discovery-reload-interval",
        Value,
        "5s",
        Works,
        "How often new targets are taken over.",
    ),
    flag("agent", Switch, "false", Missing, "Run as an agent."),
    flag(
        "auto-gomaxprocs",
        Switch,
        "true",
        Ignored,
        "A setting of Go's runtime.",
    ),
    flag(
        "auto-gomemlimit",
        Switch,
        "true",
        Ignored,
        "A setting of Go's runtime.",
    ),
    flag(
        "auto-gomemlimit.ratio",
        Value,
        "0.9",
        Ignored,
        "A setting of Go's runtime.",
    ),
    flag(
        "enable-feature",
        Many,
        "",
        Works,
        "Experimental features, separated by commas.",
    ),
    flag(
        "log.level",
        Value,
        "info",
        Works,
        "debug, info, warn or error.",
    ),
    flag("log.format", Value, "logfmt", Works, "logfmt or json."),
];

/// What `--enable-feature` switches on here.
const FEATURES: &[&str] = &[
    "auto-reload-config",
    "exemplar-storage",
    "histograms-st-encoding",
    "memory-snapshot-on-shutdown",
    "metadata-wal-records",
    "promql-binop-fill-modifiers",
    "promql-delayed-name-removal",
    "promql-experimental-functions",
    "promql-extended-range-selectors",
    "promql-per-step-stats",
    "st-storage",
    "type-and-unit-labels",
    "use-start-timestamps",
    "xor2-encoding",
];

/// Features that are always on by now.
const NO_LONGER_FEATURES: &[&str] = &[
    "native-histograms",
    "ooo-native-histograms",
    "promql-duration-expr",
    "promql-at-modifier",
    "promql-negative-offset",
];

/// The command line, read.
#[derive(Clone)]
pub(crate) struct Flags {
    matches: ArgMatches,
}

impl Flags {
    /// Reads the command line of this process; ends it with status 0 for help and 2 for mistakes.
    pub(crate) fn read() -> Self {
        let matches = command().get_matches();
        let flags = Self { matches };
        if let Err(message) = flags.check_support() {
            eprintln!("error: {message}");
            std::process::exit(2);
        }
        flags
    }

    /// The flags of a command line given by a test.
    #[cfg(test)]
    pub(crate) fn of(arguments: &[&str]) -> Self {
        let words = std::iter::once("prometheus").chain(arguments.iter().copied());
        Self {
            matches: command().try_get_matches_from(words).unwrap(),
        }
    }

    fn check_support(&self) -> Result<(), String> {
        match FLAGS
            .iter()
            .find(|flag| flag.support == Missing && self.is_set(flag.name))
        {
            Some(flag) => Err(format!(
                "the flag --{} is not supported yet; ROADMAP.md says what is",
                flag.name
            )),
            None => Ok(()),
        }
    }

    /// Whether the user gave the flag.
    pub(crate) fn is_set(&self, name: &str) -> bool {
        let given = |id: &str| self.matches.value_source(id) == Some(ValueSource::CommandLine);
        let off = negated(name);
        given(name) || (self.matches.try_contains_id(&off).is_ok() && given(&off))
    }

    /// The value of a flag.
    pub(crate) fn text(&self, name: &str) -> &str {
        self.matches
            .get_one::<String>(name)
            .map_or("", String::as_str)
    }

    /// All values of a flag that may be given several times.
    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.matches
            .get_many::<String>(name)
            .into_iter()
            .flatten()
            .filter(|text| !text.is_empty())
            .cloned()
            .collect()
    }

    /// Whether a switch is on.
    pub(crate) fn on(&self, name: &str) -> bool {
        let by_default = FLAGS
            .iter()
            .any(|flag| flag.name == name && flag.default == "true");
        (by_default || self.matches.get_flag(name)) && !self.matches.get_flag(&negated(name))
    }

    /// A duration in milliseconds.
    pub(crate) fn millis(&self, name: &str) -> Result<i64, String> {
        parse_duration(self.text(name)).map_err(|error| format!("flag --{name}: {error}"))
    }

    /// A duration.
    pub(crate) fn duration(&self, name: &str) -> Result<Duration, String> {
        self.millis(name)
            .map(|millis| Duration::from_millis(millis.unsigned_abs()))
    }

    /// A whole number.
    pub(crate) fn number(&self, name: &str) -> Result<usize, String> {
        let text = self.text(name);
        text.parse()
            .map_err(|_| format!("flag --{name}: {text:?} is not a whole number"))
    }

    /// A size such as `128MB`, in bytes; units are powers of 1024.
    pub(crate) fn bytes(&self, name: &str) -> Result<u64, String> {
        let text = self.text(name);
        parse_bytes(text)
            .ok_or_else(|| format!("flag --{name}: {text:?} is not a size such as 128MB"))
    }

    /// The features switched on, those that are not known left in.
    pub(crate) fn features(&self) -> Vec<String> {
        let lists = self.texts("enable-feature");
        lists
            .iter()
            .flat_map(|list| list.split(','))
            .map(|name| name.trim().to_owned())
            .filter(|name| !name.is_empty())
            .collect()
    }

    /// Whether a feature is switched on.
    pub(crate) fn has_feature(&self, name: &str) -> bool {
        self.features().iter().any(|feature| feature == name)
    }

    /// Features that are switched on and not known here.
    pub(crate) fn unknown_features(&self) -> Vec<String> {
        let unknown = |name: &String| {
            !FEATURES.contains(&name.as_str()) && !NO_LONGER_FEATURES.contains(&name.as_str())
        };
        self.features().into_iter().filter(unknown).collect()
    }

    /// Every flag with its value, as `/api/v1/status/flags` shows them.
    pub(crate) fn all(&self) -> BTreeMap<String, String> {
        let shown = |flag: &Flag| match flag.kind {
            Switch => self.on(flag.name).to_string(),
            Many => self.texts(flag.name).join(","),
            Value => self.text(flag.name).to_owned(),
        };
        FLAGS
            .iter()
            .map(|flag| (flag.name.to_owned(), shown(flag)))
            .collect()
    }
}

fn negated(name: &str) -> String {
    format!("no-{name}")
}

fn command() -> Command {
    let command = Command::new("prometheus")
        .about("The Headwater Prometheus server")
        .version(env!("CARGO_PKG_VERSION"))
        .args_override_self(true);
    FLAGS
        .iter()
        .fold(command, |command, flag| command.args(arguments(flag)))
}

fn arguments(flag: &'static Flag) -> Vec<Arg> {
    let help = match flag.support {
        Works => flag.help.to_owned(),
        Ignored => format!("{} Accepted, without effect.", flag.help),
        Missing => format!("{} Not supported yet.", flag.help),
    };
    let arg = Arg::new(flag.name)
        .long(flag.name)
        .help(help)
        .hide(flag.support == Missing);
    match flag.kind {
        Value => vec![arg.default_value(flag.default).action(ArgAction::Set)],
        Many => vec![arg.default_value(flag.default).action(ArgAction::Append)],
        Switch => {
            let off = negated(flag.name);
            let no = Arg::new(off.clone())
                .long(off)
                .hide(true)
                .action(ArgAction::SetTrue)
                .overrides_with(flag.name);
            vec![
                arg.action(ArgAction::SetTrue)
                    .overrides_with(negated(flag.name)),
                no,
            ]
        }
    }
}

fn parse_bytes(text: &str) -> Option<u64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let number: u64 = text[..digits].parse().ok()?;
    let power = match &text[digits..] {
        "B" => 0,
        "KB" | "KiB" => 1,
        "MB" | "MiB" => 2,
        "GB" | "GiB" => 3,
        "TB" | "TiB" => 4,
        _ => return None,
    };
    number.checked_mul(1024u64.pow(power))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(arguments: &[&str]) -> Flags {
        Flags::of(arguments)
    }

    #[test]
    fn the_command_is_sound() {
        command().debug_assert();
    }

    #[test]
    fn switches_go_both_ways() {
        assert!(!read(&[]).on("web.enable-lifecycle"));
        assert!(read(&["--web.enable-lifecycle"]).on("web.enable-lifecycle"));
        assert!(!read(&["--no-storage.tsdb.wal-compression"]).on("storage.tsdb.wal-compression"));
    }

    #[test]
    fn values_are_read_either_way() {
        let flags = read(&[
            "--query.timeout=30s",
            "--web.listen-address",
            ":1",
            "--web.listen-address=:2",
        ]);
        assert_eq!(flags.millis("query.timeout"), Ok(30_000));
        assert_eq!(flags.texts("web.listen-address"), [":1", ":2"]);
        assert_eq!(flags.bytes("storage.tsdb.wal-segment-size"), Ok(128 << 20));
        assert_eq!(flags.all()["query.max-samples"], "50000000");
    }

    #[test]
    fn what_has_no_effect_yet_is_refused_by_name() {
        for missing in FLAGS.iter().filter(|flag| flag.support == Missing) {
            let word = if missing.kind == Switch {
                format!("--{}", missing.name)
            } else {
                format!("--{}=1", missing.name)
            };
            let message = read(&[&word]).check_support().unwrap_err();
            assert!(message.contains(missing.name), "{message}");
        }
        read(&["--auto-gomaxprocs", "--config.file=x"])
            .check_support()
            .unwrap();
    }
}
