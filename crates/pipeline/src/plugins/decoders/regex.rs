//! Fields out of text by regular expression.

use std::collections::BTreeMap;

use headwater_regexp::{Groups, Regex};
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::Deserialize;

use crate::event::Event;
use crate::plugin::{BuildContext, BuildError, Decoder, Decoding, Incoming, Plugin};
use crate::plugins::template::{Template, integer};
use crate::timefmt::Layout;

/// Settings of [`PayloadRegexDecoder`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct PayloadRegexDecoderSettings {
    /// Matched against the payload; named groups are what it finds.
    pub match_regex: String,
    /// Severity by the text of the group `Severity`.
    pub severity_map: BTreeMap<String, i32>,
    /// Headers to set and fields to add; `%Group%` is replaced.
    pub message_fields: BTreeMap<String, String>,
    /// Go layout of the group `Timestamp`, or Epoch, EpochMilli, EpochMicro,
    /// EpochNano.
    pub timestamp_layout: String,
    /// Time zone of times without an offset.
    pub timestamp_location: String,
    /// Whether a payload that does not match is an error.
    pub log_errors: bool,
}

impl Default for PayloadRegexDecoderSettings {
    fn default() -> PayloadRegexDecoderSettings {
        PayloadRegexDecoderSettings {
            match_regex: String::new(),
            severity_map: BTreeMap::new(),
            message_fields: BTreeMap::new(),
            timestamp_layout: String::new(),
            timestamp_location: "UTC".to_owned(),
            log_errors: true,
        }
    }
}

/// Matches the payload and sets headers and fields from named groups.
#[derive(Debug)]
pub struct PayloadRegexDecoder {
    regex: Regex,
    groups: Groups,
    /// Names of groups and their numbers.
    names: Vec<(String, usize)>,
    template: Template,
    severities: BTreeMap<String, i32>,
    times: Times,
    zone: TimeZone,
    log_errors: bool,
}

/// How the group `Timestamp` is read.
#[derive(Debug)]
enum Times {
    /// A number of units of so many nanoseconds.
    Epoch(i64),
    /// By one of these layouts.
    Layouts(Vec<Layout>),
}

/// Tried in turn when no layout is set.
const COMMON_LAYOUTS: [&str; 11] = [
    "2006-01-02T15:04:05Z07:00",
    "2006-01-02T15:04:05",
    "2006-01-02 15:04:05",
    "Mon Jan _2 15:04:05 2006",
    "Mon Jan _2 15:04:05 MST 2006",
    "Mon Jan 02 15:04:05 -0700 2006",
    "02 Jan 06 15:04 MST",
    "02 Jan 06 15:04 -0700",
    "Mon, 02 Jan 2006 15:04:05 MST",
    "Mon, 02 Jan 2006 15:04:05 -0700",
    "02/Jan/2006:15:04:05 -0700",
];

impl Plugin for PayloadRegexDecoder {
    const TYPE: &'static str = "PayloadRegexDecoder";
    type Settings = PayloadRegexDecoderSettings;

    fn build(
        settings: &PayloadRegexDecoderSettings,
        _: &BuildContext<'_>,
    ) -> Result<PayloadRegexDecoder, BuildError> {
        let regex = Regex::new(&settings.match_regex).map_err(BuildError::new)?;
        if regex.group_count() < 2 {
            return Err(BuildError::new("match_regex must contain capture groups"));
        }
        let zone = zone(&settings.timestamp_location)?;
        let numbered = regex.group_names().enumerate();
        let names = numbered.filter_map(|(number, name)| Some((name?.to_owned(), number)));
        Ok(PayloadRegexDecoder {
            names: names.collect(),
            groups: regex.groups(),
            regex,
            template: Template::new(&settings.message_fields, true),
            severities: settings.severity_map.clone(),
            times: Times::new(&settings.timestamp_layout),
            zone,
            log_errors: settings.log_errors,
        })
    }
}

fn zone(name: &str) -> Result<TimeZone, BuildError> {
    match name {
        "" | "UTC" => Ok(TimeZone::UTC),
        "Local" => Ok(TimeZone::system()),
        name => TimeZone::get(name)
            .map_err(|_| BuildError::new(format!("unknown timestamp_location '{name}'"))),
    }
}

impl Times {
    fn new(layout: &str) -> Times {
        match layout {
            "Epoch" => Times::Epoch(1_000_000_000),
            "EpochMilli" => Times::Epoch(1_000_000),
            "EpochMicro" => Times::Epoch(1000),
            "EpochNano" => Times::Epoch(1),
            "" => Times::Layouts(COMMON_LAYOUTS.map(Layout::new).to_vec()),
            layout => Times::Layouts(vec![Layout::new(layout)]),
        }
    }

    fn parse(&self, text: &str, zone: &TimeZone) -> Option<i64> {
        match self {
            Times::Epoch(unit) => epoch(text, *unit),
            Times::Layouts(layouts) => {
                let year = Timestamp::now().to_zoned(zone.clone()).year();
                layouts
                    .iter()
                    .find_map(|layout| layout.parse(text, zone, year))
            }
        }
    }
}

/// Whole units, or seconds with a fraction.
fn epoch(text: &str, unit: i64) -> Option<i64> {
    match text.parse::<i64>() {
        Ok(number) => number.checked_mul(unit),
        Err(_) => {
            let number: f64 = text.parse().ok()?;
            number.is_finite().then_some((number * unit as f64) as i64)
        }
    }
}

impl Decoder for PayloadRegexDecoder {
    fn decode(&mut self, incoming: Incoming, out: &mut Vec<Event>) -> Decoding {
        let mut event = incoming.into_event();
        let payload = match &event.message_mut().payload {
            Some(payload) => payload.clone(),
            None => Default::default(),
        };
        if !self.regex.match_groups(&payload, &mut self.groups) {
            let incoming = Incoming::Event(event);
            if !self.log_errors {
                return Decoding::Skipped(incoming);
            }
            let text = String::from_utf8_lossy(&payload).into_owned();
            return Decoding::Failed(incoming, format!("No match: {text}"));
        }
        match self.fill(&mut event, &payload) {
            Ok(()) => {
                out.push(event);
                Decoding::Done
            }
            Err(reason) => Decoding::Failed(Incoming::Event(event), reason),
        }
    }
}

impl PayloadRegexDecoder {
    /// What a group found; one that took no part found nothing.
    fn group<'a>(&self, payload: &'a [u8], name: &str) -> Option<&'a [u8]> {
        let (_, number) = self.names.iter().find(|(known, _)| known == name)?;
        let range = self.groups.range(*number).unwrap_or(0..0);
        Some(&payload[range])
    }

    fn fill(&self, event: &mut Event, payload: &[u8]) -> Result<(), String> {
        let message = event.message_mut();
        if let Some(text) = self.group(payload, "Timestamp") {
            let text = String::from_utf8_lossy(text);
            match self.times.parse(&text, &self.zone) {
                Some(nanos) => message.timestamp = Some(nanos),
                None => tracing::warn!("time not recognized: {text:?}"),
            }
        }
        if let Some(text) = self.group(payload, "Severity") {
            let mapped = std::str::from_utf8(text)
                .ok()
                .and_then(|text| self.severities.get(text));
            let severity = mapped.copied().or_else(|| integer(text).ok());
            message.severity = severity.or(message.severity);
        }
        self.template
            .apply(message, &|name| self.group(payload, name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::Message;
    use crate::plugin::{conformance, for_test};

    const SETTINGS: &str = r#"
match_regex = '^\[(?P<Timestamp>[^\]]+)\] (?P<Severity>\w+) (?P<Word>\S+)'
timestamp_layout = "2006-01-02 15:04:05"
timestamp_location = "Asia/Kolkata"
[severity_map]
WARN = 4
[message_fields]
Type = "log"
"word|count" = "<%Word%>"
"#;

    fn incoming(payload: &str) -> Incoming {
        Incoming::Event(Event::from(Message {
            timestamp: Some(7),
            payload: Some(payload.to_owned().into()),
            ..Message::default()
        }))
    }

    fn decoded(settings: &str, payload: &str) -> Result<Message, String> {
        let mut decoder: PayloadRegexDecoder = for_test(settings)?;
        conformance::decoder(&mut decoder, incoming(payload))?;
        let mut out = Vec::new();
        match decoder.decode(incoming(payload), &mut out) {
            Decoding::Done => Ok(out[0].to_message()),
            Decoding::Skipped(_) => Err("skipped".to_owned()),
            Decoding::Failed(_, reason) => Err(reason),
        }
    }

    #[test]
    fn groups_become_headers_and_fields() {
        let message = decoded(SETTINGS, "[2014-07-10 07:04:56] WARN disk").unwrap();
        assert_eq!(message.timestamp, Some(1_404_956_096_000_000_000));
        assert_eq!(message.severity, Some(4));
        assert_eq!(message.kind.as_deref(), Some(&b"log"[..]));
        assert_eq!(
            message.field("word"),
            Some(&crate::message::Field::string("word", "<disk>", "count"))
        );
    }

    #[test]
    fn a_time_that_is_none_leaves_the_messages_own() {
        let message = decoded(SETTINGS, "[yesterday] WARN disk").unwrap();
        assert_eq!(message.timestamp, Some(7));
    }

    #[test]
    fn what_does_not_match_fails_or_is_skipped() {
        assert_eq!(decoded(SETTINGS, "nope").unwrap_err(), "No match: nope");
        let quiet = format!("log_errors = false\n{SETTINGS}");
        assert_eq!(decoded(&quiet, "nope").unwrap_err(), "skipped");
    }

    #[test]
    fn a_pattern_without_groups_is_refused() {
        assert!(for_test::<PayloadRegexDecoder>("match_regex = 'abc'").is_err());
    }
}
