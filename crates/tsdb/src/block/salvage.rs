//! A block whose index is damaged is served with an index built anew in memory.
//!
//! `blockfmt` finds the series whose entries are sound and the labels of the others. Blocks are
//! written series by series, so the chunks of a series whose entry is lost are those that lie
//! between the chunks of its neighbours. What is on disk stays as it is: the next start does all of
//! this again, and somebody may want to look.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use headwater_blockfmt::index::{ChunkMeta, IndexWriter, Salvage, SalvagedSeries, salvage};
use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{Index, decode};
use headwater_env::Region;
use headwater_model::{SeriesColumns, TimeRange};

/// An index that was built anew.
#[derive(Debug)]
pub(super) struct Rebuilt {
    pub(super) index: Index<Region>,
    /// What the damaged index calls the series, by what the new one calls them.
    pub(super) originals: BTreeMap<u32, u32>,
    /// Series that are lost.
    pub(super) lost: u64,
    pub(super) damage: Vec<String>,
}

/// Builds an index of what is sound in `file`; `None` if that is nothing.
pub(super) fn rebuild(file: &[u8], chunks: &[Bytes]) -> Option<Rebuilt> {
    let mut found = salvage(file);
    let restored = restore(&mut found.series, chunks);
    let Salvage {
        series,
        unknown,
        damage,
    } = found;
    let (mut whole, lost): (Vec<_>, Vec<_>) = series.into_iter().partition(has_chunks);
    whole.sort_by(|a, b| a.labels.cmp(&b.labels));
    whole.dedup_by(|a, b| a.labels == b.labels);
    let (index, originals) = write(&whole)?;
    let mut damage: Vec<String> = damage.iter().map(ToString::to_string).collect();
    if restored > 0 {
        damage.push(format!(
            "chunks of {restored} series were found by their place"
        ));
    }
    Some(Rebuilt {
        index,
        originals,
        lost: unknown + lost.len() as u64,
        damage,
    })
}

fn has_chunks(series: &SalvagedSeries) -> bool {
    series
        .chunks
        .as_ref()
        .is_some_and(|chunks| !chunks.is_empty())
}

fn write(series: &[SalvagedSeries]) -> Option<(Index<Region>, BTreeMap<u32, u32>)> {
    let texts = series.iter().flat_map(|series| &series.labels);
    let symbols: BTreeSet<&str> = texts.flat_map(|(name, value)| [name, value]).collect();
    let mut writer = IndexWriter::new(symbols).ok()?;
    let mut originals = BTreeMap::new();
    for one in series {
        let chunks = one.chunks.as_deref().unwrap_or_default();
        let reference = writer.add_series(&one.labels, chunks).ok()?;
        originals.insert(reference, one.reference);
    }
    if originals.is_empty() {
        return None;
    }
    let index = Index::open(Region::from(writer.finish().ok()?)).ok()?;
    Some((index, originals))
}

/// Finds the chunks of series that lost them and whose neighbours have theirs; says how many series
/// these were.
fn restore(series: &mut [SalvagedSeries], files: &[Bytes]) -> usize {
    let mut restored = 0;
    for at in 0..series.len() {
        if series[at].chunks.is_some() {
            continue;
        }
        let place = |series: &SalvagedSeries, pick: fn(&[ChunkMeta]) -> Option<&ChunkMeta>| {
            let chunk = pick(series.chunks.as_deref()?)?;
            Some(ChunkRef::from_u64(chunk.reference))
        };
        let before = match at.checked_sub(1) {
            None => None,
            Some(before) => match place(&series[before], <[_]>::last) {
                Some(place) => Some(place),
                None => continue,
            },
        };
        let behind = match series.get(at + 1) {
            None => None,
            Some(behind) => match place(behind, <[_]>::first) {
                Some(place) => Some(place),
                None => continue,
            },
        };
        let between = between(files, before, behind);
        if !between.is_empty() {
            series[at].chunks = Some(between);
            restored += 1;
        }
    }
    restored
}

/// The sound chunks behind one and before another; from the first, up to the last if not said.
fn between(files: &[Bytes], before: Option<ChunkRef>, behind: Option<ChunkRef>) -> Vec<ChunkMeta> {
    let mut out = Vec::new();
    let first = before.map_or(0, |place| place.segment);
    for segment in first.. {
        let Some(file) = files.get(segment as usize) else {
            return out;
        };
        let mut at = match before.filter(|place| place.segment == segment) {
            Some(place) => match segment::read_chunk(file, place.offset as usize) {
                Ok(chunk) => chunk.end,
                Err(_) => return out,
            },
            None => segment::HEADER_LEN,
        };
        while at < file.len() {
            let place = ChunkRef {
                segment,
                offset: at as u32,
            };
            if behind.is_some_and(|behind| place >= behind) {
                return out;
            }
            let Some((chunk, end)) = chunk_at(file, place) else {
                return out;
            };
            // Chunks of a series ascend: what goes back in time belongs to another one.
            if out
                .last()
                .is_some_and(|last: &ChunkMeta| chunk.min_time < last.min_time)
            {
                return Vec::new();
            }
            out.push(chunk);
            at = end;
        }
    }
    out
}

fn chunk_at(file: &[u8], place: ChunkRef) -> Option<(ChunkMeta, usize)> {
    let raw = segment::read_chunk(file, place.offset as usize).ok()?;
    let mut columns = SeriesColumns::default();
    decode(raw.encoding, raw.data, TimeRange::ALL, &mut columns).ok()?;
    let floats = columns.floats.times.iter();
    let times = || floats.clone().chain(columns.histograms.times()).copied();
    let chunk = ChunkMeta {
        min_time: times().min()?,
        max_time: times().max()?,
        reference: place.to_u64(),
    };
    Some((chunk, raw.end))
}
