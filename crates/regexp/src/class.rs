//! Character classes: brackets, `\d`, `[:alpha:]`, `\p{Greek}`.

use regex_syntax::hir::{Class, ClassUnicode, ClassUnicodeRange, HirKind};

use crate::error::{Error, ErrorKind};
use crate::escape::escape;
use crate::parser::{Parser, consumed};

type ClassAndRest<'r> = (ClassUnicode, &'r str);

impl Parser<'_> {
    /// `[...]`; `rest` begins with the bracket.
    pub(crate) fn bracket<'r>(&self, rest: &'r str) -> Result<ClassAndRest<'r>, Error> {
        let mut text = &rest[1..];
        let negated = text.starts_with('^');
        if negated {
            text = &text[1..];
        }
        let mut class = ClassUnicode::empty();
        let mut first = true;
        loop {
            // A bracket in the first place is a member, not the end.
            if !first && let Some(after) = text.strip_prefix(']') {
                text = after;
                break;
            }
            first = false;
            let (part, after) = self.member(text, rest)?;
            class.union(&part);
            text = after;
        }
        if negated {
            class.negate();
        }
        Ok((class, text))
    }

    /// One member of a bracket: a named class, an escaped class, a character or a range.
    fn member<'r>(&self, text: &'r str, whole: &str) -> Result<ClassAndRest<'r>, Error> {
        if let Some(found) = self.posix_class(text)? {
            return Ok(found);
        }
        if let Some(found) = self.escaped_class(text)? {
            return Ok(found);
        }
        let (low, mut after) = class_char(text, whole)?;
        let mut high = low;
        if let Some(end) = after.strip_prefix('-')
            && !end.is_empty()
            && !end.starts_with(']')
        {
            (high, after) = class_char(end, whole)?;
            if high < low {
                return Err(Error::new(
                    ErrorKind::InvalidCharRange,
                    consumed(text, after),
                ));
            }
        }
        Ok((self.folded(range(low, high)), after))
    }

    /// `[:name:]` or `[:^name:]`.
    fn posix_class<'r>(&self, text: &'r str) -> Result<Option<ClassAndRest<'r>>, Error> {
        let Some(inner) = text.strip_prefix("[:") else {
            return Ok(None);
        };
        let Some(end) = inner.find(":]") else {
            return Ok(None);
        };
        let after = &inner[end + 2..];
        let name = &inner[..end];
        let Some(class) = posix(name.strip_prefix('^').unwrap_or(name)) else {
            return Err(Error::new(
                ErrorKind::InvalidCharRange,
                consumed(text, after),
            ));
        };
        Ok(Some((self.signed(class, name.starts_with('^')), after)))
    }

    /// `\d`, `\S`, `\pL`, `\P{Greek}` and the like.
    pub(crate) fn escaped_class<'r>(
        &self,
        text: &'r str,
    ) -> Result<Option<ClassAndRest<'r>>, Error> {
        let Some(escaped) = text.strip_prefix('\\') else {
            return Ok(None);
        };
        let Some(letter) = escaped.chars().next() else {
            return Ok(None);
        };
        let class = match letter.to_ascii_lowercase() {
            'd' => digit(),
            's' => perl_space(),
            'w' => word(),
            'p' => return self.unicode_class(text).map(Some),
            _ => return Ok(None),
        };
        Ok(Some((
            self.signed(class, letter.is_ascii_uppercase()),
            &escaped[1..],
        )))
    }

    /// `text` begins with `\p` or `\P`.
    fn unicode_class<'r>(&self, text: &'r str) -> Result<ClassAndRest<'r>, Error> {
        let unknown = |part: &str| Error::new(ErrorKind::InvalidCharRange, part);
        let mut negated = text.as_bytes()[1] == b'P';
        let (name, after) = match text[2..].chars().next() {
            None => return Err(unknown(text)),
            Some('{') => {
                let end = text.find('}').ok_or_else(|| unknown(text))?;
                (&text[3..end], &text[end + 1..])
            }
            Some(c) => text[2..].split_at(c.len_utf8()),
        };
        negated ^= name.starts_with('^');
        let class = unicode(name.strip_prefix('^').unwrap_or(name))
            .ok_or_else(|| unknown(consumed(text, after)))?;
        Ok((self.signed(class, negated), after))
    }

    /// Case folding comes before negation: `(?i)[^k]` excludes both cases.
    fn signed(&self, class: ClassUnicode, negated: bool) -> ClassUnicode {
        let mut class = self.folded(class);
        if negated {
            class.negate();
        }
        class
    }

    fn folded(&self, mut class: ClassUnicode) -> ClassUnicode {
        if self.flags.fold_case {
            class.case_fold_simple();
        }
        class
    }
}

/// A plain or escaped character inside brackets.
fn class_char<'r>(text: &'r str, whole: &str) -> Result<(u32, &'r str), Error> {
    match text.chars().next() {
        None => Err(Error::new(ErrorKind::MissingBracket, whole)),
        Some('\\') => escape(text),
        Some(c) => Ok((c as u32, &text[c.len_utf8()..])),
    }
}

/// A range of code points without the surrogates, which no text contains.
fn range(low: u32, high: u32) -> ClassUnicode {
    let low = char::from_u32(low).unwrap_or('\u{e000}');
    let high = char::from_u32(high).unwrap_or('\u{d7ff}');
    if low > high {
        return ClassUnicode::empty();
    }
    ClassUnicode::new([ClassUnicodeRange::new(low, high)])
}

fn ranges(ranges: &[(char, char)]) -> ClassUnicode {
    ClassUnicode::new(
        ranges
            .iter()
            .map(|&(low, high)| ClassUnicodeRange::new(low, high)),
    )
}

fn digit() -> ClassUnicode {
    ranges(&[('0', '9')])
}

/// Perl's space has no vertical tab, POSIX's has one.
fn perl_space() -> ClassUnicode {
    ranges(&[('\t', '\n'), ('\x0c', '\r'), (' ', ' ')])
}

fn word() -> ClassUnicode {
    ranges(&[('0', '9'), ('A', 'Z'), ('_', '_'), ('a', 'z')])
}

/// The ASCII classes that have a name in POSIX, and Perl's `word`.
fn posix(name: &str) -> Option<ClassUnicode> {
    Some(match name {
        "alnum" => ranges(&[('0', '9'), ('A', 'Z'), ('a', 'z')]),
        "alpha" => ranges(&[('A', 'Z'), ('a', 'z')]),
        "ascii" => ranges(&[('\0', '\x7f')]),
        "blank" => ranges(&[('\t', '\t'), (' ', ' ')]),
        "cntrl" => ranges(&[('\0', '\x1f'), ('\x7f', '\x7f')]),
        "digit" => digit(),
        "graph" => ranges(&[('!', '~')]),
        "lower" => ranges(&[('a', 'z')]),
        "print" => ranges(&[(' ', '~')]),
        "punct" => ranges(&[('!', '/'), (':', '@'), ('[', '`'), ('{', '~')]),
        "space" => ranges(&[('\t', '\r'), (' ', ' ')]),
        "upper" => ranges(&[('A', 'Z')]),
        "word" => word(),
        "xdigit" => ranges(&[('0', '9'), ('A', 'F'), ('a', 'f')]),
        _ => return None,
    })
}

/// A general category or a script, by the names Go has for them.
fn unicode(name: &str) -> Option<ClassUnicode> {
    if name == "Any" {
        return Some(range(0, char::MAX as u32));
    }
    // regex-syntax matches names loosely; Go wants them spelled `Lu`, `Old_Italic`.
    let spelled = name.starts_with(|c: char| c.is_ascii_uppercase())
        && name.bytes().all(|b| b == b'_' || b.is_ascii_alphabetic());
    if !spelled {
        return None;
    }
    ["gc", "sc"].iter().find_map(|property| {
        let hir = regex_syntax::parse(&format!(r"\p{{{property}={name}}}")).ok()?;
        match hir.into_kind() {
            HirKind::Class(Class::Unicode(class)) => Some(class),
            _ => None,
        }
    })
}
