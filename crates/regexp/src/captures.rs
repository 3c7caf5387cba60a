//! The groups of one match.

use std::ops::Range;

use crate::template;

/// The groups of one match in `text`. Group 0 is the whole match.
#[derive(Debug, Clone)]
pub struct Captures<'r, 't> {
    pub(crate) text: &'t str,
    pub(crate) inner: regex_automata::util::captures::Captures,
    pub(crate) names: &'r [Option<Box<str>>],
}

impl<'t> Captures<'_, 't> {
    /// The text of a group, or `None` if there is no such group or it took no part.
    pub fn get(&self, group: usize) -> Option<&'t str> {
        self.range(group).map(|range| &self.text[range])
    }

    /// Where a group matched, in bytes.
    pub fn range(&self, group: usize) -> Option<Range<usize>> {
        self.inner.get_group(group).map(|span| span.start..span.end)
    }

    /// The text of the first group with this name that took part in the match.
    pub fn name(&self, name: &str) -> Option<&'t str> {
        let groups = self.names.iter().enumerate();
        groups
            .filter(|(_, n)| n.as_deref() == Some(name))
            .find_map(|(group, _)| self.get(group))
    }

    /// Name and text of each group, in the order of their opening parentheses.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&str>, Option<&'t str>)> {
        self.names
            .iter()
            .enumerate()
            .map(|(group, name)| (name.as_deref(), self.get(group)))
    }

    /// Appends `template` to `out`, with `$1`, `${1}`, `$name`, `${name}` replaced by the
    /// groups' text and `$$` by a dollar sign, as Go's `Regexp.Expand` does.
    ///
    /// A name is as long as it can be: `$1x` is the group named `1x`. A group that does not
    /// exist or took no part is empty. A dollar sign that begins nothing stays.
    pub fn expand(&self, template: &str, out: &mut String) {
        template::expand(template, out, |reference| match reference {
            template::Reference::Number(group) => self.get(group),
            template::Reference::Name(name) => self.name(name),
        });
    }
}
