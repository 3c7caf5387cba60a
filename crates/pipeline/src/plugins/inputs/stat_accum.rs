//! Adding up statistics.

use std::fmt::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::event::Event;
use crate::message::{Field, Message, UuidSource};
use crate::plugin::{BuildContext, BuildError, Defaults, Input, InputContext, Plugin, now_nanos};
use crate::stat::{Accumulator, Naming, Number, Stat, StatSink};

/// How often it is seen whether to stop.
const SLICE: Duration = Duration::from_millis(100);

/// Settings of [`StatAccumInput`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StatAccumInputSettings {
    /// Numbers go into the payload, a line each.
    pub emit_in_payload: bool,
    /// Numbers go into fields.
    pub emit_in_fields: bool,
    /// Percentiles of timers.
    pub percent_threshold: Vec<i64>,
    /// Type of the messages.
    pub message_type: String,
    /// heka's names before 0.6.
    pub legacy_namespaces: bool,
    /// Before all names.
    pub global_prefix: String,
    /// Before counters.
    pub counter_prefix: String,
    /// Before timers.
    pub timer_prefix: String,
    /// Before gauges.
    pub gauge_prefix: String,
    /// Before the accumulator's own numbers.
    pub statsd_prefix: String,
    /// Forget buckets without samples.
    pub delete_idle_stats: bool,
}

impl Default for StatAccumInputSettings {
    fn default() -> StatAccumInputSettings {
        StatAccumInputSettings {
            emit_in_payload: true,
            emit_in_fields: false,
            percent_threshold: vec![90],
            message_type: "heka.statmetric".to_owned(),
            legacy_namespaces: false,
            global_prefix: "stats".to_owned(),
            counter_prefix: "counters".to_owned(),
            timer_prefix: "timers".to_owned(),
            gauge_prefix: "gauges".to_owned(),
            statsd_prefix: "statsd".to_owned(),
            delete_idle_stats: false,
        }
    }
}

/// Adds up samples from StatsdInput and StatFilter and emits a message with
/// all numbers at each tick.
#[derive(Debug)]
pub struct StatAccumInput {
    settings: StatAccumInputSettings,
    interval: Duration,
    naming: Naming,
    samples: Receiver<Stat>,
    accumulator: Accumulator,
    uuids: UuidSource,
}

impl Plugin for StatAccumInput {
    const TYPE: &'static str = "StatAccumInput";
    type Settings = StatAccumInputSettings;

    fn build(
        settings: &StatAccumInputSettings,
        cx: &BuildContext<'_>,
    ) -> Result<StatAccumInput, BuildError> {
        if !settings.emit_in_payload && !settings.emit_in_fields {
            let text = "one of emit_in_payload and emit_in_fields must be true";
            return Err(BuildError::new(text));
        }
        let interval = cx.ticker().filter(|interval| !interval.is_zero());
        let interval =
            interval.ok_or_else(|| BuildError::new("ticker_interval must be greater than 0"))?;
        let (sink, samples) = StatSink::new();
        cx.services().offer_stats(cx.name(), sink);
        Ok(StatAccumInput {
            naming: Naming {
                legacy: settings.legacy_namespaces,
                global: settings.global_prefix.clone(),
                counters: settings.counter_prefix.clone(),
                timers: settings.timer_prefix.clone(),
                gauges: settings.gauge_prefix.clone(),
                statsd: settings.statsd_prefix.clone(),
            },
            settings: settings.clone(),
            interval,
            samples,
            accumulator: Accumulator::default(),
            uuids: UuidSource::new(),
        })
    }

    fn defaults() -> Defaults {
        Defaults {
            ticker_interval: Some(10),
            ..Defaults::default()
        }
    }
}

impl StatAccumInput {
    /// The message of the interval that ends now.
    pub(crate) fn flush(&mut self, template: Message) -> Event {
        let now = now_nanos();
        let seconds = now / 1_000_000_000;
        let numbers = self.accumulator.flush(
            self.interval,
            &self.settings.percent_threshold,
            &self.naming,
            self.settings.delete_idle_stats,
        );
        let mut message = Message {
            uuid: Some(self.uuids.next_uuid()),
            timestamp: Some(now),
            kind: Some(self.settings.message_type.clone().into()),
            ..template
        };
        if self.settings.emit_in_payload {
            message.payload = Some(payload(&numbers, seconds).into());
        }
        if self.settings.emit_in_fields {
            message.fields = fields(&numbers, seconds);
        }
        message.into()
    }

    /// Takes samples until a moment, or until told to stop.
    fn gather(&mut self, until: Instant, cx: &InputContext) {
        while !cx.stop().is_raised() {
            let left = until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return;
            }
            match self.samples.recv_timeout(left.min(SLICE)) {
                Ok(stat) => self.add(stat, cx),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    cx.stop().wait(left);
                }
            }
        }
    }

    /// Takes all samples that are there already.
    pub(crate) fn take_waiting(&mut self) {
        while let Ok(stat) = self.samples.try_recv() {
            self.accumulator.add(stat);
        }
    }

    fn add(&mut self, stat: Stat, cx: &InputContext) {
        if !self.accumulator.add(stat) {
            cx.stats().dropped.add(1);
        }
    }
}

fn payload(numbers: &[(String, Number)], seconds: i64) -> String {
    let mut out = String::new();
    for (name, number) in numbers {
        // Writing to a String cannot fail.
        let _ = match number {
            Number::Integer(number) => writeln!(out, "{name} {number} {seconds}"),
            Number::Float(number) | Number::LegacyRate(number) => {
                writeln!(out, "{name} {number:.6} {seconds}")
            }
        };
    }
    out
}

fn fields(numbers: &[(String, Number)], seconds: i64) -> Vec<Field> {
    let mut fields = vec![Field::integer("timestamp", seconds, "")];
    for (name, number) in numbers {
        let name = name.clone();
        fields.push(match number {
            Number::Integer(number) => Field::integer(name, *number, ""),
            Number::Float(number) => Field::double(name, *number, ""),
            Number::LegacyRate(number) => Field::integer(name, *number as i64, ""),
        });
    }
    fields
}

impl Input for StatAccumInput {
    fn run(&mut self, cx: &InputContext) -> Result<(), String> {
        let mut emitter = cx.emitter();
        let template = Message {
            pid: Some(cx.globals().pid),
            ..cx.template()
        };
        let mut next = Instant::now() + self.interval;
        loop {
            self.gather(next, cx);
            let stopping = cx.stop().is_raised();
            if stopping {
                // Those who send end at the same time: what they sent last
                // is still there.
                self.take_waiting();
            }
            let message = self.flush(template.clone());
            emitter
                .emit(vec![message], None)
                .map_err(|error| error.to_string())?;
            if stopping {
                return Ok(());
            }
            next += self.interval;
        }
    }
}
