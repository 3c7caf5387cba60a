//! Prometheus's protobuf format: `io.prometheus.client.MetricFamily` messages, each behind
//! its length. Field numbers stand where they are read.

use headwater_model::label::METRIC_NAME;
use headwater_model::{Exemplar, LabelsBuilder, MetricType};

use super::error::ParseError;
use super::event::{Event, Sample, Source, Value};
use super::native::NativeHistogram;
use super::wire::{Fields, Malformed};
use super::{Bound, Options};
use crate::float::push_float_openmetrics;

/// Reads one body.
#[derive(Debug)]
pub(crate) struct ProtobufParser<'b> {
    body: &'b [u8],
    /// Families not yet begun.
    messages: Fields<'b>,
    /// Number of families begun.
    number: usize,
    /// Where the current family begins in the body.
    family_at: usize,
    family: Family<'b>,
    metrics: Fields<'b>,
    step: Step,
    metric: Metric<'b>,
    options: Options,
    key: Vec<u8>,
}

/// What comes next of the current family.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Step {
    Help,
    Type,
    Unit,
    Metrics,
}

#[derive(Debug, Default)]
struct Family<'b> {
    name: &'b str,
    help: &'b str,
    unit: &'b str,
    metric_type: MetricType,
}

/// One metric, taken apart into samples. The vectors are used again for the next.
#[derive(Debug, Default)]
struct Metric<'b> {
    labels: Vec<(&'b str, &'b str)>,
    /// The labels' part of the key.
    label_key: Vec<u8>,
    time: Option<i64>,
    start: Option<i64>,
    samples: Vec<Part>,
    /// How many samples have been handed out.
    done: usize,
    exemplars: Vec<Exemplar>,
    native: NativeHistogram,
}

/// One sample of a metric.
#[derive(Debug, Clone, Copy)]
struct Part {
    suffix: &'static str,
    bound: Option<(Bound, f64)>,
    /// `None` for the native histogram.
    value: Option<f64>,
    exemplars: (usize, usize),
}

/// The labels of one sample of a metric.
#[derive(Debug)]
pub(crate) struct SeriesLabels<'p> {
    name: &'p str,
    suffix: &'static str,
    labels: &'p [(&'p str, &'p str)],
    bound: Option<(Bound, f64)>,
}

impl SeriesLabels<'_> {
    pub(crate) fn push_to(&self, out: &mut LabelsBuilder) {
        match self.suffix {
            "" => out.push(METRIC_NAME, self.name),
            suffix => out.push(METRIC_NAME, &format!("{}{suffix}", self.name)),
        }
        self.labels
            .iter()
            .for_each(|(name, value)| out.push(name, value));
        if let Some((bound, number)) = self.bound {
            let mut text = String::with_capacity(24);
            push_float_openmetrics(&mut text, number);
            out.push(bound.label(), &text);
        }
    }
}

impl<'b> ProtobufParser<'b> {
    pub(crate) fn new(body: &'b [u8], options: Options) -> Self {
        Self {
            body,
            messages: Fields::new(body),
            number: 0,
            family_at: 0,
            family: Family::default(),
            metrics: Fields::new(&[]),
            step: Step::Metrics,
            metric: Metric::default(),
            options,
            key: Vec::new(),
        }
    }

    pub(crate) fn next(&mut self) -> Result<Option<Event<'_>>, ParseError> {
        loop {
            match self.step {
                Step::Help => {
                    self.step = Step::Type;
                    return Ok(Some(Event::Help {
                        family: self.family.name,
                        help: self.family.help,
                    }));
                }
                Step::Type => {
                    self.step = Step::Unit;
                    let Family {
                        name, metric_type, ..
                    } = self.family;
                    return Ok(Some(Event::Type {
                        family: name,
                        metric_type,
                    }));
                }
                Step::Unit => {
                    self.step = Step::Metrics;
                    if !self.family.unit.is_empty() {
                        return Ok(Some(Event::Unit {
                            family: self.family.name,
                            unit: self.family.unit,
                        }));
                    }
                }
                Step::Metrics if self.metric.done < self.metric.samples.len() => {
                    return Ok(Some(Event::Sample(self.sample())));
                }
                Step::Metrics => {
                    let more = self
                        .next_metric()
                        .and_then(|found| Ok(found || self.next_family()?));
                    if !more.map_err(|malformed| self.locate(malformed))? {
                        return Ok(None);
                    }
                }
            }
        }
    }

    fn locate(&self, malformed: Malformed) -> ParseError {
        ParseError::in_message(self.number, self.family_at, malformed.what)
    }

    fn next_family(&mut self) -> Result<bool, Malformed> {
        if self.messages.is_empty() {
            return Ok(false);
        }
        self.number += 1;
        let message = self.messages.delimited()?;
        self.family_at = message.as_ptr() as usize - self.body.as_ptr() as usize;
        self.family = Family::read(message)?;
        self.metrics = Fields::new(message);
        self.step = Step::Help;
        Ok(true)
    }

    /// Takes the next metric of the family apart.
    fn next_metric(&mut self) -> Result<bool, Malformed> {
        while let Some((number, field)) = self.metrics.next()? {
            if number == 4 {
                self.metric
                    .read(field.bytes()?, &self.family, self.options)?;
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn sample(&mut self) -> Sample<'_> {
        let Part {
            suffix,
            bound,
            value,
            exemplars,
        } = self.metric.samples[self.metric.done];
        self.metric.done += 1;
        self.key.clear();
        self.key.extend_from_slice(self.family.name.as_bytes());
        self.key.extend_from_slice(suffix.as_bytes());
        self.key.extend_from_slice(&self.metric.label_key);
        if let Some((bound, number)) = bound {
            self.key.push(bound as u8);
            self.key.extend_from_slice(&number.to_bits().to_le_bytes());
        }
        let metric = &self.metric;
        Sample {
            series: &self.key,
            value: value.map_or_else(|| metric.native.value(), Value::Float),
            time: metric.time,
            start: metric.start,
            family: self.family.name,
            metric_type: self.family.metric_type,
            source: Source::Protobuf {
                labels: SeriesLabels {
                    name: self.family.name,
                    suffix,
                    labels: &metric.labels,
                    bound,
                },
                exemplars: &metric.exemplars[exemplars.0..exemplars.1],
            },
        }
    }
}

impl<'b> Family<'b> {
    /// Everything but the metrics, wherever it stands in the message.
    fn read(message: &'b [u8]) -> Result<Self, Malformed> {
        let mut family = Self::default();
        let mut fields = Fields::new(message);
        let mut word = 0;
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => family.name = field.text()?,
                2 => family.help = field.text()?,
                3 => word = field.integer()?,
                5 => family.unit = field.text()?,
                _ => {}
            }
        }
        family.metric_type = match word {
            0 => MetricType::Counter,
            1 => MetricType::Gauge,
            2 => MetricType::Summary,
            4 => MetricType::Histogram,
            5 => MetricType::GaugeHistogram,
            _ => MetricType::Unknown,
        };
        if family.name.is_empty() {
            return Err(Malformed {
                what: "a metric family has no name",
                left: 0,
            });
        }
        Ok(family)
    }
}

impl<'b> Metric<'b> {
    fn read(
        &mut self,
        message: &'b [u8],
        family: &Family<'b>,
        options: Options,
    ) -> Result<(), Malformed> {
        self.clear();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => self.read_label(field.bytes()?)?,
                // A gauge, a counter or an untyped metric.
                2 | 3 | 5 => self.read_simple(field.bytes()?)?,
                4 => self.read_summary(field.bytes()?)?,
                7 => self.read_histogram(field.bytes()?, family.metric_type, options)?,
                6 => self.time = Some(field.integer()? as i64),
                _ => {}
            }
        }
        for (name, value) in &self.labels {
            // Neither byte occurs in text, so that no two label sets have one key.
            self.label_key.push(0xff);
            self.label_key.extend_from_slice(name.as_bytes());
            self.label_key.push(0xfe);
            self.label_key.extend_from_slice(value.as_bytes());
        }
        self.label_key.push(0xff);
        Ok(())
    }

    fn clear(&mut self) {
        self.labels.clear();
        self.label_key.clear();
        self.samples.clear();
        self.exemplars.clear();
        self.done = 0;
        self.time = None;
        self.start = None;
    }

    fn read_label(&mut self, message: &'b [u8]) -> Result<(), Malformed> {
        let pair = label_pair(message)?;
        self.labels.push(pair);
        Ok(())
    }

    fn push(&mut self, suffix: &'static str, bound: Option<(Bound, f64)>, value: f64) {
        let none = self.exemplars.len();
        self.samples.push(Part {
            suffix,
            bound,
            value: Some(value),
            exemplars: (none, none),
        });
    }

    fn read_simple(&mut self, message: &'b [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        let mut value = 0.0;
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => value = field.double()?,
                2 => self.exemplars.push(exemplar(field.bytes()?)?),
                3 => self.start = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        let exemplars = (0, self.exemplars.len());
        self.samples.push(Part {
            suffix: "",
            bound: None,
            value: Some(value),
            exemplars,
        });
        Ok(())
    }

    fn read_summary(&mut self, message: &'b [u8]) -> Result<(), Malformed> {
        let mut fields = Fields::new(message);
        self.push("_count", None, 0.0);
        self.push("_sum", None, 0.0);
        while let Some((number, field)) = fields.next()? {
            match number {
                1 => self.samples[0].value = Some(field.integer()? as f64),
                2 => self.samples[1].value = Some(field.double()?),
                3 => {
                    let (quantile, value) = quantile(field.bytes()?)?;
                    self.push("", Some((Bound::Quantile, quantile)), value);
                }
                4 => self.start = Some(timestamp(field.bytes()?)?),
                _ => {}
            }
        }
        Ok(())
    }

    fn read_histogram(
        &mut self,
        message: &'b [u8],
        metric_type: MetricType,
        options: Options,
    ) -> Result<(), Malformed> {
        self.native.read(message)?;
        self.start = self.native.start;
        let native = options.native_histograms && self.native.is_native();
        if native {
            self.native.finish(metric_type);
            self.read_native_exemplars(message)?;
            let exemplars = (0, self.exemplars.len());
            self.samples.push(Part {
                suffix: "",
                bound: None,
                value: None,
                exemplars,
            });
        }
        if !native || (options.classic_beside_native && self.native.has_classic_buckets) {
            self.read_classic(message)?;
        }
        Ok(())
    }

    /// The histogram's own exemplars, or else those of its buckets; without a time none is taken.
    fn read_native_exemplars(&mut self, message: &'b [u8]) -> Result<(), Malformed> {
        let mut of_buckets = Vec::new();
        let mut fields = Fields::new(message);
        while let Some((number, field)) = fields.next()? {
            match number {
                16 => self.exemplars.push(exemplar(field.bytes()?)?),
                3 => of_buckets.extend(bucket(field.bytes()?)?.exemplar),
                _ => {}
            }
        }
        if self.exemplars.is_empty() {
            self.exemplars = of_buckets;
        }
        self.exemplars.retain(|exemplar| exemplar.time.is_some());
        Ok(())
    }

    /// Cumulative buckets, as the text formats have them; `+Inf` is added where it is missing.
    fn read_classic(&mut self, message: &'b [u8]) -> Result<(), Malformed> {
        let count = self.native.total();
        self.push("_count", None, count);
        self.push("_sum", None, self.native.sum());
        let mut fields = Fields::new(message);
        let mut complete = false;
        while let Some((number, field)) = fields.next()? {
            if number != 3 {
                continue;
            }
            let bucket = bucket(field.bytes()?)?;
            complete |= bucket.upper_bound == f64::INFINITY;
            let first = self.exemplars.len();
            self.exemplars.extend(bucket.exemplar);
            let exemplars = (first, self.exemplars.len());
            let bound = Some((Bound::Le, bucket.upper_bound));
            self.samples.push(Part {
                suffix: "_bucket",
                bound,
                value: Some(bucket.count),
                exemplars,
            });
        }
        if !complete {
            self.push("_bucket", Some((Bound::Le, f64::INFINITY)), count);
        }
        Ok(())
    }
}

fn label_pair(message: &[u8]) -> Result<(&str, &str), Malformed> {
    let (mut name, mut value) = ("", "");
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => name = field.text()?,
            2 => value = field.text()?,
            _ => {}
        }
    }
    if name.is_empty() {
        return Err(Malformed {
            what: "a label has no name",
            left: 0,
        });
    }
    Ok((name, value))
}

fn quantile(message: &[u8]) -> Result<(f64, f64), Malformed> {
    let (mut quantile, mut value) = (0.0, 0.0);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => quantile = field.double()?,
            2 => value = field.double()?,
            _ => {}
        }
    }
    Ok((quantile, value))
}

#[derive(Default)]
struct Bucket {
    count: f64,
    upper_bound: f64,
    exemplar: Option<Exemplar>,
}

fn bucket(message: &[u8]) -> Result<Bucket, Malformed> {
    let mut bucket = Bucket::default();
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => bucket.count = field.integer()? as f64,
            2 => bucket.upper_bound = field.double()?,
            3 => bucket.exemplar = Some(exemplar(field.bytes()?)?),
            4 => {
                let count = field.double()?;
                if count > 0.0 {
                    bucket.count = count;
                }
            }
            _ => {}
        }
    }
    Ok(bucket)
}

fn exemplar(message: &[u8]) -> Result<Exemplar, Malformed> {
    let mut labels = LabelsBuilder::new();
    let (mut value, mut time) = (0.0, None);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => {
                let (name, value) = label_pair(field.bytes()?)?;
                labels.push(name, value);
            }
            2 => value = field.double()?,
            3 => time = Some(timestamp(field.bytes()?)?),
            _ => {}
        }
    }
    Ok(Exemplar {
        labels: labels.build(),
        value,
        time,
    })
}

/// Seconds and nanoseconds as milliseconds.
pub(crate) fn timestamp(message: &[u8]) -> Result<i64, Malformed> {
    let (mut seconds, mut nanos) = (0i64, 0i64);
    let mut fields = Fields::new(message);
    while let Some((number, field)) = fields.next()? {
        match number {
            1 => seconds = field.integer()? as i64,
            2 => nanos = field.integer()? as i64,
            _ => {}
        }
    }
    Ok(seconds
        .saturating_mul(1000)
        .saturating_add(nanos / 1_000_000))
}
