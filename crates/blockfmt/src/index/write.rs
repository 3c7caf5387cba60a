//! Writing an index of version 2.

use std::collections::BTreeMap;
use std::hash::BuildHasher;

use hashbrown::{DefaultHashBuilder, HashTable};
use headwater_model::Labels;

use super::series::{ChunkMeta, put_series};
use super::{Contents, MAGIC, SERIES_ALIGN, VERSION_2};
use crate::input::{Input, put_be32, put_text, put_uvarint};

/// Postings begin at multiples of this.
const POSTINGS_ALIGN: usize = 4;

/// Why an index cannot be written. All but [`IndexWriteError::TooLarge`] are bugs of the caller.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum IndexWriteError {
    /// Symbols must ascend.
    #[error("symbol {0:?} does not come behind the one before it")]
    SymbolOrder(String),
    /// A series needs a symbol that was not given.
    #[error("label text {0:?} is not among the symbols")]
    UnknownSymbol(String),
    /// Series must ascend by their labels.
    #[error("series {0} does not come behind the one before it")]
    SeriesOrder(String),
    /// A section is larger than the format can say; make smaller blocks.
    #[error("the {0} of the index are larger than the format allows")]
    TooLarge(&'static str),
}

/// Writes an index: symbols first, then series in order, then [`IndexWriter::finish`].
///
/// What is ready can be taken away at any time with [`IndexWriter::take`], so that memory holds
/// the symbols and eight bytes a label pair, but not the file.
#[derive(Debug)]
pub struct IndexWriter {
    out: Vec<u8>,
    /// Bytes taken away so far.
    taken: u64,
    symbols: SymbolTable,
    contents: Contents,
    /// For every name, value and series of each pair: the value's symbol above, the series below.
    pairs: BTreeMap<u32, Vec<u64>>,
    series: Vec<u32>,
    last: Vec<(u32, u32)>,
}

impl IndexWriter {
    /// Begins an index with these symbols, which must be ascending and each there once.
    ///
    /// # Errors
    /// They are not, or they take more than 4 GiB.
    pub fn new<'s>(symbols: impl IntoIterator<Item = &'s str>) -> Result<Self, IndexWriteError> {
        let symbols = SymbolTable::new(symbols)?;
        let mut out = MAGIC.to_be_bytes().to_vec();
        out.push(VERSION_2);
        let mut contents = Contents {
            symbols: out.len() as u64,
            ..Contents::default()
        };
        put_section(&mut out, "symbols", |out| {
            out.extend_from_slice(&symbols.body)
        })?;
        contents.series = out.len() as u64;
        Ok(Self {
            out,
            taken: 0,
            symbols,
            contents,
            pairs: BTreeMap::new(),
            series: Vec::new(),
            last: Vec::new(),
        })
    }

    /// The number of a symbol.
    pub fn symbol(&self, text: &str) -> Option<u32> {
        self.symbols.find(text)
    }

    /// Adds a series; answers its reference. Series come in the order of their labels.
    ///
    /// # Errors
    /// A label text is no symbol, the series is not behind the one before, or the index is full.
    pub fn add_series(
        &mut self,
        labels: &Labels,
        chunks: &[ChunkMeta],
    ) -> Result<u32, IndexWriteError> {
        let find = |text: &str| {
            self.symbols
                .find(text)
                .ok_or_else(|| IndexWriteError::UnknownSymbol(text.to_owned()))
        };
        let pairs: Result<Vec<_>, _> = labels
            .iter()
            .map(|(name, value)| Ok((find(name)?, find(value)?)))
            .collect();
        self.add_series_symbols(&pairs?, chunks)
    }

    /// Adds a series whose labels are given as symbols: name, value, ascending by name.
    ///
    /// # Errors
    /// As [`IndexWriter::add_series`].
    pub fn add_series_symbols(
        &mut self,
        pairs: &[(u32, u32)],
        chunks: &[ChunkMeta],
    ) -> Result<u32, IndexWriteError> {
        let count = self.symbols.offsets.len() as u32;
        if let Some(&(name, value)) = pairs
            .iter()
            .find(|&&(name, value)| name.max(value) >= count)
        {
            return Err(IndexWriteError::UnknownSymbol(format!(
                "#{}",
                name.max(value)
            )));
        }
        // Symbols are numbered in the order of their texts, so numbers compare like labels.
        if !self.series.is_empty() && self.last.as_slice() >= pairs {
            return Err(IndexWriteError::SeriesOrder(self.print(pairs)));
        }
        let reference = self.begin_series()?;
        self.last.clear();
        self.last.extend_from_slice(pairs);
        let mut body = Vec::with_capacity(16 + pairs.len() * 6 + chunks.len() * 10);
        put_series(&mut body, pairs, chunks);
        put_uvarint(&mut self.out, body.len() as u64);
        self.out.extend_from_slice(&body);
        put_be32(&mut self.out, crc32c::crc32c(&body));
        for &(name, value) in pairs {
            self.pairs
                .entry(name)
                .or_default()
                .push(u64::from(value) << 32 | u64::from(reference));
        }
        self.series.push(reference);
        Ok(reference)
    }

    /// Takes away what is ready. The parts, one after the other, and then what
    /// [`IndexWriter::finish`] answers, are the file.
    pub fn take(&mut self) -> Vec<u8> {
        self.taken += self.out.len() as u64;
        std::mem::take(&mut self.out)
    }

    /// Bytes that are ready and have not been taken away.
    pub fn pending(&self) -> usize {
        self.out.len()
    }

    /// Writes postings, their table and the contents; answers what has not been taken away.
    ///
    /// # Errors
    /// The postings are larger than the format allows.
    pub fn finish(mut self) -> Result<Vec<u8>, IndexWriteError> {
        let mut table = Table::default();
        self.contents.postings = self.position();
        let all = std::mem::take(&mut self.series);
        self.put_postings(&mut table, ("", ""), all.into_iter())?;
        for (name, mut pairs) in std::mem::take(&mut self.pairs) {
            pairs.sort_unstable();
            for of_value in pairs.chunk_by(|a, b| a >> 32 == b >> 32) {
                let symbols = std::mem::take(&mut self.symbols);
                let texts = (symbols.text(name), symbols.text((of_value[0] >> 32) as u32));
                let written =
                    self.put_postings(&mut table, texts, of_value.iter().map(|&pair| pair as u32));
                self.symbols = symbols;
                written?;
            }
        }
        self.contents.postings_table = self.position();
        put_section(&mut self.out, "postings table", |out| {
            put_be32(out, table.count);
            out.extend_from_slice(&table.body);
        })?;
        self.contents.write(&mut self.out);
        Ok(self.out)
    }

    fn put_postings(
        &mut self,
        table: &mut Table,
        (name, value): (&str, &str),
        series: impl ExactSizeIterator<Item = u32>,
    ) -> Result<(), IndexWriteError> {
        self.pad(POSTINGS_ALIGN);
        table.put(name, value, self.position());
        let count =
            u32::try_from(series.len()).map_err(|_| IndexWriteError::TooLarge("postings"))?;
        put_section(&mut self.out, "postings", |out| {
            put_be32(out, count);
            out.extend(series.flat_map(u32::to_be_bytes));
        })
    }

    fn position(&self) -> u64 {
        self.taken + self.out.len() as u64
    }

    fn pad(&mut self, align: usize) {
        let over = (self.position() % align as u64) as usize;
        if over > 0 {
            self.out.resize(self.out.len() + align - over, 0);
        }
    }

    fn begin_series(&mut self) -> Result<u32, IndexWriteError> {
        self.pad(SERIES_ALIGN);
        u32::try_from(self.position() / SERIES_ALIGN as u64)
            .map_err(|_| IndexWriteError::TooLarge("series"))
    }

    fn print(&self, pairs: &[(u32, u32)]) -> String {
        let texts = pairs
            .iter()
            .map(|&(name, value)| (self.symbols.text(name), self.symbols.text(value)));
        Labels::from_pairs(texts).to_string()
    }
}

/// The postings table while it grows.
#[derive(Default)]
struct Table {
    body: Vec<u8>,
    count: u32,
}

impl Table {
    fn put(&mut self, name: &str, value: &str, offset: u64) {
        self.body.push(2);
        put_text(&mut self.body, name);
        put_text(&mut self.body, value);
        put_uvarint(&mut self.body, offset);
        self.count += 1;
    }
}

/// Writes a length, a body and its checksum.
fn put_section(
    out: &mut Vec<u8>,
    what: &'static str,
    body: impl FnOnce(&mut Vec<u8>),
) -> Result<(), IndexWriteError> {
    let start = out.len();
    put_be32(out, 0);
    body(out);
    let len = u32::try_from(out.len() - start - 4).map_err(|_| IndexWriteError::TooLarge(what))?;
    out[start..start + 4].copy_from_slice(&len.to_be_bytes());
    let sum = crc32c::crc32c(&out[start + 4..]);
    put_be32(out, sum);
    Ok(())
}

/// The symbols with their numbers: the section's body, offsets in it, and a table of numbers by
/// hash. Nine bytes or so a symbol beside the text.
#[derive(Debug, Default)]
struct SymbolTable {
    body: Vec<u8>,
    offsets: Vec<u32>,
    numbers: HashTable<u32>,
    hasher: DefaultHashBuilder,
}

impl SymbolTable {
    fn new<'s>(symbols: impl IntoIterator<Item = &'s str>) -> Result<Self, IndexWriteError> {
        let mut table = Self::default();
        put_be32(&mut table.body, 0);
        let mut before: Option<&str> = None;
        for symbol in symbols {
            if before.is_some_and(|before| before >= symbol) {
                return Err(IndexWriteError::SymbolOrder(symbol.to_owned()));
            }
            before = Some(symbol);
            table.push(symbol)?;
        }
        let count = (table.offsets.len() as u32).to_be_bytes();
        table.body[..4].copy_from_slice(&count);
        Ok(table)
    }

    fn push(&mut self, symbol: &str) -> Result<(), IndexWriteError> {
        let offset =
            u32::try_from(self.body.len()).map_err(|_| IndexWriteError::TooLarge("symbols"))?;
        let number = self.offsets.len() as u32;
        put_text(&mut self.body, symbol);
        self.offsets.push(offset);
        let (body, offsets, hasher) = (&self.body, &self.offsets, &self.hasher);
        let rehash = |&number: &u32| hasher.hash_one(text_at(body, offsets, number));
        self.numbers
            .insert_unique(hasher.hash_one(symbol), number, rehash);
        Ok(())
    }

    fn find(&self, text: &str) -> Option<u32> {
        self.numbers
            .find(self.hasher.hash_one(text), |&number| {
                self.text(number) == text
            })
            .copied()
    }

    fn text(&self, number: u32) -> &str {
        text_at(&self.body, &self.offsets, number)
    }
}

fn text_at<'a>(body: &'a [u8], offsets: &[u32], number: u32) -> &'a str {
    let offset = offsets[number as usize] as usize;
    Input::new("symbols", &body[offset..])
        .text()
        .expect("the table reads what it has written")
}
