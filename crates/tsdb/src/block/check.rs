//! Whether `meta.json` fits the block it lies in.
//!
//! It has no checksum, and a wrong time in it would do harm: a block would be left out of queries,
//! samples of the log would be taken for samples that a block has, and retention would count from a
//! time that has not come. So the times are compared with what the index says.
//!
//! Whether chunk files are as long as the index says is seen at the same time: of a block that was
//! just written, the log may still have what is missing.

use std::path::Path;

use bytes::Bytes;
use headwater_blockfmt::index::ChunkMeta;
use headwater_blockfmt::segment::{self, ChunkRef};
use headwater_blockfmt::{BlockMeta, Index};
use headwater_env::Region;
use headwater_model::Timestamp;

/// Series that are looked at, spread over the block: a start must not read all of a large index.
const SERIES: usize = 10_000;

/// A block may claim this much more time than it has samples of. Prometheus makes no blocks that
/// are longer.
const MOST_EMPTY: i64 = 31 * 24 * 3600 * 1000;

/// Says that chunks lie behind the end of their file, as far as series that are looked at tell. The
/// last series of a block has its chunks at the end of the last file: the last one is read.
pub(super) fn lengths(
    dir: &Path,
    index: &Index<Region>,
    files: &[Bytes],
    damage: &mut Vec<String>,
) {
    let (mut beyond, mut last) = (None, None);
    look_at(index, |chunks| {
        for place in chunks.iter().map(|c| ChunkRef::from_u64(c.reference)) {
            let file = files.get(place.segment as usize);
            let inside = file.is_some_and(|file| (place.offset as usize) < file.len());
            beyond = beyond.or((!inside).then_some(place.segment));
            last = Some(place);
        }
    });
    let cut = last.filter(|place| {
        let file = files.get(place.segment as usize);
        file.is_some_and(|file| segment::read_chunk(file, place.offset as usize).is_err())
    });
    // That there is no file at all is said elsewhere.
    let short = beyond.or(cut.map(|place| place.segment));
    if let Some(segment) = short.filter(|_| !files.is_empty()) {
        let path = super::chunk_path(&dir.join("chunks"), segment + 1);
        damage.push(format!("{} has not all of its chunks", path.display()));
    }
}

/// Mends what does not fit and says so; answers the first millisecond behind the samples.
pub(super) fn mend(
    meta: &mut BlockMeta,
    dir: &Path,
    index: &Index<Region>,
    damage: &mut Vec<String>,
) -> Timestamp {
    let mut wrong = Vec::new();
    let name = dir.file_name().map(|name| name.to_string_lossy());
    if let Some(name) = name.filter(|name| *name != meta.ulid) {
        wrong.push(format!("the block is not {}", meta.ulid));
        meta.ulid = name.into_owned();
    }
    let Some((start, end)) = span(index) else {
        return meta.max_time;
    };
    if start < meta.min_time || end > meta.max_time {
        wrong.push(format!(
            "samples lie outside of {} to {}",
            meta.min_time, meta.max_time
        ));
        meta.min_time = meta.min_time.min(start);
        meta.max_time = meta.max_time.max(end);
    }
    if meta.max_time.saturating_sub(end) > MOST_EMPTY {
        wrong.push(format!(
            "the samples end at {end} and not at {}",
            meta.max_time
        ));
        meta.max_time = end;
    }
    if start.saturating_sub(meta.min_time) > MOST_EMPTY {
        wrong.push(format!(
            "the samples begin at {start} and not at {}",
            meta.min_time
        ));
        meta.min_time = start;
    }
    let path = dir.join("meta.json");
    damage.extend(
        wrong
            .into_iter()
            .map(|what| format!("{} is damaged: {what}", path.display())),
    );
    end
}

/// First time of the series that are looked at, and the first behind their last.
fn span(index: &Index<Region>) -> Option<(Timestamp, Timestamp)> {
    let mut out: Option<(Timestamp, Timestamp)> = None;
    look_at(index, |chunks| {
        for chunk in chunks {
            let (start, end) = (chunk.min_time, chunk.max_time.saturating_add(1));
            out = Some(out.map_or((start, end), |(a, b)| (a.min(start), b.max(end))));
        }
    });
    out
}

/// The chunks of some series, the last one included.
fn look_at(index: &Index<Region>, mut look: impl FnMut(&[ChunkMeta])) {
    let Ok(all) = index.all_postings() else {
        return;
    };
    let step = all.len().div_ceil(SERIES).max(1);
    let mut chunks: Vec<ChunkMeta> = Vec::new();
    let last = all.len().saturating_sub(1);
    let some = |at: usize| at.is_multiple_of(step) || at == last;
    for (_, reference) in all.iter().enumerate().filter(|(at, _)| some(*at)) {
        let read = index
            .series(reference)
            .and_then(|series| series.chunks_into(&mut chunks));
        if read.is_ok() {
            look(&chunks);
        }
    }
}
