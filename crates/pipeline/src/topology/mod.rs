//! A pipeline that runs: plugins on their threads, connected by queues.
//!
//! Outputs start first, then filters, then inputs, so that nothing is sent
//! before somebody listens. Stopping goes the other way: inputs end, then
//! filters and outputs empty their queues. After the deadline the queues are
//! aborted, which ends every wait; what they held counts as abandoned, and
//! inputs that can have it again will.

mod backoff;
mod filter;
mod input;
mod line;
mod output;
mod report;
mod reporter;
mod roster;
mod ticker;
mod watch;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use thiserror::Error;

use crate::config::{Plan, PlannedFilter, PlannedInput, PlannedOutput, Wants};
use crate::flow::{Pop, Route, Router, Signal};
use crate::message::{Field, Message, UuidSource};
use crate::plugin::{
    FilterContext, Globals, InputContext, OutputContext, Parts, Services, Stats, now_nanos,
};

use filter::FilterRunner;
use input::InputRunner;
use line::Line;
use output::{End, OutputRunner};
use reporter::Reporter;
use roster::{Roster, Stage};
use watch::{Observed, Watched};

pub use report::{PluginReport, Report};

/// How long threads get to notice that everything was aborted.
const AFTER_ABORT: Duration = Duration::from_secs(1);

/// Why a pipeline did not start: a plugin cannot open what it needs.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct StartError(String);

/// How stopping went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopReport {
    /// Whether the deadline passed and queues were aborted.
    pub aborted: bool,
    /// Plugins whose threads did not end even then.
    pub stuck: Vec<Arc<str>>,
}

/// What a reload changed.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct ReloadReport {
    /// Plugins started that were not there before.
    pub added: Vec<Arc<str>>,
    /// Plugins stopped.
    pub removed: Vec<Arc<str>>,
    /// Plugins started anew with other settings.
    pub changed: Vec<Arc<str>>,
}

/// A running consumer.
struct Consumer<P> {
    planned: P,
    line: Line,
    stats: Stats,
    hand_over: Arc<AtomicBool>,
    stop: Signal,
}

/// What filters and outputs have in common when a plan is exchanged.
trait PlannedConsumer: Sized {
    fn name(&self) -> &Arc<str>;
    fn wants(&self) -> &Wants;
    /// The sections it is built from: equal content needs no restart.
    fn content(&self) -> &toml::Value;
    /// The consumers of this kind.
    fn running(topology: &mut Topology) -> &mut Vec<Consumer<Self>>;
    fn start(self, topology: &mut Topology, line: Option<Line>) -> Result<(), String>;
}

impl PlannedConsumer for PlannedOutput {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wants(&self) -> &Wants {
        &self.wants
    }

    fn content(&self) -> &toml::Value {
        &self.content
    }

    fn running(topology: &mut Topology) -> &mut Vec<Consumer<Self>> {
        &mut topology.outputs
    }

    fn start(self, topology: &mut Topology, line: Option<Line>) -> Result<(), String> {
        topology.start_output(self, line)
    }
}

impl PlannedConsumer for PlannedFilter {
    fn name(&self) -> &Arc<str> {
        &self.name
    }

    fn wants(&self) -> &Wants {
        &self.wants
    }

    fn content(&self) -> &toml::Value {
        &self.content
    }

    fn running(topology: &mut Topology) -> &mut Vec<Consumer<Self>> {
        &mut topology.filters
    }

    fn start(self, topology: &mut Topology, line: Option<Line>) -> Result<(), String> {
        topology.start_filter(self, line)
    }
}

/// A running input.
struct Source {
    planned: PlannedInput,
    stats: Stats,
    stop: Signal,
}

/// A pipeline that runs.
pub struct Topology {
    globals: Arc<Globals>,
    services: Arc<Services>,
    parts: Arc<Parts>,
    router: Arc<Router>,
    roster: Roster,
    abort: Signal,
    reopens: Arc<AtomicU64>,
    stop_timeout: Duration,
    /// How often reports are routed, and what ends that.
    reports: (Duration, Signal),
    inputs: Vec<Source>,
    filters: Vec<Consumer<PlannedFilter>>,
    outputs: Vec<Consumer<PlannedOutput>>,
}

impl std::fmt::Debug for Topology {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Topology")
            .field("inputs", &self.inputs.len())
            .field("filters", &self.filters.len())
            .field("outputs", &self.outputs.len())
            .finish_non_exhaustive()
    }
}

impl Topology {
    /// Starts all plugins of a plan.
    ///
    /// # Errors
    ///
    /// [`StartError`] if one cannot start; those that had are stopped again.
    pub fn start(plan: Plan) -> Result<Topology, StartError> {
        let mut topology = Topology {
            globals: plan.globals,
            services: plan.services,
            parts: plan.parts,
            router: Arc::new(Router::new()),
            roster: Roster::default(),
            abort: Signal::new(),
            reopens: Arc::default(),
            stop_timeout: plan.hekad.stop_timeout.0,
            reports: (Duration::ZERO, Signal::new()),
            inputs: Vec::new(),
            filters: Vec::new(),
            outputs: Vec::new(),
        };
        match topology.start_all(plan.inputs, plan.filters, plan.outputs) {
            Ok(()) => {
                topology.offer_report();
                topology.report_every(plan.hekad.report_interval.0);
                Ok(topology)
            }
            Err(reason) => {
                topology.stop_timeout = Duration::ZERO;
                topology.stop();
                Err(StartError(reason))
            }
        }
    }

    fn start_all(
        &mut self,
        inputs: Vec<PlannedInput>,
        filters: Vec<PlannedFilter>,
        outputs: Vec<PlannedOutput>,
    ) -> Result<(), String> {
        let names: Vec<_> = outputs.iter().map(|output| output.name.clone()).collect();
        for planned in outputs {
            self.start_output(planned, None)?;
        }
        self.roster.wait_started(&names)?;
        let names: Vec<_> = filters.iter().map(|filter| filter.name.clone()).collect();
        for planned in filters {
            self.start_filter(planned, None)?;
        }
        self.roster.wait_started(&names)?;
        self.connect();
        let names: Vec<_> = inputs.iter().map(|input| input.name.clone()).collect();
        for planned in inputs {
            self.start_input(planned)?;
        }
        self.roster.wait_started(&names)
    }

    /// Makes the routes those of the running consumers.
    fn connect(&self) {
        let route = |name: &Arc<str>, wants: &Wants, line: &Line| Route {
            name: name.clone(),
            matcher: wants.matcher.clone(),
            signer: wants.signer.clone(),
            queue: line.front.clone(),
        };
        let filters = self
            .filters
            .iter()
            .map(|c| route(&c.planned.name, &c.planned.wants, &c.line));
        let outputs = self
            .outputs
            .iter()
            .map(|c| route(&c.planned.name, &c.planned.wants, &c.line));
        let routes: Vec<Route> = filters.chain(outputs).collect();
        self.router.change(|table| *table = routes);
    }

    fn start_output(&mut self, planned: PlannedOutput, line: Option<Line>) -> Result<(), String> {
        let line = self.line(line, &planned.name, &planned.wants)?;
        let encoder = match &planned.encoder {
            None => None,
            Some(name) => Some(self.encoder(name)?),
        };
        let writes_messages = encoder
            .as_ref()
            .is_some_and(|encoder| encoder.writes_messages());
        let consumer = Consumer {
            line,
            stats: Stats::default(),
            hand_over: Arc::default(),
            stop: Signal::new(),
            planned,
        };
        let mut runner = OutputRunner {
            cx: OutputContext {
                name: consumer.planned.name.clone(),
                globals: self.globals.clone(),
                services: self.services.clone(),
                stats: consumer.stats.clone(),
                stop: consumer.stop.clone(),
                abort: self.abort.clone(),
                framing: consumer.planned.use_framing.unwrap_or(writes_messages),
                encoder,
                scratch: Vec::new(),
            },
            parts: self.parts.clone(),
            planned: consumer.planned.clone(),
            queue: consumer.line.back.clone(),
            reopens: self.reopens.clone(),
            hand_over: consumer.hand_over.clone(),
            held: None,
        };
        let leave = self.leaving(
            &consumer.planned.name,
            consumer.planned.wants.can_exit,
            Some(&consumer.line),
        );
        let name = consumer.planned.name.clone();
        self.outputs.push(consumer);
        self.spawn(name, leave, move |started| {
            let output = runner.make()?;
            started();
            Ok(runner.run(output))
        })
    }

    /// The line that is there already, or a new one.
    fn line(&self, line: Option<Line>, name: &str, wants: &Wants) -> Result<Line, String> {
        match line {
            Some(line) => Ok(line),
            None => Line::open(name, wants, &self.globals),
        }
    }

    fn encoder(&self, name: &str) -> Result<Box<dyn crate::plugin::Encoder>, String> {
        let cx = crate::plugin::BuildContext::new(
            name,
            &self.globals,
            &self.services,
            &self.parts,
            None,
        );
        let Some(make) = self.parts.encoders.get(name) else {
            return Err(format!("no encoder named {name}"));
        };
        make(&cx).map_err(|error| error.to_string())
    }

    fn start_filter(&mut self, planned: PlannedFilter, line: Option<Line>) -> Result<(), String> {
        let consumer = Consumer {
            line: self.line(line, &planned.name, &planned.wants)?,
            stats: Stats::default(),
            hand_over: Arc::default(),
            stop: Signal::new(),
            planned,
        };
        let mut runner = FilterRunner {
            cx: FilterContext::new(
                consumer.planned.name.clone(),
                self.globals.clone(),
                self.services.clone(),
                self.router.clone(),
                consumer.stats.clone(),
            ),
            parts: self.parts.clone(),
            planned: consumer.planned.clone(),
            queue: consumer.line.back.clone(),
            stats: consumer.stats.clone(),
            abort: self.abort.clone(),
            hand_over: consumer.hand_over.clone(),
        };
        let leave = self.leaving(
            &consumer.planned.name,
            consumer.planned.wants.can_exit,
            Some(&consumer.line),
        );
        let name = consumer.planned.name.clone();
        self.filters.push(consumer);
        self.spawn(name, leave, move |started| {
            let filter = runner.make()?;
            started();
            Ok(runner.run(filter))
        })
    }

    fn start_input(&mut self, planned: PlannedInput) -> Result<(), String> {
        let source = Source {
            stats: Stats::default(),
            stop: Signal::new(),
            planned,
        };
        let mut runner = InputRunner {
            cx: InputContext {
                name: source.planned.name.clone(),
                globals: self.globals.clone(),
                services: self.services.clone(),
                parts: self.parts.clone(),
                router: self.router.clone(),
                common: Arc::new(source.planned.common.clone()),
                stop: source.stop.clone(),
                stats: source.stats.clone(),
            },
            planned: source.planned.clone(),
        };
        let leave = self.leaving(&source.planned.name, source.planned.common.can_exit, None);
        let name = source.planned.name.clone();
        self.inputs.push(source);
        self.spawn(name, leave, move |started| {
            let input = runner.make()?;
            started();
            Ok(runner.run(input))
        })
    }

    fn leaving(&self, name: &Arc<str>, can_exit: bool, line: Option<&Line>) -> Leaving {
        Leaving {
            name: name.clone(),
            can_exit,
            line: line.cloned(),
            router: self.router.clone(),
            globals: self.globals.clone(),
            roster: self.roster.clone(),
        }
    }

    fn spawn(
        &self,
        name: Arc<str>,
        leaving: Leaving,
        work: impl FnOnce(&dyn Fn()) -> Result<End, String> + Send + 'static,
    ) -> Result<(), String> {
        self.roster.set(&name, Stage::Starting);
        let roster = self.roster.clone();
        let thread_name: String = name.chars().take(15).collect();
        let run = {
            let name = name.clone();
            move || {
                let started = || roster.set(&name, Stage::Running);
                let stage = match work(&started) {
                    Ok(End::Done) => Stage::Ended,
                    Ok(End::Failed(reason)) => {
                        leaving.leave(&reason);
                        Stage::Failed(reason)
                    }
                    Err(reason) => Stage::Failed(reason),
                };
                // Whoever waits for the end may want to use the same files.
                drop(leaving);
                roster.set(&name, stage);
            }
        };
        match thread::Builder::new().name(thread_name).spawn(run) {
            Ok(_) => Ok(()),
            Err(error) => {
                self.roster.set(&name, Stage::Ended);
                Err(format!("cannot start a thread for {name}: {error}"))
            }
        }
    }

    /// Waits for a failure that the pipeline cannot go on with.
    pub fn wait_failure(&self, timeout: Duration) -> Option<String> {
        let filters = self.filters.iter().map(|c| (&c.planned.name, &c.line));
        let outputs = self.outputs.iter().map(|c| (&c.planned.name, &c.line));
        for (name, line) in filters.chain(outputs) {
            if let Some(reason) = line.failure() {
                return Some(format!("[{name}] {reason}"));
            }
        }
        self.roster.wait_fatal(timeout)
    }

    /// Tells outputs to open anew what may have been moved away.
    pub fn reopen(&self) {
        self.reopens.fetch_add(1, Ordering::Relaxed);
        for output in &self.outputs {
            output.line.back.poke();
        }
    }

    /// Numbers of the pipeline as they are now.
    pub fn report(&self) -> Report {
        self.observed().report()
    }

    /// Routes the numbers of the pipeline as a message `heka.all-report`.
    pub fn route_report(&self) {
        self.reporter().send();
    }

    fn reporter(&self) -> Reporter {
        Reporter {
            router: self.router.clone(),
            globals: self.globals.clone(),
            services: self.services.clone(),
        }
    }

    fn report_every(&mut self, interval: Duration) {
        if self.reports.0 == interval {
            return;
        }
        self.reports.1.raise();
        self.reports.0 = interval;
        if interval > Duration::ZERO {
            self.reports.1 = self.reporter().every(interval);
        }
    }

    /// What reports are made of, without the topology itself.
    fn observed(&self) -> Observed {
        let inputs = self.inputs.iter().map(|source| Watched {
            kind: "inputs",
            name: source.planned.name.clone(),
            stats: source.stats.clone(),
            line: None,
        });
        let filters = self.filters.iter().map(|c| Watched {
            kind: "filters",
            name: c.planned.name.clone(),
            stats: c.stats.clone(),
            line: Some(c.line.clone()),
        });
        let outputs = self.outputs.iter().map(|c| Watched {
            kind: "outputs",
            name: c.planned.name.clone(),
            stats: c.stats.clone(),
            line: Some(c.line.clone()),
        });
        Observed {
            router: self.router.clone(),
            plugins: inputs.chain(filters).chain(outputs).collect(),
        }
    }

    /// Lets plugins ask for reports.
    fn offer_report(&self) {
        let observed = self.observed();
        self.services
            .offer_report(Arc::new(move || observed.report()));
    }

    /// Goes on with another plan: plugins keep running if neither their
    /// section changed nor that of a splitter, decoder or encoder they use;
    /// others are started, stopped or started anew. Filters and outputs that
    /// are started anew keep their queues.
    ///
    /// # Errors
    ///
    /// [`StartError`] if `[hekad]` now says other directories or limits,
    /// which takes a restart: nothing is changed then. Also if a plugin of
    /// the new plan does not start: what runs then is what could be started.
    pub fn reload(&mut self, plan: Plan) -> Result<ReloadReport, StartError> {
        if !self.globals.agrees(&plan.globals) {
            let reason = "directories or limits in [hekad] changed, which takes a restart";
            return Err(StartError(reason.to_owned()));
        }
        self.stop_timeout = plan.hekad.stop_timeout.0;
        let mut report = ReloadReport::default();
        self.parts = plan.parts;
        let outputs = self.reload_consumers(plan.outputs, &mut report);
        let filters = self.reload_consumers(plan.filters, &mut report);
        self.connect();
        self.drain_removed(outputs, filters);
        let inputs = self.reload_inputs(plan.inputs, &mut report);
        self.offer_report();
        self.report_every(plan.hekad.report_interval.0);
        inputs.map(|()| report).map_err(StartError)
    }

    /// Keeps, restarts and starts the consumers of one kind; answers those that nobody wants any more.
    fn reload_consumers<P: PlannedConsumer>(
        &mut self,
        wanted: Vec<P>,
        report: &mut ReloadReport,
    ) -> Vec<Consumer<P>> {
        let mut old = std::mem::take(P::running(self));
        let mut names = Vec::new();
        for planned in wanted {
            let before = old.iter().position(|c| c.planned.name() == planned.name());
            let line = match before.map(|place| old.remove(place)) {
                Some(same) if same.planned.content() == planned.content() => {
                    P::running(self).push(same);
                    continue;
                }
                Some(changed) => {
                    report.changed.push(planned.name().clone());
                    self.end_for_successor(&changed, changed.planned.name());
                    self.line_for(&changed.line, planned.wants())
                }
                None => {
                    report.added.push(planned.name().clone());
                    None
                }
            };
            names.push(planned.name().clone());
            if let Err(reason) = planned.start(self, line) {
                tracing::error!("reload: {reason}");
            }
        }
        if let Err(reason) = self.roster.wait_started(&names) {
            tracing::error!("reload: {reason}");
        }
        report
            .removed
            .extend(old.iter().map(|c| c.planned.name().clone()));
        old
    }

    /// Ends a consumer's thread but not its line.
    fn end_for_successor<P>(&self, consumer: &Consumer<P>, name: &Arc<str>) {
        consumer.hand_over.store(true, Ordering::Release);
        consumer.line.back.poke();
        let deadline = Instant::now() + self.stop_timeout;
        for stuck in self.roster.wait_over(std::slice::from_ref(name), deadline) {
            tracing::error!("reload: {stuck} does not let go of its queue");
        }
    }

    /// The line for a consumer with other settings: the one there is, unless
    /// a disk queue came or went.
    fn line_for(&self, line: &Line, wants: &Wants) -> Option<Line> {
        if line.is_spooled() == wants.buffering.is_some() {
            return Some(line.clone());
        }
        tracing::warn!("reload: a disk queue comes or goes; what is in memory is abandoned");
        line.close();
        line.abort();
        None
    }

    fn drain_removed(
        &self,
        outputs: Vec<Consumer<PlannedOutput>>,
        filters: Vec<Consumer<PlannedFilter>>,
    ) {
        let deadline = Instant::now() + self.stop_timeout;
        let filters = filters.iter().map(|c| (&c.planned.name, &c.line, &c.stop));
        let outputs = outputs.iter().map(|c| (&c.planned.name, &c.line, &c.stop));
        for (name, line, stop) in filters.chain(outputs) {
            stop.raise();
            line.close();
            if !self
                .roster
                .wait_over(std::slice::from_ref(name), deadline)
                .is_empty()
            {
                line.abort();
            }
            self.roster.forget(name);
        }
    }

    fn reload_inputs(
        &mut self,
        wanted: Vec<PlannedInput>,
        report: &mut ReloadReport,
    ) -> Result<(), String> {
        let mut old = std::mem::take(&mut self.inputs);
        let mut start = Vec::new();
        for planned in wanted {
            match old.iter().position(|s| s.planned.name == planned.name) {
                Some(place) if old[place].planned.content == planned.content => {
                    self.inputs.push(old.remove(place));
                }
                Some(_) => {
                    report.changed.push(planned.name.clone());
                    start.push(planned);
                }
                None => {
                    report.added.push(planned.name.clone());
                    start.push(planned);
                }
            }
        }
        for source in &old {
            source.stop.raise();
        }
        let ended: Vec<_> = old.iter().map(|s| s.planned.name.clone()).collect();
        let deadline = Instant::now() + self.stop_timeout;
        for stuck in self.roster.wait_over(&ended, deadline) {
            tracing::error!("reload: {stuck} does not end");
        }
        let gone = ended.iter().filter(|name| !report.changed.contains(name));
        report.removed.extend(gone.cloned());
        let names: Vec<_> = start.iter().map(|planned| planned.name.clone()).collect();
        for planned in start {
            self.start_input(planned)?;
        }
        self.roster.wait_started(&names)
    }

    /// Stops everything, within the configured time and a second.
    pub fn stop(&mut self) -> StopReport {
        let deadline = Instant::now() + self.stop_timeout;
        let mut report = StopReport::default();
        self.report_every(Duration::ZERO);
        for input in &self.inputs {
            input.stop.raise();
        }
        let inputs: Vec<_> = self.inputs.iter().map(|s| s.planned.name.clone()).collect();
        self.end(&inputs, deadline, &mut report);
        for filter in &self.filters {
            filter.line.close();
        }
        let filters: Vec<_> = self
            .filters
            .iter()
            .map(|c| c.planned.name.clone())
            .collect();
        self.end(&filters, deadline, &mut report);
        for output in &self.outputs {
            output.stop.raise();
            output.line.close();
        }
        let outputs: Vec<_> = self
            .outputs
            .iter()
            .map(|c| c.planned.name.clone())
            .collect();
        self.end(&outputs, deadline, &mut report);
        self.inputs.clear();
        self.filters.clear();
        self.outputs.clear();
        report
    }

    /// Waits for threads to end, and aborts everything if they do not.
    fn end(&self, names: &[Arc<str>], deadline: Instant, report: &mut StopReport) {
        if self.roster.wait_over(names, deadline).is_empty() {
            return;
        }
        if !report.aborted {
            report.aborted = true;
            self.abort.raise();
            let filters = self.filters.iter().map(|c| &c.line);
            let outputs = self.outputs.iter().map(|c| &c.line);
            filters.chain(outputs).for_each(Line::abort);
        }
        let stuck = self.roster.wait_over(names, Instant::now() + AFTER_ABORT);
        report.stuck.extend(stuck);
    }
}

impl Drop for Topology {
    fn drop(&mut self) {
        if !self.inputs.is_empty() || !self.outputs.is_empty() || !self.filters.is_empty() {
            self.stop();
        }
    }
}

/// What happens when a plugin fails for good.
struct Leaving {
    name: Arc<str>,
    can_exit: bool,
    line: Option<Line>,
    router: Arc<Router>,
    globals: Arc<Globals>,
    roster: Roster,
}

impl Leaving {
    fn leave(&self, reason: &str) {
        if !self.can_exit {
            self.roster.fatal(format!("[{}] {reason}", self.name));
            return;
        }
        self.router
            .change(|routes| routes.retain(|route| route.name != self.name));
        if let Some(line) = &self.line {
            line.close();
            while let Pop::Delivery(delivery) = line.back.pop(None) {
                delivery.refuse();
            }
        }
        let message = Message {
            uuid: Some(UuidSource::new().next_uuid()),
            timestamp: Some(now_nanos()),
            kind: Some("heka.terminated".into()),
            logger: Some("hekad".into()),
            severity: Some(crate::message::SEVERITY_DEFAULT),
            payload: Some(reason.to_owned().into()),
            pid: Some(self.globals.pid),
            hostname: Some(self.globals.hostname.clone()),
            fields: vec![Field::string("plugin", self.name.to_string(), "")],
            ..Message::default()
        };
        self.router
            .inject(&self.name, vec![message.into()], &mut Default::default());
    }
}
