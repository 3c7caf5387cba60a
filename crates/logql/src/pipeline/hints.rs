//! Which labels a query needs, so that parsers read no others.

use crate::ast::{FormatSource, LabelFilter, LogRange, NamedLabel, Stage};

use super::record::{ERROR, EXTRACTED};

/// What the parsers of a pipeline have to find.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Wanted {
    /// Every label.
    All,
    /// None: parsers need not look at the line at all.
    Nothing,
    /// These. Once a line has yielded them all its rest may be left alone.
    Labels(Vec<String>),
}

impl Wanted {
    /// Whether a label of this name has to be set.
    pub(crate) fn has(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Labels(names) => names.iter().any(|n| n == name),
        }
    }

    /// Whether a nested object may hold a label that has to be set.
    pub(crate) fn has_below(&self, prefix: &str) -> bool {
        match self {
            Self::All => true,
            Self::Nothing => false,
            Self::Labels(names) => names.iter().any(|n| n.starts_with(prefix)),
        }
    }

    /// How many labels there are to find; `None` if that is not known.
    pub(crate) fn count(&self) -> Option<usize> {
        match self {
            Self::Labels(names) => Some(names.len()),
            _ => None,
        }
    }

    /// Whether lines that a parser could not read are to be counted, because
    /// the query asks for their errors.
    pub(crate) fn keeps_errors(range: &LogRange, by: Option<&[String]>) -> bool {
        let mut names: Vec<String> = by.unwrap_or_default().to_vec();
        range.log.stages.iter().for_each(|stage| {
            stage_labels(stage, &mut names);
        });
        names.iter().any(|name| name == ERROR)
    }

    /// What a metric query needs whose series are grouped `by` these labels;
    /// `None` if every label matters. Loki's rules, so that the same lines
    /// yield errors: without any needed label parsers are left out, and a
    /// line is left alone once it has yielded what is needed.
    pub(crate) fn for_metric(range: &LogRange, by: Option<&[String]>) -> Self {
        let Some(by) = by else {
            return Self::All;
        };
        let mut names = Vec::new();
        for stage in &range.log.stages {
            if !stage_labels(stage, &mut names) {
                return Self::All;
            }
        }
        names.extend(by.iter().cloned());
        if let Some(unwrap) = &range.unwrap {
            names.push(unwrap.label.clone());
            unwrap.filters.iter().for_each(|f| {
                filter_labels(f, &mut names);
            });
        }
        Self::labels(names)
    }

    /// These labels, under their own names and without the suffix of those
    /// that were renamed.
    fn labels(mut names: Vec<String>) -> Self {
        let plain: Vec<String> = names
            .iter()
            .filter_map(|n| n.strip_suffix(EXTRACTED).map(str::to_owned))
            .collect();
        names.extend(plain);
        names.sort_unstable();
        names.dedup();
        match names.is_empty() {
            true => Self::Nothing,
            false => Self::Labels(names),
        }
    }
}

/// How many stages of a log query decide whether a line passes, and the labels
/// they look at; `None` if lines cannot be judged before all their labels are
/// known.
///
/// Most lines are dropped by a filter on a few labels, so it pays to read only
/// those first. The stages must not change labels or lines, and their filters
/// must judge a line that is read in part as they judge the whole.
pub(crate) fn probe(stages: &[Stage]) -> Option<(usize, Wanted)> {
    let filters = |stage: &Stage| matches!(stage, Stage::LabelFilter(_));
    let parses = |stage: &Stage| {
        matches!(
            stage,
            Stage::Json(_) | Stage::Logfmt { .. } | Stage::Regexp(_) | Stage::Pattern(_)
        )
    };
    let end = 1 + stages.iter().rposition(filters)?;
    let mut names = Vec::new();
    for stage in &stages[..end] {
        let plain = match stage {
            Stage::LabelFilter(filter) => filter_labels(filter, &mut names),
            Stage::LineFilter(_) => true,
            stage => parses(stage),
        };
        if !plain {
            return None;
        }
    }
    stages[..end]
        .iter()
        .any(parses)
        .then(|| (end, Wanted::labels(names)))
}

/// Adds the labels that a stage reads; false if it may read any.
fn stage_labels(stage: &Stage, names: &mut Vec<String>) -> bool {
    match stage {
        Stage::LabelFilter(filter) => {
            filter_labels(filter, names);
        }
        Stage::LineFormat(text) => return template_labels(text, names),
        Stage::LabelFormat(formats) => {
            for format in formats {
                match &format.source {
                    FormatSource::Label(label) => names.push(label.clone()),
                    FormatSource::Template(text) => {
                        if !template_labels(text, names) {
                            return false;
                        }
                    }
                }
            }
        }
        Stage::Drop(labels) | Stage::Keep(labels) => {
            names.extend(labels.iter().filter_map(|label| match label {
                NamedLabel::Matcher(matcher) => Some(matcher.name.clone()),
                NamedLabel::Name(_) => None,
            }))
        }
        _ => {}
    }
    true
}

fn template_labels(text: &str, names: &mut Vec<String>) -> bool {
    let Ok(template) = headwater_template::Template::parse("line", text, super::functions::all())
    else {
        return false;
    };
    match template.fields() {
        Some(fields) => {
            names.extend(fields.into_iter().map(str::to_owned));
            true
        }
        None => false,
    }
}

/// Adds the labels that a condition reads; false if it looks for addresses,
/// which it does not in lines with errors.
fn filter_labels(filter: &LabelFilter, names: &mut Vec<String>) -> bool {
    match filter {
        LabelFilter::And(a, b) | LabelFilter::Or(a, b) => {
            let left = filter_labels(a, names);
            return filter_labels(b, names) && left;
        }
        LabelFilter::Text(matcher) => names.push(matcher.name.clone()),
        LabelFilter::Number(name, _, _)
        | LabelFilter::Duration(name, _, _)
        | LabelFilter::Bytes(name, _, _)
        | LabelFilter::Ip(name, _, _) => names.push(name.clone()),
    }
    !matches!(filter, LabelFilter::Ip(..))
}
