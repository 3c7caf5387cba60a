//! The parsers from outside: what bodies mean, and what is refused.

mod corpora;
mod openmetrics;
mod protobuf;
mod text;
mod writing;

use headwater_exposition::{Event, Format, Options, ParseError, Parser, Value};
use headwater_model::LabelsBuilder;

/// Prints everything that a body says, one line for each event.
fn events(body: &[u8], format: Format, options: Options) -> Result<Vec<String>, ParseError> {
    let mut parser = Parser::new(body, format, options)?;
    let mut lines = Vec::new();
    while let Some(event) = parser.next_event()? {
        lines.push(match event {
            Event::Help { family, help } => format!("help {family} {help:?}"),
            Event::Type {
                family,
                metric_type,
            } => format!("type {family} {metric_type}"),
            Event::Unit { family, unit } => format!("unit {family} {unit}"),
            Event::Sample(sample) => {
                let mut labels = LabelsBuilder::new();
                sample.labels(&mut labels)?;
                let value = match sample.value {
                    Value::Float(value) => value.to_string(),
                    Value::Histogram(h) => {
                        format!(
                            "histogram {}/{} {:?} {:?}",
                            h.count, h.sum, h.positive_spans, h.positive_deltas
                        )
                    }
                    Value::FloatHistogram(h) => {
                        format!(
                            "floats {}/{} {:?} {:?}",
                            h.count, h.sum, h.positive_spans, h.positive_buckets
                        )
                    }
                };
                let mut line = format!("{} {value}", labels.build());
                if let Some(time) = sample.time {
                    line.push_str(&format!(" @{time}"));
                }
                if let Some(start) = sample.start {
                    line.push_str(&format!(" since {start}"));
                }
                let mut exemplars = Vec::new();
                sample.exemplars(&mut exemplars)?;
                for exemplar in exemplars {
                    line.push_str(&format!(" # {} {}", exemplar.labels, exemplar.value));
                    if let Some(time) = exemplar.time {
                        line.push_str(&format!(" @{time}"));
                    }
                }
                line
            }
            _ => "unknown".to_owned(),
        });
    }
    Ok(lines)
}

#[track_caller]
fn says(body: &str, format: Format, expected: &[&str]) {
    assert_eq!(
        events(body.as_bytes(), format, Options::default()).as_deref(),
        Ok(expected.map_owned().as_slice())
    );
}

#[track_caller]
fn refuses(body: &str, format: Format, message: &str) {
    let error = events(body.as_bytes(), format, Options::default()).expect_err(body);
    assert_eq!(error.to_string(), message, "{body:?}");
}

trait MapOwned {
    fn map_owned(&self) -> Vec<String>;
}

impl MapOwned for [&str] {
    fn map_owned(&self) -> Vec<String> {
        self.iter().map(|line| (*line).to_owned()).collect()
    }
}
