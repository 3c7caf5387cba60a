//! Opening an index and asking it.

use super::postings::Postings;
use super::series::SeriesEntry;
use super::symbols::{SymbolOffsets, Symbols};
use super::table::{Entries, PostingsTable};
use super::{Contents, HEADER, MAGIC, PART, SERIES_ALIGN, VERSION_1, VERSIONS};
use crate::error::DecodeError;
use crate::frame::{self, CHECKSUM};
use crate::input::Input;

/// An index over bytes: a mapped file, a vector, a borrowed slice.
///
/// Opening reads symbols and postings table once and keeps a fraction of their offsets; all
/// texts stay where they are. Everything else is verified when it is read, so that one damaged
/// series does not hide the others.
#[derive(Debug)]
pub struct Index<B> {
    bytes: B,
    version: u8,
    symbols: SymbolOffsets,
    table: PostingsTable,
}

impl<B: AsRef<[u8]>> Index<B> {
    /// Opens an index of version 1, 2 or 3.
    ///
    /// # Errors
    /// It is no index, or its table of contents, symbols or postings table are damaged.
    pub fn open(bytes: B) -> Result<Self, DecodeError> {
        let file = bytes.as_ref();
        let version = frame::check_header(PART, file, MAGIC, &VERSIONS)?;
        let contents = Contents::read(file)?;
        let symbols = SymbolOffsets::read(file, contents.symbols, version)?;
        let table = PostingsTable::read(file, contents.postings_table, version)?;
        Ok(Self {
            bytes,
            version,
            symbols,
            table,
        })
    }

    fn file(&self) -> &[u8] {
        self.bytes.as_ref()
    }

    /// The version of the file.
    pub fn version(&self) -> u8 {
        self.version
    }

    /// Bytes of memory that the index keeps beside the file.
    pub fn heap_bytes(&self) -> usize {
        self.symbols.heap_bytes() + self.table.heap_bytes()
    }

    /// All label names, ascending.
    pub fn label_names(&self) -> impl Iterator<Item = &str> {
        self.table
            .names(self.file())
            .filter(|name| !name.is_empty())
    }

    /// The values of a label with their postings, ascending.
    pub fn label_values(&self, name: &str) -> LabelValues<'_> {
        self.label_values_from(name, "")
    }

    /// The values of a label that are not below `from`, with their postings, ascending:
    /// for prefixes.
    pub fn label_values_from(&self, name: &str, from: &str) -> LabelValues<'_> {
        let file = self.file();
        let mut entries = self.table.seek(file, name, from);
        let mut first = entries.clone();
        while first.next().is_some_and(|entry| entry.value < from) {
            entries.next();
        }
        LabelValues { file, entries }
    }

    /// The number of values of a label.
    pub fn label_value_count(&self, name: &str) -> usize {
        self.table.value_count(self.file(), name)
    }

    /// The series that have the label; empty if there are none.
    ///
    /// # Errors
    /// The list is damaged.
    pub fn postings(&self, name: &str, value: &str) -> Result<Postings<'_>, DecodeError> {
        match self.table.find(self.file(), name, value) {
            Some(offset) => Postings::read(self.file(), offset),
            None => Ok(Postings::default()),
        }
    }

    /// All series, ascending, which is also the order of their labels.
    ///
    /// # Errors
    /// The list is damaged.
    pub fn all_postings(&self) -> Result<Postings<'_>, DecodeError> {
        self.postings("", "")
    }

    /// The series with this reference.
    ///
    /// # Errors
    /// There is none, or it is damaged.
    pub fn series(&self, reference: u32) -> Result<SeriesEntry<'_, B>, DecodeError> {
        let align = if self.version == VERSION_1 {
            1
        } else {
            SERIES_ALIGN
        };
        let offset = reference as usize * align;
        let file = self.file();
        let rest = file.get(offset..).filter(|_| offset >= HEADER);
        let rest =
            rest.ok_or_else(|| DecodeError::invalid(PART, offset, "no series has this reference"))?;
        let mut input = Input::new(PART, rest);
        let mut entry = || {
            let len = input.count(1)?;
            let start = input.offset();
            let body = input.bytes(len)?;
            frame::check_sum(PART, start, body, input.be32()?)?;
            Ok((body, start))
        };
        let (body, start) = entry().map_err(|error: DecodeError| error.at_base(offset))?;
        debug_assert!(body.len() + CHECKSUM <= rest.len());
        Ok(SeriesEntry {
            index: self,
            input: Input::new(PART, body),
            base: offset + start,
        })
    }

    /// The text of a symbol.
    ///
    /// # Errors
    /// The index does not have it.
    pub fn symbol(&self, number: u32) -> Result<&str, DecodeError> {
        self.symbols.get(self.file(), number)
    }

    /// The number of a text, if it is a symbol. Not for version 1, whose symbols have no numbers.
    ///
    /// # Errors
    /// The symbols are damaged.
    pub fn find_symbol(&self, text: &str) -> Result<Option<u32>, DecodeError> {
        self.symbols.find(self.file(), text)
    }

    /// All symbols, ascending.
    pub fn symbols(&self) -> Symbols<'_> {
        self.symbols.iter(self.file())
    }

    /// Number of symbols.
    pub fn symbol_count(&self) -> usize {
        self.symbols.len()
    }

    /// The bytes that were opened.
    pub fn bytes(&self) -> &B {
        &self.bytes
    }
}

/// Iterates over the values of a label, ascending.
#[derive(Clone, Debug)]
pub struct LabelValues<'a> {
    file: &'a [u8],
    entries: Entries<'a>,
}

impl<'a> LabelValues<'a> {
    /// The next value with its postings, which are read only now.
    ///
    /// # Errors
    /// The list is damaged; the next value may be sound.
    pub fn next_postings(&mut self) -> Option<(&'a str, Result<Postings<'a>, DecodeError>)> {
        let entry = self.entries.next()?;
        Some((entry.value, Postings::read(self.file, entry.postings)))
    }

    /// The next value for which `keep` answers true, with its postings; the lists of the
    /// others are not touched.
    pub fn next_postings_if(
        &mut self,
        mut keep: impl FnMut(&str) -> bool,
    ) -> Option<(&'a str, Result<Postings<'a>, DecodeError>)> {
        let entry = self.entries.find(|entry| keep(entry.value))?;
        Some((entry.value, Postings::read(self.file, entry.postings)))
    }
}

impl<'a> Iterator for LabelValues<'a> {
    type Item = &'a str;

    fn next(&mut self) -> Option<&'a str> {
        self.entries.next().map(|entry| entry.value)
    }
}
