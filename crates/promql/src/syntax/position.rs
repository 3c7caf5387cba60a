//! Where a piece of an expression stands in the query text.

use std::fmt;

/// A range of bytes of the query, the end excluded.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct PosRange {
    /// First byte.
    pub start: u32,
    /// The byte after the last one.
    pub end: u32,
}

impl PosRange {
    /// The range from `start` to before `end`.
    pub const fn new(start: u32, end: u32) -> Self {
        Self { start, end }
    }

    /// The smallest range that holds both.
    #[must_use]
    pub fn merge(self, other: Self) -> Self {
        Self {
            start: self.start.min(other.start),
            end: self.end.max(other.end),
        }
    }

    /// The start as `line:column`, both counted from one, columns in bytes as Prometheus counts them.
    pub fn locate(self, query: &str) -> LineCol {
        let start = self.start as usize;
        if query.is_empty() || start > query.len() {
            return LineCol { line: 0, column: 0 };
        }
        let before = &query.as_bytes()[..start];
        let line = before.iter().filter(|byte| **byte == b'\n').count() + 1;
        let line_start = before
            .iter()
            .rposition(|byte| *byte == b'\n')
            .map_or(0, |at| at + 1);
        LineCol {
            line,
            column: start - line_start + 1,
        }
    }
}

/// A place in a text; line 0 is "unknown position".
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct LineCol {
    /// From one; zero if the place is not in the text.
    pub line: usize,
    /// From one.
    pub column: usize,
}

impl fmt::Display for LineCol {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => f.write_str("unknown position"),
            line => write!(f, "{line}:{}", self.column),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_and_columns_count_from_one() {
        let text = "sum(\n  up)";
        assert_eq!(PosRange::new(0, 1).locate(text).to_string(), "1:1");
        assert_eq!(PosRange::new(7, 9).locate(text).to_string(), "2:3");
        assert_eq!(
            PosRange::new(99, 99).locate(text).to_string(),
            "unknown position"
        );
        assert_eq!(
            PosRange::new(0, 0).locate("").to_string(),
            "unknown position"
        );
    }
}
