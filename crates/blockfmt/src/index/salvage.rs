//! What can still be read of a damaged index.
//!
//! An index says most things twice. The labels of a series stand in its entry, as symbols, and in
//! the postings of each of its pairs; which series there are stands in the entries themselves, one
//! behind the other, each with its checksum, and in the list of all series. So the entries are
//! found by walking over the file, and their labels are taken from wherever they are sound. Only
//! the chunks of a series stand nowhere else.

use std::collections::BTreeMap;

use headwater_model::Labels;

use super::postings::Postings;
use super::series::{ChunkMeta, read_chunks, walk_labels};
use super::symbols::SymbolOffsets;
use super::{
    Contents, HEADER, MAGIC, PART, SERIES_ALIGN, VERSION_1, VERSION_2, VERSIONS, section, table,
};
use crate::error::DecodeError;
use crate::frame::{self, CHECKSUM};
use crate::input::Input;

/// No entry is taken to be longer: it would be a series with a million chunks. Keeps the walk over
/// a file that is noise from reading it over and over.
const MAX_ENTRY: usize = 16 << 20;

/// What was read of a damaged index.
#[derive(Clone, Debug, Default)]
pub struct Salvage {
    /// The series whose labels are known, ascending by reference.
    pub series: Vec<SalvagedSeries>,
    /// Series that must have been there and of which not even the labels are known.
    pub unknown: u64,
    /// What is damaged.
    pub damage: Vec<DecodeError>,
}

/// A series of a damaged index.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SalvagedSeries {
    /// Its reference, which stays what it was.
    pub reference: u32,
    /// Its labels.
    pub labels: Labels,
    /// Its chunks; `None` if its entry is damaged.
    pub chunks: Option<Vec<ChunkMeta>>,
}

/// Reads what is sound of an index.
pub fn salvage(file: &[u8]) -> Salvage {
    let mut out = Salvage::default();
    let mut note = |error: DecodeError| out.damage.push(error);
    let version = frame::check_header(PART, file, MAGIC, &VERSIONS).unwrap_or_else(|error| {
        note(error);
        VERSION_2
    });
    let contents = Contents::read(file).map_err(&mut note).ok();
    let symbols_at = contents.map_or(HEADER as u64, |c| c.symbols);
    // The version has no checksum, and what is read as another one makes no sense, or false sense.
    let version = match version {
        VERSION_1 if named(file, VERSION_2, contents) > named(file, VERSION_1, contents) => {
            VERSION_2
        }
        version => version,
    };
    let symbols = SymbolOffsets::read(file, symbols_at, version)
        .map_err(&mut note)
        .ok();
    let table_at = match contents {
        Some(contents) => Some(contents.postings_table),
        None => find_table(file),
    };
    let listed = table_at.map(|at| by_postings(file, at, &mut note));
    let entries = entries(file, version, contents, symbols_at);
    let listed = listed.unwrap_or_default();
    for (reference, entry) in &entries {
        let labels = symbols
            .as_ref()
            .and_then(|symbols| labels_of(file, symbols, entry))
            .or_else(|| listed.get(reference).map(Listed::labels));
        match labels {
            Some(labels) if !labels.is_empty() || symbols.is_some() => {
                out.series.push(SalvagedSeries {
                    reference: *reference,
                    labels,
                    chunks: Some(entry.chunks.clone()),
                });
            }
            _ => out.unknown += 1,
        }
    }
    for (reference, listed) in &listed {
        if !entries.contains_key(reference) {
            out.series.push(SalvagedSeries {
                reference: *reference,
                labels: listed.labels(),
                chunks: None,
            });
        }
    }
    out.series.sort_by_key(|series| series.reference);
    out
}

/// How many series have labels if the file is read as this version.
fn named(file: &[u8], version: u8, contents: Option<Contents>) -> usize {
    let symbols_at = contents.map_or(HEADER as u64, |c| c.symbols);
    let Ok(symbols) = SymbolOffsets::read(file, symbols_at, version) else {
        return 0;
    };
    // Entries of version 1 may stand anywhere, so at a multiple of 16 few do by chance.
    let entries = entries(file, version, contents, symbols_at);
    let fits = |entry: &&Entry| {
        labels_of(file, &symbols, entry).is_some_and(|labels| labels.len() == entry.pairs.len())
            && is_sorted(file, &symbols, &entry.pairs)
    };
    entries.values().filter(fits).count()
}

/// Whether the names of the pairs ascend, as they do in every entry that was written.
fn is_sorted(file: &[u8], symbols: &SymbolOffsets, pairs: &[(u32, u32)]) -> bool {
    pairs.windows(2).all(|two| {
        let names = symbols
            .get(file, two[0].0)
            .ok()
            .zip(symbols.get(file, two[1].0).ok());
        names.is_some_and(|(a, b)| a < b)
    })
}

/// A series as the postings know it.
#[derive(Debug, Default)]
struct Listed<'a> {
    pairs: Vec<(&'a str, &'a str)>,
}

impl Listed<'_> {
    fn labels(&self) -> Labels {
        Labels::from_pairs(self.pairs.iter().copied())
    }
}

/// The pairs of every series, from the postings. If one list is damaged, no series has all of its
/// pairs for sure, and none is answered.
fn by_postings<'a>(
    file: &'a [u8],
    table: u64,
    note: &mut impl FnMut(DecodeError),
) -> BTreeMap<u32, Listed<'a>> {
    let mut out: BTreeMap<u32, Listed<'a>> = BTreeMap::new();
    let mut read = || {
        for (name, value, at) in table::all_pairs(file, table)? {
            for reference in Postings::read(file, at)? {
                let listed = out.entry(reference).or_default();
                if !name.is_empty() {
                    listed.pairs.push((name, value));
                }
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => out,
        Err(error) => {
            note(error);
            BTreeMap::new()
        }
    }
}

/// An entry that was found in the file.
#[derive(Debug)]
struct Entry {
    pairs: Vec<(u32, u32)>,
    chunks: Vec<ChunkMeta>,
}

fn labels_of(file: &[u8], symbols: &SymbolOffsets, entry: &Entry) -> Option<Labels> {
    let mut pairs = Vec::with_capacity(entry.pairs.len());
    for &(name, value) in &entry.pairs {
        pairs.push((
            symbols.get(file, name).ok()?,
            symbols.get(file, value).ok()?,
        ));
    }
    Some(Labels::from_pairs(pairs))
}

/// Every sound entry of a series, by its reference.
fn entries(
    file: &[u8],
    version: u8,
    contents: Option<Contents>,
    symbols_at: u64,
) -> BTreeMap<u32, Entry> {
    let align = match version {
        VERSION_1 => 1,
        _ => SERIES_ALIGN,
    };
    let behind_symbols =
        section(file, symbols_at).map(|(body, start)| start + body.len() + CHECKSUM);
    let begin = match contents {
        Some(contents) => contents.series as usize,
        None => behind_symbols.unwrap_or(HEADER),
    };
    let end = contents.map_or(file.len(), |c| c.postings as usize);
    let end = end.min(file.len());
    let mut out = BTreeMap::new();
    let mut at = begin.next_multiple_of(align);
    while at < end {
        let found = read_entry(&file[at..end]);
        if let (Some((entry, _)), Ok(reference)) = (&found, u32::try_from(at / align)) {
            let entry = Entry {
                pairs: entry.pairs.clone(),
                chunks: entry.chunks.clone(),
            };
            out.insert(reference, entry);
        }
        at = match found {
            Some((_, len)) => (at + len).next_multiple_of(align),
            None => at + align,
        };
    }
    out
}

/// The entry that `rest` begins with, and its length.
fn read_entry(rest: &[u8]) -> Option<(Entry, usize)> {
    let mut input = Input::new(PART, rest);
    let len = usize::try_from(input.uvarint().ok()?).ok()?;
    // The numbers of labels and of chunks take two bytes.
    if !(2..=MAX_ENTRY).contains(&len) {
        return None;
    }
    let body = input.bytes(len).ok()?;
    let stored = input.be32().ok()?;
    frame::check_sum(PART, 0, body, stored).ok()?;
    let mut entry = Entry {
        pairs: Vec::new(),
        chunks: Vec::new(),
    };
    let pairs = &mut entry.pairs;
    let chunks = walk_labels(Input::new(PART, body), |name, value| {
        pairs.push((name, value));
        Ok(())
    });
    read_chunks(chunks.ok()?, &mut entry.chunks).ok()?;
    Some((entry, input.offset()))
}

/// The postings table of a file whose contents are lost: it is what ends before them.
fn find_table(file: &[u8]) -> Option<u64> {
    let end = file.len().checked_sub(Contents::LEN)?;
    let fits = |at: &usize| {
        let len = file.get(*at..*at + 4);
        let len = len
            .and_then(|len| len.try_into().ok())
            .map(u32::from_be_bytes);
        len.is_some_and(|len| *at + 4 + len as usize + CHECKSUM == end)
    };
    let mut candidates = (HEADER..end.saturating_sub(8)).rev().filter(fits);
    let found = candidates.find(|at| section(file, *at as u64).is_ok())?;
    Some(found as u64)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::index::IndexWriter;

    fn series() -> Vec<Labels> {
        let of = |n: u32| {
            Labels::from_pairs([("__name__", format!("m{}", n % 3)), ("n", n.to_string())])
        };
        let mut series: Vec<Labels> = (0..12).map(of).collect();
        series.sort();
        series
    }

    fn file(series: &[Labels]) -> Vec<u8> {
        let texts = series.iter().flatten();
        let symbols: BTreeSet<&str> = texts.flat_map(|(name, value)| [name, value]).collect();
        let mut writer = IndexWriter::new(symbols).unwrap();
        for (at, labels) in series.iter().enumerate() {
            let chunk = ChunkMeta {
                min_time: 0,
                max_time: 10,
                reference: 8 + 20 * at as u64,
            };
            writer.add_series(labels, &[chunk]).unwrap();
        }
        writer.finish().unwrap()
    }

    fn labels_of(saved: &Salvage) -> Vec<&Labels> {
        saved.series.iter().map(|series| &series.labels).collect()
    }

    #[test]
    fn a_sound_index_is_read_whole() {
        let series = series();
        let saved = salvage(&file(&series));
        assert_eq!(labels_of(&saved), series.iter().collect::<Vec<_>>());
        assert!(saved.damage.is_empty() && saved.unknown == 0, "{saved:?}");
        assert!(saved.series.iter().all(|series| series.chunks.is_some()));
    }

    #[test]
    fn no_byte_is_worth_a_series() {
        let series = series();
        let whole = file(&series);
        for at in 0..whole.len() {
            for mask in [0x01, 0x03, 0x40, 0xff] {
                let mut file = whole.clone();
                file[at] ^= mask;
                let saved = salvage(&file);
                let wanted: Vec<&Labels> = series.iter().collect();
                assert_eq!(labels_of(&saved), wanted, "byte {at} mask {mask:x}");
                let without = saved.series.iter().filter(|series| series.chunks.is_none());
                assert!(without.count() <= 1, "byte {at} mask {mask:x}");
            }
        }
    }

    #[test]
    fn of_a_file_cut_short_the_beginning_is_read() {
        let series = series();
        let whole = file(&series);
        for len in 0..whole.len() {
            let saved = salvage(&whole[..len]);
            let found = labels_of(&saved);
            assert_eq!(
                found,
                series.iter().take(found.len()).collect::<Vec<_>>(),
                "{len}"
            );
        }
    }
}
