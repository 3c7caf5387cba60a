//! `| pattern "<a> <_> <b>"` and the line filters `|>` and `!>`.

use memchr::memmem::Finder;

/// A piece of a pattern.
#[derive(Debug)]
enum Piece {
    Literal(Box<Finder<'static>>),
    /// A capture; without a name it only skips.
    Capture(Option<String>),
}

/// Literals and captures in turn.
#[derive(Debug)]
pub(crate) struct Pattern {
    pieces: Vec<Piece>,
}

impl Pattern {
    /// Reads the pattern of a parser: it must capture something.
    pub(crate) fn for_parser(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err(
                "parse error at line 1, col 1: syntax error: unexpected $end, \
                        expecting IDENTIFIER or LITERAL"
                    .to_owned(),
            );
        }
        let pattern = Self::parse(text)?;
        let mut names: Vec<&str> = pattern.names().collect();
        if names.is_empty() {
            return Err("at least one capture is required".to_owned());
        }
        names.sort_unstable();
        if let Some(pair) = names.windows(2).find(|pair| pair[0] == pair[1]) {
            let name = pair[0];
            return Err(format!(
                "duplicate capture name ({name}): invalid expression"
            ));
        }
        Ok(pattern)
    }

    /// Reads the pattern of a line filter: its captures have no names.
    pub(crate) fn for_filter(text: &str) -> Result<Self, String> {
        let pattern = Self::parse(text)?;
        if let Some(name) = pattern.names().next() {
            return Err(format!(
                "named captures are not allowed: found '<{name}>': invalid expression"
            ));
        }
        Ok(pattern)
    }

    fn parse(text: &str) -> Result<Self, String> {
        let mut pieces = Vec::new();
        let mut literal = String::new();
        let mut rest = text;
        while let Some(c) = rest.chars().next() {
            let Some((name, length)) = capture(rest) else {
                literal.push(c);
                rest = &rest[c.len_utf8()..];
                continue;
            };
            if !literal.is_empty() {
                let needle = std::mem::take(&mut literal).into_bytes();
                pieces.push(literal_of(&needle));
            } else if let Some(Piece::Capture(before)) = pieces.last() {
                let before = before.as_deref().unwrap_or("_");
                return Err(format!(
                    "found consecutive capture '<{before}><{name}>': invalid expression"
                ));
            }
            pieces.push(Piece::Capture((name != "_").then(|| name.to_owned())));
            rest = &rest[length..];
        }
        if !literal.is_empty() {
            pieces.push(literal_of(literal.as_bytes()));
        }
        Ok(Self { pieces })
    }

    /// The names of the captures.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Capture(name) => name.as_deref(),
            Piece::Literal(_) => None,
        })
    }

    /// The texts between captures, all of which a matching line holds.
    pub(crate) fn literals(&self) -> impl Iterator<Item = &[u8]> {
        self.pieces.iter().filter_map(|piece| match piece {
            Piece::Literal(finder) => Some(finder.needle()),
            Piece::Capture(_) => None,
        })
    }

    /// Calls `found` with name and text of each named capture, as far as the
    /// line matches.
    pub(crate) fn captures(&self, line: &[u8], mut found: impl FnMut(&str, &[u8])) {
        let mut pieces = &self.pieces[..];
        let mut rest = line;
        if rest.is_empty() {
            return;
        }
        if let [Piece::Literal(literal), after @ ..] = pieces {
            let Some(behind) = rest.strip_prefix(literal.needle()) else {
                return;
            };
            (rest, pieces) = (behind, after);
        }
        while let [Piece::Capture(name), after @ ..] = pieces {
            let end = match after.first() {
                Some(Piece::Literal(literal)) => literal.find(rest),
                _ => None,
            };
            let text = &rest[..end.unwrap_or(rest.len())];
            if let Some(name) = name {
                found(name, text);
            }
            let (Some(end), [Piece::Literal(literal), after @ ..]) = (end, after) else {
                return;
            };
            rest = &rest[end + literal.needle().len()..];
            pieces = after;
        }
    }

    /// Whether the whole line matches.
    pub(crate) fn matches(&self, line: &[u8]) -> bool {
        let Some(last) = self.pieces.last() else {
            return line.is_empty();
        };
        if line.is_empty() {
            return false;
        }
        let mut at = 0;
        for (index, piece) in self.pieces.iter().enumerate() {
            if let Piece::Literal(literal) = piece {
                match literal.find(&line[at..]) {
                    Some(found) if index > 0 || found == 0 => {
                        at += found + literal.needle().len();
                    }
                    _ => return false,
                }
            }
        }
        // A capture at the end takes something; a literal leaves nothing.
        matches!(last, Piece::Capture(_)) == (at < line.len())
    }
}

fn literal_of(text: &[u8]) -> Piece {
    Piece::Literal(Box::new(Finder::new(text).into_owned()))
}

/// The name and length of `<name>` if one stands here.
fn capture(text: &str) -> Option<(&str, usize)> {
    let inner = text.strip_prefix('<')?;
    let end = inner.find('>')?;
    let name = &inner[..end];
    headwater_model::name::is_legacy_label_name(name).then_some((name, end + 2))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn captures(pattern: &str, line: &str) -> String {
        let mut out = Vec::new();
        let pattern = Pattern::for_parser(pattern).unwrap();
        pattern.captures(line.as_bytes(), |name, text| {
            out.push(format!("{name}={}", String::from_utf8_lossy(text)));
        });
        out.join(" ")
    }

    #[test]
    fn parsing_lines() {
        for (pattern, line, want) in [
            ("<a> <_> <b>", "x y z", "a=x b=z"),
            ("<a> <b>", "one", "a=one"),
            ("[<a>]", "[x] rest", "a=x"),
            ("[<a>]", "no", ""),
            ("<a>-<b>-", "1-2-3", "a=1 b=2"),
        ] {
            assert_eq!(captures(pattern, line), want, "{pattern} {line}");
        }
    }

    #[test]
    fn filtering_lines() {
        for (pattern, line, want) in [
            ("GET <_> 200", "GET /api 200", true),
            ("GET <_> 200", "GET /api 500", false),
            ("GET /api", "GET /api 200", false),
            ("<_>api<_>", "GET /api 200", true),
            ("<_>200", "x 200 y", false),
            ("", "", true),
            ("", "x", false),
        ] {
            let filter = Pattern::for_filter(pattern).unwrap();
            assert_eq!(filter.matches(line.as_bytes()), want, "{pattern} {line}");
        }
    }

    #[test]
    fn refused() {
        for (pattern, want) in [
            ("nocapture", "at least one capture is required"),
            ("<_>", "at least one capture is required"),
            (
                "<a><b>",
                "found consecutive capture '<a><b>': invalid expression",
            ),
            ("<a> <a>", "duplicate capture name (a): invalid expression"),
        ] {
            assert_eq!(Pattern::for_parser(pattern).unwrap_err(), want);
        }
        assert!(Pattern::for_filter("<a> x").is_err());
    }
}
