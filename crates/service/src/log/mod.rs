//! Logs: one line an event, as logfmt or JSON, with a level that can change while running.

mod line;
mod time;

use std::io::Write;
use std::str::FromStr;
use std::sync::Arc;

use parking_lot::Mutex;
use tracing::level_filters::LevelFilter;
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Subscriber};
use tracing_subscriber::Layer;
use tracing_subscriber::filter::Targets;
use tracing_subscriber::layer::{Context, SubscriberExt};
use tracing_subscriber::registry::LookupSpan;
use tracing_subscriber::reload;
use tracing_subscriber::util::{SubscriberInitExt, TryInitError};

use line::Fields;

/// How a line looks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum LogFormat {
    /// `time=… level=INFO source=… msg=…`, as Prometheus writes.
    #[default]
    Logfmt,
    /// The same keys as a JSON object.
    Json,
    /// `ts=… caller=… level=info msg=…`, as Loki writes.
    LogfmtTs,
}

impl FromStr for LogFormat {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "logfmt" => Ok(Self::Logfmt),
            "json" => Ok(Self::Json),
            other => Err(format!(
                "unrecognized log format {other:?}, choose logfmt or json"
            )),
        }
    }
}

/// The least important events that are still written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum LogLevel {
    /// Everything.
    Debug,
    /// What an operator wants to know.
    #[default]
    Info,
    /// What may need an operator.
    Warn,
    /// What does need one.
    Error,
}

impl FromStr for LogLevel {
    type Err = String;

    fn from_str(word: &str) -> Result<Self, String> {
        match word {
            "debug" => Ok(Self::Debug),
            "info" => Ok(Self::Info),
            "warn" => Ok(Self::Warn),
            "error" => Ok(Self::Error),
            other => Err(format!(
                "unrecognized log level {other:?}, choose debug, info, warn or error"
            )),
        }
    }
}

impl LogLevel {
    fn filter(self) -> LevelFilter {
        match self {
            Self::Debug => LevelFilter::DEBUG,
            Self::Info => LevelFilter::INFO,
            Self::Warn => LevelFilter::WARN,
            Self::Error => LevelFilter::ERROR,
        }
    }

    /// What other people's libraries say in detail is for their makers.
    fn targets(self, ours: &[String]) -> Targets {
        let others = self.filter().min(LevelFilter::INFO);
        let ours = ours.iter().map(String::as_str).chain(["headwater"]);
        Targets::new()
            .with_default(others)
            .with_targets(ours.map(|name| (name, self.filter())))
    }
}

/// How to log.
#[derive(Clone, Debug, Default)]
#[non_exhaustive]
pub struct LogSettings {
    /// The least important level.
    pub level: LogLevel,
    /// How a line looks.
    pub format: LogFormat,
    /// Crates, besides those of the house, whose debug lines are wanted: the program itself.
    pub targets: Vec<String>,
}

impl LogSettings {
    /// Settings for a program whose own crate is called `program`.
    pub fn new(level: LogLevel, format: LogFormat, program: impl Into<String>) -> Self {
        Self {
            level,
            format,
            targets: vec![program.into()],
        }
    }
}

/// Changes what is logged while the program runs.
#[derive(Clone)]
pub struct Logging {
    filter: reload::Handle<Targets, tracing_subscriber::Registry>,
    targets: Arc<Vec<String>>,
    #[cfg(feature = "otlp")]
    pub(crate) traces: crate::trace::Handle,
}

impl std::fmt::Debug for Logging {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Logging")
    }
}

impl Logging {
    /// Sends every event of the process to standard error from now on.
    ///
    /// # Errors
    /// When the process logs already.
    pub fn start(settings: &LogSettings) -> Result<Self, TryInitError> {
        let (subscriber, logging) = Self::build(settings, Box::new(std::io::stderr()));
        subscriber.try_init()?;
        Ok(logging)
    }

    fn build(
        settings: &LogSettings,
        out: Box<dyn Write + Send>,
    ) -> (impl Subscriber + Send + Sync, Self) {
        let (filter, handle) = reload::Layer::new(settings.level.targets(&settings.targets));
        let lines = Lines {
            format: settings.format,
            out: Mutex::new(out),
        };
        let targets = Arc::new(settings.targets.clone());
        let registry = tracing_subscriber::registry().with(filter);
        #[cfg(feature = "otlp")]
        {
            let (layer, traces) = crate::trace::layer();
            (
                registry.with(layer).with(lines),
                Self {
                    filter: handle,
                    targets,
                    traces,
                },
            )
        }
        #[cfg(not(feature = "otlp"))]
        (
            registry.with(lines),
            Self {
                filter: handle,
                targets,
            },
        )
    }

    /// Changes the least important level that is written.
    pub fn set_level(&self, level: LogLevel) {
        // This fails only when the process does not log any more.
        let _ = self.filter.reload(level.targets(&self.targets));
    }
}

/// Writes lines. One lock and one write a line, so that lines of threads do not mix.
struct Lines {
    format: LogFormat,
    out: Mutex<Box<dyn Write + Send>>,
}

impl<S: Subscriber + for<'a> LookupSpan<'a>> Layer<S> for Lines {
    fn on_new_span(&self, attributes: &Attributes<'_>, id: &Id, context: Context<'_, S>) {
        if let Some(span) = context.span(id) {
            let mut fields = Fields::default();
            attributes.record(&mut fields);
            span.extensions_mut().insert(fields);
        }
    }

    fn on_record(&self, id: &Id, values: &Record<'_>, context: Context<'_, S>) {
        if let Some(span) = context.span(id)
            && let Some(fields) = span.extensions_mut().get_mut::<Fields>()
        {
            values.record(fields);
        }
    }

    fn on_event(&self, event: &Event<'_>, context: Context<'_, S>) {
        let mut fields = Fields::default();
        for span in context
            .event_scope(event)
            .into_iter()
            .flat_map(|scope| scope.from_root())
        {
            if let Some(more) = span.extensions().get::<Fields>() {
                fields.extend(more);
            }
        }
        event.record(&mut fields);
        let line = fields.line(self.format, event.metadata(), std::time::SystemTime::now());
        // Nobody can be told that logs cannot be written.
        let _ = self.out.lock().write_all(line.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Clone, Default)]
    struct Paper(Arc<Mutex<Vec<u8>>>);

    impl Write for Paper {
        fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
            self.0.lock().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> std::io::Result<()> {
            Ok(())
        }
    }

    /// The lines that `say` logs, without the time, which is at the start.
    fn logged(settings: &LogSettings, say: impl FnOnce(&Logging)) -> Vec<String> {
        let paper = Paper::default();
        let (subscriber, logging) = Logging::build(settings, Box::new(paper.clone()));
        tracing::subscriber::with_default(subscriber, || say(&logging));
        let text = String::from_utf8(paper.0.lock().clone()).unwrap();
        text.lines()
            .map(|line| line.split_once(' ').unwrap_or(("", line)).1.to_owned())
            .collect()
    }

    fn settings(level: LogLevel, format: LogFormat) -> LogSettings {
        LogSettings::new(level, format, "headwater_service")
    }

    #[test]
    fn a_line_has_the_keys_of_prometheus() {
        let lines = logged(&settings(LogLevel::Info, LogFormat::Logfmt), |_| {
            let span = tracing::info_span!("scrape", job = "a b");
            let _inside = span.enter();
            tracing::info!(count = 3, path = %"/x", "Up and \"running\"");
            tracing::debug!("not seen");
        });
        assert_eq!(lines.len(), 1);
        let (source, rest) = lines[0].split_once(" msg=").unwrap();
        assert!(source.starts_with("level=INFO source=mod.rs:"), "{source}");
        assert_eq!(rest, r#""Up and \"running\"" job="a b" count=3 path=/x"#);
    }

    #[test]
    fn json_has_the_same_keys() {
        let paper = Paper::default();
        let (subscriber, _) = Logging::build(
            &settings(LogLevel::Info, LogFormat::Json),
            Box::new(paper.clone()),
        );
        tracing::subscriber::with_default(subscriber, || {
            tracing::warn!(a = 1, b = true, c = 0.5, d = "x\n", "Hm");
        });
        let text = String::from_utf8(paper.0.lock().clone()).unwrap();
        assert!(text.starts_with("{\"time\":\"2"), "{text}");
        assert!(
            text.contains("\",\"level\":\"WARN\",\"source\":\"mod.rs:"),
            "{text}"
        );
        assert!(
            text.ends_with("\"msg\":\"Hm\",\"a\":1,\"b\":true,\"c\":0.5,\"d\":\"x\\n\"}\n"),
            "{text}"
        );
    }

    #[test]
    fn loki_writes_other_keys() {
        let lines = logged(&settings(LogLevel::Info, LogFormat::LogfmtTs), |_| {
            tracing::error!("x")
        });
        assert!(lines[0].starts_with("caller=mod.rs:") && lines[0].ends_with(" level=error msg=x"));
    }

    #[test]
    fn the_level_changes_while_running() {
        let lines = logged(&settings(LogLevel::Warn, LogFormat::Logfmt), |logging| {
            tracing::info!("first");
            logging.set_level(LogLevel::Debug);
            tracing::debug!("second");
            tracing::debug!(target: "hyper::proto", "third");
        });
        assert_eq!(lines.len(), 1);
        assert!(lines[0].ends_with("msg=second"));
    }
}
