//! OpenMetrics text, versions 0.0.1 and 1.0.0.
//!
//! Like the Prometheus text format, with units, exemplars, times in seconds and a last line
//! `# EOF`; nothing may be left out and no line may be empty.

use std::borrow::Cow;

use headwater_model::{MetricType, Timestamp};

use super::created::Created;
use super::error::{Fault, ParseError};
use super::event::{Event, RawExemplar, Sample, Source, Value};
use super::scan::{Scanner, unescape};
use super::text::{Family, family_name};

/// Reads one body.
#[derive(Debug)]
pub(crate) struct OpenMetricsParser<'b> {
    scanner: Scanner<'b>,
    family: Family<'b>,
    unit: Cow<'b, str>,
    ended: bool,
    /// Only where `_created` lines are wanted as start timestamps.
    created: Option<Created>,
}

/// What a line was, in terms that outlive the borrow of the parser.
enum Line {
    Help,
    Type,
    Unit,
    Sample {
        series: (usize, usize),
        value: f64,
        time: Option<Timestamp>,
        exemplar: Option<RawExemplar>,
        start: Option<Timestamp>,
    },
}

impl<'b> OpenMetricsParser<'b> {
    pub(crate) fn new(body: &'b str, created_as_start: bool) -> Self {
        Self {
            scanner: Scanner::new(body),
            family: Family::default(),
            unit: Cow::default(),
            ended: false,
            created: created_as_start.then(Created::default),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        let body = self.scanner.text;
        let line = self.line().map_err(|fault| fault.locate(body.as_bytes()))?;
        let family = &*self.family.name;
        let metric_type = self.family.metric_type;
        Ok(line.map(|line| match line {
            Line::Help => Event::Help {
                family,
                help: &self.family.text,
            },
            Line::Type => Event::Type {
                family,
                metric_type,
            },
            Line::Unit => Event::Unit {
                family,
                unit: &self.unit,
            },
            Line::Sample {
                series: (start, end),
                value,
                time,
                exemplar,
                start: began,
            } => Event::Sample(Sample {
                series: &body.as_bytes()[start..end],
                value: Value::Float(value),
                time,
                start: began,
                family,
                metric_type,
                source: Source::Text {
                    body,
                    series_at: start,
                    exemplar,
                },
            }),
        }))
    }

    /// The next line that says something to the caller.
    fn line(&mut self) -> Result<Option<Line>, Fault> {
        loop {
            let Some(mut line) = self.any_line()? else {
                return Ok(None);
            };
            let Some(created) = &mut self.created else {
                return Ok(Some(line));
            };
            let Line::Sample { series, start, .. } = &mut line else {
                return Ok(Some(line));
            };
            if let Some(began) = created.start_of(&self.scanner, series.0, &self.family.name)? {
                *start = began;
                return Ok(Some(line));
            }
        }
    }

    fn any_line(&mut self) -> Result<Option<Line>, Fault> {
        if self.ended {
            return Ok(None);
        }
        let line = match self.scanner.peek() {
            None => return self.scanner.fault("data does not end with # EOF"),
            Some(b'#') => self.comment()?,
            Some(b'\n') => return self.scanner.fault("empty line"),
            Some(_) => Some(self.sample()?),
        };
        if line.is_none() {
            self.ended = true;
            self.scanner.eat(b'\n');
            if self.scanner.peek().is_some() {
                return self.scanner.fault("unexpected data after # EOF");
            }
            return Ok(None);
        }
        if !self.scanner.eat(b'\n') && self.scanner.peek().is_some() {
            return self.scanner.fault("expected the end of the line");
        }
        Ok(line)
    }

    /// A line about a family; `None` for the end of the data.
    fn comment(&mut self) -> Result<Option<Line>, Fault> {
        let start = self.scanner.at;
        self.scanner.at += 1;
        self.scanner.skip_blanks();
        let word = self.scanner.token();
        if word == "EOF" {
            return Ok(None);
        }
        if !matches!(word, "HELP" | "TYPE" | "UNIT") {
            return Err(Fault::new(
                start,
                "only HELP, TYPE, UNIT and EOF may follow #",
            ));
        }
        self.scanner.skip_blanks();
        let name = family_name(&mut self.scanner)?;
        self.family.enter(name);
        self.scanner.skip_blanks();
        let at = self.scanner.at;
        let text = self.scanner.line_rest();
        match word {
            "HELP" => {
                self.family.text.clear();
                unescape(text, &mut self.family.text);
                Ok(Some(Line::Help))
            }
            "TYPE" => {
                self.family.metric_type = metric_type(text, at)?;
                if let Some(created) = &mut self.created {
                    created.read_ahead(&self.scanner, &self.family.name, self.family.metric_type);
                }
                Ok(Some(Line::Type))
            }
            _ => {
                self.check_unit(text, at)?;
                self.unit = Cow::Borrowed(text);
                Ok(Some(Line::Unit))
            }
        }
    }

    /// A unit that is given is the last part of the family's name.
    fn check_unit(&self, unit: &str, at: usize) -> Result<(), Fault> {
        let name = &*self.family.name;
        let fits = name
            .strip_suffix(unit)
            .is_some_and(|stem| unit.is_empty() || stem.ends_with('_'));
        if fits {
            return Ok(());
        }
        Err(Fault::new(
            at,
            format!("unit {unit:?} not a suffix of metric {name:?}"),
        ))
    }

    fn sample(&mut self) -> Result<Line, Fault> {
        let series = self.scanner.series()?;
        self.scanner.skip_blanks();
        let value = self.scanner.float("value")?;
        self.scanner.skip_blanks();
        let time = match self.scanner.peek() {
            None | Some(b'\n' | b'#') => None,
            Some(_) => Some(self.seconds("timestamp")?),
        };
        self.scanner.skip_blanks();
        let exemplar = if self.scanner.eat(b'#') {
            Some(self.exemplar()?)
        } else {
            None
        };
        Ok(Line::Sample {
            series,
            value,
            time,
            exemplar,
            start: None,
        })
    }

    fn exemplar(&mut self) -> Result<RawExemplar, Fault> {
        self.scanner.skip_blanks();
        let labels_at = self.scanner.at;
        if self.scanner.peek() != Some(b'{') {
            return self.scanner.fault("expected the labels of an exemplar");
        }
        self.scanner.braces()?;
        self.scanner.skip_blanks();
        let value = self.scanner.float("exemplar value")?;
        self.scanner.skip_blanks();
        let time = match self.scanner.peek() {
            None | Some(b'\n') => None,
            Some(_) => Some(self.seconds("exemplar timestamp")?),
        };
        Ok(RawExemplar {
            labels_at,
            value,
            time,
        })
    }

    /// Seconds, perhaps with a fraction, as milliseconds.
    fn seconds(&mut self, what: &str) -> Result<Timestamp, Fault> {
        let at = self.scanner.at;
        let seconds = self.scanner.float(what)?;
        let milliseconds = seconds * 1000.0;
        if !(-9.2e18..9.2e18).contains(&milliseconds) {
            return Err(Fault::new(at, format!("invalid {what} {seconds}")));
        }
        // Cut, not rounded, as Prometheus does.
        Ok(milliseconds as Timestamp)
    }
}

fn metric_type(word: &str, at: usize) -> Result<MetricType, Fault> {
    match MetricType::from_word(word) {
        Some(known) if word != "untyped" => Ok(known),
        _ => Err(Fault::new(at, format!("invalid metric type {word:?}"))),
    }
}
