//! What is wrong with a body, and where.

/// A body that cannot be read on. What was read before the error stands.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}, column {column}: {message}")]
pub struct ParseError {
    line: usize,
    column: usize,
    message: String,
}

impl ParseError {
    /// An error at a byte offset of a text.
    pub(crate) fn in_text(body: &[u8], offset: usize, message: impl Into<String>) -> Self {
        let before = &body[..offset.min(body.len())];
        let line_start = memchr::memrchr(b'\n', before).map_or(0, |at| at + 1);
        let line = 1 + memchr::memchr_iter(b'\n', before).count();
        // Columns count characters: bytes that continue one do not count.
        let column = 1 + before[line_start..]
            .iter()
            .filter(|b| !(0x80..0xc0).contains(*b))
            .count();
        Self {
            line,
            column,
            message: message.into(),
        }
    }

    /// An error in a binary message: the line is the number of the message, counted from one,
    /// the column the byte offset in the body, counted from one.
    pub(crate) fn in_message(number: usize, offset: usize, message: impl Into<String>) -> Self {
        Self {
            line: number,
            column: offset + 1,
            message: message.into(),
        }
    }

    /// The line, counted from one; for protobuf the metric family.
    pub fn line(&self) -> usize {
        self.line
    }

    /// The character in the line, counted from one; for protobuf the byte in the body.
    pub fn column(&self) -> usize {
        self.column
    }

    /// What is wrong, without the place.
    pub fn message(&self) -> &str {
        &self.message
    }
}

/// An error whose place is still a byte offset.
#[derive(Debug)]
pub(crate) struct Fault {
    pub(crate) offset: usize,
    pub(crate) message: String,
}

impl Fault {
    pub(crate) fn new(offset: usize, message: impl Into<String>) -> Self {
        Self {
            offset,
            message: message.into(),
        }
    }

    pub(crate) fn locate(self, body: &[u8]) -> ParseError {
        ParseError::in_text(body, self.offset, self.message)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn places_are_lines_and_characters() {
        let body = "ab\ncéd".as_bytes();
        let at = |offset| {
            let error = ParseError::in_text(body, offset, "x");
            (error.line(), error.column())
        };
        assert_eq!(at(0), (1, 1));
        assert_eq!(at(2), (1, 3));
        assert_eq!(at(3), (2, 1));
        assert_eq!(at(6), (2, 3));
        assert_eq!(at(99), (2, 4));
    }
}
