//! The Prometheus text format, versions 0.0.4 and 1.0.0 (quoted names).
//!
//! Lines are `# HELP name text`, `# TYPE name type`, other comments, or a sample:
//! series, value, and perhaps a time in milliseconds, with blanks between.

use std::borrow::Cow;

use headwater_model::MetricType;

use super::error::{Fault, ParseError};
use super::event::{Event, Sample, Source, Value};
use super::scan::{METRIC, Scanner, unescape};

/// Reads one body.
#[derive(Debug)]
pub(crate) struct TextParser<'b> {
    scanner: Scanner<'b>,
    family: Family<'b>,
}

/// The family that the last `# TYPE` or `# HELP` line named.
#[derive(Debug, Default)]
pub(crate) struct Family<'b> {
    pub(crate) name: Cow<'b, str>,
    pub(crate) metric_type: MetricType,
    /// Holds the help text while the caller looks at it.
    pub(crate) text: String,
}

impl<'b> Family<'b> {
    /// A line about a family; another name forgets the type.
    pub(crate) fn enter(&mut self, name: Cow<'b, str>) {
        if self.name != name {
            self.name = name;
            self.metric_type = MetricType::Unknown;
        }
    }
}

/// What a line was, in terms that outlive the borrow of the parser.
enum Line {
    Help,
    Type,
    Sample {
        series: (usize, usize),
        value: f64,
        time: Option<i64>,
    },
}

impl<'b> TextParser<'b> {
    pub(crate) fn new(body: &'b str) -> Self {
        Self {
            scanner: Scanner::new(body),
            family: Family::default(),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        let body = self.scanner.text;
        let line = self.line().map_err(|fault| fault.locate(body.as_bytes()))?;
        let family = &*self.family.name;
        Ok(line.map(|line| match line {
            Line::Help => Event::Help {
                family,
                help: &self.family.text,
            },
            Line::Type => Event::Type {
                family,
                metric_type: self.family.metric_type,
            },
            Line::Sample {
                series: (start, end),
                value,
                time,
            } => Event::Sample(Sample {
                series: &body.as_bytes()[start..end],
                value: Value::Float(value),
                time,
                start: None,
                family,
                metric_type: self.family.metric_type,
                source: Source::Text {
                    body,
                    series_at: start,
                    exemplar: None,
                },
            }),
        }))
    }

    /// The next line that says something.
    fn line(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            self.scanner.skip_blanks();
            match self.scanner.peek() {
                None => return Ok(None),
                Some(b'\n') => self.scanner.at += 1,
                Some(b'#') => {
                    if let Some(line) = self.comment()? {
                        return Ok(Some(line));
                    }
                }
                Some(_) => return self.sample().map(Some),
            }
        }
    }

    /// `# HELP`, `# TYPE`, or a comment for people, which is `None`.
    fn comment(&mut self) -> Result<Option<Line>, Fault> {
        self.scanner.at += 1;
        let blank = self.scanner.at;
        self.scanner.skip_blanks();
        let word = if self.scanner.at > blank {
            self.scanner.token()
        } else {
            ""
        };
        let line = match word {
            "HELP" => {
                self.name()?;
                self.scanner.skip_blanks();
                self.family.text.clear();
                unescape(self.scanner.line_rest(), &mut self.family.text);
                Some(Line::Help)
            }
            "TYPE" => {
                self.name()?;
                self.metric_type()?;
                Some(Line::Type)
            }
            _ => {
                self.scanner.line_rest();
                None
            }
        };
        self.end_of_line()?;
        Ok(line)
    }

    /// The name of the family, plain or quoted.
    fn name(&mut self) -> Result<(), Fault> {
        self.scanner.skip_blanks();
        let name = family_name(&mut self.scanner)?;
        self.family.enter(name);
        Ok(())
    }

    fn metric_type(&mut self) -> Result<(), Fault> {
        self.scanner.skip_blanks();
        let at = self.scanner.at;
        let word = self.scanner.line_rest().trim_end_matches([' ', '\t', '\r']);
        self.family.metric_type = match word {
            "untyped" | "unknown" => MetricType::Unknown,
            "counter" => MetricType::Counter,
            "gauge" => MetricType::Gauge,
            "histogram" => MetricType::Histogram,
            "summary" => MetricType::Summary,
            word => return Err(Fault::new(at, format!("invalid metric type {word:?}"))),
        };
        Ok(())
    }

    fn sample(&mut self) -> Result<Line, Fault> {
        let series = self.scanner.series()?;
        self.scanner.skip_blanks();
        let value = self.scanner.float("value")?;
        self.scanner.skip_blanks();
        let time = match self.scanner.peek() {
            None | Some(b'\n') => None,
            Some(_) => Some(self.milliseconds()?),
        };
        self.end_of_line()?;
        Ok(Line::Sample {
            series,
            value,
            time,
        })
    }

    fn milliseconds(&mut self) -> Result<i64, Fault> {
        let at = self.scanner.at;
        let token = self.scanner.token();
        token.parse().map_err(|_| {
            Fault::new(
                at,
                format!("invalid timestamp {token:?}: expected milliseconds"),
            )
        })
    }

    fn end_of_line(&mut self) -> Result<(), Fault> {
        self.scanner.skip_blanks();
        match self.scanner.peek() {
            None => Ok(()),
            Some(b'\n') => {
                self.scanner.at += 1;
                Ok(())
            }
            Some(_) => self.scanner.fault("expected the end of the line"),
        }
    }
}

/// The name of a metric family as the lines about it have it: plain or quoted.
pub(crate) fn family_name<'b>(scanner: &mut Scanner<'b>) -> Result<Cow<'b, str>, Fault> {
    if scanner.peek() == Some(b'"') {
        let quoted = scanner.quoted()?;
        let mut name = String::with_capacity(quoted.len());
        unescape(quoted, &mut name);
        return Ok(Cow::Owned(name));
    }
    let name = scanner.run(METRIC);
    if name.is_empty() {
        return scanner.fault("expected a metric name");
    }
    Ok(Cow::Borrowed(name))
}
