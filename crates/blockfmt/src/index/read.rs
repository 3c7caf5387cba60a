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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::input::{put_be32, put_be64, put_text, put_uvarint, put_varint};

    /// Length, body, checksum; answers the offset of the length.
    fn put_section(file: &mut Vec<u8>, body: &[u8]) -> u64 {
        let offset = file.len() as u64;
        put_be32(file, body.len() as u32);
        file.extend(body);
        put_be32(file, crc32c::crc32c(body));
        offset
    }

    /// An index of version 1, by hand: `{a="x"}` with one chunk and `{a="y"}` with none. Series
    /// are not aligned, symbols are named by their offsets, the postings table is in disorder.
    fn version_1() -> Vec<u8> {
        let mut file = MAGIC.to_be_bytes().to_vec();
        file.push(VERSION_1);
        let symbols = put_section(&mut file, b"\0\0\0\x03\x01a\x01x\x01y");
        // Behind the header, the length and the number.
        let symbol = |at: u64| HEADER as u64 + 8 + 2 * at;
        let mut series = Vec::new();
        for (value, chunks) in [(1, 1), (2, 0)] {
            let mut body = vec![1];
            put_uvarint(&mut body, symbol(0));
            put_uvarint(&mut body, symbol(value));
            body.push(chunks);
            if chunks > 0 {
                put_varint(&mut body, -7);
                put_uvarint(&mut body, 10);
                put_uvarint(&mut body, 8);
            }
            series.push(file.len() as u32);
            put_uvarint(&mut file, body.len() as u64);
            file.extend(&body);
            put_be32(&mut file, crc32c::crc32c(&body));
        }
        let mut postings = |series: &[u32]| {
            let mut body = (series.len() as u32).to_be_bytes().to_vec();
            body.extend(series.iter().flat_map(|it| it.to_be_bytes()));
            put_section(&mut file, &body)
        };
        let (x, y, all) = (
            postings(&series[..1]),
            postings(&series[1..]),
            postings(&series),
        );
        let mut table = 3u32.to_be_bytes().to_vec();
        for (name, value, offset) in [("a", "y", y), ("", "", all), ("a", "x", x)] {
            table.push(2);
            put_text(&mut table, name);
            put_text(&mut table, value);
            put_uvarint(&mut table, offset);
        }
        let table = put_section(&mut file, &table);
        let start = file.len();
        for offset in [symbols, 0, 0, 0, x, table] {
            put_be64(&mut file, offset);
        }
        let sum = crc32c::crc32c(&file[start..]);
        put_be32(&mut file, sum);
        file
    }

    #[test]
    fn version_1_is_read() {
        let index = Index::open(version_1()).unwrap();
        assert_eq!(index.version(), 1);
        assert_eq!(index.label_names().collect::<Vec<_>>(), ["a"]);
        assert_eq!(index.label_values("a").collect::<Vec<_>>(), ["x", "y"]);
        assert_eq!(
            index.label_values_from("a", "xx").collect::<Vec<_>>(),
            ["y"]
        );
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        let mut read = Vec::new();
        for reference in index.all_postings().unwrap() {
            index
                .series(reference)
                .unwrap()
                .read_into(&mut labels, &mut chunks)
                .unwrap();
            read.push((labels[0], chunks.len()));
        }
        assert_eq!(read, [(("a", "x"), 1), (("a", "y"), 0)]);
        assert_eq!(
            index.postings("a", "y").unwrap().get(0),
            index.all_postings().unwrap().get(1)
        );
    }

    #[test]
    fn version_1_with_foreign_symbols_is_damaged() {
        let index = Index::open(version_1()).unwrap();
        for outside in [0, 12, 19, u32::MAX] {
            assert!(index.symbol(outside).is_err(), "{outside}");
        }
    }
}
