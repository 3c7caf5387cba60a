//! `tsdb dump` and `tsdb dump-openmetrics`: every sample of a directory.

use std::io::{BufWriter, Write};

use headwater_model::number::format_float_go;
use headwater_model::{Labels, Matcher, SeriesColumns, TimeRange};
use headwater_promql::ParseOptions;
use headwater_storage::{Select, SelectRequest, block_on};
use headwater_tsdb::Db;

use crate::failure::{Context, Failure, Outcome};
use crate::flags::Dump;
use crate::open;

/// How a dump looks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    /// `{labels} value milliseconds`.
    Plain,
    /// OpenMetrics text. Histograms have no place in it and are left out.
    OpenMetrics,
}

pub(crate) fn run(options: &Dump, form: Form) -> Outcome {
    let selectors = match options.selectors.is_empty() {
        true => vec![Vec::new()],
        false => options
            .selectors
            .iter()
            .map(|text| matchers(text))
            .collect::<Outcome<_>>()?,
    };
    let db = open::store(&options.path)?;
    let range = TimeRange::new(options.min_time, options.max_time);
    let mut out = BufWriter::new(std::io::stdout().lock());
    dump(&db, selectors, range, form, &mut out)?;
    out.flush().context("standard output")
}

fn matchers(selector: &str) -> Outcome<Vec<Matcher>> {
    let parsed = headwater_promql::parse_selector(selector, ParseOptions::default());
    Ok(parsed.context(selector)?.matchers)
}

fn dump(
    db: &Db,
    selectors: Vec<Vec<Matcher>>,
    range: TimeRange,
    form: Form,
    out: &mut impl Write,
) -> Outcome {
    let mut columns = SeriesColumns::default();
    let mut seen = std::collections::HashSet::new();
    let several = selectors.len() > 1;
    for matchers in selectors {
        let mut request = SelectRequest::new(matchers, range);
        request.hints.sorted = true;
        let mut cursor = block_on(db.select(request))?;
        while let Some(labels) = cursor.advance()? {
            cursor.read(&mut columns)?;
            if several && !seen.insert(labels.clone()) {
                continue;
            }
            write_series(&labels, &columns, form, out).context("standard output")?;
        }
        let warnings = cursor.take_warnings();
        if !warnings.is_empty() {
            return Err(Failure::new(warnings.join("\n")));
        }
    }
    if form == Form::OpenMetrics {
        writeln!(out, "# EOF").context("standard output")?;
    }
    Ok(())
}

fn write_series(
    labels: &Labels,
    columns: &SeriesColumns,
    form: Form,
    out: &mut impl Write,
) -> std::io::Result<()> {
    let floats = columns.floats.times.iter().zip(&columns.floats.values);
    if form == Form::OpenMetrics {
        let series = openmetrics_name(labels);
        for (time, value) in floats {
            let seconds = *time as f64 / 1000.0;
            writeln!(out, "{series} {} {seconds:.3}", format_float_go(*value))?;
        }
        return Ok(());
    }
    let labels = labels.to_string();
    let mut floats = floats.peekable();
    let mut histograms = columns.histograms.times().iter().enumerate().peekable();
    loop {
        let float_is_next = match (floats.peek(), histograms.peek()) {
            (Some((a, _)), Some((_, b))) => a <= b,
            (float, _) => float.is_some(),
        };
        if float_is_next && let Some((time, value)) = floats.next() {
            writeln!(out, "{labels} {} {time}", format_float_go(*value))?;
        } else if let Some((at, time)) = histograms.next() {
            let histogram = columns.histograms.get(at).to_float();
            writeln!(out, "{labels} {histogram} {time}")?;
        } else {
            return Ok(());
        }
    }
}

/// `name{a="b",c="d"}`.
fn openmetrics_name(labels: &Labels) -> String {
    let name = labels.get("__name__").unwrap_or_default();
    let rest: Vec<String> = labels
        .iter()
        .filter(|(name, _)| *name != "__name__")
        .map(|pair| Labels::from_pairs([pair]).to_string())
        .map(|one| one[1..one.len() - 1].to_owned())
        .collect();
    match rest.is_empty() {
        true => name.to_owned(),
        false => format!("{name}{{{}}}", rest.join(",")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn openmetrics_has_the_name_first() {
        let labels = Labels::from_pairs([("__name__", "m"), ("a", "x, \"y\""), ("b", "2")]);
        assert_eq!(openmetrics_name(&labels), "m{a=\"x, \\\"y\\\"\",b=\"2\"}");
        assert_eq!(
            openmetrics_name(&Labels::from_pairs([("__name__", "m")])),
            "m"
        );
    }
}
