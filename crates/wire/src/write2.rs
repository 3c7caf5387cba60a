//! `io.prometheus.write.v2.Request`, remote write 2.0, decoded without a copy.
//!
//! ```text
//! Request     symbols = 4, timeseries = 5     (1 to 3 are reserved, so that readers of 1.0 fail)
//! TimeSeries  labels_refs = 1, samples = 2, histograms = 3, exemplars = 4, metadata = 5
//! Sample      value = 1, timestamp = 2, start_timestamp = 3
//! Exemplar    labels_refs = 1, value = 2, timestamp = 3
//! Metadata    type = 1, help_ref = 3, unit_ref = 4
//! ```
//!
//! Texts are sent once, as symbols; everything refers to them by position. Source:
//! `prompb/io/prometheus/write/v2/types.proto` of Prometheus (release candidate 4).

use headwater_model::{MetricType, Timestamp};

use crate::error::WireError;
use crate::fields::{Fields, Value, six_bytes};

/// Field 2, of bytes.
const KEY_2: u8 = 0x12;
/// Field 4, of bytes.
const KEY_4: u8 = 0x22;
/// Field 5, of bytes.
const KEY_5: u8 = 0x2a;

/// Puts the texts of a request into `into`, whose former content is dropped. They are not known to
/// be UTF-8.
///
/// # Errors
/// The message is damaged, or has more than `limit` symbols.
pub fn symbols<'a>(
    message: &'a [u8],
    limit: usize,
    into: &mut Vec<&'a [u8]>,
) -> Result<(), WireError> {
    into.clear();
    let mut fields = Fields::new(message);
    loop {
        let symbol = match fields.block_of(KEY_4)? {
            Some(symbol) => symbol,
            None => match fields.next_field()? {
                None => return Ok(()),
                Some((4, value)) => value.bytes("Symbols")?,
                Some(_) => continue,
            },
        };
        if into.len() == limit {
            return Err(WireError::TooMany {
                what: "symbols in a request",
                limit,
            });
        }
        into.push(symbol);
    }
}

/// The series of a request.
#[derive(Clone, Copy, Debug)]
pub struct Request<'a> {
    fields: Fields<'a>,
}

impl<'a> Request<'a> {
    /// Reads a decompressed message.
    pub const fn new(message: &'a [u8]) -> Self {
        Self {
            fields: Fields::new(message),
        }
    }

    /// The next series. Symbols and unknown fields are passed over.
    ///
    /// # Errors
    /// The message is damaged.
    #[inline]
    pub fn next_series(&mut self) -> Result<Option<Series<'a>>, WireError> {
        loop {
            if let Some(message) = self.fields.block_of(KEY_5)? {
                return Series::new(message).map(Some);
            }
            match self.fields.next_field()? {
                None => return Ok(None),
                Some((5, value)) => value.bytes("Timeseries").map(|_| ())?,
                Some(_) => {}
            }
        }
    }
}

/// One series of a request.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series<'a> {
    message: &'a [u8],
    references: &'a [u8],
    rest: usize,
}

impl<'a> Series<'a> {
    /// Reads the message of one series.
    ///
    /// # Errors
    /// The references to the labels are damaged.
    #[inline]
    pub fn new(message: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(message);
        let references = fields.block_of(0x0a)?.unwrap_or_default();
        Ok(Self {
            message,
            references,
            rest: message.len() - fields.rest().len(),
        })
    }

    /// The whole message.
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// The references to names and values of labels in turn, as all senders send them: packed, and
    /// first in the message. [`Series::parts`] brings others.
    pub fn references(&self) -> References<'a> {
        References {
            fields: Fields::new(self.references),
        }
    }

    /// Everything behind the references.
    pub fn parts(&self) -> Parts<'a> {
        Parts {
            fields: Fields::new(&self.message[self.rest..]),
        }
    }
}

/// References in the order of the wire.
#[derive(Clone, Copy, Debug)]
pub struct References<'a> {
    fields: Fields<'a>,
}

impl Iterator for References<'_> {
    type Item = Result<u32, WireError>;

    #[inline]
    fn next(&mut self) -> Option<Self::Item> {
        if self.fields.rest().is_empty() {
            return None;
        }
        let next = self.fields.varint().map(|number| number as u32);
        if next.is_err() {
            self.fields = Fields::new(&[]);
        }
        Some(next)
    }
}

/// A part of a series.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Part<'a> {
    /// A float sample.
    Sample(Sample),
    /// A histogram: see [`crate::histogram::decode`].
    Histogram(&'a [u8]),
    /// An exemplar: see [`Exemplar::decode`].
    Exemplar(&'a [u8]),
    /// What the metric means.
    Metadata(Metadata),
    /// References that do not stand with the others, packed.
    References(&'a [u8]),
    /// A reference that stands alone.
    Reference(u32),
}

impl<'a> Part<'a> {
    /// The references of a part that has some.
    pub fn references(bytes: &'a [u8]) -> References<'a> {
        References {
            fields: Fields::new(bytes),
        }
    }
}

/// A float sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds.
    pub time: Timestamp,
    /// When the counter began, in milliseconds; 0 if that is not known.
    pub start: Timestamp,
    /// The value; may be a stale marker.
    pub value: f64,
}

/// What a metric means.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Metadata {
    /// The metric's type.
    pub metric_type: MetricType,
    /// The symbol that explains.
    pub help: u32,
    /// The symbol that names the unit.
    pub unit: u32,
}

/// The parts of a series behind its references.
#[derive(Clone, Copy, Debug)]
pub struct Parts<'a> {
    fields: Fields<'a>,
}

impl<'a> Parts<'a> {
    /// The next part; unknown fields are passed over.
    ///
    /// # Errors
    /// The message is damaged.
    #[inline]
    pub fn next_part(&mut self) -> Result<Option<Part<'a>>, WireError> {
        if let Some(message) = self.fields.block_of(KEY_2)? {
            return Ok(Some(Part::Sample(sample(message)?)));
        }
        while let Some((number, value)) = self.fields.next_field()? {
            return Ok(Some(match (number, value) {
                (1, Value::Bytes(packed)) => Part::References(packed),
                (1, value) => Part::Reference(value.varint("LabelsRefs")? as u32),
                (2, value) => Part::Sample(sample(value.bytes("Samples")?)?),
                (3, value) => Part::Histogram(value.bytes("Histograms")?),
                (4, value) => Part::Exemplar(value.bytes("Exemplars")?),
                (5, value) => Part::Metadata(metadata(value.bytes("Metadata")?)?),
                _ => continue,
            }));
        }
        Ok(None)
    }
}

/// Value and time as all senders write them: two fields, in this order.
#[inline]
fn sample(message: &[u8]) -> Result<Sample, WireError> {
    if let [0x09, v0, v1, v2, v3, v4, v5, v6, v7, 0x10, time @ ..] = message
        && let Some(time) = time.try_into().ok().and_then(six_bytes)
    {
        let value = f64::from_le_bytes([*v0, *v1, *v2, *v3, *v4, *v5, *v6, *v7]);
        return Ok(Sample {
            time: time as Timestamp,
            start: 0,
            value,
        });
    }
    any_sample(message)
}

fn any_sample(message: &[u8]) -> Result<Sample, WireError> {
    let (mut out, mut fields) = (Sample::default(), Fields::new(message));
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => out.value = value.double("Value")?,
            2 => out.time = value.varint("Timestamp")? as Timestamp,
            3 => out.start = value.varint("StartTimestamp")? as Timestamp,
            _ => {}
        }
    }
    Ok(out)
}

fn metadata(message: &[u8]) -> Result<Metadata, WireError> {
    let (mut out, mut fields) = (Metadata::default(), Fields::new(message));
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => out.metric_type = metric_type(value.varint("Type")?),
            3 => out.help = value.varint("HelpRef")? as u32,
            4 => out.unit = value.varint("UnitRef")? as u32,
            _ => {}
        }
    }
    Ok(out)
}

/// The types in the order in which the protocol numbers them; others are unknown.
const TYPES: [MetricType; 8] = [
    MetricType::Unknown,
    MetricType::Counter,
    MetricType::Gauge,
    MetricType::Histogram,
    MetricType::GaugeHistogram,
    MetricType::Summary,
    MetricType::Info,
    MetricType::StateSet,
];

fn metric_type(number: u64) -> MetricType {
    let known = usize::try_from(number).ok().and_then(|at| TYPES.get(at));
    known.copied().unwrap_or_default()
}

/// An exemplar.
#[derive(Clone, Debug, PartialEq)]
pub struct Exemplar {
    /// References to names and values of labels in turn.
    pub references: Vec<u32>,
    /// The value.
    pub value: f64,
    /// Milliseconds.
    pub time: Timestamp,
}

impl Exemplar {
    /// Reads the message of an exemplar.
    ///
    /// # Errors
    /// The message is damaged.
    pub fn decode(message: &[u8]) -> Result<Self, WireError> {
        let mut out = Self {
            references: Vec::new(),
            value: 0.0,
            time: 0,
        };
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Bytes(packed)) => {
                    for reference in Part::references(packed) {
                        out.references.push(reference?);
                    }
                }
                (1, value) => out.references.push(value.varint("LabelsRefs")? as u32),
                (2, value) => out.value = value.double("Value")?,
                (3, value) => out.time = value.varint("Timestamp")? as Timestamp,
                _ => {}
            }
        }
        Ok(out)
    }
}

/// The names and values that references stand for.
///
/// # Errors
/// References do not come in pairs, or a symbol was not sent.
pub fn pairs<'a>(
    references: &'a [u32],
    symbols: &'a [&'a [u8]],
) -> Result<impl Iterator<Item = (&'a [u8], &'a [u8])>, WireError> {
    let (pairs, odd) = references.as_chunks::<2>();
    if !odd.is_empty() {
        return Err(WireError::OddReferences(references.len()));
    }
    let size = symbols.len();
    for &[name, value] in pairs {
        if name as usize >= size || value as usize >= size {
            return Err(WireError::SymbolPair { name, value, size });
        }
    }
    let symbol = |reference: u32| symbols[reference as usize];
    Ok(pairs
        .iter()
        .map(move |&[name, value]| (symbol(name), symbol(value))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::messages::{arbitrary, v2};

    /// The request as the hand decoder sees it.
    fn seen(body: &[u8]) -> Result<v2::Request, WireError> {
        let (mut texts, mut out) = (Vec::new(), v2::Request::default());
        symbols(body, 1000, &mut texts)?;
        out.symbols = texts
            .iter()
            .map(|text| String::from_utf8(text.to_vec()).unwrap())
            .collect();
        let mut request = Request::new(body);
        while let Some(series) = request.next_series()? {
            let mut seen = v2::TimeSeries {
                labels_refs: series.references().collect::<Result<_, _>>()?,
                ..v2::TimeSeries::default()
            };
            let mut parts = series.parts();
            while let Some(part) = parts.next_part()? {
                match part {
                    Part::Sample(sample) => seen.samples.push(v2::Sample {
                        value: sample.value,
                        timestamp: sample.time,
                        start_timestamp: sample.start,
                    }),
                    Part::Exemplar(message) => {
                        let exemplar = Exemplar::decode(message)?;
                        seen.exemplars.push(v2::Exemplar {
                            labels_refs: exemplar.references,
                            value: exemplar.value,
                            timestamp: exemplar.time,
                        });
                    }
                    Part::Histogram(message) => seen
                        .histograms
                        .push(crate::messages::Histogram::decode(message).unwrap()),
                    Part::Metadata(metadata) => {
                        let number = TYPES.iter().position(|t| *t == metadata.metric_type);
                        seen.metadata = Some(v2::Metadata {
                            r#type: number.unwrap_or_default() as i32,
                            help_ref: metadata.help,
                            unit_ref: metadata.unit,
                        });
                    }
                    Part::Reference(one) => seen.labels_refs.push(one),
                    Part::References(packed) => {
                        for reference in Part::references(packed) {
                            seen.labels_refs.push(reference?);
                        }
                    }
                }
            }
            out.timeseries.push(seen);
        }
        Ok(out)
    }

    #[test]
    fn references_may_stand_anywhere() {
        let body = [0x2a, 11, 0x12, 2, 0x10, 5, 0x08, 7, 0x0a, 3, 8, 9, 10];
        let series = &seen(&body).unwrap().timeseries[0];
        assert_eq!(series.labels_refs, [7, 8, 9, 10]);
        assert_eq!(series.samples[0].timestamp, 5);
    }

    #[test]
    fn references_are_checked() {
        let symbols: [&[u8]; 2] = [b"", b"a"];
        assert!(pairs(&[1, 1, 0, 0], &symbols).is_ok());
        let error = |references: &[u32]| pairs(references, &symbols).err().map(|e| e.to_string());
        assert_eq!(error(&[1]).unwrap(), "invalid labelRefs length 1");
        assert_eq!(
            error(&[1, 9]).unwrap(),
            "labelRefs 1 (name) = 9 (value) outside of symbols table (size 2)"
        );
    }

    #[test]
    fn symbols_are_bounded() {
        let body = v2::Request {
            symbols: vec![String::new(), "a".into(), "b".into()],
            ..v2::Request::default()
        };
        let body = body.encode_to_vec();
        assert!(symbols(&body, 3, &mut Vec::new()).is_ok());
        assert!(symbols(&body, 2, &mut Vec::new()).is_err());
    }

    proptest! {
        #[test]
        fn agrees_with_the_structs(request in arbitrary::write_request_2()) {
            let body = request.encode_to_vec();
            prop_assert_eq!(seen(&body).unwrap(), request);
        }

        #[test]
        fn damage_is_no_panic(request in arbitrary::write_request_2(), at: prop::sample::Index, byte: u8) {
            let mut body = request.encode_to_vec();
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let _ = symbols(&body, 1000, &mut Vec::new());
            let mut request = Request::new(&body);
            while let Ok(Some(series)) = request.next_series() {
                let (mut parts, _) = (series.parts(), series.references().count());
                while let Ok(Some(part)) = parts.next_part() {
                    if let Part::Exemplar(message) = part {
                        drop(Exemplar::decode(message));
                    }
                }
            }
        }
    }
}
