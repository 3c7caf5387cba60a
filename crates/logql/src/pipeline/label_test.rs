//! Label filters, compiled.

use headwater_model::Matcher;

use super::ip::IpRange;
use super::record::{LineError, Record};
use crate::ast::{CompareOp, LabelFilter};
use crate::units::{parse_bytes, parse_float, parse_go_duration};

/// A condition on the labels of a line.
#[derive(Debug)]
pub(crate) enum LabelTest {
    And(Box<LabelTest>, Box<LabelTest>),
    Or(Box<LabelTest>, Box<LabelTest>),
    Text(Matcher),
    Quantity(String, CompareOp, f64, Quantity),
    Ip(String, bool, IpRange),
}

/// How a label's text is read.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Quantity {
    Number,
    /// In nanoseconds.
    Duration,
    Bytes,
}

impl LabelTest {
    pub(crate) fn new(filter: &LabelFilter) -> Result<Self, String> {
        Ok(match filter {
            LabelFilter::And(a, b) => Self::And(Self::boxed(a)?, Self::boxed(b)?),
            LabelFilter::Or(a, b) => Self::Or(Self::boxed(a)?, Self::boxed(b)?),
            LabelFilter::Text(matcher) => Self::Text(matcher.clone()),
            LabelFilter::Number(name, op, value) => {
                Self::Quantity(name.clone(), *op, *value, Quantity::Number)
            }
            LabelFilter::Duration(name, op, nanos) => {
                Self::Quantity(name.clone(), *op, *nanos as f64, Quantity::Duration)
            }
            LabelFilter::Bytes(name, op, bytes) => {
                Self::Quantity(name.clone(), *op, *bytes as f64, Quantity::Bytes)
            }
            LabelFilter::Ip(name, negative, range) => {
                Self::Ip(name.clone(), *negative, IpRange::parse(range)?)
            }
        })
    }

    fn boxed(filter: &LabelFilter) -> Result<Box<Self>, String> {
        Self::new(filter).map(Box::new)
    }

    /// Whether the line is kept. A text that is not the quantity asked for
    /// keeps the line and notes an error; a line that has an error already is
    /// not searched for addresses.
    pub(crate) fn passes(&self, record: &mut Record) -> bool {
        match self {
            Self::And(a, b) => {
                let left = a.passes(record);
                b.passes(record) && left
            }
            Self::Or(a, b) => a.passes(record) || b.passes(record),
            Self::Text(matcher) => matcher.matches(record.value(&matcher.name)),
            Self::Ip(..) if record.has_error() => true,
            Self::Quantity(name, op, value, quantity) => {
                let Some(text) = record.get(name) else {
                    return false;
                };
                match quantity.read(text) {
                    Ok(found) => op.holds(found, *value),
                    Err(details) => {
                        // What went wrong first is what the user is told.
                        if !record.has_error() {
                            record.fail(LineError::LabelFilter, Some(details));
                        }
                        true
                    }
                }
            }
            Self::Ip(name, negative, range) => match record.get(name) {
                Some(text) => range.is_in(text.as_bytes()) != *negative,
                None => false,
            },
        }
    }
}

impl Quantity {
    fn read(self, text: &str) -> Result<f64, String> {
        match self {
            Self::Number => parse_float(text),
            Self::Duration => parse_go_duration(text).map(|nanos| nanos as f64),
            Self::Bytes => parse_bytes(text).map(|bytes| bytes as f64),
        }
    }
}
