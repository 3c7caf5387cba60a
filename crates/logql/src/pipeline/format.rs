//! `| line_format` and `| label_format`.

use headwater_template::{CallResult, Data, GoTime, Template, Value};

use super::functions;
use super::record::{Category, LineError, Record};
use crate::ast::{FormatSource, LabelFormat};

/// The view of a line that templates see.
struct LineData<'a> {
    record: &'a Record,
    line: &'a [u8],
}

impl Data for LineData<'_> {
    fn text(&self, name: &str) -> Option<&str> {
        Some(self.record.value(name))
    }

    fn whole(&self) -> Value {
        Value::string_map(self.record.sorted().into_iter().map(|(n, v, _)| (n, v)))
    }

    fn call(&self, name: &str, _args: &[Value]) -> CallResult {
        match name {
            functions::LINE => Ok(Value::from(String::from_utf8_lossy(self.line).into_owned())),
            _ => Ok(Value::object(GoTime::from_unix_nanos(
                self.record.time.into(),
            ))),
        }
    }
}

fn parse(text: &str) -> Result<Template, String> {
    Template::parse("line", text, functions::all())
        .map_err(|e| format!("invalid line template: {e}"))
}

/// A compiled `line_format`.
#[derive(Debug)]
pub(crate) struct LineFormat(Template);

impl LineFormat {
    pub(crate) fn new(text: &str) -> Result<Self, String> {
        parse(text).map(Self)
    }

    /// The new line; `None` if the template failed, which leaves the line as it was.
    pub(crate) fn render(&self, line: &[u8], record: &mut Record) -> Option<Vec<u8>> {
        match self.0.execute(&LineData { record, line }) {
            Ok(text) => Some(text.into_bytes()),
            Err(e) => {
                record.fail(LineError::TemplateFormat, Some(e.to_string()));
                None
            }
        }
    }
}

#[derive(Debug)]
enum Source {
    Label(String),
    Template(Template),
}

/// A compiled `label_format`.
#[derive(Debug)]
pub(crate) struct LabelWriter(Vec<(String, Source)>);

impl LabelWriter {
    pub(crate) fn new(formats: &[LabelFormat]) -> Result<Self, String> {
        let mut all: Vec<(String, Source)> = Vec::new();
        for LabelFormat { target, source } in formats {
            if target == super::record::ERROR {
                return Err(format!("{target} cannot be formatted"));
            }
            if all.iter().any(|(name, _)| name == target) {
                return Err(format!(
                    "multiple label name '{target}' not allowed in a single format operation"
                ));
            }
            let source = match source {
                FormatSource::Label(label) => Source::Label(label.clone()),
                FormatSource::Template(text) => Source::Template(
                    Template::parse("label", text, functions::all())
                        .map_err(|e| format!("invalid template for label '{target}': {e}"))?,
                ),
            };
            all.push((target.clone(), source));
        }
        Ok(Self(all))
    }

    /// Carries the assignments out in order. Templates see the labels as they
    /// were when the first of them ran.
    pub(crate) fn apply(&self, line: &[u8], record: &mut Record) {
        let mut texts: Option<Vec<Option<String>>> = None;
        for (at, (target, source)) in self.0.iter().enumerate() {
            match source {
                Source::Label(label) => rename(record, label, target),
                Source::Template(_) => {
                    let texts = texts.get_or_insert_with(|| self.render(line, record));
                    if let Some(text) = texts[at].take() {
                        record.set(Category::Parsed, target, &text);
                    }
                }
            }
        }
    }

    fn render(&self, line: &[u8], record: &mut Record) -> Vec<Option<String>> {
        let mut texts = Vec::with_capacity(self.0.len());
        for (_, source) in &self.0 {
            texts.push(match source {
                Source::Label(_) => None,
                Source::Template(template) => match template.execute(&LineData { record, line }) {
                    Ok(text) => Some(text),
                    Err(e) => {
                        record.fail(LineError::TemplateFormat, Some(e.to_string()));
                        None
                    }
                },
            });
        }
        texts
    }
}

fn rename(record: &mut Record, from: &str, to: &str) {
    let Some((value, category)) = record.get_with_category(from) else {
        return;
    };
    let value = value.to_owned();
    // A stream label under a new name is no longer the stream's.
    let category = category.max(Category::Metadata);
    record.remove(to);
    record.set(category, to, &value);
    record.remove(from);
}
