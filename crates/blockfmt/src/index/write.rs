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

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use proptest::prelude::*;

    use super::super::Index;
    use super::*;
    use crate::error::Cause;

    type Series = (Labels, Vec<ChunkMeta>);

    fn write(series: &[Series], take_every: usize) -> Vec<u8> {
        let texts = series
            .iter()
            .flat_map(|(labels, _)| labels.iter().flat_map(|(name, value)| [name, value]));
        let symbols: BTreeSet<&str> = texts.collect();
        let mut writer = IndexWriter::new(symbols).unwrap();
        let mut file = Vec::new();
        for (at, (labels, chunks)) in series.iter().enumerate() {
            writer.add_series(labels, chunks).unwrap();
            if at % take_every == 0 {
                file.extend(writer.take());
            }
        }
        file.extend(writer.finish().unwrap());
        file
    }

    fn chunk(min_time: i64, max_time: i64, reference: u64) -> ChunkMeta {
        ChunkMeta {
            min_time,
            max_time,
            reference,
        }
    }

    fn small() -> Vec<Series> {
        let chunks = vec![
            chunk(-10, 5, 8),
            chunk(6, 6, 1 << 32 | 8),
            chunk(90, 100, 50),
        ];
        vec![
            (
                Labels::from_pairs([("__name__", "a"), ("x", "1")]),
                chunks.clone(),
            ),
            (Labels::from_pairs([("__name__", "a"), ("x", "2")]), vec![]),
            (Labels::from_pairs([("__name__", "b")]), chunks),
        ]
    }

    fn check(file: &[u8], series: &[Series]) {
        let index = Index::open(file).unwrap();
        let all = index.all_postings().unwrap();
        assert_eq!(all.len(), series.len());
        let (mut labels, mut chunks) = (Vec::new(), Vec::new());
        for (reference, (expected, expected_chunks)) in all.iter().zip(series) {
            index
                .series(reference)
                .unwrap()
                .read_into(&mut labels, &mut chunks)
                .unwrap();
            assert_eq!(&Labels::from_pairs(labels.iter().copied()), expected);
            assert_eq!(&chunks, expected_chunks);
            for (name, value) in expected {
                assert!(
                    index
                        .postings(name, value)
                        .unwrap()
                        .iter()
                        .any(|it| it == reference)
                );
            }
        }
        let names: BTreeSet<&str> = series
            .iter()
            .flat_map(|(labels, _)| labels.iter().map(|(name, _)| name))
            .collect();
        assert_eq!(
            index.label_names().collect::<Vec<_>>(),
            names.iter().copied().collect::<Vec<_>>()
        );
        for name in names {
            let values: BTreeSet<&str> = series
                .iter()
                .filter_map(|(labels, _)| labels.get(name))
                .collect();
            assert_eq!(index.label_values(name).collect::<BTreeSet<_>>(), values);
            assert_eq!(index.label_value_count(name), values.len());
            let mut with_postings = index.label_values(name);
            let mut total = 0;
            while let Some((_, postings)) = with_postings.next_postings() {
                total += postings.unwrap().len();
            }
            assert_eq!(
                total,
                series.iter().filter(|(labels, _)| labels.has(name)).count()
            );
        }
    }

    #[test]
    fn an_index_comes_back() {
        let file = write(&small(), 1);
        check(&file, &small());
        let index = Index::open(&file[..]).unwrap();
        assert_eq!((index.version(), index.symbol_count()), (2, 6));
        assert_eq!(
            index.symbols().collect::<Vec<_>>(),
            ["1", "2", "__name__", "a", "b", "x"]
        );
        assert_eq!(index.find_symbol("b").unwrap(), Some(4));
        assert_eq!(
            (
                index.find_symbol("c").unwrap(),
                index.find_symbol("").unwrap()
            ),
            (None, None)
        );
        assert!(index.postings("x", "3").unwrap().is_empty());
        assert!(index.postings("y", "1").unwrap().is_empty());
        assert_eq!(
            index.label_values_from("x", "11").collect::<Vec<_>>(),
            ["2"]
        );
        assert!(index.series(0).is_err() && index.series(u32::MAX).is_err());
    }

    #[test]
    fn many_values_are_found_between_the_sampled_ones() {
        let series: Vec<Series> = (0..1000)
            .map(|at| {
                (
                    Labels::from_pairs([("n", format!("{at:04}"))]),
                    vec![chunk(at, at + 1, at as u64)],
                )
            })
            .collect();
        let file = write(&series, 7);
        check(&file, &series);
        let index = Index::open(&file[..]).unwrap();
        assert!(index.heap_bytes() < 2000);
        assert_eq!(index.label_values_from("n", "0990").count(), 10);
        let mut values = index.label_values("n");
        assert_eq!(
            values
                .next_postings_if(|value| value.ends_with("77"))
                .unwrap()
                .0,
            "0077"
        );
    }

    #[test]
    fn an_empty_index_is_sound() {
        let file = IndexWriter::new([]).unwrap().finish().unwrap();
        check(&file, &[]);
    }

    #[test]
    fn order_is_checked() {
        assert_eq!(
            IndexWriter::new(["b", "a"]).unwrap_err(),
            IndexWriteError::SymbolOrder("a".into())
        );
        assert!(IndexWriter::new(["a", "a"]).is_err());
        let mut writer = IndexWriter::new(["a", "b"]).unwrap();
        let error = writer
            .add_series(&Labels::from_pairs([("a", "c")]), &[])
            .unwrap_err();
        assert_eq!(error, IndexWriteError::UnknownSymbol("c".into()));
        writer
            .add_series(&Labels::from_pairs([("a", "b")]), &[])
            .unwrap();
        let error = writer
            .add_series(&Labels::from_pairs([("a", "b")]), &[])
            .unwrap_err();
        assert_eq!(error, IndexWriteError::SeriesOrder(r#"{a="b"}"#.into()));
        assert!(writer.add_series_symbols(&[(1, 2)], &[]).is_err());
    }

    #[test]
    fn every_flipped_bit_is_found_or_harmless() {
        let whole = write(&small(), 1);
        for at in 0..whole.len() {
            for bit in 0..8 {
                let mut file = whole.clone();
                file[at] ^= 1 << bit;
                let Ok(index) = Index::open(&file[..]) else {
                    continue;
                };
                let Ok(all) = index.all_postings() else {
                    continue;
                };
                assert_eq!(all.len(), 3, "byte {at}");
                let (mut labels, mut chunks) = (Vec::new(), Vec::new());
                for (reference, (expected, expected_chunks)) in all.iter().zip(small()) {
                    let read = index
                        .series(reference)
                        .and_then(|it| it.read_into(&mut labels, &mut chunks));
                    if read.is_ok() {
                        assert_eq!(Labels::from_pairs(labels.iter().copied()), expected);
                        assert_eq!(chunks, expected_chunks);
                    }
                }
            }
        }
        assert!((0..whole.len()).all(|len| Index::open(&whole[..len]).is_err()));
    }

    #[test]
    fn faults_name_their_place() {
        let mut file = write(&small(), 1);
        let index = Index::open(&file[..]).unwrap();
        let first = index.all_postings().unwrap().get(0).unwrap();
        let at = first as usize * SERIES_ALIGN + 2;
        file[at] ^= 1;
        let error = Index::open(&file[..])
            .unwrap()
            .series(first)
            .map(|_| ())
            .unwrap_err();
        assert_eq!((error.part, error.offset), ("index", at - 1));
        assert!(matches!(error.cause, Cause::Checksum { .. }));
    }

    proptest! {
        #[test]
        fn any_index_comes_back(
            series in proptest::collection::btree_map(
                proptest::collection::btree_map("[a-d]{0,2}[x-z]", "[a-c]{1,3}", 0..4),
                proptest::collection::vec((0i64..100, 0i64..100, any::<u64>()), 0..4),
                0..60,
            ),
            take_every in 1usize..9,
        ) {
            let mut series: Vec<Series> = series.into_iter().map(|(labels, steps)| {
                let mut time = -50;
                let chunks = steps.into_iter().map(|(gap, span, reference)| {
                    let min_time = time + gap;
                    time = min_time + span;
                    chunk(min_time, time, reference)
                });
                (Labels::from_pairs(&labels), chunks.collect())
            }).collect();
            series.sort_by(|(a, _), (b, _)| a.cmp(b));
            check(&write(&series, take_every), &series);
        }

        #[test]
        fn any_bytes_are_refused(data in proptest::collection::vec(any::<u8>(), 0..300)) {
            let mut file = vec![0xba, 0xaa, 0xd7, 0, 2];
            file.extend(data);
            prop_assert!(Index::open(&file[..]).is_err());
        }
    }
}
