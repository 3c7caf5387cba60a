//! One line on its way through a pipeline: its labels and what is wrong with it.

use headwater_model::Labels;

/// The label that tells that a line could not be handled.
pub(crate) const ERROR: &str = "__error__";
/// The label that tells why.
pub(crate) const ERROR_DETAILS: &str = "__error_details__";
/// The label by which a query keeps lines with errors.
pub(crate) const PRESERVE_ERROR: &str = "__preserve_error__";
/// What a parsed label is called if a stream label or metadata has its name.
pub(crate) const EXTRACTED: &str = "_extracted";

/// What went wrong with a line; the words of `__error__`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum LineError {
    Json,
    Logfmt,
    SampleExtraction,
    LabelFilter,
    TemplateFormat,
    /// The line has more labels than are kept.
    TooManyLabels,
}

impl LineError {
    pub(crate) const fn as_str(self) -> &'static str {
        match self {
            Self::Json => "JSONParserErr",
            Self::Logfmt => "LogfmtParserErr",
            Self::SampleExtraction => "SampleExtractionErr",
            Self::LabelFilter => "LabelFilterErr",
            Self::TemplateFormat => "TemplateFormatErr",
            Self::TooManyLabels => "LabelLimitErr",
        }
    }
}

/// Where a label comes from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Category {
    Stream,
    Metadata,
    Parsed,
}

/// A stretch of [`Record::text`].
type Span = (u32, u32);

/// Labels that one line may add to those of its stream. A line that is meant
/// to hurt may hold any number of keys.
const MAX_ADDED: usize = 8192;

#[derive(Debug, Clone, Copy)]
struct Added {
    /// Compared before the name.
    hash: u32,
    name: Span,
    value: Span,
    category: Category,
}

#[derive(Debug, Clone, Copy)]
struct Base {
    name: Span,
    value: Span,
    removed: bool,
}

/// The labels of the current line. One record serves all lines of a query on
/// one thread: texts lie in one buffer, so a line costs no allocation.
#[derive(Debug, Default)]
pub(crate) struct Record {
    /// Texts of the stream's labels, then those of the line.
    text: String,
    /// Where the texts of the line begin.
    line_text: usize,
    base: Vec<Base>,
    added: Vec<Added>,
    removed_base: usize,
    error: Option<LineError>,
    details: Option<String>,
    /// The line, where a stage has written it anew.
    pub(crate) line: Vec<u8>,
    pub(crate) rewritten: bool,
    pub(crate) time: i64,
}

impl Record {
    /// Starts a stream.
    pub(crate) fn start_stream(&mut self, labels: &Labels) {
        self.text.clear();
        self.base.clear();
        for (name, value) in labels {
            let (name, value) = (self.store(name), self.store(value));
            self.base.push(Base {
                name,
                value,
                removed: false,
            });
        }
        self.line_text = self.text.len();
        self.removed_base = 0;
    }

    /// Starts a line of the stream.
    pub(crate) fn start_line(&mut self, time: i64, metadata: &Labels) {
        self.text.truncate(self.line_text);
        self.added.clear();
        if self.removed_base > 0 {
            self.base.iter_mut().for_each(|b| b.removed = false);
            self.removed_base = 0;
        }
        self.error = None;
        self.details = None;
        self.rewritten = false;
        self.time = time;
        for (name, value) in metadata {
            match self.base_has(name) {
                true => self.set(Category::Metadata, &format!("{name}{EXTRACTED}"), value),
                false => self.set(Category::Metadata, name, value),
            }
        }
    }

    fn store(&mut self, text: &str) -> Span {
        let start = self.text.len() as u32;
        self.text.push_str(text);
        (start, self.text.len() as u32)
    }

    fn slice(&self, (start, end): Span) -> &str {
        &self.text[start as usize..end as usize]
    }

    fn position(&self, name: &str) -> Option<usize> {
        let hash = hash_of(name);
        let is = |a: &Added| a.hash == hash && self.slice(a.name) == name;
        self.added.iter().position(is)
    }

    fn has(&self, name: &str, category: Category) -> bool {
        let found = self.position(name);
        found.is_some_and(|at| self.added[at].category == category)
    }

    /// Whether the stream itself has the label, removed or not.
    pub(crate) fn base_has(&self, name: &str) -> bool {
        self.base.iter().any(|b| self.slice(b.name) == name)
    }

    /// Whether a parsed label of this name must be renamed.
    pub(crate) fn is_taken(&self, name: &str) -> bool {
        self.base_has(name) || self.has(name, Category::Metadata)
    }

    /// Whether a parser has set the label already.
    pub(crate) fn has_parsed(&self, name: &str) -> bool {
        self.has(name, Category::Parsed)
    }

    /// The value and category of a label, special ones excepted.
    pub(crate) fn get_with_category(&self, name: &str) -> Option<(&str, Category)> {
        if let Some(at) = self.position(name) {
            let added = &self.added[at];
            return Some((self.slice(added.value), added.category));
        }
        let base = self.base.iter().find(|b| self.slice(b.name) == name)?;
        (!base.removed).then(|| (self.slice(base.value), Category::Stream))
    }

    /// The value of a label, special ones excepted.
    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.get_with_category(name).map(|(value, _)| value)
    }

    /// The value of a label or of a special one; empty if it is absent.
    pub(crate) fn value(&self, name: &str) -> &str {
        match name {
            ERROR => match self.error {
                Some(error) => error.as_str(),
                None => self.get(name).unwrap_or_default(),
            },
            ERROR_DETAILS => match &self.details {
                Some(details) => details,
                None => self.get(name).unwrap_or_default(),
            },
            name => self.get(name).unwrap_or_default(),
        }
    }

    /// Sets a label.
    pub(crate) fn set(&mut self, category: Category, name: &str, value: &str) {
        let value = self.store(value);
        match self.position(name) {
            Some(at) if category >= self.added[at].category => {
                self.added[at].value = value;
                self.added[at].category = category;
            }
            Some(_) => {}
            None if self.added.len() >= MAX_ADDED => {
                let details = format!("the line has more than {MAX_ADDED} labels");
                self.fail(LineError::TooManyLabels, Some(details));
            }
            None => {
                let hash = hash_of(name);
                let name = self.store(name);
                self.added.push(Added {
                    hash,
                    name,
                    value,
                    category,
                });
            }
        }
    }

    /// Removes a label.
    pub(crate) fn remove(&mut self, name: &str) {
        if let Some(at) = self.position(name) {
            self.added.remove(at);
        }
        let found = self
            .base
            .iter()
            .position(|b| !b.removed && self.slice(b.name) == name);
        if let Some(at) = found {
            self.base[at].removed = true;
            self.removed_base += 1;
        }
    }

    /// Notes what is wrong with the line.
    pub(crate) fn fail(&mut self, error: LineError, details: Option<String>) {
        self.error = Some(error);
        if details.is_some() {
            self.details = details;
        }
    }

    pub(crate) fn has_error(&self) -> bool {
        self.error.is_some()
    }

    /// Forgets the error.
    pub(crate) fn clear_error(&mut self) {
        self.error = None;
    }

    /// Forgets what is known about the error.
    pub(crate) fn clear_details(&mut self) {
        self.details = None;
    }

    /// Every label but the special ones, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &str, Category)> {
        let base = self.base.iter().filter(|b| !b.removed);
        let base =
            base.filter(|b| self.added.is_empty() || self.position(self.slice(b.name)).is_none());
        let base = base.map(|b| (self.slice(b.name), self.slice(b.value), Category::Stream));
        let added = self.added.iter();
        base.chain(added.map(|a| (self.slice(a.name), self.slice(a.value), a.category)))
    }

    /// Every label with the special ones, sorted by name.
    pub(crate) fn sorted(&self) -> Vec<(&str, &str, Category)> {
        let special = |name: &&str| {
            (self.error.is_some() && *name == ERROR)
                || (self.details.is_some() && *name == ERROR_DETAILS)
        };
        let mut all: Vec<_> = self.iter().filter(|(name, _, _)| !special(name)).collect();
        if let Some(error) = self.error {
            all.push((ERROR, error.as_str(), Category::Parsed));
        }
        if let Some(details) = &self.details {
            all.push((ERROR_DETAILS, details, Category::Parsed));
        }
        all.sort_unstable_by_key(|(name, _, _)| *name);
        all
    }
}

/// FNV-1a.
fn hash_of(name: &str) -> u32 {
    let mix = |hash: u32, byte: u8| (hash ^ u32::from(byte)).wrapping_mul(0x0100_0193);
    name.bytes().fold(0x811c_9dc5, mix)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(record: &Record) -> String {
        let parts: Vec<String> = record
            .sorted()
            .iter()
            .map(|(n, v, _)| format!("{n}={v}"))
            .collect();
        parts.join(" ")
    }

    #[test]
    fn labels_of_a_line_have_a_bound() {
        let mut record = Record::default();
        record.start_stream(&Labels::empty());
        record.start_line(1, &Labels::empty());
        for n in 0..MAX_ADDED + 10 {
            record.set(Category::Parsed, &format!("l{n}"), "v");
        }
        assert_eq!(record.value(ERROR), "LabelLimitErr");
        assert_eq!(
            record.value(ERROR_DETAILS),
            "the line has more than 8192 labels"
        );
        assert_eq!(record.get("l8191"), Some("v"));
        assert_eq!(record.get("l8192"), None);
    }

    #[test]
    fn later_categories_win_and_lines_start_afresh() {
        let mut record = Record::default();
        record.start_stream(&Labels::from_pairs([("app", "a"), ("tri", "s")]));
        record.start_line(1, &Labels::from_pairs([("md", "m"), ("tri", "m")]));
        assert_eq!(shown(&record), "app=a md=m tri=s tri_extracted=m");
        assert!(record.is_taken("md") && record.is_taken("tri") && !record.is_taken("x"));
        record.set(Category::Parsed, "tri_extracted", "p");
        record.set(Category::Parsed, "app", "b");
        record.remove("md");
        record.fail(LineError::Json, Some("why".into()));
        assert_eq!(
            shown(&record),
            "__error__=JSONParserErr __error_details__=why app=b tri=s tri_extracted=p"
        );
        record.remove("app");
        assert_eq!(record.get("app"), None);
        record.start_line(2, &Labels::empty());
        assert_eq!(shown(&record), "app=a tri=s");
    }
}
