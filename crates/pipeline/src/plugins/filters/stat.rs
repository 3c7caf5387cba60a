//! Statistics out of messages.

use std::collections::BTreeMap;

use serde::Deserialize;

use crate::event::Event;
use crate::flow::Delivery;
use crate::message::Value;
use crate::plugin::{BuildContext, BuildError, Filter, FilterContext, Plugin};
use crate::stat::{Stat, StatKind, StatSink};

/// Settings of [`StatFilter`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct StatFilterSettings {
    /// What to make of each message, by any name.
    #[serde(rename = "Metric")]
    pub metric: BTreeMap<String, MetricSettings>,
    /// Section of the StatAccumInput that adds up.
    pub stat_accum_name: String,
}

impl Default for StatFilterSettings {
    fn default() -> StatFilterSettings {
        StatFilterSettings {
            metric: BTreeMap::new(),
            stat_accum_name: "StatAccumInput".to_owned(),
        }
    }
}

/// One statistic.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct MetricSettings {
    /// `Counter`, `Timer` or `Gauge`.
    pub r#type: String,
    /// Name of the bucket; `%Field%` is replaced.
    pub name: String,
    /// The number; `%Field%` is replaced.
    pub value: String,
    /// Write `_` for dots in what is replaced.
    pub replace_dot: bool,
}

/// Sends statistics made of messages to an accumulator.
#[derive(Debug)]
pub struct StatFilter {
    metrics: Vec<(StatKind, MetricSettings)>,
    accumulator: String,
}

impl Plugin for StatFilter {
    const TYPE: &'static str = "StatFilter";
    type Settings = StatFilterSettings;

    fn build(
        settings: &StatFilterSettings,
        _: &BuildContext<'_>,
    ) -> Result<StatFilter, BuildError> {
        let metric = |metric: &MetricSettings| {
            let kind = match metric.r#type.as_str() {
                "Counter" => StatKind::Counter,
                "Timer" => StatKind::Timer,
                "Gauge" => StatKind::Gauge,
                other => {
                    let text = format!("metric type {other:?} is none of Counter, Timer, Gauge");
                    return Err(BuildError::new(text));
                }
            };
            Ok((kind, metric.clone()))
        };
        Ok(StatFilter {
            metrics: settings
                .metric
                .values()
                .map(metric)
                .collect::<Result<_, _>>()?,
            accumulator: settings.stat_accum_name.clone(),
        })
    }
}

/// Replaces `%Name%` by headers and fields of the message. `None` if one is
/// not there.
fn fill(text: &str, event: &Event, replace_dot: bool) -> Option<String> {
    let mut out = String::new();
    let mut rest = text;
    while let Some((before, behind)) = rest.split_once('%') {
        out.push_str(before);
        let Some((name, behind)) = behind.split_once('%') else {
            out.push('%');
            rest = behind;
            continue;
        };
        let value = lookup(name, event)?;
        if replace_dot {
            out.push_str(&value.replace('.', "_"));
        } else {
            out.push_str(&value);
        }
        rest = behind;
    }
    out.push_str(rest);
    Some(out)
}

fn lookup(name: &str, event: &Event) -> Option<String> {
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Some(match name {
        "Type" => text(event.kind()),
        "Logger" => text(event.logger()),
        "Hostname" => text(event.hostname()),
        "Payload" => text(event.payload()),
        "EnvVersion" => text(event.env_version()),
        "Pid" => event.pid().to_string(),
        "Severity" => event.severity().to_string(),
        name => match event.field(name.as_bytes(), 0)?.value(0)? {
            Value::String(value) | Value::Bytes(value) => text(value),
            Value::Integer(number) => number.to_string(),
            Value::Double(number) => number.to_string(),
            Value::Bool(value) => value.to_string(),
        },
    })
}

impl StatFilter {
    /// The way to the accumulator. It is asked for again and again, because
    /// an accumulator that starts anew has another one.
    fn sink(&self, cx: &FilterContext) -> Result<StatSink, String> {
        let sink = cx.services().stats(&self.accumulator);
        sink.ok_or_else(|| format!("No Input named '{}'", self.accumulator))
    }
}

impl Filter for StatFilter {
    fn start(&mut self, cx: &mut FilterContext) -> Result<(), String> {
        self.sink(cx).map(drop)
    }

    fn process(&mut self, delivery: &Delivery, cx: &mut FilterContext) -> Result<(), String> {
        let sink = self.sink(cx)?;
        for event in delivery.events() {
            for (kind, metric) in &self.metrics {
                let bucket = fill(&metric.name, event, metric.replace_dot);
                let value = fill(&metric.value, event, false).and_then(|text| text.parse().ok());
                let (Some(bucket), Some(value)) = (bucket, value) else {
                    cx.stats().failed.add(1);
                    continue;
                };
                let sent = sink.send(Stat {
                    bucket,
                    value,
                    kind: *kind,
                    rate: 1.0,
                });
                if !sent {
                    cx.stats().dropped.add(1);
                }
            }
        }
        Ok(())
    }
}
