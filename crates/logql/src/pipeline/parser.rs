//! What all parsers of lines share: where a found label goes.

use std::borrow::Cow;

use super::hints::Wanted;
use super::record::{Category, EXTRACTED, Record};

/// Takes the labels that a parser finds in a line.
pub(crate) struct Sink<'a> {
    pub(crate) record: &'a mut Record,
    pub(crate) wanted: &'a Wanted,
    name: String,
    found: usize,
}

/// Whether the parser should look on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Look {
    On,
    /// Everything that is wanted has been found.
    Enough,
}

impl<'a> Sink<'a> {
    pub(crate) fn new(record: &'a mut Record, wanted: &'a Wanted) -> Self {
        Self {
            record,
            wanted,
            name: String::new(),
            found: 0,
        }
    }

    /// Whether a label of this name would be taken, and under which name it
    /// then goes: one that a stream label or metadata has is renamed, and the
    /// first of several of one name wins.
    pub(crate) fn wants(&mut self, name: &str) -> bool {
        // Whoever wants the renamed label wants the plain name too.
        if name.is_empty() || !self.wanted.has(name) {
            return false;
        }
        self.name.clear();
        self.name.push_str(name);
        if self.record.is_taken(name) {
            self.name.push_str(EXTRACTED);
        }
        self.wanted.has(&self.name) && !self.record.has_parsed(&self.name)
    }

    /// Sets the label that [`Sink::wants`] was asked about.
    pub(crate) fn put(&mut self, value: &str) -> Look {
        self.record.set(Category::Parsed, &self.name, value);
        self.found += 1;
        match self.wanted.count() {
            Some(count) if self.found >= count => Look::Enough,
            _ => Look::On,
        }
    }
}

/// A key as the name of a label: blanks around it go, other characters become
/// underscores, and a digit in front gets one before it.
pub(crate) fn sanitize(key: &str, first: bool, out: &mut String) {
    if first && headwater_model::name::is_legacy_label_name(key) {
        out.push_str(key);
        return;
    }
    let key = key.trim();
    if first && key.starts_with(|c: char| c.is_ascii_digit()) {
        out.push('_');
    }
    out.extend(key.chars().map(|c| match c {
        c if c.is_ascii_alphanumeric() => c,
        _ => '_',
    }));
}

/// Text of a line as the value of a label. Bytes that are not UTF-8 become
/// blanks, as does the character that stands for such bytes.
pub(crate) fn clean(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        // The replacement character begins with this byte.
        Ok(text) if memchr::memchr(0xef, bytes).is_none() => Cow::Borrowed(text),
        Ok(text) => match text.contains('\u{fffd}') {
            true => Cow::Owned(text.replace('\u{fffd}', " ")),
            false => Cow::Borrowed(text),
        },
        Err(_) => Cow::Owned(String::from_utf8_lossy(bytes).replace('\u{fffd}', " ")),
    }
}
