//! Records that end with a byte.

use serde::Deserialize;

use crate::plugin::{BuildContext, BuildError, Found, Plugin, Splitter};

/// Settings of [`TokenSplitter`].
#[derive(Debug, Clone, Deserialize)]
#[serde(default, deny_unknown_fields)]
#[non_exhaustive]
pub struct TokenSplitterSettings {
    /// The byte that ends a record; it stays part of it.
    pub delimiter: String,
    /// How many of them make a record.
    pub count: usize,
}

impl Default for TokenSplitterSettings {
    fn default() -> TokenSplitterSettings {
        TokenSplitterSettings {
            delimiter: "\n".to_owned(),
            count: 1,
        }
    }
}

/// Cuts behind every n-th occurrence of a byte: lines, by default.
#[derive(Debug)]
pub struct TokenSplitter {
    delimiter: u8,
    count: usize,
}

impl TokenSplitter {
    /// A splitter at every `count`-th `delimiter`; 0 counts as 1.
    pub fn new(delimiter: u8, count: usize) -> TokenSplitter {
        TokenSplitter {
            delimiter,
            count: count.max(1),
        }
    }
}

impl Plugin for TokenSplitter {
    const TYPE: &'static str = "TokenSplitter";
    type Settings = TokenSplitterSettings;

    fn build(
        settings: &TokenSplitterSettings,
        _: &BuildContext<'_>,
    ) -> Result<TokenSplitter, BuildError> {
        match settings.delimiter.as_bytes() {
            [delimiter] => Ok(TokenSplitter::new(*delimiter, settings.count)),
            _ => Err(BuildError::new(
                "TokenSplitter delimiter must be a single character.",
            )),
        }
    }
}

impl Splitter for TokenSplitter {
    fn find(&mut self, bytes: &[u8], _: bool) -> Found {
        let mut places = memchr::memchr_iter(self.delimiter, bytes);
        match places.nth(self.count - 1) {
            Some(at) => whole(at + 1),
            None => Found::More { discard: 0 },
        }
    }
}

fn whole(end: usize) -> Found {
    Found::Record {
        start: 0,
        end,
        next: end,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_delimiter_stays_with_its_record() {
        let mut lines = TokenSplitter::new(b'\n', 1);
        assert_eq!(lines.find(b"a\nb", false), whole(2));
        assert_eq!(lines.find(b"b", true), Found::More { discard: 0 });
    }

    #[test]
    fn several_delimiters_make_a_record() {
        let mut pairs = TokenSplitter::new(b'\n', 2);
        assert_eq!(pairs.find(b"a\n", false), Found::More { discard: 0 });
        assert_eq!(pairs.find(b"a\nb\nc\n", false), whole(4));
    }
}
