//! Symbols: every label name and value of a block, once, ascending.

use super::{PART, VERSION_1, section};
use crate::error::DecodeError;
use crate::input::Input;

/// Every so many symbols, the offset is kept in memory. Prometheus keeps one in 32; reading is
/// four times as fast with one in 8, for half a byte a symbol.
const STRIDE: usize = 8;

/// What is kept of the symbols in memory; the texts stay in the file.
#[derive(Clone, Debug)]
pub(super) struct SymbolOffsets {
    /// Where the section's body lies in the file.
    start: usize,
    end: usize,
    len: usize,
    /// Offset in the body of every [`STRIDE`]th symbol.
    sampled: Vec<u32>,
    by_offset: bool,
}

impl SymbolOffsets {
    /// Reads the whole section once, so that later reads cannot fail on it.
    pub(super) fn read(file: &[u8], offset: u64, version: u8) -> Result<Self, DecodeError> {
        let (body, start) = section(file, offset)?;
        let at_base = |error: DecodeError| error.at_base(start);
        let mut input = Input::new(PART, body);
        let len = input.be32().map_err(at_base)? as usize;
        // A symbol takes a byte at least.
        if len > input.remaining() {
            return Err(at_base(input.invalid("more symbols than bytes")));
        }
        let mut sampled = Vec::with_capacity(len.div_ceil(STRIDE));
        for at in 0..len {
            if at % STRIDE == 0 {
                sampled.push(input.offset() as u32);
            }
            input.text().map_err(at_base)?;
        }
        let end = start + body.len();
        Ok(Self {
            start,
            end,
            len,
            sampled,
            by_offset: version == VERSION_1,
        })
    }

    /// The symbol with this number (version 1: at this offset of the file).
    pub(super) fn get<'a>(&self, file: &'a [u8], number: u32) -> Result<&'a str, DecodeError> {
        if self.by_offset {
            return self.get_at(file, number as usize);
        }
        let number = number as usize;
        let unknown =
            || DecodeError::invalid(PART, self.start, "a symbol that the index does not have");
        let &offset = self.sampled.get(number / STRIDE).ok_or_else(unknown)?;
        if number >= self.len {
            return Err(unknown());
        }
        let mut input = Input::new(PART, &file[self.start + offset as usize..self.end]);
        for _ in 0..number % STRIDE {
            input.len_bytes()?;
        }
        input.text()
    }

    fn get_at<'a>(&self, file: &'a [u8], offset: usize) -> Result<&'a str, DecodeError> {
        // The body begins with the number of symbols.
        if !(self.start + 4..self.end).contains(&offset) {
            return Err(DecodeError::invalid(
                PART,
                self.start,
                "a symbol outside of the symbols",
            ));
        }
        Input::new(PART, &file[offset..self.end])
            .text()
            .map_err(|error| error.at_base(offset))
    }

    /// The number of a text, by which series of version 2 refer to it.
    pub(super) fn find(&self, file: &[u8], text: &str) -> Result<Option<u32>, DecodeError> {
        let body = &file[self.start..self.end];
        let first = |offset: &u32| {
            Input::new(PART, &body[*offset as usize..])
                .text()
                .unwrap_or("")
        };
        let block = self.sampled.partition_point(|offset| first(offset) <= text);
        let Some(block) = block.checked_sub(1) else {
            return Ok(None);
        };
        let mut input = Input::new(PART, &body[self.sampled[block] as usize..]);
        for at in block * STRIDE..self.len.min((block + 1) * STRIDE) {
            if input.text()? == text {
                return Ok(Some(at as u32));
            }
        }
        Ok(None)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.sampled.capacity() * size_of::<u32>()
    }

    pub(super) fn iter<'a>(&self, file: &'a [u8]) -> Symbols<'a> {
        let mut input = Input::new(PART, &file[self.start..self.end]);
        // The number was read before; what follows is the first symbol.
        let _ = input.be32();
        Symbols {
            input,
            left: self.len,
        }
    }
}

/// Iterates over all symbols, ascending.
#[derive(Clone, Debug)]
pub struct Symbols<'a> {
    input: Input<'a>,
    left: usize,
}

impl<'a> Iterator for Symbols<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.left = self.left.checked_sub(1)?;
        // The section was verified when the index was opened.
        self.input.text().ok()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        (self.left, Some(self.left))
    }
}
