//! What plugins are given.

use std::collections::HashMap;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use parking_lot::Mutex;
use thiserror::Error;

use crate::config::{HekadSettings, InputCommon};
use crate::event::Event;
use crate::flow::{Router, Scratch, Signal};
use crate::message::{self, Message, UuidSource, put_frame};
use crate::stat::StatSink;
use crate::topology::Report;

use super::decoder::Decoder;
use super::emitter::Emitter;
use super::encoder::Encoder;
use super::registry::Parts;
use super::session::{Session, SessionOptions, now_nanos};
use super::splitter::Splitter;
use super::stats::Stats;

/// Settings with which a plugin cannot be built. Fix the configuration.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct BuildError(String);

impl BuildError {
    /// An error with this text.
    pub fn new(text: impl fmt::Display) -> BuildError {
        BuildError(text.to_string())
    }
}

/// What every plugin may know of the daemon.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub struct Globals {
    /// Name of this host in messages.
    pub hostname: Bytes,
    /// Number of this process.
    pub pid: i32,
    /// Where queues and journals lie.
    pub base_dir: PathBuf,
    /// Where scripts lie.
    pub share_dir: PathBuf,
    /// Bytes of the largest message.
    pub max_message_size: usize,
    /// How often injection may lead to injection.
    pub max_message_loops: u16,
}

impl Globals {
    /// Whether plugins built with one would do the same with the other.
    pub(crate) fn agrees(&self, other: &Globals) -> bool {
        self.base_dir == other.base_dir
            && self.share_dir == other.share_dir
            && self.max_message_size == other.max_message_size
            && self.max_message_loops == other.max_message_loops
    }

    pub(crate) fn new(settings: &HekadSettings) -> Globals {
        let hostname = match &settings.hostname {
            Some(name) => name.clone(),
            None => std::fs::read_to_string("/proc/sys/kernel/hostname")
                .map(|name| name.trim().to_owned())
                .unwrap_or_else(|_| "localhost".to_owned()),
        };
        Globals {
            hostname: hostname.into(),
            pid: i32::try_from(std::process::id()).unwrap_or(0),
            base_dir: settings.base_dir.clone(),
            share_dir: settings.share_dir.clone(),
            max_message_size: settings.max_message_size,
            max_message_loops: settings.max_message_loops.max(1),
        }
    }

    /// The largest record a splitter may return.
    pub fn record_max(&self) -> usize {
        message::record_max(self.max_message_size)
    }

    /// `path`, taken from the base directory if it is relative.
    pub fn in_base_dir(&self, path: impl AsRef<Path>) -> PathBuf {
        self.base_dir.join(path)
    }
}

/// What plugins offer to each other, by name.
#[derive(Default)]
pub struct Services {
    stats: Mutex<HashMap<String, StatSink>>,
    reporter: Mutex<Option<Reporter>>,
}

type Reporter = Arc<dyn Fn() -> Report + Send + Sync>;

impl fmt::Debug for Services {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Services")
    }
}

impl Services {
    /// Makes a statistics accumulator known.
    pub fn offer_stats(&self, name: &str, sink: StatSink) {
        self.stats.lock().insert(name.to_owned(), sink);
    }

    pub(crate) fn offer_report(&self, reporter: Reporter) {
        *self.reporter.lock() = Some(reporter);
    }

    /// The numbers of the running pipeline, if it runs.
    pub fn report(&self) -> Option<Report> {
        let reporter = self.reporter.lock().clone();
        reporter.map(|report| report())
    }

    /// The statistics accumulator of that name.
    pub fn stats(&self, name: &str) -> Option<StatSink> {
        self.stats.lock().get(name).cloned()
    }
}

/// What a plugin is built with, besides its settings.
#[derive(Debug)]
pub struct BuildContext<'a> {
    name: &'a str,
    globals: &'a Arc<Globals>,
    services: &'a Arc<Services>,
    parts: &'a Arc<Parts>,
    ticker: Option<Duration>,
    /// How many decoders that hold decoders this one is in.
    depth: usize,
}

/// Decoders may hold decoders this deep. A cycle is deeper.
const NESTED_MAX: usize = 16;

impl<'a> BuildContext<'a> {
    pub(crate) fn new(
        name: &'a str,
        globals: &'a Arc<Globals>,
        services: &'a Arc<Services>,
        parts: &'a Arc<Parts>,
        ticker: Option<Duration>,
    ) -> BuildContext<'a> {
        BuildContext {
            name,
            globals,
            services,
            parts,
            ticker,
            depth: 0,
        }
    }

    /// The context in which the parts of a part are built.
    ///
    /// # Errors
    ///
    /// If parts hold each other in a circle.
    pub fn nested(&self) -> Result<BuildContext<'a>, BuildError> {
        if self.depth == NESTED_MAX {
            return Err(BuildError::new("decoders name each other in a circle"));
        }
        Ok(BuildContext {
            depth: self.depth + 1,
            ..*self
        })
    }

    /// Name of the section.
    pub fn name(&self) -> &str {
        self.name
    }

    /// What is known of the daemon.
    pub fn globals(&self) -> &Arc<Globals> {
        self.globals
    }

    /// What other plugins offer.
    pub fn services(&self) -> &Arc<Services> {
        self.services
    }

    /// Time between ticks, if it ticks.
    pub fn ticker(&self) -> Option<Duration> {
        self.ticker
    }

    /// Builds the decoder of that section.
    ///
    /// # Errors
    ///
    /// If there is none, or it cannot be built.
    pub fn decoder(&self, name: &str) -> Result<Box<dyn Decoder>, BuildError> {
        let Some(make) = self.parts.decoders.get(name) else {
            return Err(BuildError::new(format!("no decoder named {name}")));
        };
        make(&BuildContext { name, ..*self })
    }
}

/// What an input runs with. Clones go to threads of its own.
#[derive(Debug, Clone)]
pub struct InputContext {
    pub(crate) name: Arc<str>,
    pub(crate) globals: Arc<Globals>,
    pub(crate) services: Arc<Services>,
    pub(crate) parts: Arc<Parts>,
    pub(crate) router: Arc<Router>,
    pub(crate) common: Arc<InputCommon>,
    pub(crate) stop: Signal,
    pub(crate) stats: Stats,
}

impl InputContext {
    /// Name of the input.
    pub fn name(&self) -> &Arc<str> {
        &self.name
    }

    /// What is known of the daemon.
    pub fn globals(&self) -> &Arc<Globals> {
        &self.globals
    }

    /// What other plugins offer.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Raised when the input is to end.
    pub fn stop(&self) -> &Signal {
        &self.stop
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Time between ticks, if it ticks.
    pub fn ticker(&self) -> Option<Duration> {
        self.common
            .ticker_interval
            .filter(|secs| *secs > 0)
            .map(Duration::from_secs)
    }

    /// What messages of this input start as: type and logger are its name.
    pub fn template(&self) -> Message {
        let name = Bytes::copy_from_slice(self.name.as_bytes());
        Message {
            kind: Some(name.clone()),
            logger: Some(name),
            severity: Some(message::SEVERITY_DEFAULT),
            hostname: Some(self.globals.hostname.clone()),
            ..Message::default()
        }
    }

    /// For handing over messages that need no splitting.
    pub fn emitter(&self) -> Emitter {
        Emitter::new(self.router.clone(), self.stats.clone())
    }

    /// A stream with the input's splitter and decoder.
    ///
    /// # Errors
    ///
    /// If they cannot be built, which the check of the configuration has
    /// ruled out unless something outside it changed.
    pub fn session(&self, stream: &str) -> Result<Session, BuildError> {
        let (splitter, options) = self.splitter()?;
        let decoder = self.decoder()?;
        Ok(Session::new(
            format!("{}-{stream}", self.name),
            splitter,
            decoder,
            options,
            self.template(),
            self.emitter(),
        ))
    }

    /// The input's decoder, if it has one.
    ///
    /// # Errors
    ///
    /// As [`InputContext::session`].
    pub fn decoder(&self) -> Result<Option<Box<dyn Decoder>>, BuildError> {
        let Some(name) = &self.common.decoder else {
            return Ok(None);
        };
        let cx = BuildContext::new(name, &self.globals, &self.services, &self.parts, None);
        cx.decoder(name).map(Some)
    }

    fn splitter(&self) -> Result<(Box<dyn Splitter>, SessionOptions), BuildError> {
        let name = self.common.splitter.as_deref().unwrap_or("NullSplitter");
        let Some(part) = self.parts.splitters.get(name) else {
            return Err(BuildError::new(format!("no splitter named {name}")));
        };
        let cx = BuildContext::new(name, &self.globals, &self.services, &self.parts, None);
        let options = SessionOptions {
            record_max: self.globals.record_max(),
            keep_truncated: part.common.keep_truncated,
            use_message_bytes: part.common.use_message_bytes,
            deliver_incomplete_final: part.common.deliver_incomplete_final,
            log_decode_failures: self.common.log_decode_failures,
            send_decode_failures: self.common.send_decode_failures,
        };
        Ok(((part.make)(&cx)?, options))
    }
}

/// What a filter works with.
#[derive(Debug)]
pub struct FilterContext {
    name: Arc<str>,
    globals: Arc<Globals>,
    services: Arc<Services>,
    router: Arc<Router>,
    stats: Stats,
    uuids: UuidSource,
    scratch: Scratch,
    injected: Vec<Event>,
    /// Injections that led to what is being looked at.
    loops: u16,
}

impl FilterContext {
    pub(crate) fn new(
        name: Arc<str>,
        globals: Arc<Globals>,
        services: Arc<Services>,
        router: Arc<Router>,
        stats: Stats,
    ) -> FilterContext {
        FilterContext {
            name,
            globals,
            services,
            router,
            stats,
            uuids: UuidSource::new(),
            scratch: Scratch::default(),
            injected: Vec::new(),
            loops: 0,
        }
    }

    /// Name of the filter.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of the daemon.
    pub fn globals(&self) -> &Arc<Globals> {
        &self.globals
    }

    /// What other plugins offer.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// A message to fill and inject: identity, time, host, process and
    /// logger are set.
    pub fn message(&mut self) -> Message {
        Message {
            uuid: Some(self.uuids.next_uuid()),
            timestamp: Some(now_nanos()),
            logger: Some(Bytes::copy_from_slice(self.name.as_bytes())),
            severity: Some(message::SEVERITY_DEFAULT),
            pid: Some(self.globals.pid),
            hostname: Some(self.globals.hostname.clone()),
            ..Message::default()
        }
    }

    /// Injects a message. It is routed when the current call returns.
    ///
    /// A message that is itself the fruit of too many injections, or that
    /// the filter's own matcher matches, is dropped and counted: it would
    /// run in circles. So is one for which a queue has no room.
    pub fn inject(&mut self, message: Message) {
        let loops = self.loops + 1;
        if loops > self.globals.max_message_loops {
            self.stats.dropped.add(1);
            tracing::warn!(filter = %self.name, "message dropped: more than {} injections in a row", self.globals.max_message_loops);
            return;
        }
        self.stats.injected.add(1);
        self.injected.push(Event::from(message).with_loops(loops));
    }

    pub(crate) fn set_loops(&mut self, loops: u16) {
        self.loops = loops;
    }

    /// Routes what was injected.
    pub(crate) fn flush(&mut self) {
        if self.injected.is_empty() {
            return;
        }
        let events = std::mem::take(&mut self.injected);
        let circles = self.router.inject(&self.name, events, &mut self.scratch);
        if circles > 0 {
            self.stats.dropped.add(circles as u64);
            tracing::warn!(filter = %self.name, "{circles} messages dropped: the filter would match what it injects");
        }
    }
}

/// What an output works with.
pub struct OutputContext {
    pub(crate) name: Arc<str>,
    pub(crate) globals: Arc<Globals>,
    pub(crate) services: Arc<Services>,
    pub(crate) stats: Stats,
    pub(crate) stop: Signal,
    pub(crate) abort: Signal,
    pub(crate) encoder: Option<Box<dyn Encoder>>,
    pub(crate) framing: bool,
    pub(crate) scratch: Vec<u8>,
}

impl fmt::Debug for OutputContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "OutputContext({})", self.name)
    }
}

impl OutputContext {
    /// Name of the output.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// What is known of the daemon.
    pub fn globals(&self) -> &Arc<Globals> {
        &self.globals
    }

    /// What other plugins offer.
    pub fn services(&self) -> &Arc<Services> {
        &self.services
    }

    /// Its counters.
    pub fn stats(&self) -> &Stats {
        &self.stats
    }

    /// Whether the output frames what it writes.
    pub fn framing(&self) -> bool {
        self.framing
    }

    /// Appends the encoded message to `out`, framed if so configured.
    /// Nothing is appended if the message has no output or cannot be
    /// encoded; the latter is counted and logged.
    pub fn encode(&mut self, event: &Event, out: &mut Vec<u8>) {
        if let Err(reason) = self.try_encode(event, out) {
            self.stats.failed.add(1);
            tracing::warn!(output = %self.name, "cannot encode a message: {reason}");
        }
    }

    fn try_encode(&mut self, event: &Event, out: &mut Vec<u8>) -> Result<(), String> {
        let Some(encoder) = &mut self.encoder else {
            return Err("the output has no encoder".to_owned());
        };
        if !self.framing {
            return encoder.encode(event, out);
        }
        if encoder.writes_messages()
            && let crate::event::Body::Raw(raw) = event.body()
            && let Some(frame) = raw.plain_frame()
        {
            out.extend_from_slice(frame);
            return Ok(());
        }
        self.scratch.clear();
        encoder.encode(event, &mut self.scratch)?;
        if self.scratch.is_empty() && !encoder.writes_messages() {
            return Ok(());
        }
        put_frame(out, &self.scratch, None, self.globals.max_message_size)
            .map_err(|error| error.to_string())
    }

    /// Whether the pipeline gives up on waiting: return at once.
    pub fn aborted(&self) -> bool {
        self.abort.is_raised()
    }

    /// Whether the pipeline is being stopped: what is queued is still sent.
    pub fn stopping(&self) -> bool {
        self.stop.is_raised()
    }

    /// Raised when the pipeline gives up on waiting.
    pub fn abort(&self) -> &Signal {
        &self.abort
    }

    /// Waits, unless the pipeline gives up meanwhile. True if it did.
    pub fn wait(&self, time: Duration) -> bool {
        self.abort.wait(time)
    }
}

/// Builds a plugin with default surroundings.
#[cfg(test)]
pub(crate) fn for_test<P: super::registry::Plugin>(settings: &str) -> Result<P, String> {
    let globals = Arc::new(Globals::new(&HekadSettings::default()));
    let (services, parts) = (Arc::default(), Arc::default());
    let cx = BuildContext::new("test", &globals, &services, &parts, None);
    let settings: P::Settings = toml::from_str(settings).map_err(|error| error.to_string())?;
    P::build(&settings, &cx).map_err(|error| error.to_string())
}
