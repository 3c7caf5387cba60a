//! The labels of a series as it stands in a text.

use headwater_model::label::METRIC_NAME;
use headwater_model::{LabelsBuilder, MetricType};

use super::error::Fault;
use super::scan::{LABEL, METRIC, Scanner, unescape};
use crate::float::push_float_openmetrics;

/// Reads the series at the scanner into `out`: the name as `__name__`, then the labels in
/// the order in which they stand. A name that stands twice is pushed twice.
pub(crate) fn read_series(
    scanner: &mut Scanner<'_>,
    metric_type: MetricType,
    out: &mut LabelsBuilder,
) -> Result<(), Fault> {
    let name = scanner.run(METRIC);
    if name.starts_with(|c: char| c.is_ascii_digit()) {
        return Err(Fault::new(
            scanner.at - name.len(),
            format!("invalid metric name {name:?}"),
        ));
    }
    if !name.is_empty() {
        out.push(METRIC_NAME, name);
    }
    scanner.skip_blanks();
    if !scanner.eat(b'{') {
        return Ok(());
    }
    let mut named = !name.is_empty();
    loop {
        scanner.skip_blanks();
        if scanner.eat(b'}') {
            break;
        }
        read_member(scanner, metric_type, &mut named, out)?;
        scanner.skip_blanks();
        if !scanner.eat(b',') && scanner.peek() != Some(b'}') {
            return scanner.fault("expected a comma or the end of the label set");
        }
    }
    if named {
        Ok(())
    } else {
        scanner.fault("metric name not set while parsing")
    }
}

/// The labels of an exemplar: braces without a name.
pub(crate) fn read_plain(scanner: &mut Scanner<'_>, out: &mut LabelsBuilder) -> Result<(), Fault> {
    // A name that cannot be set again: a quoted text without a value is then a fault.
    let mut named = true;
    if !scanner.eat(b'{') {
        return scanner.fault("expected the labels of an exemplar");
    }
    loop {
        scanner.skip_blanks();
        if scanner.eat(b'}') {
            return Ok(());
        }
        read_member(scanner, MetricType::Unknown, &mut named, out)?;
        scanner.skip_blanks();
        if !scanner.eat(b',') && scanner.peek() != Some(b'}') {
            return scanner.fault("expected a comma or the end of the label set");
        }
    }
}

/// `name="value"`, `"name"="value"`, or the quoted name of the metric.
fn read_member(
    scanner: &mut Scanner<'_>,
    metric_type: MetricType,
    named: &mut bool,
    out: &mut LabelsBuilder,
) -> Result<(), Fault> {
    let start = scanner.at;
    let quoted = scanner.peek() == Some(b'"');
    let name = if quoted {
        scanner.quoted()?
    } else {
        scanner.run(LABEL)
    };
    if !quoted && !name.starts_with(|c: char| !c.is_ascii_digit()) {
        return Err(Fault::new(start, "expected a label name"));
    }
    let name = unescaped(name);
    scanner.skip_blanks();
    if !scanner.eat(b'=') {
        if !quoted || *named {
            return scanner.fault(format!("expected = behind the label name {name:?}"));
        }
        *named = true;
        out.push(METRIC_NAME, &name);
        return Ok(());
    }
    if name.is_empty() {
        return Err(Fault::new(start, "a label name must not be empty"));
    }
    scanner.skip_blanks();
    if scanner.peek() != Some(b'"') {
        return scanner.fault(format!("expected a quoted value for label {name:?}"));
    }
    let value = unescaped(scanner.quoted()?);
    push_normalised(out, metric_type, &name, &value);
    Ok(())
}

fn unescaped(text: &str) -> std::borrow::Cow<'_, str> {
    if memchr::memchr(b'\\', text.as_bytes()).is_none() {
        return text.into();
    }
    let mut out = String::with_capacity(text.len());
    unescape(text, &mut out);
    out.into()
}

/// Bounds and quantiles are numbers: `1`, `1.0` and `1e0` are one series, named `1.0`.
fn push_normalised(out: &mut LabelsBuilder, metric_type: MetricType, name: &str, value: &str) {
    let number = matches!(
        (metric_type, name),
        (MetricType::Histogram, "le") | (MetricType::Summary, "quantile")
    );
    match number
        .then(|| headwater_model::number::parse_float(value))
        .flatten()
    {
        None => out.push(name, value),
        Some(number) => {
            let mut text = String::with_capacity(24);
            push_float_openmetrics(&mut text, number);
            out.push(name, &text);
        }
    }
}
