//! `prometheus.WriteRequest`, remote write 1.0, decoded without a copy.
//!
//! ```text
//! WriteRequest  timeseries = 1, metadata = 3
//! TimeSeries    labels = 1, samples = 2, exemplars = 3, histograms = 4
//! Label         name = 1, value = 2           Sample    value = 1, timestamp = 2
//! Exemplar      labels = 1, value = 2, timestamp = 3
//! ```
//!
//! Source: `prompb/remote.proto` and `prompb/types.proto` of Prometheus.

use headwater_model::Timestamp;

use crate::error::WireError;
use crate::fields::{Fields, Value, six_bytes};

/// Field 1, of bytes.
const KEY_1: u8 = 0x0a;
/// Field 2, of bytes.
const KEY_2: u8 = 0x12;

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

    /// The next series. Metadata and unknown fields are passed over.
    ///
    /// # Errors
    /// The message is damaged.
    #[inline]
    pub fn next_series(&mut self) -> Result<Option<Series<'a>>, WireError> {
        loop {
            if let Some(message) = self.fields.block_of(KEY_1)? {
                return Series::new(message).map(Some);
            }
            match self.fields.next_field()? {
                None => return Ok(None),
                Some((1, value)) => value.bytes("Timeseries").map(|_| ())?,
                Some(_) => {}
            }
        }
    }
}

/// One series of a request: labels first, then everything else.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Series<'a> {
    message: &'a [u8],
    labels: usize,
}

impl<'a> Series<'a> {
    /// Reads the message of one series.
    ///
    /// # Errors
    /// The labels are damaged.
    #[inline]
    pub fn new(message: &'a [u8]) -> Result<Self, WireError> {
        let mut fields = Fields::new(message);
        while fields.block_of(KEY_1)?.is_some() {}
        let labels = message.len() - fields.rest().len();
        Ok(Self { message, labels })
    }

    /// The whole message.
    pub const fn message(&self) -> &'a [u8] {
        self.message
    }

    /// The labels as they were sent. Equal bytes are equal labels: a key for what is known of the
    /// series, as long as [`Series::parts`] brings no further labels, which no sender does.
    pub fn label_bytes(&self) -> &'a [u8] {
        &self.message[..self.labels]
    }

    /// The labels, names and values, in the order in which they were sent.
    pub fn labels(&self) -> Pairs<'a> {
        Pairs {
            fields: Fields::new(self.label_bytes()),
        }
    }

    /// Everything behind the labels.
    pub fn parts(&self) -> Parts<'a> {
        Parts {
            fields: Fields::new(&self.message[self.labels..]),
        }
    }
}

/// Labels in the order of the wire. Names and values are not known to be UTF-8, nor to be sorted, nor
/// to be there but once.
#[derive(Clone, Copy, Debug)]
pub struct Pairs<'a> {
    fields: Fields<'a>,
}

impl<'a> Iterator for Pairs<'a> {
    type Item = Result<(&'a [u8], &'a [u8]), WireError>;

    fn next(&mut self) -> Option<Self::Item> {
        match self.fields.next_field() {
            Ok(None) => None,
            Ok(Some((1, value))) => Some(value.bytes("Labels").and_then(pair)),
            Ok(Some(_)) => self.next(),
            Err(error) => {
                self.fields = Fields::new(&[]);
                Some(Err(error))
            }
        }
    }
}

/// Name and value of a label.
fn pair(message: &[u8]) -> Result<(&[u8], &[u8]), WireError> {
    let (mut name, mut text): (&[u8], &[u8]) = (&[], &[]);
    let mut fields = Fields::new(message);
    while let Some((number, value)) = fields.next_field()? {
        match number {
            1 => name = value.bytes("Name")?,
            2 => text = value.bytes("Value")?,
            _ => {}
        }
    }
    Ok((name, text))
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
    /// A label that does not stand with the others.
    Label(&'a [u8], &'a [u8]),
}

/// A float sample.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Sample {
    /// Milliseconds.
    pub time: Timestamp,
    /// The value; may be a stale marker.
    pub value: f64,
}

/// The parts of a series behind its labels.
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
        self.next_rare()
    }

    fn next_rare(&mut self) -> Result<Option<Part<'a>>, WireError> {
        while let Some((number, value)) = self.fields.next_field()? {
            return Ok(Some(match number {
                1 => {
                    let (name, value) = pair(value.bytes("Labels")?)?;
                    Part::Label(name, value)
                }
                2 => Part::Sample(sample(value.bytes("Samples")?)?),
                3 => Part::Exemplar(value.bytes("Exemplars")?),
                4 => Part::Histogram(value.bytes("Histograms")?),
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
            _ => {}
        }
    }
    Ok(out)
}

/// An exemplar.
#[derive(Clone, Copy, Debug)]
pub struct Exemplar<'a> {
    message: &'a [u8],
    /// The value.
    pub value: f64,
    /// Milliseconds.
    pub time: Timestamp,
}

impl<'a> Exemplar<'a> {
    /// Reads the message of an exemplar.
    ///
    /// # Errors
    /// The message is damaged.
    pub fn decode(message: &'a [u8]) -> Result<Self, WireError> {
        let mut out = Self {
            message,
            value: 0.0,
            time: 0,
        };
        let mut fields = Fields::new(message);
        while let Some((number, value)) = fields.next_field()? {
            match (number, value) {
                (1, Value::Bytes(label)) => pair(label).map(|_| ())?,
                (1, _) => return Err(WireError::FieldType("Labels")),
                (2, value) => out.value = value.double("Value")?,
                (3, value) => out.time = value.varint("Timestamp")? as Timestamp,
                _ => {}
            }
        }
        Ok(out)
    }

    /// The labels, names and values, in the order in which they were sent.
    pub fn labels(&self) -> Pairs<'a> {
        Pairs {
            fields: Fields::new(self.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use prost::Message;

    use super::*;
    use crate::messages::{self, arbitrary};

    /// The request as the hand decoder sees it.
    fn seen(body: &[u8]) -> Result<Vec<messages::TimeSeries>, WireError> {
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
        let label = |(name, value): (&[u8], &[u8])| messages::Label {
            name: text(name),
            value: text(value),
        };
        let (mut out, mut request) = (Vec::new(), Request::new(body));
        while let Some(series) = request.next_series()? {
            let mut seen = messages::TimeSeries {
                labels: series
                    .labels()
                    .map(|pair| pair.map(label))
                    .collect::<Result<_, _>>()?,
                ..messages::TimeSeries::default()
            };
            let mut parts = series.parts();
            while let Some(part) = parts.next_part()? {
                match part {
                    Part::Sample(Sample { time, value }) => seen.samples.push(messages::Sample {
                        value,
                        timestamp: time,
                    }),
                    Part::Exemplar(message) => {
                        let exemplar = Exemplar::decode(message)?;
                        seen.exemplars.push(messages::Exemplar {
                            labels: exemplar
                                .labels()
                                .map(|pair| pair.map(label))
                                .collect::<Result<_, _>>()?,
                            value: exemplar.value,
                            timestamp: exemplar.time,
                        });
                    }
                    Part::Histogram(message) => seen
                        .histograms
                        .push(messages::Histogram::decode(message).unwrap()),
                    Part::Label(name, value) => seen.labels.push(label((name, value))),
                }
            }
            out.push(seen);
        }
        Ok(out)
    }

    #[test]
    fn labels_may_stand_anywhere() {
        // A sample, then a label: no sender does it, the protocol allows it.
        let body = [0x0a, 11, 0x12, 2, 0x10, 5, 0x0a, 5, 0x0a, 1, b'n', 0x12, 0];
        let series = &seen(&body).unwrap()[0];
        assert_eq!(series.labels[0].name, "n");
        assert_eq!(series.samples[0].timestamp, 5);
    }

    #[test]
    fn refuses_other_types() {
        let error = seen(&[0x0a, 2, 0x10, 1]).unwrap_err();
        assert_eq!(error, WireError::FieldType("Samples"));
        assert_eq!(
            seen(&[0x08, 2]).unwrap_err(),
            WireError::FieldType("Timeseries")
        );
    }

    proptest! {
        #[test]
        fn agrees_with_the_structs(request in arbitrary::write_request()) {
            let body = request.encode_to_vec();
            prop_assert_eq!(seen(&body).unwrap(), request.timeseries);
        }

        #[test]
        fn damage_is_no_panic(request in arbitrary::write_request(), at: prop::sample::Index, byte: u8) {
            let mut body = request.encode_to_vec();
            if !body.is_empty() {
                let at = at.index(body.len());
                body[at] = byte;
            }
            let mut request = Request::new(&body);
            while let Ok(Some(series)) = request.next_series() {
                let (mut parts, _) = (series.parts(), series.labels().count());
                while let Ok(Some(part)) = parts.next_part() {
                    match part {
                        Part::Exemplar(message) => drop(Exemplar::decode(message)),
                        Part::Histogram(message) => drop(crate::histogram::decode(message)),
                        Part::Sample(_) | Part::Label(..) => {}
                    }
                }
            }
        }
    }
}
