//! `check metrics`: whether an exposition keeps to the naming conventions.
//!
//! The rules and their words are those of Prometheus 2.42, `promlint`.

use std::collections::{BTreeMap, BTreeSet};
use std::io::Read;

use headwater_exposition::{Event, Format, Options, Parser};
use headwater_model::{LabelsBuilder, MetricType};

use crate::failure::{Context, Failure, Outcome};

pub(crate) fn run() -> Outcome {
    let mut text = Vec::new();
    std::io::stdin()
        .read_to_end(&mut text)
        .context("standard input")?;
    let families = read(&text).context("error while linting")?;
    let problems: Vec<String> = families
        .iter()
        .flat_map(|(name, family)| {
            let mut problems = family.problems(name);
            problems.sort();
            problems
                .into_iter()
                .map(move |problem| format!("{name} {problem}"))
        })
        .collect();
    problems.iter().for_each(|problem| eprintln!("{problem}"));
    match problems.is_empty() {
        true => Ok(()),
        false => Err(Failure::lint()),
    }
}

/// What is said of a metric family.
#[derive(Debug)]
struct Family {
    help: bool,
    metric_type: MetricType,
    labels: BTreeSet<String>,
}

impl Default for Family {
    fn default() -> Family {
        Family {
            help: false,
            metric_type: MetricType::Unknown,
            labels: BTreeSet::new(),
        }
    }
}

fn read(text: &[u8]) -> Result<BTreeMap<String, Family>, headwater_exposition::ParseError> {
    let mut parser = Parser::new(text, Format::Text, Options::default())?;
    let mut families: BTreeMap<String, Family> = BTreeMap::new();
    let mut builder = LabelsBuilder::new();
    let mut types: BTreeMap<String, MetricType> = BTreeMap::new();
    let mut helped = BTreeSet::new();
    while let Some(event) = parser.next_event()? {
        match event {
            Event::Help { family, help } if !help.is_empty() => {
                helped.insert(family.to_owned());
            }
            Event::Type {
                family,
                metric_type,
            } => {
                types.insert(family.to_owned(), metric_type);
            }
            Event::Sample(sample) => {
                builder.clear();
                sample.labels(&mut builder)?;
                let labels = builder.build();
                let name = labels.get("__name__").unwrap_or_default();
                let suffix = name.strip_prefix(sample.family);
                let name = match suffix {
                    Some("" | "_bucket" | "_sum" | "_count") if !sample.family.is_empty() => {
                        sample.family
                    }
                    _ => name,
                };
                let family = families.entry(name.to_owned()).or_default();
                let names = labels.iter().map(|(name, _)| name);
                let names = names.filter(|name| *name != "__name__");
                family.labels.extend(names.map(str::to_owned));
            }
            _ => {}
        }
    }
    for (name, family) in &mut families {
        family.help = helped.contains(name);
        family.metric_type = types.get(name).copied().unwrap_or(MetricType::Unknown);
    }
    Ok(families)
}

/// Units and what is to be used in their place.
const UNITS: [(&str, &str); 24] = [
    ("amperes", "amperes"),
    ("bits", "bytes"),
    ("bytes", "bytes"),
    ("calories", "joules"),
    ("celsius", "celsius"),
    ("days", "seconds"),
    ("fahrenheit", "celsius"),
    ("grams", "grams"),
    ("hours", "seconds"),
    ("inches", "meters"),
    ("joules", "joules"),
    ("kelvin", "kelvin"),
    ("kelvins", "kelvin"),
    ("meters", "meters"),
    ("metres", "metres"),
    ("miles", "meters"),
    ("minutes", "seconds"),
    ("ounces", "grams"),
    ("pounds", "grams"),
    ("rankine", "celsius"),
    ("seconds", "seconds"),
    ("volts", "volts"),
    ("weeks", "seconds"),
    ("yards", "meters"),
];

const PREFIXES: [&str; 18] = [
    "pico", "nano", "micro", "milli", "centi", "deci", "deca", "hecto", "kilo", "kibi", "mega",
    "mibi", "giga", "gibi", "tera", "tebi", "peta", "pebi",
];

const ABBREVIATIONS: [&str; 14] = [
    "s", "ms", "us", "ns", "sec", "b", "kb", "mb", "gb", "tb", "pb", "m", "h", "d",
];

impl Family {
    fn problems(&self, name: &str) -> Vec<String> {
        let mut out = Vec::new();
        if !self.help {
            out.push("no help text".to_owned());
        }
        self.suffixes(name, &mut out);
        for word in name.split('_') {
            let base = base_unit(word).filter(|base| *base != word);
            out.extend(base.map(|base| format!("use base unit {base:?} instead of {word:?}")));
        }
        for word in ["counter", "gauge", "summary", "histogram"] {
            let lower = name.to_lowercase();
            if lower.contains(&format!("_{word}_")) || lower.ends_with(&format!("_{word}")) {
                out.push(format!("metric name should not include type '{word}'"));
            }
        }
        if name.contains(':') {
            out.push("metric names should not contain ':'".to_owned());
        }
        if is_camel(name) {
            out.push("metric names should be written in 'snake_case' not 'camelCase'".to_owned());
        }
        if self.labels.iter().any(|label| is_camel(label)) {
            out.push("label names should be written in 'snake_case' not 'camelCase'".to_owned());
        }
        let lower = name.to_lowercase();
        // The first word is not looked at, as in the original.
        if lower
            .split('_')
            .skip(1)
            .any(|word| ABBREVIATIONS.contains(&word))
        {
            out.push("metric names should not contain abbreviated units".to_owned());
        }
        out
    }

    fn suffixes(&self, name: &str, out: &mut Vec<String>) {
        let mut say = |wrong: bool, what: &str| {
            if wrong {
                out.push(what.to_owned());
            }
        };
        if self.metric_type == MetricType::Unknown {
            return;
        }
        let counter = self.metric_type == MetricType::Counter;
        let histogram = self.metric_type == MetricType::Histogram;
        let summary = self.metric_type == MetricType::Summary;
        let total = name.ends_with("_total");
        say(
            counter && !total,
            "counter metrics should have \"_total\" suffix",
        );
        say(
            !counter && total,
            "non-counter metrics should not have \"_total\" suffix",
        );
        say(
            !histogram && name.ends_with("_bucket"),
            "non-histogram metrics should not have \"_bucket\" suffix",
        );
        for suffix in ["_count", "_sum"] {
            let what =
                format!("non-histogram and non-summary metrics should not have {suffix:?} suffix");
            say(!histogram && !summary && name.ends_with(suffix), &what);
        }
        let has = |label: &str| self.labels.contains(label);
        say(
            !histogram && has("le"),
            "non-histogram metrics should not have \"le\" label",
        );
        say(
            !summary && has("quantile"),
            "non-summary metrics should not have \"quantile\" label",
        );
    }
}

/// The unit to use for one, with or without a prefix.
fn base_unit(word: &str) -> Option<&'static str> {
    let of = |word: &str| {
        UNITS
            .iter()
            .find(|(unit, _)| *unit == word)
            .map(|(_, base)| *base)
    };
    let stripped = || {
        PREFIXES
            .iter()
            .find_map(|prefix| of(word.strip_prefix(prefix)?))
    };
    of(word).or_else(stripped)
}

fn is_camel(name: &str) -> bool {
    let mut pairs = name.as_bytes().windows(2);
    pairs.any(|pair| pair[0].is_ascii_lowercase() && pair[1].is_ascii_uppercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_have_one_that_is_used() {
        assert_eq!(base_unit("milliseconds"), Some("seconds"));
        assert_eq!(base_unit("kilocalories"), Some("joules"));
        assert_eq!(base_unit("seconds"), Some("seconds"));
        assert_eq!(base_unit("nibbles"), None);
    }

    #[test]
    fn a_metric_in_order_has_no_problems() {
        let text =
            b"# HELP a_seconds A.\n# TYPE a_seconds histogram\na_seconds_bucket{le=\"1\"} 1\n";
        let families = read(text).expect("a text");
        assert_eq!(families.len(), 1);
        assert!(families["a_seconds"].problems("a_seconds").is_empty());
    }
}
