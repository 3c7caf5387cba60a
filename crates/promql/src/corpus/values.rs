//! Series with their values: `up{job="a"} 1+1x3 _ stale {{count:2 sum:3}}x2`.

use std::sync::Arc;

use headwater_model::histogram::CUSTOM_BUCKETS_SCHEMA;
use headwater_model::number::parse_float;
use headwater_model::{FloatHistogram, Labels, LabelsBuilder, ResetHint, Span, stale_nan};

use crate::syntax::parse::parse_series_name;

/// A value of a sequence.
#[derive(Clone, Debug, PartialEq)]
pub enum SequenceValue {
    /// `_`: no sample.
    Omitted,
    /// A number or `stale`.
    Float(f64),
    /// A histogram; the flag says that its reset hint was given.
    Histogram(Arc<FloatHistogram>, bool),
}

/// Labels, whether the line has start timestamps (`@st`), and the rest of the line.
pub(crate) fn split_series(line: &str) -> Result<(Labels, bool, &str), String> {
    let end = metric_end(line);
    let matchers = parse_series_name(&line[..end]).map_err(|error| error.to_string())?;
    let mut labels = LabelsBuilder::new();
    for matcher in matchers {
        labels.set(&matcher.name, &matcher.value);
    }
    let rest = &line[end..];
    match rest.strip_prefix("@st") {
        Some(rest) => Ok((labels.build(), true, rest)),
        None => Ok((labels.build(), false, rest)),
    }
}

/// Where the metric ends: at a blank or `@` outside braces.
fn metric_end(line: &str) -> usize {
    let (mut in_braces, mut quote) = (false, None);
    let mut escaped = false;
    for (at, c) in line.char_indices() {
        match (quote, c) {
            (Some(_), _) if escaped => escaped = false,
            (Some(open), '\\') if open != '`' => escaped = true,
            (Some(open), c) if c == open => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(c),
            (None, '{') => in_braces = true,
            (None, '}') => in_braces = false,
            (None, ' ' | '\t' | '@') if !in_braces => return at,
            _ => {}
        }
    }
    line.len()
}

/// Parses a line with labels and values.
///
/// # Errors
/// The line is not in the notation; the message says what was not understood.
pub fn parse_series(line: &str) -> Result<(Labels, Vec<SequenceValue>), String> {
    let (labels, _, rest) = split_series(line)?;
    Ok((labels, parse_values(rest)?))
}

pub(super) fn parse_values(text: &str) -> Result<Vec<SequenceValue>, String> {
    let mut values = Vec::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        rest = if rest.starts_with("{{") {
            histograms(rest, &mut values)?
        } else {
            floats(rest, &mut values)?
        };
        if !rest.is_empty() && !rest.starts_with([' ', '\t']) {
            return Err(format!("unexpected {rest:?} in series values"));
        }
        rest = rest.trim_start();
    }
    Ok(values)
}

/// `xN` at the head of a text: N and what follows.
fn times(text: &str) -> Result<Option<(usize, &str)>, String> {
    let Some(rest) = text.strip_prefix('x') else {
        return Ok(None);
    };
    let digits = rest.bytes().take_while(u8::is_ascii_digit).count();
    let count = rest[..digits]
        .parse()
        .map_err(|_| format!("invalid repetition in series values: {text:?}"))?;
    Ok(Some((count, &rest[digits..])))
}

fn floats<'a>(text: &'a str, out: &mut Vec<SequenceValue>) -> Result<&'a str, String> {
    if let Some(rest) = text.strip_prefix('_') {
        let (count, rest) = times(rest)?.unwrap_or((1, rest));
        out.extend(std::iter::repeat_n(SequenceValue::Omitted, count));
        return Ok(rest);
    }
    let (value, rest) = match text.strip_prefix("stale") {
        Some(rest) => (stale_nan(), rest),
        None => number(text)?,
    };
    if let Some((count, rest)) = times(rest)? {
        out.extend(std::iter::repeat_n(SequenceValue::Float(value), count + 1));
        return Ok(rest);
    }
    if !rest.starts_with(['+', '-']) {
        out.push(SequenceValue::Float(value));
        return Ok(rest);
    }
    let (step, rest) = number(rest)?;
    let (count, rest) = times(rest)?.ok_or_else(|| format!("expected a repetition in {text:?}"))?;
    let mut value = value;
    for _ in 0..=count {
        out.push(SequenceValue::Float(value));
        value += step;
    }
    Ok(rest)
}

/// A number at the head of a text; hexadecimal ones are not allowed, for `0x3` repeats a zero.
fn number(text: &str) -> Result<(f64, &str), String> {
    let bytes = text.as_bytes();
    let mut end = usize::from(matches!(bytes.first(), Some(b'+' | b'-')));
    let word = text[end..].get(..3).unwrap_or("");
    if word.eq_ignore_ascii_case("inf") || word.eq_ignore_ascii_case("nan") {
        end += 3;
    } else {
        let digits = |from: usize| {
            bytes[from..]
                .iter()
                .take_while(|b| b.is_ascii_digit() || **b == b'.')
                .count()
        };
        end += digits(end);
        if matches!(bytes.get(end), Some(b'e' | b'E')) {
            end += 1 + usize::from(matches!(bytes.get(end + 1), Some(b'+' | b'-')));
            end += digits(end);
        }
    }
    let value = parse_float(&text[..end]).ok_or_else(|| format!("bad number syntax: {text:?}"))?;
    Ok((value, &text[end..]))
}

fn histograms<'a>(text: &'a str, out: &mut Vec<SequenceValue>) -> Result<&'a str, String> {
    let (first, hinted, rest) = histogram(text)?;
    if let Some((count, rest)) = times(rest)? {
        out.extend(std::iter::repeat_n(
            SequenceValue::Histogram(Arc::new(first), hinted),
            count + 1,
        ));
        return Ok(rest);
    }
    let subtract = rest.starts_with('-');
    if !subtract && !rest.starts_with('+') {
        out.push(SequenceValue::Histogram(Arc::new(first), hinted));
        return Ok(rest);
    }
    let (step, step_hinted, rest) = histogram(&rest[1..])?;
    let (count, rest) = times(rest)?.ok_or_else(|| format!("expected a repetition in {text:?}"))?;
    let mut value = first;
    for _ in 0..=count {
        out.push(SequenceValue::Histogram(
            Arc::new(value.clone()),
            hinted || step_hinted,
        ));
        let combined = if subtract {
            value.sub(&step)
        } else {
            value.add(&step)
        };
        combined.map_err(|error| error.to_string())?;
    }
    Ok(rest)
}

/// `{{schema:1 sum:2 buckets:[1 2]}}` at the head of a text.
fn histogram(text: &str) -> Result<(FloatHistogram, bool, &str), String> {
    let inner = text.strip_prefix("{{").ok_or("expected a histogram")?;
    let end = inner.find("}}").ok_or("histogram description incomplete")?;
    let mut fields = Fields::default();
    let mut body = inner[..end].trim_start();
    while !body.is_empty() {
        let (key, value) = body
            .split_once(':')
            .ok_or_else(|| format!("bad histogram descriptor found: {body:?}"))?;
        let value = value.trim_start();
        let len = if value.starts_with('[') {
            value.find(']').map(|at| at + 1)
        } else {
            value.find([' ', '\t'])
        };
        let (value, rest) = value.split_at(len.unwrap_or(value.len()));
        fields.set(key.trim(), value)?;
        body = rest.trim_start();
    }
    let (histogram, hinted) = fields.build();
    Ok((histogram, hinted, &inner[end + 2..]))
}

#[derive(Default)]
struct Fields {
    histogram: FloatHistogram,
    offset: i32,
    negative_offset: i32,
    hinted: bool,
}

impl Fields {
    fn set(&mut self, key: &str, value: &str) -> Result<(), String> {
        let number =
            |text: &str| parse_float(text).ok_or_else(|| format!("bad number {text:?} for {key}"));
        let whole = |text: &str| {
            text.parse::<i32>()
                .map_err(|_| format!("bad number {text:?} for {key}"))
        };
        let list = |text: &str| -> Result<Vec<f64>, String> {
            text.trim_matches(['[', ']'])
                .split_whitespace()
                .map(number)
                .collect()
        };
        let histogram = &mut self.histogram;
        match key {
            "schema" => histogram.schema = whole(value)?,
            "sum" => histogram.sum = number(value)?,
            "count" => histogram.count = number(value)?,
            "z_bucket" => histogram.zero_count = number(value)?,
            "z_bucket_w" => histogram.zero_threshold = number(value)?,
            "buckets" => histogram.positive_buckets = list(value)?,
            "n_buckets" => histogram.negative_buckets = list(value)?,
            "custom_values" => histogram.custom_values = list(value)?.into(),
            "offset" => self.offset = whole(value)?,
            "n_offset" => self.negative_offset = whole(value)?,
            "counter_reset_hint" => {
                self.hinted = true;
                histogram.reset_hint = match value {
                    "reset" => ResetHint::Reset,
                    "not_reset" => ResetHint::NotReset,
                    "gauge" => ResetHint::Gauge,
                    _ => ResetHint::Unknown,
                };
            }
            _ => return Err(format!("bad histogram descriptor found: {key:?}")),
        }
        Ok(())
    }

    fn build(self) -> (FloatHistogram, bool) {
        let mut histogram = self.histogram;
        let spans = |offset: i32, counts: &[f64]| match counts.len() {
            0 => Vec::new(),
            len => vec![Span {
                offset,
                length: len as u32,
            }],
        };
        histogram.positive_spans = spans(self.offset, &histogram.positive_buckets);
        histogram.negative_spans = spans(self.negative_offset, &histogram.negative_buckets);
        debug_assert!(histogram.schema >= CUSTOM_BUCKETS_SCHEMA);
        (histogram, self.hinted)
    }
}

/// Values of an `@st` line, in milliseconds before or after each sample.
pub(super) fn parse_starts(text: &str) -> Result<Vec<Option<i64>>, String> {
    let mut out = Vec::new();
    for item in text.split_whitespace() {
        if let Some(rest) = item.strip_prefix('_') {
            let count = times(rest)?.map_or(1, |(count, _)| count);
            out.extend(std::iter::repeat_n(None, count));
            continue;
        }
        let (base, rest) = signed_duration(item)?;
        if let Some((count, _)) = times(rest)? {
            out.extend(std::iter::repeat_n(Some(base), count + 1));
        } else if rest.is_empty() {
            out.push(Some(base));
        } else {
            let (step, rest) = signed_duration(rest)?;
            let (count, _) =
                times(rest)?.ok_or_else(|| format!("expected a repetition in {item:?}"))?;
            out.extend((0..=count as i64).map(|at| Some(base + step * at)));
        }
    }
    Ok(out)
}

fn signed_duration(text: &str) -> Result<(i64, &str), String> {
    let negative = text.starts_with('-');
    let unsigned = text.trim_start_matches(['+', '-']);
    let digits = unsigned.bytes().take_while(u8::is_ascii_digit).count();
    let unit = unsigned[digits..]
        .bytes()
        .take_while(|b| b.is_ascii_alphabetic() && *b != b'x')
        .count();
    let (duration, rest) = unsigned.split_at(digits + unit);
    let millis =
        headwater_model::duration::parse_duration(duration).map_err(|error| error.to_string())?;
    Ok((if negative { -millis } else { millis }, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn numbers(text: &str) -> Vec<f64> {
        let value = |value: SequenceValue| {
            if let SequenceValue::Float(value) = value {
                value
            } else {
                -1.0
            }
        };
        parse_values(text).unwrap().into_iter().map(value).collect()
    }

    #[test]
    fn sequences_expand() {
        assert_eq!(
            numbers("1+2x2 _ 5x1 -1-0.5x1 0x2"),
            [1.0, 3.0, 5.0, -1.0, 5.0, 5.0, -1.0, -1.5, 0.0, 0.0, 0.0]
        );
        assert_eq!(numbers("1e+2 _x2"), [100.0, -1.0, -1.0]);
        assert!(parse_values("1y").is_err());
    }

    #[test]
    fn histograms_are_described() {
        let values = parse_values(
            "{{schema:1 count:3 sum:4 buckets:[1 2] offset:-1}}+{{schema:1 count:1 buckets:[1] offset:-1}}x1",
        );
        let values = values.unwrap();
        let SequenceValue::Histogram(second, false) = &values[1] else {
            panic!("{values:?}")
        };
        assert_eq!(
            (second.count, second.positive_buckets.clone()),
            (4.0, vec![2.0, 2.0])
        );
    }

    #[test]
    fn labels_may_hold_anything_in_quotes() {
        let (labels, values) = parse_series("{\"a.b\",c=\"x y}@\"} 1").unwrap();
        assert_eq!(labels.to_string(), "{__name__=\"a.b\", c=\"x y}@\"}");
        assert_eq!(values.len(), 1);
    }

    #[test]
    fn starts_are_durations_around_samples() {
        assert_eq!(
            parse_starts("_ -30s-1mx1 0").unwrap(),
            [None, Some(-30_000), Some(-90_000), Some(0)]
        );
    }
}
